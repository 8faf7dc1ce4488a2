/**
 * What a feed asks its peer (`confirmations.ts` has the other end): what is applied there of this shard's own operations, and of those that
 * this shard relays to it because their own cluster is cut off from it.
 */
import { overlap, type SlotRange } from '#protocol/slots/slotMap.ts'
import { type Subscribe, writeAskApplied } from '#protocol/sync/message.ts'
import { type AppliedAt, writeAskRelayed } from '#protocol/sync/relayMessage.ts'
import { type Origin, originOf, originOfCluster, type Stamp } from '#protocol/sync/stamp.ts'
import { FormatError } from '#runtime/bytes/byteReader.ts'
import { ByteWriter } from '#runtime/bytes/byteWriter.ts'
import type { LocalShard } from './localShard.ts'
import type { Relays } from './relays.ts'
import { rangesName } from './slotSet.ts'

/** A question of a feed. */
export interface AppliedQuestion {
  /** Its origin's operations up to it, in these slots, are asked for. */
  readonly stamp: Stamp
  readonly ranges: readonly SlotRange[]
  /** They lie before it in the log. */
  readonly position: number
  /** So many records of its own the shard had made by then, since its start; 0 where it asks about others'. */
  readonly ownRecords: number
}

/** Of one run of operations. One question waits for the log to be sent; any number of them are on their way. */
class AppliedQuestions {
  #next: AppliedQuestion | null = null
  #sent: AppliedQuestion[] = []
  #greatest: Stamp = 0

  /** Whether nothing that was asked, or is to be, reaches up to the stamp. */
  lacks(wanted: Stamp): boolean {
    return this.#next === null && wanted > this.#greatest
  }

  plan(question: AppliedQuestion): void {
    this.#next = question
  }

  /** The question to send, now that everything before `position` has been sent; null: none. */
  due(position: number): AppliedQuestion | null {
    const question = this.#next
    if (question === null || position < question.position) return null
    this.#next = null
    this.#sent.push(question)
    this.#greatest = question.stamp
    return question
  }

  /** The question that the stamp answers; those before it are answered with it. Null: it was not asked. */
  answered(stamp: Stamp): AppliedQuestion | null {
    const at = this.#sent.findIndex((question) => question.stamp === stamp)
    const question = this.#sent[at]
    if (question === undefined) return null
    this.#sent.splice(0, at + 1)
    return question
  }

  clear(): void {
    this.#next = null
    this.#sent = []
    this.#greatest = 0
  }
}

/** What the questions rest on. */
export interface QuestionsOwner {
  readonly own: Origin
  /** The peers are asked to say when they have applied this shard's own operations up to there. */
  readonly wantedStamp: Stamp
  readonly relays: Relays
}

/** All that a feed asks. */
export class FeedQuestions {
  readonly #peer: Origin
  readonly #ranges: readonly SlotRange[]
  readonly #shard: LocalShard
  readonly #owner: QuestionsOwner
  readonly #send: (message: Uint8Array) => void
  readonly #writer = new ByteWriter()
  readonly #own = new AppliedQuestions()
  /** Of operations that the feed relays, by whose they are and in which slots. */
  readonly #relayed = new Map<string, AppliedQuestions>()
  /** The peer answers them; those about operations of others. */
  #answers = false
  #relays = false

  constructor(
    { peer, ranges }: { peer: Origin; ranges: readonly SlotRange[] },
    shard: LocalShard,
    owner: QuestionsOwner,
    send: (message: Uint8Array) => void,
  ) {
    this.#peer = peer
    this.#ranges = ranges
    this.#shard = shard
    this.#owner = owner
    this.#send = send
  }

  begin({ answers, relays }: Subscribe): void {
    this.#own.clear()
    this.#relayed.clear()
    this.#answers = answers
    this.#relays = relays
  }

  /** Everything of these origins that lies before `position` in the log has been sent. */
  ask(origins: number, position: number): void {
    const own = 1 << this.#owner.own
    if (this.#answers && (origins & own) !== 0) this.#askOwn(position)
    const relayed = origins & ~(own | (1 << this.#peer))
    if (this.#relays && relayed !== 0) this.#askRelayed(relayed, position)
  }

  #askOwn(position: number): void {
    const { log, lastStamp, ownRecords } = this.#shard
    if (this.#own.lacks(this.#owner.wantedStamp))
      this.#own.plan({ stamp: lastStamp, ranges: this.#ranges, position: log.end, ownRecords })
    const question = this.#own.due(position)
    if (question === null) return
    this.#writer.clear()
    writeAskApplied(this.#writer, question.stamp)
    this.#send(this.#writer.view())
  }

  #askRelayed(origins: number, position: number): void {
    for (const known of this.#owner.relays.here) {
      const origin = originOf(known.stamp)
      const ranges = overlap(known.ranges, this.#ranges)
      if ((origins & (1 << origin)) === 0 || ranges.length === 0) continue
      const questions = this.#aboutOthers(rangesName(origin, ranges))
      if (questions.lacks(known.stamp)) questions.plan({ ...known, ranges })
    }
    for (const questions of this.#relayed.values()) {
      const question = questions.due(position)
      if (question === null) continue
      this.#writer.clear()
      writeAskRelayed(this.#writer, question)
      this.#send(this.#writer.view())
    }
  }

  #aboutOthers(name: string): AppliedQuestions {
    let questions = this.#relayed.get(name)
    if (questions === undefined) {
      questions = new AppliedQuestions()
      this.#relayed.set(name, questions)
    }
    return questions
  }

  /** The question about own operations that the stamp answers. Throws `FormatError`. */
  answered(stamp: Stamp): AppliedQuestion {
    const question = this.#own.answered(stamp)
    if (question === null) throw notAsked(stamp)
    return question
  }

  /** What the peer says of itself was asked for, and all is about slots of this channel; else throws `FormatError`. */
  checked(applied: AppliedAt): AppliedAt {
    const { member, stamp, ranges } = applied
    const name = rangesName(originOf(stamp), ranges)
    if (rangesName(originOf(stamp), overlap(ranges, this.#ranges)) !== name)
      throw new FormatError(`speaks of slots ${name}, which are not of this channel`)
    const isOfPeer = originOfCluster(member) === this.#peer
    if (isOfPeer && this.#aboutOthers(name).answered(stamp) === null) throw notAsked(stamp)
    return applied
  }
}

const notAsked = (stamp: Stamp) => new FormatError(`says that ${stamp} is applied, which was not asked`)
