/** A connection to a server: bytes out, whole replies in. */
import { once } from 'node:events'
import { createConnection, type Socket } from 'node:net'
import { replyEnd } from '#protocol/resp/replyScanner.ts'

const host = '127.0.0.1'

export class Connection {
  readonly #socket: Socket
  #rest: Buffer | null = null
  /** Called with the range of each reply. */
  onReply: (bytes: Uint8Array, start: number, end: number) => void = () => {}
  /** The server has ended it, or an error has. */
  onLost: (why: Error) => void = () => {}

  private constructor(socket: Socket) {
    this.#socket = socket
    socket.setNoDelay(true)
    socket.on('data', (chunk: Buffer) => this.#take(chunk))
    socket.on('error', (error) => this.onLost(error))
    socket.on('close', () => this.onLost(new Error('the server has closed the connection')))
  }

  static async open(port: number): Promise<Connection> {
    const socket = createConnection({ port, host })
    await once(socket, 'connect')
    return new Connection(socket)
  }

  write(bytes: Uint8Array): void {
    this.#socket.write(bytes)
  }

  close(): void {
    this.onLost = () => {}
    this.#socket.destroy()
  }

  #take(chunk: Buffer): void {
    const bytes = this.#rest === null ? chunk : Buffer.concat([this.#rest, chunk])
    let at = 0
    while (at < bytes.length) {
      const end = replyEnd(bytes, at, bytes.length)
      if (end === 0) break
      this.onReply(bytes, at, end)
      at = end
    }
    this.#rest = at < bytes.length ? bytes.subarray(at) : null
  }
}
