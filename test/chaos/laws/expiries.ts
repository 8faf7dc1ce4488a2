/** I12: what has expired shows nowhere; what was made persistent, or is to live longer, stays. */
import type { SeededRandom } from '#test/seed.ts'
import { certain, Law, type LawSession } from './law.ts'
import type { Write } from './life.ts'

export interface ExpiryTimes {
  ttlMinMs: number
  ttlMaxMs: number
  /** So much later an expired key may still show, clocks being equal. */
  graceMs: number
}

const usualTimes: ExpiryTimes = { ttlMinMs: 1_000, ttlMaxMs: 4_000, graceMs: 1_000 }
/** Longer than any run. */
const longMs = 7 * 24 * 3_600_000

interface Expiring {
  key: string
  /** When everybody must have it hidden; Infinity: it stays. */
  hiddenMs: number
}

export class Expiries extends Law {
  readonly name = 'expiries'
  #kept: { key: string; writes: Write[] }[] = []
  #expiring: Expiring[] = []
  #gone: string[] = []
  readonly #times: ExpiryTimes
  #count = 0

  constructor(times: ExpiryTimes = usualTimes) {
    super()
    this.#times = times
  }

  async step(session: LawSession, random: SeededRandom): Promise<void> {
    const old = this.#expiring.length > 0 ? random.pick(this.#expiring) : undefined
    if (old !== undefined && random.chance(0.5)) await this.#look(session, old)
    else await this.#write(session, random)
  }

  async judge(session: LawSession): Promise<void> {
    const lastMs = Math.max(0, ...this.#expiring.map(({ hiddenMs }) => hiddenMs))
    await new Promise((resolve) => setTimeout(resolve, Math.max(0, lastMs - performance.now())))
    const gone = [...this.#gone, ...this.#expiring.map(({ key }) => key)]
    for (const key of gone) {
      if ((await certain(session, 'EXISTS', key)) !== 0) this.fault(session, `${key} has outlived its TTL`)
    }
    for (const { key, writes } of this.#kept) {
      if (writes.some(({ mayBeLost }) => mayBeLost)) continue
      if ((await certain(session, 'EXISTS', key)) !== 1) this.fault(session, `${key} is gone before its TTL`)
    }
  }

  async #write(session: LawSession, random: SeededRandom): Promise<void> {
    const key = `expiring:${this.#count++}`
    const { ttlMinMs, ttlMaxMs, graceMs } = this.#times
    const ttlMs = ttlMinMs + random.below(ttlMaxMs - ttlMinMs)
    const set = await session.ask('SET', key, 'v', 'PX', String(ttlMs))
    if (this.count(set) !== 'done') return
    // From the answer on, which is later than the cluster counts.
    const hiddenMs = performance.now() + ttlMs + graceMs
    if (random.chance(0.7)) {
      this.#expiring.push({ key, hiddenMs })
      return
    }
    const longer = random.chance(0.5) ? ['PERSIST', key] : ['PEXPIRE', key, String(longMs)]
    const answer = await session.ask(...longer)
    // Refused, not done in time, or nobody knows: nothing is demanded of the key.
    if (this.count(answer) === 'done' && answer.reply === 1)
      this.#kept.push({ key, writes: [set.write, answer.write] })
  }

  async #look(session: LawSession, old: Expiring): Promise<void> {
    const askedMs = performance.now()
    const { outcome, reply } = await session.ask('GET', old.key)
    if (outcome !== 'done' || askedMs < old.hiddenMs) return
    if (reply !== null)
      this.fault(session, `${old.key} shows ${Math.round(askedMs - old.hiddenMs)} ms too late`)
    this.#expiring = this.#expiring.filter((other) => other !== old)
    this.#gone.push(old.key)
  }
}
