/**
 * Whoever runs the database: adds clusters, removes them, forces out those that are dead or cut off and lets them come back,
 * and finds a disk empty; one after the other, whatever happens to links and processes meanwhile. What a command must come
 * to, and what must be refused, is checked here; what clients see is the laws' business.
 */
import { slotOfKey } from '#protocol/slots/crc16.ts'
import { evenRanges, includesSlot } from '#protocol/slots/slotMap.ts'
import type { SeededRandom } from '#test/seed.ts'
import type { Crowd } from './crowd.ts'
import { type Deployment, databasePort, nameOf, type Told } from './deployment.ts'
import type { Law, LawSession } from './laws/law.ts'
import { Life } from './laws/life.ts'
import type { Nemesis } from './nemesis.ts'
import { Wan } from './wan.ts'

const restMs = [1_000, 6_000] as const
/** A command is given again until it has done what it should, over links that come and go. */
const insistMs = 180_000
const againMs = 500
/** A single command: it waits for others while they can't be reached. */
const commandMs = 90_000
/** Until a cluster is, and says, what it has become. */
const knownMs = 60_000
const lookMs = 200
const aloneMs = [0, 4_000] as const
/** Into a change, until somebody who has a part in it is killed. */
const killMs = [200, 2_500] as const
const membersMin = 2

export interface OperatorParts {
  wan: Wan
  deployment: Deployment
  crowd: Crowd
  nemesis: Nemesis
  laws: readonly Law[]
  random: SeededRandom
  shards: number
  say: (line: string) => void
}

export class Operator {
  readonly #parts: OperatorParts
  readonly #members: number[]
  /** Clusters that are no members. */
  readonly #others: number[]
  /** What was done, by kind, for the report. */
  readonly tally: Record<string, number> = {}
  readonly faults: string[] = []
  #running = true

  /** `clustersMax`: so many there can be, members or not. */
  constructor(parts: OperatorParts, members: readonly number[], clustersMax: number) {
    this.#parts = parts
    this.#members = [...members]
    const all = Array.from({ length: clustersMax }, (_, i) => i + 1)
    this.#others = all.filter((cluster) => !members.includes(cluster))
  }

  get members(): readonly number[] {
    return this.#members
  }

  /** Until `stop`; what has begun is ended. */
  async run(): Promise<void> {
    while (this.#running && this.faults.length === 0) {
      await this.#rest()
      if (!this.#running) return
      await this.#parts.random.pick(this.#possible())()
    }
  }

  stop(): void {
    this.#running = false
  }

  #possible(): (() => Promise<void>)[] {
    const always = [() => this.#loseDisk()]
    const add = () => this.#add(this.#parts.random.pick(this.#others))
    const adding = this.#others.length > 0 ? [add, add] : []
    const leaving =
      this.#members.length > membersMin
        ? [() => this.#remove(), () => this.#forceOut(), () => this.#forceOut(), () => this.#rejoin()]
        : []
    return [...always, ...adding, ...leaving]
  }

  async #add(cluster: number): Promise<void> {
    const { deployment, crowd, random } = this.#parts
    const through = random.pick(this.#members)
    this.#note('add', `${cluster}, at ${through}`)
    await deployment.start(cluster, [cluster, through], true)
    crowd.start(cluster)
    const kills = this.#killInTheMiddle([through, cluster])
    const words = ['--name', nameOf(cluster), '--address', `${Wan.addressOf(cluster)}:${databasePort}`]
    await this.#insist(through, ['add', ...words, '--id', String(cluster)], [/has the id/])
    await kills
    await this.#untilWritable(cluster)
    this.#move(cluster, this.#others, this.#members)
  }

  async #remove(): Promise<void> {
    const { random } = this.#parts
    const [through, cluster] = this.#two(random)
    this.#note('remove', `${cluster}, at ${through}`)
    this.#move(cluster, this.#members, this.#others)
    const kills = this.#killInTheMiddle([through, cluster])
    await this.#insist(through, ['remove', nameOf(cluster)], [/is no member/])
    await kills
    await this.#leave(cluster)
  }

  async #forceOut(): Promise<void> {
    const { deployment, crowd, random } = this.#parts
    const [through, cluster] = this.#two(random)
    const how = random.pick(['dead', 'cut off', 'alive'])
    this.#note(`force out, ${how}`, `${cluster}, at ${through}`)
    this.#move(cluster, this.#members, this.#others)
    if (how === 'dead') await deployment.kill(cluster)
    if (how === 'cut off') await this.#cutOff(cluster)
    await this.#sleep(aloneMs)
    const kills = this.#killInTheMiddle([through])
    await this.#insist(through, ['remove', nameOf(cluster), '--force'], [/is no member/])
    await kills
    const life = crowd.lifeOf(cluster)
    life.end()
    await this.#census(life)
    if (how === 'dead') deployment.resume(cluster)
    if (how === 'cut off') await this.#connect(cluster)
    await this.#leave(cluster)
    if (random.chance(0.5)) await this.#add(cluster)
  }

