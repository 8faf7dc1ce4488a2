/**
 * Visits the keys of a slot in the order of the hashes of their names, over as many steps as that takes: each that is there when the walk
 * passes its place once, and no key twice, however the index changes meanwhile.
 */
import type { Ref } from './arena.ts'
import type { SlotTables } from './slotTables.ts'

/**
 * A step from `position` on, 0 at first; `visit` returns how many bytes of work it has done, and must not write. Returns where to go on, 0 at
 * the end. A bucket of the index at most; aims at names.
 */
export function walkSlot(
  tables: SlotTables,
  slot: number,
  position: number,
  bytesWanted: number,
  visit: (ref: Ref) => number,
): number {
  const found: { ref: Ref; hash: number }[] = []
  const next = tables.index.scan(slot, position, 1, (ref) => {
    tables.readName(ref)
    tables.aimAt(tables.textBytes, tables.textStart, tables.textEnd)
    const hash = tables.name.hash >>> 0
    // Buckets may have been joined since the last step.
    if (hash >= position) found.push({ ref, hash })
  })
  found.sort((a, b) => a.hash - b.hash)
  let doneBytes = 0
  let last = -1
  for (const { ref, hash } of found) {
    if (doneBytes >= bytesWanted && hash > last) return hash
    doneBytes += visit(ref)
    last = hash
  }
  return next
}
