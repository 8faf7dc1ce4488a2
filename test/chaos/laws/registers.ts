/** I5, I7, I11: what shows was written, and no write that somebody had seen when he wrote another wins over that other. */
import type { SeededRandom } from '#test/seed.ts'
import { certain, Each, Law, type LawSession } from './law.ts'
import type { Write } from './life.ts'

const keys = ['register:0', 'register:1', 'register:2']

interface Register {
  /** By value. Null: nobody knows of an answer. */
  written: Map<string, Write | null>
  /** By value: what was written behind it by somebody who had seen it. */
  overwritten: Each<string, Write[]>
  acknowledged: Write[]
  /** By session: what it knows to have been there. */
  seen: Each<string, Set<string>>
  /** By session: of those, what it has overwritten itself. */
  replaced: Each<string, Set<string>>
}

export class Registers extends Law {
  readonly name = 'registers'
  readonly #registers = new Each<string, Register>(() => ({
    written: new Map(),
    overwritten: new Each(() => []),
    acknowledged: [],
    seen: new Each(() => new Set()),
    replaced: new Each(() => new Set()),
  }))
  #count = 0

  async step(session: LawSession, random: SeededRandom): Promise<void> {
    const key = random.pick(keys)
    const register = this.#registers.of(key)
    if (random.chance(0.5)) {
      const { outcome, reply } = await session.ask('GET', key)
      if (outcome === 'done') this.#see(session, key, reply)
      return
    }
    const value = `v${this.#count++}`
    register.written.set(value, null)
    const before = [...register.seen.of(session.name)]
    const answer = await session.ask('SET', key, value)
    if (this.count(answer) !== 'done') return
    register.written.set(value, answer.write)
    register.acknowledged.push(answer.write)
    for (const old of before) {
      register.overwritten.of(old).push(answer.write)
      register.replaced.of(session.name).add(old)
    }
    register.seen.set(session.name, new Set([value]))
  }

  async judge(session: LawSession): Promise<void> {
    for (const [key, { written, overwritten, acknowledged }] of this.#registers) {
      const value = await certain(session, 'GET', key)
      if (value === null && acknowledged.some(isCertain)) this.fault(session, `${key} is gone`)
      if (value === null) continue
      if (!written.has(String(value))) this.fault(session, `${key} is ${value}, which nobody wrote`)
      if (overwritten.get(String(value))?.some(isCertain) === true)
        this.fault(session, `${key} is ${value}, which was overwritten`)
    }
  }

  #see(session: LawSession, key: string, reply: unknown): void {
    const { written, seen, replaced } = this.#registers.of(key)
    if (reply === null) {
      if (seen.of(session.name).size > 0) this.fault(session, `${key} is gone`)
      return
    }
    const value = String(reply)
    if (!written.has(value)) this.fault(session, `${key} is ${value}, which nobody wrote`)
    written.get(value)?.seenIn(session.life)
    if (replaced.of(session.name).has(value)) this.fault(session, `${key} is ${value} again`)
    seen.of(session.name).add(value)
  }
}

const isCertain = (write: Write): boolean => !write.mayBeLost
