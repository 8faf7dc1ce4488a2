/**
 * The elements of a large list, in the order of their ids: leaves of up to 256, in groups of up to 256 leaves, each with its
 * count. A position is found by adding counts from the nearer end, an id by binary search; what comes and goes at an end
 * touches the one leaf there. A leaf that runs empty goes, so that a queue gives its memory back as it moves along.
 *
 * Whoever wants an element aims at it (`seek...`); then `at...` reads and writes it.
 */
import type { Stamp } from '#protocol/sync/stamp.ts'
import { invariant } from '#runtime/invariant.ts'
import type { ListId } from './listId.ts'
import { ListLeaf, leafCountMax } from './listLeaf.ts'
import type { Siblings } from './register.ts'

const groupLeavesMax = 256
/** A leaf with fewer elements is joined to a neighbour that is small, too. */
const joinBelow = leafCountMax / 4

class Group {
  readonly leaves: ListLeaf[] = []
  /** Of each leaf, side by side: they are added up to find a position. */
  readonly counts: number[] = []
  count = 0

  constructor(leaves: readonly ListLeaf[]) {
    for (const leaf of leaves) this.insert(this.leaves.length, leaf)
  }

  insert(number: number, leaf: ListLeaf): void {
    this.leaves.splice(number, 0, leaf)
    this.counts.splice(number, 0, leaf.count)
    this.count += leaf.count
  }

  /** With all leaves behind it, if they are not said to be fewer. */
  take(number: number, leaves = this.leaves.length - number): ListLeaf[] {
    for (const count of this.counts.splice(number, leaves)) this.count -= count
    return this.leaves.splice(number, leaves)
  }

  /** A leaf has so many more elements. */
  add(number: number, change: number): void {
    this.counts[number] = (this.counts[number] as number) + change
    this.count += change
  }
}

export class ListSequence {
  size = 0
  /** Of the leaves. */
  usedBytes = 0
  #groups: Group[] = []
  // What is aimed at: an element, or the end of a leaf, where one can be inserted.
  #group = 0
  #leaf = 0
  #at = 0

  constructor() {
    this.clear()
  }

  clear(): void {
    const leaf = new ListLeaf()
    this.#groups = [new Group([leaf])]
    this.size = 0
    this.usedBytes = leaf.usedBytes
    this.#aim(0, 0, 0)
  }

  // ---- aiming

  /** `index` may be the size: the end. */
  seekIndex(index: number): void {
    const groups = this.#groups
    let group = 0
    let before = 0
    if (index * 2 <= this.size) {
      while (group < groups.length - 1 && before + countOf(groups[group]) <= index)
        before += countOf(groups[group++])
    } else {
      group = groups.length - 1
      before = this.size - countOf(groups[group])
      while (before > index) before -= countOf(groups[--group])
    }
    this.#seekInGroup(group, index - before)
  }

