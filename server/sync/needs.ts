/**
 * What an intake asks its source for beside the plan: what a held operation waits for, what was dropped, what was offered. One
 * question a slot, and not again before the answer had its time.
 *
 * While the state of a slot is asked for and has not come, the source counts as not heard out: nothing may be concluded
 * from what has come of it (rule A7).
 */
import type { Answer } from '#protocol/sync/message.ts'
import { originOf, type Stamp } from '#protocol/sync/stamp.ts'
import { emptyVector, includes, type VersionVector } from '#protocol/sync/versionVector.ts'

/** What is missing in one slot is asked for at most so often. */
export const needAgainMs = 1000

export interface NeedsHost {
  readonly nowMs: number
  vectorOf(slot: number): VersionVector
  /** A state of the slot has come, and is being taken. */
  isTaking(slot: number): boolean
  /** Sends the question. */
  ask(slot: number, answer: Answer, wanted: VersionVector | null): void
}

interface Question {
  askedMs: number
  /** What operations of the log are to bring; null: the state was asked for. */
  wanted: VersionVector | null
  /** The state came, so the slot needs nothing; kept for a while lest it be asked for again at once. */
  answered: boolean
  /** It came up while a state was being taken, which was cut before: it is asked when that has been done. */
  isLater: boolean
}

export class Needs {
  readonly #host: NeedsHost
  readonly #questions = new Map<number, Question>()
  /** By slot, operations that the source has and that have not come here by another way yet. */
  #offered = new Map<number, VersionVector>()

  constructor(host: NeedsHost) {
    this.#host = host
  }

  /** Some slot needs a state that has not come. */
  get awaitsState(): boolean {
    for (const { wanted, answered } of this.#questions.values()) if (wanted === null && !answered) return true
    return false
  }

  /** Something waits in the slot for `wanted`; null: only the state of the slot helps. */
  need(slot: number, wanted: VersionVector | null): void {
    if (this.#host.isTaking(slot)) {
      if (wanted === null) this.#note(slot, null, true)
      return
    }
    const question = this.#questions.get(slot)
    const isFresh = question !== undefined && this.#host.nowMs - question.askedMs < needAgainMs
    if (question === undefined || wanted === null) {
      if (isFresh && question.wanted === null) question.answered = false
      else this.#ask(slot, wanted === null ? 'state' : 'logOrState', wanted)
      return
    }
    const isAnswered =
      question.wanted === null ? question.answered : includes(this.#host.vectorOf(slot), question.wanted)
    if (isFresh && question.wanted === null) {
      // An answer that has just come didn't help; what is missing now must be counted as missing.
      question.answered = false
    } else if (!isFresh || isAnswered) this.#ask(slot, isAnswered ? 'logOrState' : 'state', wanted)
  }

  /** The source has this operation. */
  offered(slot: number, stamp: Stamp): void {
    let wanted = this.#offered.get(slot)
    if (wanted === undefined) {
      wanted = emptyVector()
      this.#offered.set(slot, wanted)
    }
    const origin = originOf(stamp)
    if (stamp > (wanted[origin] as number)) wanted[origin] = stamp
  }

  /** A state of the slot has been taken. */
  taken(slot: number): void {
    const question = this.#questions.get(slot)
    if (question?.isLater === true) this.#ask(slot, 'state', null)
    else if (question !== undefined) question.answered = true
  }

  /** A state of the slot came that can't be taken now. */
  notTaken(slot: number): void {
    this.#note(slot, null, false)
  }

  /** Asks again for what was not answered, if it may, and forgets old answers. */
  tick(mayAsk: boolean): void {
    const { nowMs } = this.#host
    for (const [slot, { askedMs, wanted, answered }] of this.#questions) {
      if (nowMs - askedMs < needAgainMs) continue
      if (answered || wanted !== null) {
        if (answered || nowMs - askedMs >= 2 * needAgainMs) this.#questions.delete(slot)
      } else if (mayAsk && !this.#host.isTaking(slot)) this.#ask(slot, 'state', null)
    }
    this.#askForOffered()
  }

  /** A new plan brings all that is missing. */
  clear(): void {
    this.#questions.clear()
  }

  /** What was offered before the last tick, and has not come by another way. */
  #askForOffered(): void {
    if (this.#offered.size === 0) return
    const offered = this.#offered
    this.#offered = new Map()
    for (const [slot, wanted] of offered) {
      const isMissing = !includes(this.#host.vectorOf(slot), wanted)
      if (isMissing && !this.#host.isTaking(slot)) this.#ask(slot, 'log', wanted)
    }
  }

  #ask(slot: number, answer: Answer, wanted: VersionVector | null): void {
    if (answer !== 'log') this.#note(slot, answer === 'state' ? null : wanted, false)
    this.#host.ask(slot, answer, wanted)
  }

  #note(slot: number, wanted: VersionVector | null, isLater: boolean): void {
    this.#questions.set(slot, { askedMs: this.#host.nowMs, wanted, answered: false, isLater })
  }
}
