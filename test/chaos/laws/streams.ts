/** I16: no two entries have one id, none is lost, and a group passes over nothing. */
import type { SeededRandom } from '#test/seed.ts'
import { certain, Each, Law, type LawSession } from './law.ts'
import type { Life, Write } from './life.ts'

const key = 'stream'
const fieldName = 'f'

/** As ioredis gives them: id, then names and values. */
type StreamEntry = [id: string, fields: string[]]

export class Streams extends Law {
  readonly name = 'streams'
  /** By value; null: not acknowledged. */
  readonly #added = new Map<string, Write | null>()
  /** By session: the greatest id it was given. */
  readonly #lastIds = new Each<string, string>(() => '0-0')
  /** By cluster, whose group nobody else reads: the values that it was given. */
  readonly #delivered = new Each<number, Set<string>>(() => new Set())
  /** Clusters whose group is there: it may be lost with their data. */
  readonly #grouped = new Set<Life>()
  #count = 0

  async step(session: LawSession, random: SeededRandom): Promise<void> {
    const x = random.fraction()
    if (x < 0.5) await this.#add(session)
    else if (x < 0.9) await this.#readGroup(session)
    else {
      const { outcome, reply } = await session.ask('XREVRANGE', key, '+', '-', 'COUNT', '50')
      if (outcome === 'done') this.#see(session, (reply as StreamEntry[]).reverse())
    }
  }

  async judge(session: LawSession): Promise<void> {
    const entries = (await certain(session, 'XRANGE', key, '-', '+')) as StreamEntry[]
    this.#see(session, entries)
    const there = new Set(entries.map(textOf))
    for (const [value, write] of this.#added)
      if (write?.mayBeLost === false && !there.has(value)) this.fault(session, `${key} has lost ${value}`)
    if (!this.#grouped.has(session.life)) return
    await this.#drain(session)
    const delivered = this.#delivered.of(session.life.cluster)
    for (const value of there)
      if (!delivered.has(value)) this.fault(session, `the group was never given ${value}`)
  }

  async #add(session: LawSession): Promise<void> {
    const value = `e${this.#count++}`
    this.#added.set(value, null)
    const answer = await session.ask('XADD', key, '*', fieldName, value)
    const outcome = this.count(answer)
    if (outcome === 'refused') this.#added.delete(value)
    if (outcome !== 'done') return
    this.#added.set(value, answer.write)
    const id = String(answer.reply)
    const before = this.#lastIds.of(session.name)
    if (!isLess(before, id)) this.fault(session, `XADD gave ${id} after ${before}`)
    this.#lastIds.set(session.name, id)
  }

  async #readGroup(session: LawSession): Promise<void> {
    const group = `group-${session.life.cluster}`
    if (!this.#grouped.has(session.life)) {
      const { outcome, reply } = await session.ask('XGROUP', 'CREATE', key, group, '0', 'MKSTREAM')
      if (outcome === 'done' || String(reply).includes('BUSYGROUP')) this.#grouped.add(session.life)
      return
    }
    const words = ['XREADGROUP', 'GROUP', group, session.name, 'COUNT', '20', 'STREAMS', key, '>']
    const answer = await session.ask(...words)
    if (this.count(answer) !== 'done' || answer.reply === null) return
    const [[, entries] = [key, []]] = answer.reply as [string, StreamEntry[]][]
    await this.#take(session, group, entries)
  }

  async #take(session: LawSession, group: string, entries: readonly StreamEntry[]): Promise<void> {
    for (const entry of entries) this.#delivered.of(session.life.cluster).add(textOf(entry))
    if (entries.length > 0) await session.ask('XACK', key, group, ...entries.map(([id]) => id))
  }

  /** Reads what is left, and what was given to somebody who did not hear of it. */
  async #drain(session: LawSession): Promise<void> {
    const group = `group-${session.life.cluster}`
    for (;;) {
      const reply = await certain(
        session,
        ...['XREADGROUP', 'GROUP', group, session.name, 'COUNT', '500', 'STREAMS', key, '>'],
      )
      if (reply === null) break
      const [[, entries] = [key, []]] = reply as [string, StreamEntry[]][]
      await this.#take(session, group, entries)
    }
    for (let cursor = '0-0'; ; ) {
      const words = ['XAUTOCLAIM', key, group, session.name, '0', cursor, 'COUNT', '500']
      const [next, entries] = (await certain(session, ...words)) as [string, StreamEntry[]]
      await this.#take(session, group, entries)
      if (next === '0-0') break
      cursor = next
    }
  }

  #see(session: LawSession, entries: readonly StreamEntry[]): void {
    let before = '0-0'
    for (const entry of entries) {
      const [id] = entry
      if (!isLess(before, id)) this.fault(session, `${key} shows ${id} after ${before}`)
      this.#added.get(textOf(entry))?.seenIn(session.life)
      if (!this.#added.has(textOf(entry))) this.fault(session, `${key} shows ${textOf(entry)}, never added`)
      before = id
    }
  }
}

const textOf = ([, fields]: StreamEntry): string => fields[1] ?? ''

function isLess(one: string, other: string): boolean {
  const [oneMs = 0, oneSequence = 0] = one.split('-').map(Number)
  const [otherMs = 0, otherSequence = 0] = other.split('-').map(Number)
  return oneMs < otherMs || (oneMs === otherMs && oneSequence < otherSequence)
}
