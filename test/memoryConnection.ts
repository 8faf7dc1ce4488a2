/** Both ends of a byte stream in memory, for tests without a simulated network. Keeps the promises of `Connection`. */
import type { Connection, ConnectionHandler, Net, Target } from '#runtime/ports.ts'
import type { MemoryWorld } from './memoryWorld.ts'

const silent: ConnectionHandler = { onData() {}, onDrain() {}, onClose() {} }

export class MemoryConnection implements Connection {
  handler: ConnectionHandler = silent
  bufferedBytes = 0
  /** Bytes from this end vanish, and so does its closing: a cut link without a reset. */
  cut = false
  /** Cuts what is delivered to this end into pieces of at most so many bytes. */
  chunkBytesMax = Number.MAX_SAFE_INTEGER
  closed = false
  /** As its owner has set it. */
  keepAliveMs: number | null = null
  readonly #world: MemoryWorld
  #peer: MemoryConnection | null = null
  #outgoing: Uint8Array[] = []
  #paused = false
  #closing = false

  private constructor(world: MemoryWorld) {
    this.#world = world
  }

  static pair(world: MemoryWorld): [MemoryConnection, MemoryConnection] {
    const near = new MemoryConnection(world)
    const far = new MemoryConnection(world)
    near.#peer = far
    far.#peer = near
    return [near, far]
  }

  get paused(): boolean {
    return this.#paused
  }

  write(bytes: Uint8Array): void {
    if (this.closed || this.#closing || bytes.length === 0) return
    this.bufferedBytes += bytes.length
    this.#outgoing.push(bytes)
    this.#world.post(() => this.#flush())
  }

  pause(): void {
    this.#paused = true
  }

  resume(): void {
    this.#paused = false
    const peer = this.#peer
    if (peer !== null) this.#world.post(() => peer.#flush())
  }

  keepAlive(silentMs: number): void {
    this.keepAliveMs = silentMs
  }

  close(): void {
    if (this.closed || this.#closing) return
    this.#closing = true
    this.#world.post(() => this.#flush())
  }

  destroy(): void {
    if (this.closed) return
    this.#outgoing = []
    this.#end(null, new Error('connection reset'))
  }

  #flush(): void {
    const peer = this.#peer
    if (this.closed || peer === null) return
    while (this.#outgoing.length > 0 && (this.cut || !peer.#paused)) {
      const bytes = this.#outgoing.shift() as Uint8Array
      this.bufferedBytes -= bytes.length
      if (!this.cut) peer.#deliver(bytes)
      if (this.closed) return
      if (this.bufferedBytes === 0) this.handler.onDrain()
    }
    if (this.#closing && this.#outgoing.length === 0) this.#end(null, null)
  }

  #deliver(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length && !this.closed && !this.#closing; at += this.chunkBytesMax) {
      const end = Math.min(bytes.length, at + this.chunkBytesMax)
      this.handler.onData(at === 0 && end === bytes.length ? bytes : bytes.slice(at, end))
    }
  }

  #end(ownError: Error | null, peerError: Error | null): void {
    const peer = this.#peer
    this.closed = true
    this.bufferedBytes = 0
    this.#world.post(() => this.handler.onClose(ownError))
    if (peer === null || peer.closed || this.cut) return
    peer.closed = true
    peer.bufferedBytes = 0
    peer.#outgoing = []
    this.#world.post(() => peer.handler.onClose(peerError))
  }
}

/** A `Net` whose every connection is made, or refused, by the test. */
export class MemoryNet implements Net {
  readonly #world: MemoryWorld
  /** Returns what takes the far end of a new connection, or an error to refuse it, or null to never answer. */
  accept: (target: Target) => ((far: MemoryConnection) => void) | Error | null

  constructor(world: MemoryWorld, accept: MemoryNet['accept']) {
    this.#world = world
    this.accept = accept
  }

  connect(target: Target, handler: ConnectionHandler & { onOpen(): void }): Connection {
    const [near, far] = MemoryConnection.pair(this.#world)
    near.handler = handler
    this.#world.post(() => {
      if (near.closed) return
      const answer = this.accept(target)
      if (answer instanceof Error) {
        near.closed = true
        handler.onClose(answer)
      } else if (answer !== null) {
        answer(far)
        handler.onOpen()
      }
    })
    return near
  }
}
