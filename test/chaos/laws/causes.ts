/** I6: who shows an answer shows what was answered. */
import type { SeededRandom } from '#test/seed.ts'
import { certain, Law, type LawSession, texts } from './law.ts'

const perKey = 60

export class Causes extends Law {
  readonly name = 'causes'
  #count = 0

  async step(session: LawSession, random: SeededRandom): Promise<void> {
    const key = `causes:${Math.floor(this.#count / perKey)}`
    if (random.chance(0.3)) {
      this.count(await session.ask('SADD', key, `question-${this.#count++}`))
      return
    }
    const { outcome, reply } = await session.ask('SMEMBERS', key)
    if (outcome !== 'done') return
    const shown = texts(reply)
    this.#see(session, key, shown)
    const open = shown.filter((text) => !shown.includes(nextOf(text)))
    if (open.length > 0) this.count(await session.ask('SADD', key, nextOf(random.pick(open))))
  }

  async judge(session: LawSession): Promise<void> {
    for (let i = 0; i <= Math.floor(this.#count / perKey); i++) {
      const key = `causes:${i}`
      this.#see(session, key, texts(await certain(session, 'SMEMBERS', key)))
    }
  }

  #see(session: LawSession, key: string, shown: readonly string[]): void {
    const has = new Set(shown)
    for (const text of shown) {
      const cause = causeOf(text)
      if (cause !== null && !has.has(cause)) this.fault(session, `${key} shows ${text} without ${cause}`)
    }
  }
}

/** A question is answered, an answer is commented on, and so on, by whoever sees it. */
const nextOf = (text: string): string => `re:${text}`

const causeOf = (text: string): string | null => (text.startsWith('re:') ? text.slice(3) : null)
