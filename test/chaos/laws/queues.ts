/**
 * I5, I8, I13: a list keeps the order in which one writer has pushed; all that was pushed is there or has been popped, at
 * least once; what was popped is gone.
 */
import type { SeededRandom } from '#test/seed.ts'
import { certain, Each, Law, type LawSession, texts } from './law.ts'
import type { Write } from './life.ts'

const keys = ['queue:0', 'queue:1']
/** Above it clients pop more often than they push. */
const lengthWanted = 40

interface Queue {
  /** By value, in the order in which they were sent. Null: the push was not acknowledged. */
  pushed: Map<string, Write | null>
  /** By value: the pops that gave it. */
  popped: Each<string, Write[]>
  /** As it was seen last. */
  length: number
  /** Pops that may have taken a value that nobody was told of. */
  lostPops: number
}

export class Queues extends Law {
  readonly name = 'queues'
  readonly #queues = new Each<string, Queue>(() => ({
    pushed: new Map(),
    popped: new Each(() => []),
    length: 0,
    lostPops: 0,
  }))
  #count = 0

  async step(session: LawSession, random: SeededRandom): Promise<void> {
    const key = random.pick(keys)
    const queue = this.#queues.of(key)
    const x = random.fraction()
    if (x < 0.2) {
      const { outcome, reply } = await session.ask('LRANGE', key, '0', '-1')
      if (outcome === 'done') this.#see(session, key, texts(reply))
    } else if (x < 0.6 && queue.length < lengthWanted) {
      const value = `${session.name}-${this.#count++}`
      queue.pushed.set(value, null)
      const answer = await session.ask('RPUSH', key, value)
      const outcome = this.count(answer)
      if (outcome === 'done') {
        queue.pushed.set(value, answer.write)
        queue.length = Number(answer.reply)
      } else if (outcome === 'refused') queue.pushed.delete(value)
    } else {
      const answer = await session.ask('LPOP', key)
      const outcome = this.count(answer)
      if (outcome === 'unknown') queue.lostPops++
      if (outcome === 'done' && answer.reply !== null)
        this.#pop(session, key, String(answer.reply), answer.write)
      if (outcome === 'done') queue.length--
    }
  }

  async judge(session: LawSession): Promise<void> {
    for (const [key, { pushed, popped, lostPops }] of this.#queues) {
      const shown = texts(await certain(session, 'LRANGE', key, '0', '-1'))
      this.#see(session, key, shown)
      const there = new Set(shown)
      for (const value of shown)
        if (popped.get(value)?.some((pop) => !pop.mayBeLost) === true)
          this.fault(session, `${key} has ${value}, which was popped`)
      const missing = [...pushed].filter(
        ([value, push]) => push?.mayBeLost === false && !there.has(value) && !popped.has(value),
      )
      if (missing.length > lostPops)
        this.fault(
          session,
          `${key} lacks ${missing.map(([value]) => value)}, and ${lostPops} pops are unknown`,
        )
    }
  }

  #pop(session: LawSession, key: string, value: string, pop: Write): void {
    const { pushed, popped } = this.#queues.of(key)
    if (!pushed.has(value)) this.fault(session, `${key} gave ${value}, which nobody pushed`)
    pushed.get(value)?.seenIn(session.life)
    popped.of(value).push(pop)
  }

  #see(session: LawSession, key: string, shown: readonly string[]): void {
    const queue = this.#queues.of(key)
    const { pushed } = queue
    queue.length = shown.length
    if (new Set(shown).size < shown.length) this.fault(session, `${key} shows a value twice: ${shown}`)
    const latest = new Map<string, number>()
    for (const value of shown) {
      const [writer = '', number] = value.split('-')
      const push = pushed.get(value)
      push?.seenIn(session.life)
      if (push === undefined) this.fault(session, `${key} shows ${value}, which nobody pushed`)
      const greatest = latest.get(writer) ?? -1
      // A push of which nobody knows may be done after later ones.
      if (Number(number) < greatest && push)
        this.fault(session, `${key} shows ${value} behind ${writer}-${greatest}`)
      latest.set(writer, Math.max(greatest, Number(number)))
    }
  }
}
