/**
 * How far each other member is known to have applied this shard's own operations, by what its intakes have confirmed. It outlives
 * channels, as what was applied and durable stays so, until the member says that it has lost its data or is no member any more.
 *
 * From it come the answers of CRDT.WAIT, and the lag that INFO tells: how many operations are not confirmed, and how old the
 * oldest of them is. After a start nothing is confirmed. Lag is counted from the start then, and from what the member
 * says that it has when it subscribes.
 */
import type { SlotRange } from '#protocol/slots/slotMap.ts'
import { RecordKind, type RecordPart, RecordReader } from '#protocol/sync/record.ts'
import { type Origin, type Stamp, stampWallMs } from '#protocol/sync/stamp.ts'
import { FormatError } from '#runtime/bytes/byteReader.ts'
import type { AppliedQuestion } from './appliedQuestions.ts'
import type { LocalShard } from './localShard.ts'
import { rangesCover, rangesName } from './slotSet.ts'

interface Confirmed {
  readonly ranges: readonly SlotRange[]
  stamp: Stamp
  ownRecords: number
}

interface Proof {
  readonly ranges: readonly SlotRange[]
  atMs: number
}

interface Member {
  /** By the slots of a channel. */
  readonly confirmed: Map<string, Confirmed>
  /** What it said when it subscribed, in the same way: applied, and perhaps not durable. */
  readonly claimed: Map<string, Confirmed>
  /** When each of its shards last proved that all it had issued until then is applied here. */
  readonly proofs: Map<number, Proof>
  /** The oldest operation that was not confirmed when it was looked for; 0: there was none. */
  oldest: Stamp
}

export interface Lag {
  /** Records of this shard that the member has not confirmed. */
  operations: number
  /** Age of the oldest of them. */
  ageMs: number
}

/** Questions that others may still tell about, and runs of slots that they may speak of. */
const questionsMax = 64
const rangesMax = 1024

const none: Confirmed = { ranges: [], stamp: 0, ownRecords: 0 }

export class PeerProgress {
  readonly #own: Origin
  readonly #ranges: readonly SlotRange[]
  readonly #shard: LocalShard
  /** What was there at the start may or may not have been sent then. */
  readonly #startStamp: Stamp
  readonly #startMs: number
  readonly #members = new Map<Origin, Member>()
  /** The latest that were answered. */
  #questions: Pick<AppliedQuestion, 'stamp' | 'ownRecords'>[] = []
  readonly #reader = new RecordReader()

  constructor(own: Origin, ranges: readonly SlotRange[], shard: LocalShard, nowMs: number) {
    this.#startMs = nowMs
    this.#own = own
    this.#ranges = ranges
    this.#shard = shard
    this.#startStamp = shard.lastStamp
  }

  /** A shard of the member with these slots has applied what the question asks for. */
  confirmed(member: Origin, ranges: readonly SlotRange[], { stamp, ownRecords }: AppliedQuestion): void {
    this.#questions = [...this.#questions.slice(1 - questionsMax), { stamp, ownRecords }]
    this.#confirm(member, { ranges, stamp, ownRecords })
  }

