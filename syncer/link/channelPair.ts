/**
 * Joins a feed at a peer's shard with an intake at ours: two channels, one on each link, and what comes on one goes out on the
 * other unopened. Flow control and everything else that the messages mean is between feed and intake; when one end
 * closes, so does the other, and after a pause both are opened again. The intake's subscribe then says what is missing,
 * so a pair may end at any moment without harm.
 */
import type { Frame } from '#protocol/frames/frame.ts'
import type { Pairing } from '#syncer/topology/pairing.ts'
import type { ChannelOwner, Channels } from './channels.ts'
import { backOffMs, type LinkPorts } from './frameLink.ts'

export interface PairOptions extends Pairing {
  ownCluster: number
  peer: number
  reconnectMinMs: number
  reconnectMaxMs: number
}

/** One end, with the channels of the link it is on. */
interface End {
  readonly channels: Channels
  tag: number
  open: boolean
}

export class ChannelPair {
  readonly options: PairOptions
  readonly #ports: LinkPorts
  readonly #local: End
  readonly #remote: End
  /** Told after each message that went to the peer, or else to the local shard. */
  readonly #onForwarded: (toPeer: boolean) => void
  #attempts = 0
  #openSinceMs = 0
  #stopped = false
  #lastReason = ''
  #cancelRetry: () => void = () => {}

  constructor(
    options: PairOptions,
    local: Channels,
    remote: Channels,
    ports: LinkPorts,
    onForwarded: (toPeer: boolean) => void,
  ) {
    this.options = options
    this.#ports = ports
    this.#local = { channels: local, tag: 0, open: false }
    this.#remote = { channels: remote, tag: 0, open: false }
    this.#onForwarded = onForwarded
  }

  get isOpen(): boolean {
    return this.#local.open && this.#remote.open
  }

  /** The feed first: an intake without one would count a peer as connected that sends nothing. */
  start(): void {
    const { ownCluster, remoteShard, ranges } = this.options
    this.#remote.tag = this.#remote.channels.open(
      this.#ownerOf(this.#remote, this.#local, () => this.#openIntake()),
      { role: 'feed', peer: ownCluster, shard: remoteShard, ranges },
    )
  }

  /** For good. Either link may be gone already. */
  stop(reason: string): void {
    this.#stopped = true
    this.#cancelRetry()
    this.#closeEnd(this.#local, reason)
    this.#closeEnd(this.#remote, reason)
  }

  #openIntake(): void {
    const { peer, remoteShard, ranges } = this.options
    this.#local.tag = this.#local.channels.open(
      this.#ownerOf(this.#local, this.#remote, () => {
        this.#openSinceMs = this.#ports.clock.monotonicMs()
      }),
      { role: 'intake', peer, shard: remoteShard, ranges },
    )
  }

  #ownerOf(end: End, other: End, onOpened: () => void): ChannelOwner {
    return {
      onOpened: () => {
        if (end.open) return
        end.open = true
        onOpened()
      },
      onData: (frame: Frame) => {
        if (other.tag === 0) return
        other.channels.forward(other.tag, frame)
        this.#onForwarded(other === this.#remote)
      },
      onClosed: (reason) => {
        end.tag = 0
        this.#onClosed(end, other, reason)
      },
    }
  }

  #onClosed(end: End, other: End, reason: string): void {
    const wasOpen = this.isOpen
    end.open = false
    this.#closeEnd(other, `the other end closed: ${reason}`)
    if (this.#stopped) return
    this.#log(end, reason)
    const { reconnectMinMs, reconnectMaxMs } = this.options
    const openMs = this.#ports.clock.monotonicMs() - this.#openSinceMs
    if (wasOpen && openMs >= reconnectMaxMs) this.#attempts = 0
    const pauseMs = backOffMs(this.#attempts++, reconnectMinMs, reconnectMaxMs, this.#ports.random)
    this.#cancelRetry = this.#ports.timers.after(pauseMs, () => this.start())
  }

  #closeEnd(end: End, reason: string): void {
    if (end.tag !== 0) end.channels.close(end.tag, reason)
    end.tag = 0
    end.open = false
  }

  #log(end: End, reason: string): void {
    const { peer, localShard, remoteShard } = this.options
    const facts = { peer, localShard, remoteShard, by: end === this.#local ? 'local' : 'remote', reason }
    if (reason !== this.#lastReason) this.#ports.logger.warn(facts, 'a sync channel closed; opening it again')
    else this.#ports.logger.debug(facts, 'a sync channel closed again')
    this.#lastReason = reason
  }
}
