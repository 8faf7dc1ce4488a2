/** The two sides of a comparison: whoever answers a stream of requests on one connection. */
import { once } from 'node:events'
import { createConnection, type Socket } from 'node:net'
import { replyEnd } from '#protocol/resp/replyScanner.ts'
import { concatenate } from '#runtime/bytes/bytes.ts'
import { encodeRequest } from '#test/realRedis.ts'

export type Request = readonly string[]

const containers = new Set(['OBJECT', 'MEMORY', 'PUBSUB', 'XGROUP', 'XINFO'])

/** The command in upper case, with the subcommand if it has some. */
export function nameOf(request: Request): string {
  const name = request[0]?.toUpperCase() ?? ''
  return containers.has(name) ? `${name}|${request[1]?.toUpperCase()}` : name
}

export interface Side {
  /** Raw replies, one a request, in order. */
  send(requests: readonly Request[]): Promise<Uint8Array[]>
}

/** A server behind a socket: redis-server, or a whole Antipode database. */
export class SocketSide implements Side {
  readonly #socket: Socket
  #received: Uint8Array = new Uint8Array(0)
  #replies: Uint8Array[] = []
  #expected = 0
  #done: ((error: Error | null) => void) | null = null

  private constructor(socket: Socket) {
    this.#socket = socket
    socket.on('data', (chunk: Uint8Array) => this.#take(chunk))
    // What went wrong shows in the end of the connection.
    socket.on('error', () => {})
    socket.on('close', () => this.#done?.(new Error('connection closed')))
  }

  static async connect(address: { path: string } | { host: string; port: number }): Promise<SocketSide> {
    const socket = createConnection(address)
    await once(socket, 'connect')
    return new SocketSide(socket)
  }

  send(requests: readonly Request[]): Promise<Uint8Array[]> {
    if (this.#socket.destroyed) return Promise.reject(new Error('connection closed'))
    this.#replies = []
    this.#expected = requests.length
    return new Promise((resolve, reject) => {
      this.#done = (error) => {
        this.#done = null
        if (error === null) resolve(this.#replies)
        else reject(error)
      }
      this.#socket.write(concatenate(requests.map(encodeRequest)))
      if (requests.length === 0) this.#done(null)
    })
  }

  close(): void {
    this.#socket.destroy()
  }

  #take(chunk: Uint8Array): void {
    const bytes = this.#received.length === 0 ? chunk : concatenate([this.#received, chunk])
    let at = 0
    for (;;) {
      const end = replyEnd(bytes, at, bytes.length)
      if (end === 0) break
      this.#replies.push(bytes.slice(at, end))
      at = end
    }
    this.#received = bytes.slice(at)
    if (this.#replies.length === this.#expected) this.#done?.(null)
  }
}