  /** Another member says that this one has applied them. */
  relayed(member: Origin, ranges: readonly SlotRange[], stamp: Stamp): void {
    if (stamp > this.#shard.lastStamp) throw new FormatError(`${stamp} is no operation of this shard`)
    let ownRecords = this.#least(this.#members.get(member)?.confirmed).ownRecords
    for (const asked of this.#questions)
      if (asked.stamp <= stamp) ownRecords = Math.max(ownRecords, asked.ownRecords)
    this.#confirm(member, { ranges, stamp, ownRecords })
  }

  /** By two ways what is older may come later. */
  #confirm(member: Origin, latest: Confirmed): void {
    const { confirmed } = this.#of(member)
    const name = rangesName(this.#own, latest.ranges)
    if ((confirmed.get(name)?.stamp ?? 0) > latest.stamp) return
    const [oldest] = confirmed.keys()
    if (confirmed.size >= rangesMax && oldest !== undefined) confirmed.delete(oldest)
    keep(confirmed, name, latest)
  }

  /** It subscribes, and lacks no own operations up to the stamp. */
  subscribed(member: Origin, ranges: readonly SlotRange[], stamp: Stamp): void {
    const known = this.#of(member)
    keep(known.claimed, rangesName(this.#own, ranges), { ranges, stamp, ownRecords: 0 })
    known.oldest = 0
  }

  /** Its shard has proved that all it had issued before is applied here. */
  proved(member: Origin, sourceShard: number, ranges: readonly SlotRange[], atMs: number): void {
    this.#of(member).proofs.set(sourceShard, { ranges, atMs })
  }

  /** The member has lost what it had, or is none any more. */
  forget(member: Origin): void {
    const proofs = this.#members.get(member)?.proofs
    this.#members.delete(member)
    if (proofs !== undefined)
      for (const [shard, { ranges, atMs }] of proofs) this.proved(member, shard, ranges, atMs)
  }

  /** All own operations up to this stamp are applied and durable at the member, in all slots of this shard; 0: none is known to be. */
  stamp(member: Origin): Stamp {
    return this.#least(this.#members.get(member)?.confirmed).stamp
  }

  /** Since everything that the member had issued in the slots of this shard was last proved to be here, or since the start; 0: a proof is not overdue. */
  behindMs(member: Origin, nowMs: number, overdueMs: number): number {
    const sinceProofMs = nowMs - this.#provedMs(member)
    return sinceProofMs > overdueMs ? sinceProofMs : 0
  }

  #provedMs(member: Origin): number {
    const proofs = [...(this.#members.get(member)?.proofs.values() ?? [])].sort((a, b) => b.atMs - a.atMs)
    const parts: (readonly SlotRange[])[] = []
    for (const { ranges, atMs } of proofs) {
      parts.push(ranges)
      if (rangesCover(this.#ranges, parts)) return atMs
    }
    return this.#startMs
  }

  /** `acknowledged` is what is known of the member by its heartbeats. */
  lag(member: Origin, acknowledged: Stamp, wallMs: number): Lag {
    const known = this.#of(member)
    const { stamp, ownRecords } = this.#least(known.confirmed)
    const applied = Math.max(stamp, acknowledged)
    const oldest = this.#oldest(known, applied > 0 ? applied : this.#claimedBy(known))
    if (oldest === 0) return { operations: 0, ageMs: 0 }
    const operations = Math.max(1, this.#shard.ownRecords - ownRecords)
    return { operations, ageMs: Math.max(0, Math.floor(wallMs - stampWallMs(oldest))) }
  }

  #claimedBy({ claimed }: Member): Stamp {
    const parts = [...claimed.values()].map(({ ranges }) => ranges)
    return rangesCover(this.#ranges, parts) ? this.#least(claimed).stamp : this.#startStamp
  }

  #of(member: Origin): Member {
    let known = this.#members.get(member)
    if (known === undefined) {
      known = { confirmed: new Map(), claimed: new Map(), proofs: new Map(), oldest: 0 }
      this.#members.set(member, known)
    }
    return known
  }

  /** What holds for all slots: the greatest stamp such that those who confirmed it, or more, have all of them. */
  #least(said: ReadonlyMap<string, Confirmed> | undefined): Confirmed {
    const parts: (readonly SlotRange[])[] = []
    for (const least of [...(said?.values() ?? [])].sort((a, b) => b.stamp - a.stamp)) {
      parts.push(least.ranges)
      if (rangesCover(this.#ranges, parts)) return least
    }
    return none
  }

  /** The first own operation above the stamp; 0: there is none. One that was found stays it until it is applied. */
  #oldest(known: Member, applied: Stamp): Stamp {
    if (known.oldest <= applied) known.oldest = this.#firstAbove(applied)
    return known.oldest
  }

  #firstAbove(stamp: Stamp): Stamp {
    const { log, lastStamp } = this.#shard
    if (lastStamp <= stamp) return 0
    let found = 0
    const reader = this.#reader
    log.walk(log.firstPositionAbove(this.#own, stamp), log.end, (bytes, start, end) => {
      reader.read(bytes, start, end)
      if (reader.kind !== RecordKind.operations) return true
      for (let i = 0; i < reader.partCount; i++) {
        const { origin, first, last } = reader.parts[i] as RecordPart
        if (origin === this.#own && last > stamp && (found === 0 || first < found)) found = first
      }
      return found === 0
    })
    return found
  }
}

/** What is said of the same slots later stands for what was said before. */
function keep(said: Map<string, Confirmed>, latestName: string, latest: Confirmed): void {
  // The member may have cut its slots otherwise since.
  for (const [name, other] of said) {
    if (other.stamp <= latest.stamp && rangesCover(other.ranges, [latest.ranges])) said.delete(name)
  }
  said.set(latestName, latest)
}
