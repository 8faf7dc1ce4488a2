/**
 * Removes log and snapshots of a database that keeps nothing any more. Halfway through, what is left looks like a damaged log;
 * so a mark is set before, and what it finds the next start removes first.
 */
import { bytesOf } from '#runtime/bytes/bytes.ts'
import type { Disk } from '#runtime/ports.ts'
import { isSegmentName } from './blockFormat.ts'
import { isSnapshotName } from './snapshotFormat.ts'

const discardMark = 'log.discarded'

/** Throws a `DiskError`. */
export function discardLog(disk: Disk): void {
  if (!disk.list().some((name) => isSegmentName(name) || isSnapshotName(name))) return
  disk.replace(discardMark, bytesOf('Persistence is none: the log is out of date.\n'))
  removeDiscarded(disk)
}

/** What the process before began to remove. Throws a `DiskError`. */
export function removeDiscarded(disk: Disk): void {
  const names = disk.list()
  if (!names.includes(discardMark)) return
  for (const name of names) if (isSegmentName(name) || isSnapshotName(name)) disk.remove(name)
  disk.remove(discardMark)
}
