/** I2, I7: increments add up, each once; whoever reads sees no less than before, nor less than it has added. */
import type { SeededRandom } from '#test/seed.ts'
import { Additions, certain, Each, Law, type LawSession } from './law.ts'

const keys = ['counter:0', 'counter:1', 'counter:2']
const amountMax = 2 ** 31

export class Counters extends Law {
  readonly name = 'counters'
  readonly #added = new Each<string, Additions>(() => new Additions())
  readonly #seen = new Each<string, number>(() => 0)

  async step(session: LawSession, random: SeededRandom): Promise<void> {
    const key = random.pick(keys)
    if (random.chance(0.4)) {
      const { outcome, reply } = await session.ask('GET', key)
      if (outcome === 'done') this.#see(session, key, Number(reply ?? 0), 0)
      return
    }
    const amount = 1 + random.below(amountMax)
    const answer = await session.ask('INCRBY', key, String(amount))
    const outcome = this.count(answer)
    this.#added.of(key).take(answer, amount, session)
    if (outcome !== 'done') return
    this.#see(session, key, Number(answer.reply), amount)
  }

  async judge(session: LawSession): Promise<void> {
    for (const key of keys) {
      const added = this.#added.of(key)
      const value = Number((await certain(session, 'GET', key)) ?? 0)
      if (!added.canBe(value)) this.fault(session, `${key} is ${value}; added was ${added}`)
    }
  }

  #see(session: LawSession, key: string, value: number, added: number): void {
    const place = `${session.name} ${key}`
    const before = this.#seen.of(place)
    if (value < before + added) this.fault(session, `${key} was ${before}, then ${value} with ${added} more`)
    this.#seen.set(place, Math.max(before, value))
  }
}
