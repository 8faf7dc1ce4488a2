/**
 * The members of one sorted set in their order, by score and then by name (bytewise): a sorted list in blocks on three levels,
 * the top, groups of up to 128 leaves, leaves of up to 256 members. Groups and leaves are counted, so that a position is
 * found as fast as a member; all steps are binary searches, short sums, or moves within a leaf.
 *
 * A leaf is a column of scores and one of refs (`elementTable.ts`): 12 bytes a member, which the collector doesn't walk. A skip
 * list takes an object a member, about 190 bytes, and is several times slower, as it visits each of them.
 *
 * Names are read only where scores are equal.
 */
import { invariant } from '#runtime/invariant.ts'
import type { ElementRef } from './elementTable.ts'

const leafMax = 256
const leafMin = 8
/** Leaves of a group. */
const groupMax = 128
/** Of what neighbours hold together when one of them is nearly empty: room for changes is left. */
const joinedPart = 0.75
const thinPart = 0.25

const bytesPerMember = 12
/** Of a leaf beside its columns, as measured. */
const leafBytes = 320

/** Where the members' names are. */
export interface MemberNames {
  name(ref: ElementRef): string
  compareName(ref: ElementRef, name: string): number
}

class Leaf {
  scores: Float64Array
  refs: Uint32Array
  count = 0

  constructor(capacity: number) {
    this.scores = new Float64Array(capacity)
    this.refs = new Uint32Array(capacity)
  }
}

interface Group {
  leaves: Leaf[]
  /** Members in its leaves. */
  count: number
}

/** Which members come before what is looked for. */
const Bound = { member: 0, belowScore: 1, uptoScore: 2, belowName: 3, uptoName: 4 } as const

export class ScoreIndex {
  size = 0
  readonly #names: MemberNames
  #groups: Group[] = [{ leaves: [new Leaf(leafMin)], count: 0 }]
  #leaves = 1
  #capacity = leafMin
  // What is looked for.
  #bound: number = Bound.member
  #score = 0
  #name = ''
  // Where it is, or belongs.
  #groupAt = 0
  #leafAt = 0
  #at = 0

  constructor(names: MemberNames) {
    this.#names = names
  }

  get usedBytes(): number {
    return this.#capacity * bytesPerMember + this.#leaves * leafBytes
  }

  clear(): void {
    this.size = 0
    this.#groups = [{ leaves: [new Leaf(leafMin)], count: 0 }]
    this.#leaves = 1
    this.#capacity = leafMin
  }

  // ---- reading

  /** How many members lie before this one, there or not. */
  rank(score: number, name: string): number {
    return this.#countBefore(Bound.member, score, name)
  }

  countBelow(score: number, inclusive: boolean): number {
    return this.#countBefore(inclusive ? Bound.uptoScore : Bound.belowScore, score, '')
  }

  /** Of members with equal scores. */
  countBelowName(name: string, inclusive: boolean): number {
    return this.#countBefore(inclusive ? Bound.uptoName : Bound.belowName, 0, name)
  }

  nameAt(position: number): string {
    this.#goTo(position)
    return this.#names.name(this.#leaf.refs[this.#at] as ElementRef)
  }

