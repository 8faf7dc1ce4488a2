/**
 * Small sorted sets (`packedValue.ts`). The members lie in their order, by score and then by name:
 *
 *     elements := count u16 | (stamp u56 | tag u8 | score f64 | name length varint | name)*
 */

import type { Stamp } from '#protocol/sync/stamp.ts'
import { covers, type VersionVector } from '#protocol/sync/versionVector.ts'
import { latin1 } from '#runtime/bytes/bytes.ts'
import type { ByteWriter } from '#runtime/bytes/byteWriter.ts'
import { readF64, readU56, readVarint, u56Bytes, varint } from '#runtime/bytes/packedNumbers.ts'
import type { Random } from '#runtime/ports.ts'
import { noScore, Score, ScoreWrite, type Tag } from '#server/crdt/score.ts'
import { putWrite, writeBytes } from '#server/crdt/scoreBytes.ts'
import { SortedSetState } from '#server/crdt/sortedSet.ts'
import { PackedValue, type PackLimits, pack, packedBytesMax, packedElementsMax } from './packedValue.ts'
import type { SortedSetView } from './views.ts'

const nameLengthAt = u56Bytes + writeBytes

export class PackedScores extends PackedValue implements SortedSetView {
  // Of the member that was read last.
  #at = 0
  #nameStart = 0
  #next = 0

  has(member: string): boolean {
    return this.#find(member) >= 0
  }

  score(member: string): number | undefined {
    return this.#find(member) < 0 ? undefined : this.#score()
  }

  rank(member: string): number | undefined {
    const rank = this.#find(member)
    return rank < 0 ? undefined : rank
  }

  *range(start: number, end: number): IterableIterator<[member: string, score: number]> {
    let position = 0
    for (let at = this.first; at < this.end && position < end; position++) {
      at = this.read(at)
      if (position >= start) yield [this.#name(), this.#score()]
    }
  }

  rangeReversed(start: number, end: number): IterableIterator<[member: string, score: number]> {
    return [...this.range(start, end)].reverse().values()
  }

  countBelow(score: number, inclusive: boolean): number {
    return this.#countWhile(() => (inclusive ? this.#score() <= score : this.#score() < score))
  }

  countBelowMember(member: string, inclusive: boolean): number {
    return this.#countWhile(() => {
      const order = this.#compareName(member)
      return inclusive ? order <= 0 : order < 0
    })
  }

  randomMember(random: Random): string {
    this.readAt(random.below(this.size))
    return this.#name()
  }

  scan(_position: number, _count: number, visit: (member: string, score: number) => void): number {
    for (let at = this.first; at < this.end; ) {
      at = this.read(at)
      visit(this.#name(), this.#score())
    }
    return 0
  }

  toSortedSet(): SortedSetState {
    const sortedSet = new SortedSetState()
    for (let at = this.first; at < this.end; ) {
      at = this.read(at)
      sortedSet.load(this.#name(), this.#score(), this.#tag(), this.stamp)
    }
    return sortedSet
  }

  /** Of one member, to prepare an increment. */
  memberState(member: string): Score {
    if (this.#find(member) < 0) return noScore
    const state = new Score()
    state.siblings = [new ScoreWrite(this.stamp, this.#score(), this.#tag())]
    return state
  }

  /** Writes to `into` what the members are with `member` written at `stamp`. False: that can't be packed. */
  write(
    into: ByteWriter,
    context: VersionVector,
    stamp: Stamp,
    member: string,
    score: number,
    tag: Tag,
  ): boolean {
    const known = this.#find(member) >= 0
    if (known && !covers(context, this.stamp)) return false
    const oldAt = known ? this.#at : this.end
    const oldEnd = known ? this.#next : this.end
    const count = known ? this.size : this.size + 1
    const added = nameLengthAt + member.length
    if (count > packedElementsMax || this.end - this.start + added > packedBytesMax) return false
    let place = this.first
    for (; place < this.end; place = this.#next) {
      this.read(place)
      if (place !== oldAt && !this.#isBefore(score, member)) break
    }
    into.clear()
    into.u16(count)
    this.#copy(into, this.first, place, oldAt, oldEnd)
    writeMember(into, stamp, member, score, tag)
    this.#copy(into, place, this.end, oldAt, oldEnd)
    return true
  }

  /** What lies at [start, end), without [oldAt, oldEnd). */
  #copy(into: ByteWriter, start: number, end: number, oldAt: number, oldEnd: number): void {
    if (start <= oldAt && oldEnd <= end) {
      into.raw(this.bytes, start, oldAt)
      into.raw(this.bytes, oldEnd, end)
    } else into.raw(this.bytes, start, end)
  }

  /** The same without those of `members` that `context` covers. */
  remove(into: ByteWriter, context: VersionVector, members: readonly string[]): void {
    const removed = new Set(members)
    this.writeRest(into, context, () => removed.has(this.#name()))
  }

  /** Its position, -1: there is none. It is the one that was read last. */
  #find(member: string): number {
    let position = 0
    for (let at = this.first; at < this.end; position++) {
      at = this.read(at)
      if (this.#next - this.#nameStart === member.length && this.#compareName(member) === 0) return position
    }
    return -1
  }

  #countWhile(isBefore: () => boolean): number {
    let count = 0
    for (let at = this.first; at < this.end; count++) {
      at = this.read(at)
      if (!isBefore()) break
    }
    return count
  }

  protected override read(at: number): number {
    this.#at = at
    readVarint(this.bytes, at + nameLengthAt)
    this.#nameStart = varint.end
    this.#next = varint.end + varint.value
    return this.#next
  }

  #isBefore(score: number, member: string): boolean {
    const own = this.#score()
    return own === score ? this.#compareName(member) < 0 : own < score
  }

  /** In the order of bytes. */
  #compareName(member: string): number {
    const start = this.#nameStart
    const length = this.#next - start
    for (let i = 0; i < length && i < member.length; i++) {
      const difference = (this.bytes[start + i] as number) - member.charCodeAt(i)
      if (difference !== 0) return difference
    }
    return length - member.length
  }

  protected override get stamp(): Stamp {
    return readU56(this.bytes, this.#at)
  }

  #tag(): Tag {
    return this.bytes[this.#at + u56Bytes] as Tag
  }

  #score(): number {
    return readF64(this.bytes, this.#at + u56Bytes + 1)
  }

  #name(): string {
    return latin1(this.bytes, this.#nameStart, this.#next)
  }
}

/** Nothing to begin with. */
export const noScores = new PackedScores()

function writeMember(into: ByteWriter, stamp: Stamp, member: string, score: number, tag: Tag): void {
  into.u56(stamp)
  into.reserve(writeBytes)
  into.length = putWrite(into.bytes, into.length, score, tag)
  into.text(member)
}

/** Writes the state's members to `into`. False: they aren't small and simple. */
export function packScores(into: ByteWriter, sortedSet: SortedSetState, limits: PackLimits): boolean {
  return pack(into, sortedSet.size, limits, () =>
    sortedSet.eachSimple((member, score, tag, stamp) => writeMember(into, stamp, member, score, tag)),
  )
}
