/**
 * What clients make a worker keep, looked at once a second: one that lets replies lie for too long is disconnected, and when all
 * together have too much, those with most of it are. What must not be exceeded for a moment is checked where it grows (`output.ts`,
 * `input.ts`).
 */
import type { ClientLimits } from '#config/process.ts'
import type { Clock, Logger } from '#runtime/ports.ts'
import type { Client, Clients } from './clients.ts'

interface ClientMemoryHost {
  readonly clients: Clients
  readonly limits: ClientLimits
  readonly clock: Clock
  readonly logger: Logger
}

const bytesOf = ({ inputBytes, queuedBytes, unreadBytes }: Client): number =>
  inputBytes + queuedBytes + unreadBytes

export class ClientMemory {
  readonly #host: ClientMemoryHost
  /** Since when they have had more to read than the soft limit, monotonic. */
  readonly #slowSinceMs = new Map<Client, number>()

  constructor(host: ClientMemoryHost) {
    this.#host = host
  }

  check(): void {
    const { limits } = this.#host
    if (limits.outputSoftBytes > 0 || limits.subscriberOutputSoftBytes > 0) this.#endSlow()
    else this.#slowSinceMs.clear()
    if (limits.clientsBytesMax > 0) this.#endLargest(limits.clientsBytesMax)
  }

  #endSlow(): void {
    const { clients, limits, logger } = this.#host
    const nowMs = this.#host.clock.monotonicMs()
    const before = new Map(this.#slowSinceMs)
    this.#slowSinceMs.clear()
    for (const client of clients.list()) {
      const softBytes = client.isSubscriber ? limits.subscriberOutputSoftBytes : limits.outputSoftBytes
      const softMs = client.isSubscriber ? limits.subscriberOutputSoftMs : limits.outputSoftMs
      if (softBytes === 0 || client.unreadBytes <= softBytes) continue
      const sinceMs = before.get(client) ?? nowMs
      this.#slowSinceMs.set(client, sinceMs)
      if (nowMs - sinceMs < softMs) continue
      logger.warn({ client: client.id, softBytes, softMs }, 'a client reads too slowly; disconnected')
      client.kill()
    }
  }

  #endLargest(bytesMax: number): void {
    const { clients, logger } = this.#host
    const list = clients.list()
    let bytes = list.reduce((sum, client) => sum + bytesOf(client), 0)
    if (bytes <= bytesMax) return
    const largestFirst = list.filter(({ noEvict }) => !noEvict).sort((a, b) => bytesOf(b) - bytesOf(a))
    for (const client of largestFirst) {
      if (bytes <= bytesMax) return
      const own = bytesOf(client)
      logger.warn(
        { client: client.id, bytes: own, bytesMax },
        'clients take too much memory; one disconnected',
      )
      bytes -= own
      client.kill()
    }
  }
}
