/**
 * Clients that write without pause and remember what was acknowledged. A command that failed may have happened or not;
 * whatever was acknowledged must be there at the end, once.
 */
import { Redis } from 'ioredis'

const membersPerSet = 200

export class Load {
  readonly #clients: Redis[]
  readonly #ports: number[]
  readonly #prefix: string
  #running = true
  readonly #loops: Promise<void>[]
  /** Members whose SADD was acknowledged, by key. */
  readonly added = new Map<string, string[]>()
  /** Per counter: increments acknowledged, and those whose outcome is unknown. */
  readonly counters = new Map<string, { acknowledged: number; unknown: number }>()
  acknowledged = 0

  /** `ports`: one client per entry. `prefix`: of all keys, so that loads do not meet. */
  constructor(ports: number[], prefix: string) {
    this.#ports = ports
    this.#prefix = prefix
    this.#clients = ports.map((port) => {
      const client = new Redis({
        port,
        host: '127.0.0.1',
        maxRetriesPerRequest: 0,
        retryStrategy: () => 20,
        autoResendUnfulfilledCommands: false,
      })
      client.on('error', () => {
        // Expected: processes are killed all the time.
      })
      return client
    })
    this.#loops = this.#clients.map((client, i) => this.#write(client, i))
  }

  async #write(client: Redis, number: number): Promise<void> {
    for (let i = 0; this.#running; i++) {
      const key = `${this.#prefix}:set:${number}:${Math.floor(i / membersPerSet)}`
      const member = `${this.#ports[number]}-${i}`
      const counter = `${this.#prefix}:count:${i % 4}`
      await this.#attempt(async () => {
        await client.sadd(key, member)
        const members = this.added.get(key) ?? []
        members.push(member)
        this.added.set(key, members)
      })
      const tally = this.counters.get(counter) ?? { acknowledged: 0, unknown: 0 }
      this.counters.set(counter, tally)
      const happened = await this.#attempt(async () => {
        await client.incr(counter)
      })
      if (happened) tally.acknowledged++
      else tally.unknown++
    }
  }

  async #attempt(run: () => Promise<void>): Promise<boolean> {
    try {
      await run()
      this.acknowledged++
      return true
    } catch {
      await new Promise((resolve) => setTimeout(resolve, 5))
      return false
    }
  }

  /** Resolves when `count` more commands have been acknowledged. */
  async progress(count: number, withinMs = 20_000): Promise<void> {
    const goal = this.acknowledged + count
    const deadlineMs = performance.now() + withinMs
    while (this.acknowledged < goal) {
      if (performance.now() > deadlineMs) throw new Error(`no progress for ${withinMs} ms`)
      await new Promise((resolve) => setTimeout(resolve, 5))
    }
  }

  async stop(): Promise<void> {
    this.#running = false
    await Promise.all(this.#loops)
    for (const client of this.#clients) client.disconnect()
  }

  /** Everything acknowledged that `client` does not see, in words. */
  async missing(client: Redis): Promise<string[]> {
    const faults: string[] = []
    for (const [key, members] of this.added) {
      const present = new Set(await client.smembers(key))
      const lost = members.filter((member) => !present.has(member))
      if (lost.length > 0) faults.push(`${key} lacks ${lost.length} acknowledged members, first ${lost[0]}`)
    }
    for (const [key, { acknowledged, unknown }] of this.counters) {
      const value = Number(await client.get(key))
      if (value < acknowledged || value > acknowledged + unknown) {
        faults.push(`${key} is ${value}, not within ${acknowledged} and ${acknowledged + unknown}`)
      }
    }
    return faults
  }
}
