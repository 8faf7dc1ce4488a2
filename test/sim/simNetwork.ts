/**
 * Sockets between simulated processes. Within a site bytes take a moment; between sites they take the link's delay, and a
 * link can be cut in one or both directions. Bytes on a cut link vanish, as those of a TCP connection do: nobody hears
 * anything, and if the link heals while both ends still hold the connection, what vanished is sent again and comes late,
 * else whoever is left gets a reset.
 */
import type { Connection, ConnectionHandler, Net, Random, Target } from '#runtime/ports.ts'
import type { SimProcess } from './simProcess.ts'

const silent: ConnectionHandler = { onData() {}, onDrain() {}, onClose() {} }

/** Who has connected. */
export interface SimCaller {
  site: number
  target: Target
}

type Accept = (connection: Connection, caller: SimCaller) => void

interface Listener {
  process: SimProcess
  site: number
  accept: Accept
}

interface Link {
  cut: boolean
  delayMs: () => number
}

const localDelayMs = 0.05

export class SimNetwork {
  readonly random: Random
  /** Chunks are cut into pieces at random places. */
  splitting = false
  readonly #listeners = new Map<string, Listener>()
  readonly #links = new Map<string, Link>()
  readonly #connections = new Set<SimConnection>()
  /** Calls that no answer came to yet. */
  #calls: (() => boolean)[] = []

  constructor(random: Random) {
    this.random = random
  }

  link(from: number, to: number): Link {
    const name = `${from}>${to}`
    let link = this.#links.get(name)
    if (link === undefined) {
      link = { cut: false, delayMs: () => (from === to ? localDelayMs : 5) }
      this.#links.set(name, link)
    }
    return link
  }

  cut(from: number, to: number): void {
    this.link(from, to).cut = true
  }

