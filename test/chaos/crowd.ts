/** The clients: some for each cluster, as long as that keeps its data; they do what the laws say. */
import { SeededRandom } from '#test/seed.ts'
import type { Law } from './laws/law.ts'
import { Life } from './laws/life.ts'
import { type Historian, Session } from './session.ts'

/** Now and then a client waits for another cluster to have its last write. */
const confirmProbability = 0.05
const lookMs = 5

export interface CrowdOptions {
  seed: number
  /** Clients of each cluster. */
  each: number
  /** At most so long a client rests between two steps. */
  thinkMsMax: number
  /** Where a cluster is reached. */
  place: (cluster: number) => { host: string; port: number }
  record: Historian
}

interface Clients {
  life: Life
  running: boolean
  ended: Promise<unknown>
}

export class Crowd {
  readonly #laws: readonly Law[]
  readonly #options: CrowdOptions
  /** By cluster. */
  readonly #clients = new Map<number, Clients>()
  /** Sessions so far. */
  #count = 0
  #failure: unknown = null

  constructor(laws: readonly Law[], options: CrowdOptions) {
    this.#laws = laws
    this.#options = options
  }

  /** The cluster begins to hold data. */
  start(cluster: number): void {
    const clients: Clients = { life: new Life(cluster), running: true, ended: Promise.resolve() }
    const sessions = Array.from({ length: this.#options.each }, () => this.session(clients.life))
    clients.ended = Promise.all(sessions.map(async (session) => await this.#run(session, clients))).catch(
      (error: unknown) => {
        this.#failure ??= error
      },
    )
    this.#clients.set(cluster, clients)
  }

  lifeOf(cluster: number): Life {
    const life = this.#clients.get(cluster)?.life
    if (life === undefined) throw new Error(`cluster ${cluster} has no clients`)
    return life
  }

  /** Nobody asks the cluster anything any more when it resolves. */
  async stop(cluster: number): Promise<void> {
    const clients = this.#clients.get(cluster)
    if (clients === undefined) return
    clients.running = false
    await clients.ended
    // Of a law, not of a cluster.
    if (this.#failure !== null) throw this.#failure
  }

  async stopAll(): Promise<void> {
    for (const { life } of [...this.#clients.values()]) await this.stop(life.cluster)
  }

  /** Resolves when so much more has been done. */
  async progress(count: number, withinMs: number): Promise<void> {
    const done = () => this.#laws.reduce((sum, { tally }) => sum + tally.done, 0)
    const goal = done() + count
    const deadlineMs = performance.now() + withinMs
    while (done() < goal) {
      if (performance.now() > deadlineMs) throw new Error(`no progress for ${withinMs} ms`)
      await new Promise((resolve) => setTimeout(resolve, lookMs))
    }
  }

  /** One more client, whose owner closes it. */
  session(life: Life): Session {
    const { host, port } = this.#options.place(life.cluster)
    return new Session(`s${this.#count++}`, life, host, port, this.#options.record)
  }

  async #run(session: Session, clients: Clients): Promise<void> {
    const random = new SeededRandom(this.#options.seed + this.#count)
    try {
      while (clients.running) {
        await random.pick(this.#laws).step(session, random)
        if (random.chance(confirmProbability)) await session.confirm()
        await new Promise((resolve) => setTimeout(resolve, random.below(this.#options.thinkMsMax)))
      }
    } finally {
      session.close()
    }
  }
}
