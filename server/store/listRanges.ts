/** Positions in a list as ranges of ids, which is what removals are shipped as. */
import type { IdRange } from '#server/crdt/list.ts'
import type { ListId } from '#server/crdt/listId.ts'
import type { ListView } from './views.ts'

/** What a transaction sees of a list. */
export interface ListElements extends ListView {
  idAt(index: number): ListId
}

/** The elements at [start, end), which is not empty. */
export function rangeOf(list: ListElements, start: number, end: number): IdRange {
  const from = list.idAt(start)
  return { from, to: end === start + 1 ? from : list.idAt(end - 1) }
}

/** Those at `indexes`, which ascend; neighbours share a range. */
export function rangesOf(list: ListElements, indexes: readonly number[]): IdRange[] {
  const ranges: IdRange[] = []
  for (let at = 0; at < indexes.length; ) {
    const start = indexes[at] as number
    let end = start
    while (at < indexes.length && indexes[at] === end) {
      end++
      at++
    }
    ranges.push(rangeOf(list, start, end))
  }
  return ranges
}