  /** `reset`: connections over the link don't survive the cut. */
  heal(from: number, to: number, reset = false): void {
    this.link(from, to).cut = false
    for (const connection of [...this.#connections]) connection.healed(from, to, reset)
    this.#calls = this.#calls.filter((call) => !call())
  }

  listen(address: string, process: SimProcess, site: number, accept: Accept): void {
    this.#listeners.set(address, { process, site, accept })
    process.onKill(() => {
      if (this.#listeners.get(address)?.process === process) this.#listeners.delete(address)
    })
  }

  /** The network as a process of a site sees it. */
  net(process: SimProcess, site: number): Net {
    return {
      connect: (target, handler) => this.#connect(process, site, target, handler),
    }
  }

  #connect(
    process: SimProcess,
    site: number,
    target: Target,
    handler: ConnectionHandler & { onOpen(): void },
  ): Connection {
    const near = new SimConnection(this, process, site)
    near.handler = handler
    const call = (): boolean => {
      if (near.ended || !process.alive) return true
      const listener = this.#listeners.get(addressOf(target))
      if (listener === undefined) {
        near.end(new Error('connection refused'))
        return true
      }
      if (this.link(site, listener.site).cut || this.link(listener.site, site).cut) return false
      const far = new SimConnection(this, listener.process, listener.site)
      near.join(far)
      this.#connections.add(near).add(far)
      listener.accept(far, { site, target })
      process.post(this.link(listener.site, site).delayMs(), () => {
        if (!near.ended) handler.onOpen()
      })
      return true
    }
    process.post(this.link(site, site).delayMs(), () => {
      if (!call()) this.#calls.push(call)
    })
    return near
  }

  forget(connection: SimConnection): void {
    this.#connections.delete(connection)
  }

  /** Both ends of an open connection, for tests. */
  pair(near: SimProcess, nearSite: number, far: SimProcess, farSite: number): [Connection, Connection] {
    const one = new SimConnection(this, near, nearSite)
    const other = new SimConnection(this, far, farSite)
    one.join(other)
    this.#connections.add(one).add(other)
    return [one, other]
  }
}

function addressOf(target: Target): string {
  return target.kind === 'unix' ? target.path : `${target.host}:${target.port}`
}

interface Packet {
  /** null: the orderly end. */
  bytes: Uint8Array | null
  dueMs: number
}

class SimConnection implements Connection {
  handler: ConnectionHandler = silent
  bufferedBytes = 0
  ended = false
  readonly #network: SimNetwork
  readonly #process: SimProcess
  readonly #site: number
  #peer: SimConnection | null = null
  #outgoing: Packet[] = []
  #lastDueMs = 0
  #paused = false
  #closing = false
  /** This end is gone and the other has not heard of it. */
  #resetOwed = false

  constructor(network: SimNetwork, process: SimProcess, site: number) {
    this.#network = network
    this.#process = process
    this.#site = site
    process.onKill(() => this.#die())
  }

  join(peer: SimConnection): void {
    this.#peer = peer
    peer.#peer = this
  }

  write(bytes: Uint8Array): void {
    if (this.ended || this.#closing || bytes.length === 0) return
    this.bufferedBytes += bytes.length
    this.#send(bytes)
  }

  pause(): void {
    this.#paused = true
  }

  resume(): void {
    if (!this.#paused) return
    this.#paused = false
    const peer = this.#peer
    if (peer !== null) this.#process.events.after(0, () => peer.#flush())
  }

  close(): void {
    if (this.ended || this.#closing) return
    this.#closing = true
    this.#send(null)
  }

  destroy(): void {
    if (!this.ended) this.end(null)
  }

  /** This end hears of the end now, the other as soon as the link lets it. */
  end(error: Error | null): void {
    this.#leave()
    this.#process.post(0, () => this.handler.onClose(error))
    this.#reset()
  }

  healed(from: number, to: number, reset: boolean): void {
    const peer = this.#peer
    if (peer === null) return
    const concerned = (from === this.#site && to === peer.#site) || (to === this.#site && from === peer.#site)
    if (!concerned || from === to) return
    if (this.#resetOwed) this.#reset()
    else if (reset && !this.ended && !this.#cut) this.end(new Error('connection reset'))
    else this.#flush()
  }

  get #cut(): boolean {
    const peer = this.#peer
    return peer !== null && this.#network.link(this.#site, peer.#site).cut
  }

  /** The process was killed; its system says so to the other side. */
  #die(): void {
    if (this.ended) return
    this.#leave()
    this.#reset()
  }

  #leave(): void {
    this.ended = true
    this.#outgoing = []
    this.bufferedBytes = 0
  }

  #reset(): void {
    const peer = this.#peer
    if (peer === null || peer.ended) {
      this.#network.forget(this)
      return
    }
    this.#resetOwed = this.#cut
    if (this.#resetOwed) return
    this.#network.forget(this)
    this.#process.events.after(this.#network.link(this.#site, peer.#site).delayMs(), () => {
      if (peer.ended) return
      peer.#leave()
      this.#network.forget(peer)
      peer.#process.run(() => peer.handler.onClose(new Error('connection reset')))
    })
  }

  #send(bytes: Uint8Array | null): void {
    const peer = this.#peer
    const { events } = this.#process
    const delayMs = peer === null ? 0 : this.#network.link(this.#site, peer.#site).delayMs()
    this.#lastDueMs = Math.max(this.#lastDueMs, events.nowMs + delayMs)
    this.#outgoing.push({ bytes, dueMs: this.#lastDueMs })
    events.at(this.#lastDueMs, () => this.#flush())
  }

  /** Delivers what is due, in order. */
  #flush(): void {
    const peer = this.#peer
    if (this.ended || peer === null || peer.ended || this.#cut) return
    while (this.#outgoing.length > 0 && !peer.#paused) {
      const { bytes, dueMs } = this.#outgoing[0] as Packet
      if (dueMs > this.#process.events.nowMs) return
      this.#outgoing.shift()
      if (bytes === null) {
        this.#finish(peer)
        return
      }
      this.bufferedBytes -= bytes.length
      // The other end has called close: it reads no more.
      if (!peer.#closing) peer.#process.run(() => peer.#deliver(bytes))
      if (this.ended) return
      if (this.bufferedBytes === 0) this.#process.run(() => this.handler.onDrain())
      if (this.ended) return
    }
  }

  #deliver(bytes: Uint8Array): void {
    const { random, splitting } = this.#network
    if (!splitting || bytes.length < 2 || random.below(4) > 0) {
      this.handler.onData(bytes)
      return
    }
    const at = 1 + random.below(bytes.length - 1)
    this.handler.onData(bytes.slice(0, at))
    if (!this.ended) this.handler.onData(bytes.slice(at))
  }

  /** Everything written before the close has been delivered. */
  #finish(peer: SimConnection): void {
    this.#leave()
    peer.#leave()
    this.#network.forget(this)
    this.#network.forget(peer)
    this.#process.run(() => this.handler.onClose(null))
    peer.#process.run(() => peer.handler.onClose(null))
  }
}