  #seekInGroup(group: number, index: number): void {
    const { counts, count } = this.#groups[group] as Group
    let leaf = 0
    let before = 0
    if (index * 2 <= count) {
      while (leaf < counts.length - 1 && before + (counts[leaf] as number) <= index)
        before += counts[leaf++] as number
    } else {
      leaf = counts.length - 1
      before = count - (counts[leaf] as number)
      while (before > index) before -= counts[--leaf] as number
    }
    this.#aim(group, leaf, index - before)
  }

  /** True: the element has been found; else the place where it belongs. */
  seek(id: ListId): boolean {
    if (this.size === 0) {
      this.#aim(0, 0, 0)
      return false
    }
    // A local command has just asked for the id of that element.
    const aimed = this.#groups[this.#group]?.leaves[this.#leaf]
    if (aimed !== undefined && this.#at < aimed.count && aimed.compare(this.#at, id) === 0) return true
    const groups = this.#groups
    const group = lastNotBehind(groups.length, (at) => firstLeafOf(groups[at]).compare(0, id))
    const { leaves } = groups[group] as Group
    const number = lastNotBehind(leaves.length, (at) => leafOf(leaves, at).compare(0, id))
    const leaf = leafOf(leaves, number)
    const at = leaf.countBefore(id)
    this.#aim(group, number, at)
    return at < leaf.count && leaf.compare(at, id) === 0
  }

  #aim(group: number, leaf: number, at: number): void {
    this.#group = group
    this.#leaf = leaf
    this.#at = at
  }

  get #aimedGroup(): Group {
    return this.#groups[this.#group] as Group
  }

  get #aimedLeaf(): ListLeaf {
    return leafOf(this.#aimedGroup.leaves, this.#leaf)
  }

  /** The position that is aimed at. */
  get index(): number {
    let index = this.#at
    for (let group = 0; group < this.#group; group++) index += countOf(this.#groups[group])
    const { counts } = this.#aimedGroup
    for (let leaf = 0; leaf < this.#leaf; leaf++) index += counts[leaf] as number
    return index
  }

  // ---- the element that is aimed at

  get atText(): string {
    return this.#aimedLeaf.text(this.#at)
  }

  get atId(): ListId {
    return this.#aimedLeaf.id(this.#at)
  }

  get atStamp(): Stamp {
    return this.#aimedLeaf.stamp(this.#at)
  }

  get atIsInConflict(): boolean {
    return this.#aimedLeaf.isInConflict(this.#at)
  }

  get atSiblings(): Siblings {
    return this.#aimedLeaf.siblings(this.#at)
  }

  /** An element that is one write, at the place that is aimed at, which then is its. */
  insert(id: ListId, stamp: Stamp, text: string): void {
    while (!this.#aimedLeaf.fits(text)) this.#makeRoom()
    const leaf = this.#aimedLeaf
    this.usedBytes -= leaf.usedBytes
    leaf.insert(this.#at, id, stamp, text)
    this.usedBytes += leaf.usedBytes
    this.#count(1)
  }

  /** The element has these writes. */
  write(siblings: Siblings): void {
    const shown = siblings.at(-1)
    invariant(shown !== undefined, 'an element has a write')
    const leaf = this.#aimedLeaf
    this.usedBytes -= leaf.usedBytes
    const written = leaf.write(this.#at, shown.stamp, shown.text)
    if (written && siblings.length > 1) leaf.setSiblings(this.#at, siblings)
    this.usedBytes += leaf.usedBytes
    if (written) return
    const id = this.atId
    this.remove()
    this.seek(id)
    this.append(id, siblings)
  }

  /** As `insert`, of an element that may have several writes. */
  append(id: ListId, siblings: Siblings): void {
    const shown = siblings.at(-1)
    invariant(shown !== undefined, 'an element has a write')
    this.insert(id, shown.stamp, shown.text)
    if (siblings.length > 1) this.write(siblings)
  }

  /** What is aimed at then is undefined. */
  remove(): void {
    this.#removeFromLeaf(1)
  }

  /** Removes what lies at [start, end). */
  cut(start: number, end: number): void {
    for (let left = end - start; left > 0; ) {
      this.seekIndex(start)
      const group = this.#aimedGroup
      const leaf = this.#aimedLeaf
      let removed = Math.min(left, leaf.count - this.#at)
      if (this.#at === 0 && this.#leaf === 0 && left >= group.count && this.#groups.length > 1) {
        removed = group.count
        for (const each of group.leaves) this.usedBytes -= each.usedBytes
        this.#groups.splice(this.#group, 1)
        this.size -= removed
      } else this.#removeFromLeaf(removed)
      left -= removed
    }
  }

  /** Removes those at [start, end) that `goes` names, neighbours at once. */
  removeWhere(start: number, end: number, goes: (leaf: ListLeaf, at: number) => boolean): void {
    for (let left = end; left > start; ) {
      this.seekIndex(left - 1)
      const leaf = this.#aimedLeaf
      const first = left - 1 - this.#at
      const from = Math.max(0, start - first)
      const going = new Uint8Array(this.#at + 1)
      for (let at = from; at < going.length; at++) going[at] = goes(leaf, at) ? 1 : 0
      for (let behind = going.length; behind > from; ) {
        const last = going.lastIndexOf(1, behind - 1)
        if (last < from) break
        behind = Math.max(from, going.lastIndexOf(0, last) + 1)
        this.cut(first + behind, first + last + 1)
      }
      left = first + from
    }
  }

  #removeFromLeaf(count: number): void {
    const leaf = this.#aimedLeaf
    this.usedBytes -= leaf.usedBytes
    leaf.remove(this.#at, this.#at + count)
    this.usedBytes += leaf.usedBytes
    this.#count(-count)
    if (leaf.count === 0) this.#dropLeaf()
    else if (leaf.count < joinBelow) this.#join()
  }

  #count(change: number): void {
    this.size += change
    this.#aimedGroup.add(this.#leaf, change)
  }

  // ---- leaves

  /** A leaf, or the half of one, that has room where it is aimed at. */
  #makeRoom(): void {
    const leaf = this.#aimedLeaf
    if (this.#at === leaf.count || this.#at === 0) {
      this.usedBytes -= leaf.usedBytes
      leaf.trim()
      this.usedBytes += leaf.usedBytes
      this.#addLeaf(this.#at === 0 ? this.#leaf : this.#leaf + 1, new ListLeaf())
      return
    }
    const [at, middle] = [this.#at, leaf.count >>> 1]
    const upper = new ListLeaf()
    this.usedBytes -= leaf.usedBytes
    upper.take(leaf, middle, leaf.count)
    leaf.remove(middle, leaf.count)
    this.usedBytes += leaf.usedBytes
    this.#aimedGroup.add(this.#leaf, -upper.count)
    this.#addLeaf(this.#leaf + 1, upper)
    if (at > middle) this.#at = at - middle
    else this.#aimBefore(at)
  }

  /** From the start of a leaf to the one before it. */
  #aimBefore(at: number): void {
    if (this.#leaf > 0) this.#aim(this.#group, this.#leaf - 1, at)
    else {
      const { leaves } = this.#groups[this.#group - 1] as Group
      this.#aim(this.#group - 1, leaves.length - 1, at)
    }
  }

  /** Puts a leaf at `number` of the group that is aimed at, and aims at its start. */
  #addLeaf(number: number, leaf: ListLeaf): void {
    const groups = this.#groups
    const group = this.#aimedGroup
    const { leaves } = group
    this.usedBytes += leaf.usedBytes
    if (leaves.length < groupLeavesMax) {
      group.insert(number, leaf)
      this.#aim(this.#group, number, 0)
      return
    }
    if (number === leaves.length || number === 0) {
      const place = number === 0 ? this.#group : this.#group + 1
      groups.splice(place, 0, new Group([leaf]))
      this.#aim(place, 0, 0)
      return
    }
    const half = leaves.length >>> 1
    groups.splice(this.#group + 1, 0, new Group(group.take(half)))
    const inUpper = number > half
    this.usedBytes -= leaf.usedBytes
    this.#aim(inUpper ? this.#group + 1 : this.#group, 0, 0)
    this.#addLeaf(inUpper ? number - half : number, leaf)
  }

  /** The leaf that is aimed at is empty. */
  #dropLeaf(): void {
    if (this.size === 0) {
      this.clear()
      return
    }
    const group = this.#aimedGroup
    for (const leaf of group.take(this.#leaf, 1)) this.usedBytes -= leaf.usedBytes
    if (group.leaves.length === 0) this.#groups.splice(this.#group, 1)
  }

  /** Joins the small leaf that is aimed at with the next of its group, or with the one before. */
  #join(): void {
    const group = this.#aimedGroup
    const { leaves } = group
    for (const number of [this.#leaf, this.#leaf - 1]) {
      const lower = leaves[number]
      const upper = leaves[number + 1]
      if (lower === undefined || upper === undefined || !lower.fitsAll(upper)) continue
      this.usedBytes -= lower.usedBytes + upper.usedBytes
      lower.take(upper, 0, upper.count)
      this.usedBytes += lower.usedBytes
      group.take(number + 1, 1)
      group.add(number, upper.count)
      return
    }
  }

  // ---- all elements

  /** Those behind the place of `id`, whether it is there or not; undefined: all. Each in its leaf. */
  *behind(id: ListId | undefined): IterableIterator<[ListLeaf, number]> {
    if (this.size === 0) return
    const isThere = id !== undefined && this.seek(id)
    let [group, leaf, at] = id === undefined ? [0, 0, 0] : [this.#group, this.#leaf, this.#at]
    if (isThere) at++
    for (; group < this.#groups.length; group++, leaf = 0) {
      const { leaves } = this.#groups[group] as Group
      for (; leaf < leaves.length; leaf++, at = 0) {
        const inLeaf = leafOf(leaves, leaf)
        for (; at < inLeaf.count; at++) yield [inLeaf, at]
      }
    }
  }

  *leaves(): IterableIterator<ListLeaf> {
    for (const { leaves } of this.#groups) for (const leaf of leaves) if (leaf.count > 0) yield leaf
  }

  /** `count` texts from position `from` on, in one direction. */
  *texts(from: number, count: number, step: 1 | -1): IterableIterator<string> {
    if (count <= 0) return
    this.seekIndex(from)
    const groups = this.#groups
    let [group, number, at] = [this.#group, this.#leaf, this.#at]
    let leaf = this.#aimedLeaf
    for (let left = count; ; at += step) {
      if (at < 0 || at === leaf.count) {
        number += step
        if ((groups[group] as Group).leaves[number] === undefined) {
          group += step
          number = step === 1 ? 0 : (groups[group] as Group).leaves.length - 1
        }
        leaf = leafOf((groups[group] as Group).leaves, number)
        at = step === 1 ? 0 : leaf.count - 1
      }
      yield leaf.text(at)
      if (--left === 0) return
    }
  }
}

/** The number of the last of them that does not lie behind what it is compared with; the first, if all do. */
function lastNotBehind(count: number, compare: (at: number) => number): number {
  let low = 0
  let high = count - 1
  while (low < high) {
    const middle = (low + high + 1) >>> 1
    if (compare(middle) <= 0) low = middle
    else high = middle - 1
  }
  return low
}

const countOf = (of: { count: number } | undefined): number => (of as { count: number }).count
const leafOf = (leaves: readonly ListLeaf[], at: number): ListLeaf => leaves[at] as ListLeaf
const firstLeafOf = (group: Group | undefined): ListLeaf => (group as Group).leaves[0] as ListLeaf
