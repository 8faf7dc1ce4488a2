/** What goes wrong: one thing at a time, or two, each for some seconds, and then it is mended. */
import type { PidRecord } from '#control/supervisor/pidFile.ts'
import type { SeededRandom } from '#test/seed.ts'
import type { Deployment } from './deployment.ts'
import type { LinkQuality, Wan } from './wan.ts'

const usual: LinkQuality = { delayMs: 40, jitterMs: 4, lossPercent: 1 }
const bad: LinkQuality = { delayMs: 150, jitterMs: 60, lossPercent: 8 }
const troubleMs = [500, 6_000] as const
const calmMs = [200, 2_500] as const

/** How a trouble ends. */
type Mend = () => Promise<void>

export class Nemesis {
  /** What was done, by kind, for the report. */
  readonly tally: Record<string, number> = {}
  readonly #wan: Wan
  readonly #deployment: Deployment
  readonly #random: SeededRandom
  readonly #say: (line: string) => void
  #running = true

  constructor(wan: Wan, deployment: Deployment, random: SeededRandom, say: (line: string) => void) {
    this.#wan = wan
    this.#deployment = deployment
    this.#random = random
    this.#say = say
  }

  /** Every link as it is when nothing is wrong: 80 ms there and back, one packet in a hundred lost. */
  async settleLinks(clusters: readonly number[]): Promise<void> {
    for (const [one, other] of pairsOf(clusters)) {
      await this.#wan.heal(one, other)
      await this.#wan.set(one, other, usual)
    }
  }

  /** Makes trouble until `stop`; everything is mended when it resolves. */
  async run(): Promise<void> {
    while (this.#running) {
      await this.#pause(calmMs)
      if (!this.#running) return
      const mends = [await this.#trouble()]
      if (this.#random.chance(0.3)) mends.push(await this.#trouble())
      await this.#pause(troubleMs)
      for (const mend of mends) await mend()
    }
  }

  stop(): void {
    this.#running = false
  }

  async #trouble(): Promise<Mend> {
    const ofProcesses = [() => this.#kill(), () => this.#kill(), () => this.#halt()]
    const ofLinks = [() => this.#cut(), () => this.#cutOneWay(), () => this.#isolate(), () => this.#degrade()]
    // While a cluster is down another may be alone.
    const kinds = this.#deployment.running.length > 1 ? [...ofProcesses, ...ofLinks] : ofProcesses
    return await this.#random.pick(kinds)()
  }

  async #cut(): Promise<Mend> {
    const [one, other] = this.#pair()
    this.#note('cut', `${one} and ${other}`)
    await this.#wan.cut(one, other)
    return () => this.#wan.heal(one, other)
  }

  async #cutOneWay(): Promise<Mend> {
    const [one, other] = this.#pair()
    const [from, to] = this.#random.chance(0.5) ? [one, other] : [other, one]
    this.#note('cut one way', `${from} to ${to}`)
    await this.#wan.cutOneWay(from, to)
    return () => this.#wan.heal(one, other)
  }

  async #isolate(): Promise<Mend> {
    const { running } = this.#deployment
    const alone = this.#random.pick(running)
    const pairs = pairsOf(running).filter((pair) => pair.includes(alone))
    this.#note('isolate', `${alone}`)
    for (const [one, other] of pairs) await this.#wan.cut(one, other)
    return async () => {
      for (const [one, other] of pairs) await this.#wan.heal(one, other)
    }
  }

  async #degrade(): Promise<Mend> {
    const [one, other] = this.#pair()
    this.#note('bad link', `${one} and ${other}`)
    await this.#wan.set(one, other, bad)
    return () => this.#wan.set(one, other, usual)
  }

  /** One of the processes of a cluster. Whoever looks after it starts it again. */
  killAt(cluster: number): void {
    const processes = this.#deployment.processes(cluster)
    if (processes.length > 0) this.#killOne(cluster, this.#random.pick(processes))
  }

  async #kill(): Promise<Mend> {
    const { cluster, victim } = this.#victim()
    this.#killOne(cluster, victim)
    return async () => {}
  }

  #killOne(cluster: number, victim: PidRecord): void {
    this.#note(`kill ${kindOf(victim)}`, `${victim.id} of ${cluster}`)
    signal(victim, 'SIGKILL')
  }

  async #halt(): Promise<Mend> {
    const { cluster, victim } = this.#victim()
    this.#note(`stop ${kindOf(victim)}`, `${victim.id} of ${cluster}`)
    signal(victim, 'SIGSTOP')
    return async () => signal(victim, 'SIGCONT')
  }

  #victim(): { cluster: number; victim: PidRecord } {
    for (;;) {
      const cluster = this.#random.pick(this.#deployment.running)
      const processes = this.#deployment.processes(cluster)
      if (processes.length > 0) return { cluster, victim: this.#random.pick(processes) }
    }
  }

  #pair(): [number, number] {
    return this.#random.pick(pairsOf(this.#deployment.running))
  }

  #note(kind: string, of: string): void {
    this.tally[kind] = (this.tally[kind] ?? 0) + 1
    this.#say(`${kind}: ${of}`)
  }

  async #pause([least, most]: readonly [number, number]): Promise<void> {
    const untilMs = performance.now() + least + this.#random.below(most - least)
    while (this.#running && performance.now() < untilMs)
      await new Promise((resolve) => setTimeout(resolve, 100))
  }
}

const pairsOf = (clusters: readonly number[]): [number, number][] =>
  clusters.flatMap((one) =>
    clusters.filter((other) => other > one).map((other): [number, number] => [one, other]),
  )

/** `shard/db1/0` is a shard. */
const kindOf = ({ id }: PidRecord): string => id.split('/')[0] ?? id

function signal({ pid }: PidRecord, name: 'SIGKILL' | 'SIGSTOP' | 'SIGCONT'): void {
  try {
    process.kill(pid, name)
  } catch {
    // It has just ended by itself.
  }
}
