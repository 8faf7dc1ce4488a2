/**
 * A law is what must hold for some keys whatever happens to clusters, links and processes: clients do what it says, and it
 * watches what they are told. What a client sees is all that it may know (invariants I1 to I17 of the design, seen from
 * outside), so a law counts as broken only when no order of events explains it.
 */

import type { Outcome } from '#test/outcome.ts'
import type { SeededRandom } from '#test/seed.ts'
import { isSumOfBeginnings } from '#test/sums.ts'
import type { Life, Write } from './life.ts'

export interface Answer {
  outcome: Outcome
  /** As ioredis gives it; an `Error` unless it is done. */
  reply: unknown
  /** What was asked, by its first key. */
  write: Write
}

/** A client that talks to one cluster, as long as that keeps its data, and remembers nothing. */
export interface LawSession {
  /** Unique among the sessions of a run. */
  readonly name: string
  readonly life: Life
  ask(...words: string[]): Promise<Answer>
  /** MULTI, the commands, EXEC; the reply is that of EXEC. */
  transaction(...commands: string[][]): Promise<Answer>
}

export abstract class Law {
  abstract readonly name: string
  /** What was found broken, in words. */
  readonly faults: string[] = []
  readonly tally: Record<Outcome, number> = { done: 0, refused: 0, unknown: 0 }

  /** One operation, or a few that belong together. */
  abstract step(session: LawSession, random: SeededRandom): Promise<void>

  /** Once all is whole again and nothing is on its way: what `session`'s cluster holds is checked. */
  abstract judge(session: LawSession): Promise<void>

  /**
   * The life of a cluster has ended, and the others have the same of it: what they don't have is lost for good. Asked of
   * each of the others in turn.
   */
  async census(_session: LawSession, _ended: Life): Promise<void> {}

  protected count({ outcome }: Answer): Outcome {
    this.tally[outcome]++
    return outcome
  }

  protected fault(session: LawSession, what: string): void {
    this.faults.push(`${this.name}, cluster ${session.life.cluster}, ${session.name}: ${what}`)
  }
}

/** The reply of a judge's question; a cluster that doesn't answer by then is broken. */
export async function certain(session: LawSession, ...words: string[]): Promise<unknown> {
  const { outcome, reply } = await session.ask(...words)
  if (outcome !== 'done') throw new Error(`${words.join(' ')} at cluster ${session.life.cluster}: ${reply}`)
  return reply
}

export const texts = (reply: unknown): string[] => (Array.isArray(reply) ? reply.map(String) : [])

/** What belongs to each key or session, made when it is first asked for. */
export class Each<K, V> extends Map<K, V> {
  readonly #make: () => V

  constructor(make: () => V) {
    super()
    this.#make = make
  }

  of(key: K): V {
    let value = super.get(key)
    if (value === undefined) {
      value = this.#make()
      super.set(key, value)
    }
    return value
  }
}

/** Where what nobody knows may have been in more ways than this, only bounds are checked. */
const waysMax = 2 ** 20

/** Amounts that were added to something, and what is known of each. */
export class Additions {
  #certain = 0
  readonly #unknown: number[] = []
  readonly #done: { amount: number; write: Write; writer: string }[] = []

  take({ outcome, write }: Answer, amount: number, session: LawSession): void {
    if (outcome === 'unknown') this.#unknown.push(amount)
    if (outcome === 'done') this.#done.push({ amount, write, writer: session.name })
  }

  /** Whether they can add up to this: what may be lost of a writer are the last ones. */
  canBe(sum: number): boolean {
    const chains = new Each<string, number[]>(() => [])
    this.#certain = 0
    for (const { amount, write, writer } of this.#done) {
      if (write.mayBeLost) chains.of(writer).push(amount)
      else this.#certain += amount
    }
    const parts = [...chains.values(), ...this.#unknown.map((amount) => [amount])]
    return isSumOfBeginnings(sum - this.#certain, parts, waysMax)
  }

  toString(): string {
    const perhaps = this.#done.filter(({ write }) => write.mayBeLost).map(({ amount }) => amount)
    return `${this.#certain} for certain, and perhaps ${[...this.#unknown, ...perhaps].join(', ') || 'nothing'}`
  }
}
