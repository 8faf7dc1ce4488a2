/** I1, I17: whatever is done to a key, by whomever, at the end all clusters say the same of it. */
import { SeededRandom } from '#test/seed.ts'
import { spreadTags, Workload } from '#test/sim/workload.ts'
import { Law, type LawSession } from './law.ts'

export class Anything extends Law {
  readonly name = 'anything'
  readonly #workload: Workload

  constructor(seed: number) {
    super()
    this.#workload = new Workload(new SeededRandom(seed), {
      tags: spreadTags(3),
      flushing: false,
      lawful: false,
      spanning: false,
      scriptedShare: 0.25,
    })
  }

  async step(session: LawSession): Promise<void> {
    const { commands } = this.#workload.next()
    const [first = [], ...rest] = commands
    if (rest.length === 0) this.count(await session.ask(...first))
    else this.count(await session.transaction(...rest.slice(0, -1)))
  }

  async judge(): Promise<void> {
    // The clusters are compared with each other, all keys of theirs.
  }
}
