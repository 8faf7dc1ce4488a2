/**
 * Who has applied what. Residues (a counter's baseline after a reset, the TTL of a key that is gone) may be forgotten once
 * it is proved that nothing older can still come, and the proof is a member's heartbeat: "when I sent this, I had applied
 * everything of origin o up to applied[o]".
 *
 * What makes a heartbeat a proof (rules D2, A7, A9, A14; each has its counterexample in the model check):
 *
 * - The feed takes the vector at a position of its log and sends it only once everything of its own before that position
 *   has been sent on the same channel, and is durable there: the sender can't forget what it has acknowledged.
 * - The intake passes it on only when nothing that came before it on the channel is held or staged. So all that the
 *   member issued before it acknowledged has been applied here too: operations of its that have not seen what it
 *   acknowledges can't appear later.
 * - A member that is getting lost data back sends no vector, and its older ones are forgotten. A member that was never
 *   heard, or whose channels don't yet cover our slots, has acknowledged nothing.
 *
 * A member's own entry in its vector is its watermark: everything it ever issued up to there has been applied here. These
 * watermarks in turn are what our own heartbeats acknowledge. They never enter a version vector (rule A8).
 */
import type { SlotRange } from '#protocol/slots/slotMap.ts'
import { type Origin, originsMax, type Stamp } from '#protocol/sync/stamp.ts'
import { emptyVector, type VersionVector } from '#protocol/sync/versionVector.ts'
import { rangesCover } from './slotSet.ts'

interface Source {
  ranges: readonly SlotRange[]
  applied: VersionVector
}

export class Acknowledgements {
  readonly #own: Origin
  readonly #ranges: readonly SlotRange[]
  #members: readonly Origin[]
  /** By member, then by the member's shard: the latest vector of each. */
  readonly #sources = new Map<Origin, Map<number, Source>>()
  /** By member: what all its shards have applied. */
  readonly #known = new Map<Origin, VersionVector>()

  constructor(own: Origin, ranges: readonly SlotRange[], members: readonly Origin[]) {
    this.#own = own
    this.#ranges = ranges
    this.#members = members
  }

  /** This cluster included. */
  get members(): readonly Origin[] {
    return this.#members
  }

  setMembers(members: readonly Origin[]): void {
    this.#members = members
    for (const member of this.#sources.keys()) if (!members.includes(member)) this.forget(member)
  }

  /** A proof came from the member's shard `sourceShard`, for `ranges`. */
  record(member: Origin, sourceShard: number, ranges: readonly SlotRange[], applied: VersionVector): void {
    let sources = this.#sources.get(member)
    if (sources === undefined) {
      sources = new Map()
      this.#sources.set(member, sources)
    }
    sources.set(sourceShard, { ranges, applied: applied.slice() })
    this.#known.set(member, this.#least(sources))
  }

  /** The member lost its data: what it acknowledged it may not have any more. */
  forget(member: Origin): void {
    this.#sources.delete(member)
    this.#known.delete(member)
  }

  /** Everything of `origin` up to this stamp is applied at `member`, and so is here everything the member issued before it said so. */
  stamp(member: Origin, origin: Origin): Stamp {
    return this.#known.get(member)?.[origin] ?? 0
  }

  /** What this shard may acknowledge in turn, its own operations up to `ownStamp` included. */
  applied(ownStamp: Stamp): VersionVector {
    const applied = emptyVector()
    for (const member of this.#members) applied[member] = this.stamp(member, member)
    applied[this.#own] = ownStamp
    return applied
  }

  #least(sources: Map<number, Source>): VersionVector {
    const least = emptyVector()
    const parts = [...sources.values()]
    if (
      !rangesCover(
        this.#ranges,
        parts.map((part) => part.ranges),
      )
    )
      return least
    for (let o = 0; o < originsMax; o++)
      least[o] = Math.min(...parts.map((part) => part.applied[o] as number))
    return least
  }
}