  /** Its data is not to be trusted, say; it gives it up. */
  async #rejoin(): Promise<void> {
    const { crowd, random } = this.#parts
    const cluster = random.pick(this.#members)
    this.#note('rejoin', `${cluster}`)
    const life = crowd.lifeOf(cluster)
    await crowd.stop(cluster)
    life.end()
    const kills = this.#killInTheMiddle(this.#members)
    await this.#insist(cluster, ['rejoin'], [])
    await kills
    crowd.start(cluster)
    await this.#untilWritable(cluster)
    await this.#census(life)
  }

  /** The data of a shard is gone: it gets back what any other has. */
  async #loseDisk(): Promise<void> {
    const { deployment, crowd, random, shards } = this.#parts
    const cluster = random.pick(this.#members)
    const shard = random.below(shards)
    this.#note('lose disk', `shard ${shard} of ${cluster}`)
    await deployment.kill(cluster)
    deployment.loseShard(cluster, shard)
    const life = crowd.lifeOf(cluster)
    await crowd.stop(cluster)
    const lost = evenRanges(shards).slice(shard, shard + 1)
    life.end((slot) => includesSlot(lost, slot))
    crowd.start(cluster)
    deployment.resume(cluster)
    await this.#untilWritable(cluster)
  }

  /** It was removed: learns of it, says so, refuses to be anything else, is purged and goes. */
  async #leave(cluster: number): Promise<void> {
    const { deployment, crowd, random } = this.#parts
    await this.#until(`cluster ${cluster} to refuse writes because it was removed`, async () => {
      const answer = await this.#probe(cluster)
      return answer !== null && /^REMOVED /.test(answer)
    })
    const other = nameOf(random.pick(this.#members))
    await this.#refused(cluster, ['remove', other], /is removed; give the command at a member/)
    await crowd.stop(cluster)
    // Killed in the middle it may have been done, and not have been said.
    const kills = this.#killInTheMiddle([cluster])
    await this.#insist(cluster, ['purge'], [/there is no database/])
    await kills
    await deployment.stop(cluster)
  }

  async #refused(cluster: number, words: readonly string[], reason: RegExp): Promise<void> {
    await this.#until(`\`member ${words.join(' ')}\` at ${cluster} to be refused`, async () => {
      const { ok, text } = await this.#parts.deployment.member(cluster, words, commandMs)
      if (ok) this.faults.push(`\`member ${words.join(' ')}\` was done at cluster ${cluster}: ${text}`)
      return ok || reason.test(text)
    })
  }

  /** Gives a command until it is done, or a refusal tells that an earlier one was. */
  async #insist(cluster: number, words: readonly string[], alsoDone: readonly RegExp[]): Promise<void> {
    const { deployment, say } = this.#parts
    let told: Told = { ok: false, text: '' }
    await this.#until(
      `\`member ${words.join(' ')}\` at cluster ${cluster}`,
      async () => {
        const before = told.text
        told = await deployment.member(cluster, words, commandMs)
        if (told.text !== before)
          say(`member ${words[0]} at ${cluster}: ${[...new Set(told.text.split('\n'))].join('; ')}`)
        const isDone = told.ok || alsoDone.some((text) => text.test(told.text))
        if (!isDone) await new Promise((wake) => setTimeout(wake, againMs))
        return isDone
      },
      insistMs,
      () => told.text,
    )
  }

  /** Everybody who stays says what there is of the life that has ended. */
  async #census(ended: Life): Promise<void> {
    const { crowd, laws } = this.#parts
    for (const cluster of this.#members) {
      if (cluster === ended.cluster) continue
      const session = crowd.session(crowd.lifeOf(cluster))
      const patient: LawSession = {
        name: session.name,
        life: session.life,
        ask: async (...words) => await this.#answered(session, words),
        transaction: async (...commands) => await session.transaction(...commands),
      }
      for (const law of laws) await law.census(patient, ended)
      session.close()
    }
  }

  /** Processes are killed and stopped meanwhile. */
  async #answered(session: LawSession, words: readonly string[]) {
    let answer = await session.ask(...words)
    await this.#until(`cluster ${session.life.cluster} to answer`, async () => {
      if (answer.outcome !== 'done') answer = await session.ask(...words)
      return answer.outcome === 'done'
    })
    return answer
  }

  async #untilWritable(cluster: number): Promise<void> {
    const startMs = performance.now()
    await this.#until(
      `cluster ${cluster} to take writes`,
      async () => (await this.#probe(cluster)) === null,
      insistMs,
    )
    this.#parts.say(`cluster ${cluster} takes writes after ${Math.round(performance.now() - startMs)} ms`)
  }

  /** Writes to every shard; null: all of it was done. */
  async #probe(cluster: number): Promise<string | null> {
    const session = this.#parts.crowd.session(new Life(cluster))
    try {
      await this.#until(`cluster ${cluster} to answer`, async () => {
        const { outcome } = await session.ask('PING')
        return outcome === 'done'
      })
      for (const { first } of evenRanges(this.#parts.shards)) {
        const { outcome, reply } = await session.ask('SET', keyFrom(first), 'writable')
        if (outcome !== 'done') return reply instanceof Error ? reply.message : String(reply)
      }
      return null
    } finally {
      session.close()
    }
  }

  async #until(
    what: string,
    isTrue: () => Promise<boolean>,
    withinMs = knownMs,
    more: () => string = () => '',
  ): Promise<void> {
    const deadlineMs = performance.now() + withinMs
    while (!(await isTrue())) {
      if (performance.now() > deadlineMs)
        throw new Error(`operator: waited ${withinMs} ms for ${what}. ${more()}`)
      await new Promise((wake) => setTimeout(wake, lookMs))
    }
  }

  /** Sometimes, some time after now: a process of one of these. */
  async #killInTheMiddle(clusters: readonly number[]): Promise<void> {
    const { nemesis, random } = this.#parts
    if (random.chance(0.5)) return
    const cluster = random.pick(clusters)
    await this.#sleep(killMs)
    nemesis.killAt(cluster)
  }

  async #cutOff(cluster: number): Promise<void> {
    for (const other of this.#members) await this.#parts.wan.cut(cluster, other)
  }

  async #connect(cluster: number): Promise<void> {
    for (const other of this.#members) await this.#parts.wan.heal(cluster, other)
  }

  #two(random: SeededRandom): [number, number] {
    const cluster = random.pick(this.#members)
    return [random.pick(this.#members.filter((other) => other !== cluster)), cluster]
  }

  #move(cluster: number, from: number[], to: number[]): void {
    from.splice(from.indexOf(cluster), 1)
    to.push(cluster)
  }

  #note(kind: string, of: string): void {
    this.tally[kind] = (this.tally[kind] ?? 0) + 1
    this.#parts.say(`${kind}: ${of}`)
  }

  async #rest(): Promise<void> {
    const untilMs = performance.now() + this.#between(restMs)
    while (this.#running && performance.now() < untilMs) await new Promise((wake) => setTimeout(wake, lookMs))
  }

  async #sleep(range: readonly [number, number]): Promise<void> {
    await new Promise((wake) => setTimeout(wake, this.#between(range)))
  }

  #between([least, most]: readonly [number, number]): number {
    return least + this.#parts.random.below(most - least)
  }
}

/** Of a slot, or one soon behind it. */
function keyFrom(slot: number): string {
  for (let i = 0; ; i++) {
    const key = `writable:${i}`
    const found = slotOfKey(key)
    if (found >= slot && found < slot + 256) return key
  }
}
