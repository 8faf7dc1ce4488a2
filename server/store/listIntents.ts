/**
 * What commands write to lists, as part of a transaction: positions become ids, on the list as it shows here. Handlers have
 * looked at the list and its type.
 */
import { errors, ReplyError } from '#protocol/resp/errors.ts'
import { invariant } from '#runtime/invariant.ts'
import { TypeBit } from '#server/crdt/keyState.ts'
import type { IdRange } from '#server/crdt/list.ts'
import {
  depthBetween,
  type InsertRun,
  idBetween,
  type ListId,
  listDepthMax,
  listKeyOf,
  type Side,
} from '#server/crdt/listId.ts'
import { HllIntents } from './hllIntents.ts'
import { InsertRuns } from './insertRuns.ts'
import { type ListElements, rangeOf, rangesOf } from './listRanges.ts'

export abstract class ListIntents extends HllIntents {
  readonly #runs: InsertRuns = new InsertRuns()

  /** Rules B5, B6. */
  protected idBetween(left: ListId, right: ListId, key: number, run: InsertRun | undefined): ListId {
    return idBetween(left, right, key, run)
  }

  /** Returns the new length. */
  listPush(name: string, side: 'left' | 'right', values: readonly string[]): number {
    if (values.length > 0) this.#push(name, side === 'left' ? -1 : 1, values)
    return this.#visibleList(name)?.size ?? 0
  }

  /** In the order of popping. */
  listPop(name: string, side: 'left' | 'right', count: number): string[] {
    const list = this.#visibleList(name)
    if (list === undefined || count <= 0) return []
    const { size } = list
    const start = side === 'left' ? 0 : Math.max(0, size - count)
    const end = side === 'left' ? Math.min(size, count) : size
    const values = [...(side === 'left' ? list.range(start, end) : list.rangeReversed(start, end))]
    this.#remove(name, [rangeOf(list, start, end)])
    return values
  }

  /** `index` is in the list. */
  listSet(name: string, index: number, value: string): void {
    const id = this.#visibleList(name)?.idAt(index)
    if (id === undefined) invariant(false, 'LSET is of a list', { index })
    this.open(name, TypeBit.list)
    this.write((sink, stamp) => sink.writeElement(stamp, name, id, value))
  }

  /** So that the value is at `index`. Returns the new length. Throws `ReplyError` when nothing is left between the neighbours. */
  listInsert(name: string, index: number, value: string): number {
    const list = this.#visibleList(name)
    const size = list?.size ?? 0
    if (list === undefined || index === size) this.#push(name, 1, [value])
    else if (index === 0) this.#push(name, -1, [value])
    else this.#insertBetween(name, list.idAt(index - 1), list.idAt(index), value)
    const id = this.#listOf(name)?.idAt(index)
    if (id !== undefined) this.#runs.note(name, id)
    return size + 1
  }

  /** Removes the elements at `indexes`, which ascend. */
  listRemove(name: string, indexes: readonly number[]): void {
    const list = this.#visibleList(name)
    if (list !== undefined && indexes.length > 0) this.#remove(name, rangesOf(list, indexes))
  }

  /** Keeps what is at [start, end). */
  listTrim(name: string, start: number, end: number): void {
    const list = this.#visibleList(name)
    if (list === undefined) return
    const { size } = list
    const ranges: IdRange[] = []
    if (start >= Math.min(end, size)) ranges.push(rangeOf(list, 0, size))
    else {
      if (start > 0) ranges.push(rangeOf(list, 0, start))
      if (end < size) ranges.push(rangeOf(list, end, size))
    }
    if (ranges.length > 0) this.#remove(name, ranges)
  }

  #push(name: string, side: Side, values: readonly string[]): void {
    const fresh = this.open(name, TypeBit.list)
    this.write((sink, stamp) => sink.pushElements(stamp, name, fresh, side, values))
  }

  #insertBetween(name: string, left: ListId, right: ListId, value: string): void {
    const run = this.#runs.of(name)
    // Before there is a stamp: nothing may be written of what is refused.
    if (depthBetween(left, right, run) > listDepthMax) throw new ReplyError(errors.listTooDeep)
    this.open(name, TypeBit.list)
    let id: ListId | undefined
    this.write((sink, stamp) => {
      id ??= this.idBetween(left, right, listKeyOf(stamp), run)
      sink.writeElement(stamp, name, id, value)
    })
  }

  #remove(name: string, ranges: readonly IdRange[]): void {
    this.open(name, TypeBit.list)
    this.write((sink, stamp) => sink.removeElements(stamp, name, ranges))
  }

  #visibleList(name: string): ListElements | undefined {
    return this.keyspace.list(name) === undefined ? undefined : this.#listOf(name)
  }

  /** Whether it shows or not. */
  #listOf(name: string): ListElements | undefined {
    const { tables } = this.keyspace
    const ref = tables.findText(name)
    return ref === 0 ? undefined : tables.listElements(ref)
  }
}
