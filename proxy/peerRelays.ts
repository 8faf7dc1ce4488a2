/** The links of peers' syncers to this worker: which may come, and what they have been sent. */
import { channelClosedFrame } from '#protocol/frames/hello.ts'
import type { Connection } from '#runtime/ports.ts'
import { type PeerTraffic, type RelayHost, SyncRelay } from './syncRelay.ts'
import { turnAway } from './turnAway.ts'

export class PeerRelays implements Iterable<SyncRelay> {
  readonly #host: RelayHost
  /** The last one may have gone. */
  readonly #onClosed: () => void
  readonly #relays = new Set<SyncRelay>()
  readonly #traffic = new Map<number, PeerTraffic>()

  constructor(host: RelayHost, onClosed: () => void) {
    this.#host = host
    this.#onClosed = onClosed
  }

  get count(): number {
    return this.#relays.size
  }

  [Symbol.iterator](): Iterator<SyncRelay> {
    return this.#relays.values()
  }

  /** Since this process started. */
  get traffic(): Iterable<PeerTraffic> {
    return this.#traffic.values()
  }

  trafficOf(clusterId: number): PeerTraffic {
    let traffic = this.#traffic.get(clusterId)
    if (traffic === undefined) {
      traffic = { clusterId, sent: { bytes: 0, rawBytes: 0 }, received: { bytes: 0, rawBytes: 0 } }
      this.#traffic.set(clusterId, traffic)
    }
    return traffic
  }

  /** `peerName`: of its certificate; null: the authority vouches for none. */
  accept(connection: Connection, peerName: string | null): void {
    if (peerName === null || !this.#isPeer(peerName)) {
      const reason =
        peerName === null
          ? 'a certificate that the authority of this database has signed is needed'
          : `${peerName} is not another member of this database`
      this.#host.logger.warn({ peer: peerName, reason }, 'a syncer was turned away')
      turnAway(connection, channelClosedFrame(0, reason))
      return
    }
    const relay = new SyncRelay(this.#host, connection, peerName)
    this.#relays.add(relay)
    connection.handler = relay
  }

  /** The members have changed. */
  closeFormer(): void {
    for (const relay of this.#relays)
      if (!this.#mayRead(relay.peerName)) relay.close(`${relay.peerName} is no member any more`)
  }

  closeAll(reason: string): void {
    for (const relay of this.#relays) relay.close(reason)
  }

  closed(relay: SyncRelay): void {
    this.#relays.delete(relay)
    this.#onClosed()
  }

  #isPeer(name: string): boolean {
    const { members, clusterId } = this.#host.database
    return members.some((member) => member.name === name && member.clusterId !== clusterId)
  }

  #mayRead(name: string): boolean {
    const member = this.#host.database.members.find((candidate) => candidate.name === name)
    return this.#isPeer(name) && member?.state !== 'removed' && member?.forced !== true
  }
}
