/**
 * I3, I4, I5: what is added and never removed stays; what somebody who had seen it has removed never comes back (each member
 * is added once), nor does what was lost with the only cluster that had it; what shows has been added.
 */
import type { SeededRandom } from '#test/seed.ts'
import { certain, Each, Law, type LawSession, texts } from './law.ts'
import type { Life, Write } from './life.ts'

const perKey = 100

interface Member {
  /** Null: not acknowledged. */
  added: Write | null
  /** Those who were told that they have removed it. */
  removals: Write[]
  perhapsRemoved: boolean
  /** Nobody who is left has had it when its cluster went. */
  isLost: boolean
  /** Sessions that know it to be there, or to be gone. */
  knownBy: Set<string>
  goneFor: Set<string>
}

export class Members extends Law {
  readonly name = 'members'
  readonly #keys = new Each<string, Map<string, Member>>(() => new Map())
  #count = 0

  async step(session: LawSession, random: SeededRandom): Promise<void> {
    const key = `members:${Math.floor(this.#count / perKey)}`
    if (random.chance(0.5)) {
      await this.#add(session, key)
      return
    }
    const { outcome, reply } = await session.ask('SMEMBERS', key)
    if (outcome !== 'done') return
    const shown = texts(reply)
    this.#see(session, key, shown)
    if (shown.length === 0 || random.chance(0.5)) return
    await this.#remove(session, key, random.pick(shown))
  }

  override async census(session: LawSession, ended: Life): Promise<void> {
    for (const [key, members] of this.#keys) {
      const inDoubt = [...members.values()].filter(({ added }) => added?.life === ended && added.mayBeLost)
      if (inDoubt.length === 0) continue
      const shown = texts(await certain(session, 'SMEMBERS', key))
      this.#see(session, key, shown)
      const there = new Set(shown)
      for (const [name, member] of members) {
        // What shows next to it may have proved that it can't be lost.
        const mayBeLost = inDoubt.includes(member) && member.added?.mayBeLost === true
        if (mayBeLost && !there.has(name) && !member.perhapsRemoved) member.isLost = true
      }
    }
  }

  async judge(session: LawSession): Promise<void> {
    for (const [key, members] of this.#keys) {
      const shown = texts(await certain(session, 'SMEMBERS', key))
      this.#see(session, key, shown)
      const there = new Set(shown)
      for (const [name, { added, removals, perhapsRemoved }] of members) {
        if (added?.mayBeLost === false && !perhapsRemoved && !there.has(name))
          this.fault(session, `${key} has lost ${name}`)
        if (removals.some(({ mayBeLost }) => !mayBeLost) && there.has(name))
          this.fault(session, `${key} has ${name}, which was removed`)
      }
    }
  }

  async #add(session: LawSession, key: string): Promise<void> {
    const name = `m${this.#count++}`
    const member: Member = {
      added: null,
      removals: [],
      perhapsRemoved: false,
      isLost: false,
      knownBy: new Set(),
      goneFor: new Set(),
    }
    this.#keys.of(key).set(name, member)
    const answer = await session.ask('SADD', key, name)
    if (this.count(answer) !== 'done') return
    member.added = answer.write
    member.knownBy.add(session.name)
  }

  async #remove(session: LawSession, key: string, name: string): Promise<void> {
    const member = this.#keys.of(key).get(name)
    if (member === undefined) return
    member.perhapsRemoved = true
    const answer = await session.ask('SREM', key, name)
    if (this.count(answer) !== 'done') return
    member.removals.push(answer.write)
    member.goneFor.add(session.name)
  }

  #see(session: LawSession, key: string, shown: readonly string[]): void {
    const members = this.#keys.of(key)
    for (const name of shown) {
      const member = members.get(name)
      member?.added?.seenIn(session.life)
      if (member === undefined) this.fault(session, `${key} shows ${name}, which nobody added`)
      else if (member.goneFor.has(session.name)) this.fault(session, `${key} shows ${name} again`)
      else if (member.isLost && member.added?.life !== session.life)
        this.fault(session, `${key} shows ${name}, which was lost with cluster ${member.added?.life.cluster}`)
      else member.knownBy.add(session.name)
    }
    for (const [name, member] of members) {
      if (!member.knownBy.has(session.name) || member.perhapsRemoved || shown.includes(name)) continue
      this.fault(session, `${key} does not show ${name} any more, which nobody removed`)
    }
  }
}