  /** Of the positions [start, end). */
  *range(start: number, end: number): IterableIterator<[name: string, score: number]> {
    let left = Math.min(end, this.size) - start
    if (left <= 0) return
    this.#goTo(start)
    let leafAt = this.#leafAt
    let at = this.#at
    for (let g = this.#groupAt; ; g++, leafAt = 0) {
      const { leaves } = this.#groups[g] as Group
      for (; leafAt < leaves.length; leafAt++, at = 0) {
        const { scores, refs, count } = leaves[leafAt] as Leaf
        for (; at < count; at++) {
          yield [this.#names.name(refs[at] as ElementRef), scores[at] as number]
          if (--left === 0) return
        }
      }
    }
  }

  /** The same from the last one down. */
  *rangeReversed(start: number, end: number): IterableIterator<[name: string, score: number]> {
    const last = Math.min(end, this.size) - 1
    let left = last + 1 - start
    if (left <= 0) return
    this.#goTo(last)
    let leafAt = this.#leafAt
    let at = this.#at
    for (let g = this.#groupAt; ; ) {
      const { leaves } = this.#groups[g] as Group
      for (;;) {
        const { scores, refs } = leaves[leafAt] as Leaf
        for (; at >= 0; at--) {
          yield [this.#names.name(refs[at] as ElementRef), scores[at] as number]
          if (--left === 0) return
        }
        if (leafAt === 0) break
        at = (leaves[--leafAt] as Leaf).count - 1
      }
      const before = (this.#groups[--g] as Group).leaves
      leafAt = before.length - 1
      at = (before[leafAt] as Leaf).count - 1
    }
  }

  /** All of them, in order. */
  *refs(): IterableIterator<ElementRef> {
    for (const { leaves } of this.#groups) {
      for (const { refs, count } of leaves) for (let at = 0; at < count; at++) yield refs[at] as ElementRef
    }
  }

  // ---- writing

  /** The member must not be here yet. */
  insert(score: number, name: string, ref: ElementRef): void {
    this.#seek(Bound.member, score, name)
    const leaf = this.#leafWithRoom()
    const at = this.#at
    leaf.scores.copyWithin(at + 1, at, leaf.count)
    leaf.refs.copyWithin(at + 1, at, leaf.count)
    leaf.scores[at] = score
    leaf.refs[at] = ref
    leaf.count++
    this.#group.count++
    this.size++
  }

  /** The member must be here. */
  delete(score: number, name: string): void {
    invariant(this.#find(score, name) !== undefined, 'a member lies where its score says')
    const leaf = this.#leaf
    leaf.scores.copyWithin(this.#at, this.#at + 1, leaf.count)
    leaf.refs.copyWithin(this.#at, this.#at + 1, leaf.count)
    leaf.count--
    this.#group.count--
    this.size--
    if (leaf.count < leafMax * thinPart) this.#joinLeaf()
  }

  /** The element `from`, if it is here, is `to` now. */
  replace(score: number, name: string, from: ElementRef, to: ElementRef): void {
    if (this.#find(score, name) === from) this.#leaf.refs[this.#at] = to
  }

  // ---- looking for a place

  get #group(): Group {
    return this.#groups[this.#groupAt] as Group
  }

  get #leaf(): Leaf {
    return this.#group.leaves[this.#leafAt] as Leaf
  }

  #isBefore({ scores, refs }: Leaf, at: number): boolean {
    const bound = this.#bound
    if (bound >= Bound.belowName) {
      const order = this.#names.compareName(refs[at] as ElementRef, this.#name)
      return bound === Bound.uptoName ? order <= 0 : order < 0
    }
    const score = scores[at] as number
    if (score !== this.#score) return score < this.#score
    if (bound !== Bound.member) return bound === Bound.uptoScore
    return this.#names.compareName(refs[at] as ElementRef, this.#name) < 0
  }

  /** Finds the place behind all members that come before: in or behind the last leaf that begins with such a one. */
  #seek(bound: number, score: number, name: string): void {
    this.#bound = bound
    this.#score = score
    this.#name = name
    const groups = this.#groups
    let low = 1
    let high = groups.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if (this.#isBefore((groups[middle] as Group).leaves[0] as Leaf, 0)) low = middle + 1
      else high = middle
    }
    this.#groupAt = low - 1
    const { leaves } = this.#group
    low = 1
    high = leaves.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if (this.#isBefore(leaves[middle] as Leaf, 0)) low = middle + 1
      else high = middle
    }
    this.#leafAt = low - 1
    const leaf = this.#leaf
    low = 0
    high = leaf.count
    while (low < high) {
      const middle = (low + high) >>> 1
      if (this.#isBefore(leaf, middle)) low = middle + 1
      else high = middle
    }
    this.#at = low
  }

  #countBefore(bound: number, score: number, name: string): number {
    this.#seek(bound, score, name)
    let count = this.#at
    for (let g = 0; g < this.#groupAt; g++) count += (this.#groups[g] as Group).count
    const { leaves } = this.#group
    for (let l = 0; l < this.#leafAt; l++) count += (leaves[l] as Leaf).count
    return count
  }

  /** The member that has this score and this name, if there is one. */
  #find(score: number, name: string): ElementRef | undefined {
    this.#seek(Bound.member, score, name)
    if (this.#at === this.#leaf.count) {
      // It may be the first of the next leaf.
      if (this.#leafAt + 1 < this.#group.leaves.length) this.#leafAt++
      else if (this.#groupAt + 1 < this.#groups.length) {
        this.#groupAt++
        this.#leafAt = 0
      } else return undefined
      this.#at = 0
    }
    const { scores, refs } = this.#leaf
    const ref = refs[this.#at] as ElementRef
    return scores[this.#at] === score && this.#names.compareName(ref, name) === 0 ? ref : undefined
  }

  /** `position` is one that there is. */
  #goTo(position: number): void {
    let left = position
    let g = 0
    for (; left >= (this.#groups[g] as Group).count; g++) left -= (this.#groups[g] as Group).count
    const { leaves } = this.#groups[g] as Group
    let l = 0
    for (; left >= (leaves[l] as Leaf).count; l++) left -= (leaves[l] as Leaf).count
    this.#groupAt = g
    this.#leafAt = l
    this.#at = left
  }

  // ---- blocks

  /** The leaf for the place that was found, with room for one more; `#at` is in it. */
  #leafWithRoom(): Leaf {
    const leaf = this.#leaf
    const capacity = leaf.refs.length
    if (leaf.count < capacity) return leaf
    if (capacity < leafMax) {
      this.#resize(leaf, capacity * 2)
      return leaf
    }
    // Who adds at the end will do so again: full leaves stay behind.
    const kept = this.#at === leafMax ? leafMax : leafMax / 2
    const upper = new Leaf(kept === leafMax ? leafMin : leafMax)
    this.#leaves++
    this.#capacity += upper.refs.length
    move(leaf, kept, upper)
    this.#group.leaves.splice(this.#leafAt + 1, 0, upper)
    if (this.#at >= kept) {
      this.#leafAt++
      this.#at -= kept
    }
    if (this.#group.leaves.length > groupMax) this.#cutGroup()
    return this.#leaf
  }

  #cutGroup(): void {
    const group = this.#group
    const isLast = this.#leafAt === groupMax
    const kept = isLast ? groupMax : groupMax / 2
    const leaves = group.leaves.splice(kept)
    const count = leaves.reduce((sum, leaf) => sum + leaf.count, 0)
    group.count -= count
    this.#groups.splice(this.#groupAt + 1, 0, { leaves, count })
    if (this.#leafAt < kept) return
    this.#groupAt++
    this.#leafAt -= kept
  }

  #resize(leaf: Leaf, capacity: number): void {
    this.#capacity += capacity - leaf.refs.length
    const { scores, refs } = leaf
    leaf.scores = new Float64Array(capacity)
    leaf.scores.set(scores.subarray(0, leaf.count))
    leaf.refs = new Uint32Array(capacity)
    leaf.refs.set(refs.subarray(0, leaf.count))
  }

  /** The leaf has become thin: it goes together with a neighbour, if both fit one. */
  #joinLeaf(): void {
    if (this.#leaf.count === 0) {
      // No leaf but the only one is ever empty: their first members lead the search.
      if (this.size > 0) this.#dropLeaf(this.#leafAt)
      return
    }
    const { leaves } = this.#group
    if (leaves.length === 1) return
    const lowerAt = this.#leafAt > 0 ? this.#leafAt - 1 : 0
    const lower = leaves[lowerAt] as Leaf
    const upper = leaves[lowerAt + 1] as Leaf
    const count = lower.count + upper.count
    if (count > leafMax * joinedPart) return
    if (count > lower.refs.length) this.#resize(lower, leafMax)
    lower.scores.set(upper.scores.subarray(0, upper.count), lower.count)
    lower.refs.set(upper.refs.subarray(0, upper.count), lower.count)
    lower.count = count
    this.#dropLeaf(lowerAt + 1)
  }

  #dropLeaf(at: number): void {
    const { leaves } = this.#group
    const [dropped] = leaves.splice(at, 1) as [Leaf]
    this.#leaves--
    this.#capacity -= dropped.refs.length
    if (leaves.length === 0) this.#groups.splice(this.#groupAt, 1)
    else if (leaves.length < groupMax * thinPart) this.#joinGroup()
  }

  #joinGroup(): void {
    const groups = this.#groups
    if (groups.length === 1) return
    const lowerAt = this.#groupAt > 0 ? this.#groupAt - 1 : 0
    const lower = groups[lowerAt] as Group
    const upper = groups[lowerAt + 1] as Group
    if (lower.leaves.length + upper.leaves.length > groupMax * joinedPart) return
    lower.leaves.push(...upper.leaves)
    lower.count += upper.count
    groups.splice(lowerAt + 1, 1)
  }
}

/** What lies behind the first `kept` goes to `upper`, which is empty. */
function move(leaf: Leaf, kept: number, upper: Leaf): void {
  upper.scores.set(leaf.scores.subarray(kept, leaf.count))
  upper.refs.set(leaf.refs.subarray(kept, leaf.count))
  upper.count = leaf.count - kept
  leaf.count = kept
}
