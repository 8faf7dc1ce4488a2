/** I10: a transaction is seen whole or not at all, by everybody. */
import type { SeededRandom } from '#test/seed.ts'
import { Additions, certain, Law, type LawSession, texts } from './law.ts'

const from = '{transfers}from'
const to = '{transfers}to'
const amountMax = 2 ** 31

export class Transfers extends Law {
  readonly name = 'transfers'
  readonly #moved = new Additions()

  async step(session: LawSession, random: SeededRandom): Promise<void> {
    if (random.chance(0.5)) {
      const { outcome, reply } = await session.ask('MGET', from, to)
      if (outcome === 'done') this.#see(session, reply)
      return
    }
    const amount = 1 + random.below(amountMax)
    const answer = await session.transaction(['DECRBY', from, String(amount)], ['INCRBY', to, String(amount)])
    this.#moved.take(answer, amount, session)
    if (this.count(answer) === 'done') this.#see(session, answer.reply)
  }

  async judge(session: LawSession): Promise<void> {
    const reply = await certain(session, 'MGET', from, to)
    this.#see(session, reply)
    const moved = Number(texts(reply)[1] ?? 0)
    if (!this.#moved.canBe(moved)) this.fault(session, `${moved} was moved; asked for was ${this.#moved}`)
  }

  #see(session: LawSession, reply: unknown): void {
    const [left, right] = (reply as (string | null)[]).map((value) => Number(value ?? 0))
    if ((left ?? 0) + (right ?? 0) !== 0) this.fault(session, `${from} is ${left} and ${to} is ${right}`)
  }
}
