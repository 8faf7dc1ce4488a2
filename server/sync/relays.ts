/**
 * What is known between members that can't reach each other. A and C are cut off, B reaches both: C takes A's operations from B (`memberWatch.ts`),
 * and A is to learn that C has them. So B asks C what A has asked B, once B has it itself, and passes the answer on:
 *
 *     A -- askApplied S --> B              B has all of A's up to S: applied S goes back to A
 *                           B -- askRelayed S --> C
 *     A <-- appliedAt C S -- B <-- appliedAt C S -- C
 *
 * With more members the question goes on wherever the operations do, and the answer back the same ways; both only while they are news.
 * So each link that relays carries one question and one answer for a question of A, and none while all members hear each other.
 *
 * What makes it true: whoever asks has sent all that the question is about, because it had been confirmed to be there; whoever answers
 * has applied it, and its log is synced up to there. What is passed on is what was answered, unchanged but for the slots of the channel.
 */
import { overlap, type SlotRange } from '#protocol/slots/slotMap.ts'
import type { AppliedAt } from '#protocol/sync/relayMessage.ts'
import { type Origin, originOf, originOfCluster, type Stamp } from '#protocol/sync/stamp.ts'
import type { AppliedQuestion } from './appliedQuestions.ts'
import type { AppliedHere } from './confirmations.ts'
import type { Intake } from './intake.ts'
import type { LocalLog } from './localShard.ts'
import { rangesName } from './slotSet.ts'

/** What the source of an intake has been told of third members, by member, origin and slots. */
export class PassedOn {
  readonly #ranges: readonly SlotRange[]
  readonly #told = new Map<string, Stamp>()
  /** It takes it. */
  isWanted = false

  constructor(ranges: readonly SlotRange[]) {
    this.#ranges = ranges
  }

  /** What of it concerns the source, and is news to it; null: nothing. */
  news({ kind, member, stamp, ranges }: AppliedAt): AppliedAt | null {
    const common = overlap(ranges, this.#ranges)
    const name = `${member}/${rangesName(originOf(stamp), common)}`
    if (!this.isWanted || common.length === 0 || (this.#told.get(name) ?? 0) >= stamp) return null
    this.#told.set(name, stamp)
    return { kind, member, stamp, ranges: common }
  }
}

/** Of those told of other members: more can come only from peers that cut their slots anew all the time. */
const appliedAtMax = 4096

export class Relays {
  readonly #log: LocalLog
  readonly #intakes: Iterable<Intake>
  /** Of other origins' operations, by origin and slots: all up to the stamp lie before the position in the log. */
  readonly #here = new Map<string, AppliedQuestion>()
  /** What other members have of others' operations, by member, origin and slots. */
  readonly #elsewhere = new Map<string, AppliedAt>()
  /** Something has been noted that feeds may ask about. */
  #hasNews = false

  constructor(log: LocalLog, intakes: Iterable<Intake>) {
    this.#log = log
    this.#intakes = intakes
  }

  /** What is here of other origins' operations, for those who take it from here. */
  get here(): Iterable<AppliedQuestion> {
    return this.#here.values()
  }

  /** It has just been confirmed to the source that these are applied here, and durable. */
  appliedHere(intake: Intake, { ranges, stamp }: AppliedHere): void {
    const position = this.#log.shippable
    this.#here.set(rangesName(originOf(stamp), ranges), { stamp, ranges, position, ownRecords: 0 })
    this.#hasNews = true
    // It may be a new channel, whose source has not been told of what others have.
    for (const applied of this.#elsewhere.values())
      if (originOf(applied.stamp) === originOf(stamp)) intake.relay(applied)
  }

  takeNews(): boolean {
    const hadNews = this.#hasNews
    this.#hasNews = false
    return hadNews
  }

  /** Another member has applied operations of a third. */
  appliedElsewhere(applied: AppliedAt): void {
    const name = `${applied.member}/${rangesName(originOf(applied.stamp), applied.ranges)}`
    if ((this.#elsewhere.get(name)?.stamp ?? 0) >= applied.stamp) return
    const [oldest] = this.#elsewhere.keys()
    if (this.#elsewhere.size >= appliedAtMax && oldest !== undefined) this.#elsewhere.delete(oldest)
    this.#elsewhere.set(name, applied)
    for (const intake of this.#intakes) intake.relay(applied)
  }

  /** The member has lost its data, or is none any more. */
  forget(member: Origin): void {
    for (const [name, { stamp }] of this.#here) if (originOf(stamp) === member) this.#here.delete(name)
    for (const [name, { member: at, stamp }] of this.#elsewhere)
      if (originOf(stamp) === member || originOfCluster(at) === member) this.#elsewhere.delete(name)
  }
}
