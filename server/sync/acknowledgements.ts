/**
 * Who has applied what. Residues (a counter's baseline after a reset, the TTL of a key that is gone) may be forgotten once
 * it is proved that nothing older can still come, and the proof is a member's heartbeat: "when I sent this, I had applied
 * everything of origin o in these slots up to applied[o]".
 *
 * What makes a heartbeat a proof (rules D2, A7, A9, A14; each has its counterexample in the model check):
 *
 * - The feed takes the vector at a position of its log and sends it only once everything of its own before that position
 *   has been sent on the same channel, and is durable there: the sender can't forget what it has acknowledged.
 * - The intake passes it on only when nothing that came before it on the channel is held or staged. So all that the
 *   member issued before it acknowledged has been applied here too: operations of its that have not seen what it
 *   acknowledges can't appear later.
 * - A member that is getting lost data back sends no vector, and its older ones are forgotten. A member that was never
 *   heard, or whose channels don't bring a slot, has acknowledged nothing there.
 *
 * A member's own entry in its vector is its watermark: everything it ever issued up to there has been applied here. These
 * watermarks in turn are what our own heartbeats acknowledge. They never enter a version vector (rule A8).
 *
 * All this is known by slot range: each shard of a member has a clock of its own, and one that has nothing to do stands
 * still. It must not hold up the slots of the others.
 */
import type { SlotRange } from '#protocol/slots/slotMap.ts'
import type { AppliedRange } from '#protocol/sync/message.ts'
import { type Origin, originsMax, type Stamp } from '#protocol/sync/stamp.ts'
import { emptyVector, type VersionVector } from '#protocol/sync/versionVector.ts'

/** A run of slots about which every member says one thing. */
export class AcknowledgedRange {
  readonly first: number
  readonly last: number
  /** Origins of all members, this cluster included. */
  readonly members: readonly Origin[]
  readonly #known: ReadonlyMap<Origin, VersionVector>

  constructor(
    first: number,
    last: number,
    members: readonly Origin[],
    known: ReadonlyMap<Origin, VersionVector>,
  ) {
    this.first = first
    this.last = last
    this.members = members
    this.#known = known
  }

  /** Everything of `origin` up to this stamp is applied at `member`, and so is here everything the member issued before it said so. */
  stamp(member: Origin, origin: Origin): Stamp {
    return this.#known.get(member)?.[origin] ?? 0
  }
}

export class Acknowledgements {
  readonly #own: Origin
  readonly #ranges: readonly SlotRange[]
  #members: readonly Origin[]
  /** By member, then by the member's shard: the latest that each said. */
  readonly #sources = new Map<Origin, Map<number, readonly AppliedRange[]>>()
  #acknowledged: AcknowledgedRange[] | null = null
  /** Rises whenever something is acknowledged, or the members change. */
  changes = 0

  constructor(own: Origin, ranges: readonly SlotRange[], members: readonly Origin[]) {
    this.#own = own
    this.#ranges = [...ranges].sort((a, b) => a.first - b.first)
    this.#members = members
  }

  get members(): readonly Origin[] {
    return this.#members
  }

  setMembers(members: readonly Origin[]): void {
    this.#members = members
    this.#changed()
    for (const member of this.#sources.keys()) if (!members.includes(member)) this.forget(member)
  }

  /** A proof came from the member's shard `sourceShard`. */
  record(member: Origin, sourceShard: number, applied: readonly AppliedRange[]): void {
    let sources = this.#sources.get(member)
    if (sources === undefined) {
      sources = new Map()
      this.#sources.set(member, sources)
    }
    sources.set(sourceShard, applied)
    this.#changed()
  }

  /** The member lost its data: what it acknowledged it may not have any more. */
  forget(member: Origin): void {
    if (this.#sources.delete(member)) this.#changed()
  }

  inSlot(slot: number): AcknowledgedRange {
    for (const range of this.#all()) if (slot >= range.first && slot <= range.last) return range
    return new AcknowledgedRange(slot, slot, this.#members, new Map())
  }

  /** Everything of `origin` up to this stamp is applied at `member`, in all slots of this shard. */
  least(member: Origin, origin: Origin): Stamp {
    let least = Number.POSITIVE_INFINITY
    for (const range of this.#all()) least = Math.min(least, range.stamp(member, origin))
    return least === Number.POSITIVE_INFINITY ? 0 : least
  }

  /**
   * What this shard may acknowledge in turn in these slots, its own operations up to `ownStamp` included, and those of
   * origins that are no members any more.
   */
  applied(
    ranges: readonly SlotRange[],
    ownStamp: Stamp,
    removed: ReadonlyMap<Origin, Stamp> = new Map(),
  ): AppliedRange[] {
    const applied: AppliedRange[] = []
    for (const known of this.#all()) {
      const vector = emptyVector()
      for (const [origin, stamp] of removed) vector[origin] = stamp
      for (const member of this.#members) vector[member] = known.stamp(member, member)
      vector[this.#own] = ownStamp
      for (const range of ranges) {
        const first = Math.max(range.first, known.first)
        const last = Math.min(range.last, known.last)
        if (first <= last) applied.push({ first, last, applied: vector })
      }
    }
    return applied.sort((a, b) => a.first - b.first)
  }

  #changed(): void {
    this.changes++
    this.#acknowledged = null
  }

  #all(): AcknowledgedRange[] {
    this.#acknowledged ??= this.#cutRanges()
    return this.#acknowledged
  }

  /** Cuts our slots wherever anything that was said begins or ends. */
  #cutRanges(): AcknowledgedRange[] {
    const starts = new Set<number>()
    for (const sources of this.#sources.values()) {
      for (const said of sources.values()) {
        for (const { first, last } of said) starts.add(first).add(last + 1)
      }
    }
    const sorted = [...starts].sort((a, b) => a - b)
    const cut: AcknowledgedRange[] = []
    for (const range of this.#ranges) {
      let first = range.first
      for (const start of [...sorted, range.last + 1]) {
        if (start <= first || start > range.last + 1) continue
        cut.push(new AcknowledgedRange(first, start - 1, this.#members, this.#knownIn(first)))
        first = start
      }
    }
    return cut
  }

  #knownIn(slot: number): Map<Origin, VersionVector> {
    const known = new Map<Origin, VersionVector>()
    for (const [member, sources] of this.#sources) {
      for (const said of sources.values()) {
        const range = said.find(({ first, last }) => slot >= first && slot <= last)
        if (range === undefined) continue
        const other = known.get(member)
        known.set(member, other === undefined ? range.applied : leastOf(other, range.applied))
      }
    }
    return known
  }
}

function leastOf(a: VersionVector, b: VersionVector): VersionVector {
  const least = emptyVector()
  for (let o = 0; o < originsMax; o++) least[o] = Math.min(a[o] as number, b[o] as number)
  return least
}
