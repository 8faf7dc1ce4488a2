/**
 * A `Connection` on a Node socket: Unix, TCP or TLS. Three things differ from what a socket does by itself:
 * - `onDrain` comes whenever all has left after something could not leave at once; a socket's own `drain` only comes
 *   above its high-water mark.
 * - `close` first lets everything written leave, then waits up to `lingerMs` for the other side to close: closing a
 *   socket with unread bytes in it sends a reset, which can overtake the last reply.
 * - The other side's end of writing ends the connection, unless the owner wants to answer first (`onEnd`).
 *
 * A request costs one read and one write, so what Node's streams do around those two counts (ADR 0012): a write with a
 * callback costs a tick, a chunk on its way through a flowing stream costs an event and another tick. Both are avoided
 * by public means, and where these should one day do nothing any more, the stream does what it always did.
 */
import type { Socket } from 'node:net'
import { Duplex } from 'node:stream'
import type { Connection, ConnectionHandler } from '#runtime/ports.ts'

/** How long a closed connection waits for the other side's end. */
export const lingerMs = 1000

const nothing = new Uint8Array(0)
const unowned: ConnectionHandler = { onData() {}, onDrain() {}, onClose() {} }

export class NodeConnection implements Connection {
  handler: ConnectionHandler = unowned
  readonly #socket: Socket
  #backlogged = false
  #closing = false
  #error: Error | null = null

  constructor(socket: Socket) {
    this.#socket = socket
    socket.on('data', this.#onData)
    socket.push = this.#push
    socket.on('end', this.#onEnd)
    socket.on('error', this.#onError)
    socket.on('close', this.#onClose)
  }

  get bufferedBytes(): number {
    return this.#socket.writableLength
  }

  write(bytes: Uint8Array): void {
    const socket = this.#socket
    if (this.#closing || socket.destroyed) return
    if (this.#backlogged) {
      socket.write(bytes, this.#onWritten)
      return
    }
    socket.write(bytes)
    if (socket.writableLength === 0) return
    this.#backlogged = true
    // It could not leave at once: what stands behind it tells when it has.
    socket.write(nothing, this.#onWritten)
  }

  pause(): void {
    this.#socket.pause()
  }

  resume(): void {
    this.#socket.resume()
  }

  keepAlive(silentMs: number): void {
    this.#socket.setKeepAlive(silentMs > 0, silentMs)
  }

  close(): void {
    if (this.#closing || this.#socket.destroyed) return
    this.#closing = true
    const socket = this.#socket
    socket.end(() => {
      const linger = setTimeout(() => socket.destroy(), lingerMs)
      socket.once('close', () => clearTimeout(linger))
    })
    // What still comes is thrown away, but has to be read for the other side's end to be seen.
    socket.resume()
  }

  destroy(): void {
    this.#closing = true
    this.#socket.destroy()
  }

  /** Replaces the stream's own `push`, through which it gets what was read, as long as nothing would hold the chunk up. */
  readonly #push = (chunk: Uint8Array | null, encoding?: BufferEncoding): boolean => {
    const socket = this.#socket
    if (chunk !== null && socket.readableFlowing === true && socket.readableLength === 0) {
      this.#onData(chunk)
      return true
    }
    return Duplex.prototype.push.call(socket, chunk, encoding)
  }

  readonly #onData = (chunk: Uint8Array): void => {
    if (!this.#closing) this.handler.onData(chunk)
  }

  readonly #onWritten = (error?: Error | null): void => {
    if (!this.#backlogged || this.#socket.writableLength > 0 || error) return
    this.#backlogged = false
    if (!this.#closing) this.handler.onDrain()
  }

  readonly #onEnd = (): void => {
    if (this.#closing || this.handler.onEnd === undefined) this.close()
    else this.handler.onEnd()
  }

  readonly #onError = (error: Error): void => {
    this.#error = error
  }

  readonly #onClose = (): void => {
    this.#closing = true
    this.handler.onClose(this.#error)
  }
}
