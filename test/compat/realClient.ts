/** A connection to redis-server on which messages come besides replies. */
import { once } from 'node:events'
import { createConnection, type Socket } from 'node:net'
import { bytesOf } from '#runtime/bytes/bytes.ts'
import { encode } from '#test/proxy/proxyWorld.ts'
import type { Request, SocketSide } from './side.ts'

export class RealClient {
  /** Since it was taken last. */
  received = ''
  readonly #socket: Socket

  private constructor(socket: Socket) {
    this.#socket = socket
    socket.on('data', (chunk: Buffer) => {
      this.received += chunk.toString('latin1')
    })
  }

  static async connect(path: string): Promise<RealClient> {
    const socket = createConnection({ path })
    await once(socket, 'connect')
    return new RealClient(socket)
  }

  /** Returns when the server has done it, and all that it sent has come. */
  async send(requests: readonly Request[], control: SocketSide): Promise<void> {
    const before = this.received.length
    this.#socket.write(bytesOf(requests.map(encode).join('')))
    while (this.received.length === before) await new Promise((resolve) => setImmediate(resolve))
    await settled(control)
  }

  /** Returns when the server knows. */
  async close(control: SocketSide): Promise<void> {
    if (this.#socket.closed) return
    this.#socket.end()
    await once(this.#socket, 'close')
    await settled(control)
  }
}

/** Twice: what another client is sent leaves in a turn of its own. */
async function settled(control: SocketSide): Promise<void> {
  for (let i = 0; i < 2; i++) {
    await control.send([['PING']])
    await new Promise((resolve) => setImmediate(resolve))
  }
}
