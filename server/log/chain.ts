/**
 * What a start reads: a snapshot and the log behind it, or the whole log. Files are left over when a process ends while
 * it writes a snapshot, or before it has removed what a new one replaces.
 *
 * The newest snapshot is taken. If it is damaged, an older one or the whole log is, if they are still there and whole; they
 * hold everything that the newest does. If they are not there the start is refused: nothing is made up.
 */
import type { Disk, Logger } from '#runtime/ports.ts'
import { isSegmentName } from './blockFormat.ts'
import { positionOf } from './fileHeader.ts'
import { isSnapshotName } from './snapshotFormat.ts'
import { type SnapshotFile, snapshotFile, verifySnapshot } from './snapshotReading.ts'
import { LogRefusal, restoreAdvice } from './windowedFile.ts'

export interface LogChain {
  /** null: the log begins at 0. */
  snapshot: SnapshotFile | null
  /** Where the log is replayed from: the position of the snapshot, or 0. */
  start: number
  /** Names of the log's files from `start` on, oldest first. */
  segments: readonly string[]
  /** The snapshot that knows the log durable furthest, damaged or not. */
  witness: SnapshotFile | null
  /** Files of the log and of snapshots that nothing needs. */
  leftOver: readonly string[]
}

/** Yields the bytes read so far. Throws `LogRefusal`. */
export function* chooseChain(
  disk: Disk,
  clusterId: number,
  logger: Logger,
): Generator<number, LogChain, void> {
  const names = disk.list()
  const segments = names.filter(isSegmentName)
  const snapshotNames = names.filter(isSnapshotName)
  const snapshots: SnapshotFile[] = []
  for (const name of snapshotNames) {
    const file = snapshotFile(disk, name)
    if (file !== null) snapshots.unshift(file)
  }
  const witness = snapshots.reduce<SnapshotFile | null>(
    (best, one) => (best === null || one.logEnd > best.logEnd ? one : best),
    null,
  )
  const hasSegmentAt = (position: number): boolean => segments.some((name) => positionOf(name) === position)
  const chainFrom = (snapshot: SnapshotFile | null): LogChain => {
    const start = snapshot?.position ?? 0
    const used = segments.filter((name) => positionOf(name) >= start)
    const leftOver = [...segments, ...snapshotNames].filter(
      (name) => name !== snapshot?.name && !used.includes(name),
    )
    return { snapshot, start, segments: used, witness, leftOver }
  }
  refuseWithoutLog(snapshots, snapshotNames, segments)
  const usable: (SnapshotFile | null)[] = snapshots.filter(({ position }) => hasSegmentAt(position))
  if (hasSegmentAt(0) || usable.length === 0) usable.push(null)
  for (const [i, snapshot] of usable.entries()) {
    // Where there is no other way damage is found, and refused, while it is loaded.
    if (snapshot === null || i === usable.length - 1) return chainFrom(snapshot)
    const problem = yield* verifySnapshot(disk, clusterId, snapshot)
    if (problem === null) return chainFrom(snapshot)
    const facts = { file: snapshot.name, offsetBytes: problem.offsetBytes, problem: problem.text }
    logger.warn(facts, 'snapshot is damaged; the files that it was to replace are still there and are read')
  }
  return chainFrom(null)
}

/** A snapshot whose log is gone, or a log whose snapshot is. */
function refuseWithoutLog(
  snapshots: readonly SnapshotFile[],
  snapshotNames: readonly string[],
  segments: readonly string[],
): void {
  const newest = snapshots[0]
  if (newest !== undefined && !segments.some((name) => positionOf(name) === newest.position)) {
    const text = `the log behind it, from position ${newest.position} on, is gone: durable operations are missing`
    throw new LogRefusal(newest.name, 0, text, restoreAdvice)
  }
  const [first] = segments
  const [unfinished] = snapshotNames
  // The log before a snapshot is durable before the snapshot is begun, so this is not the work of a power cut.
  if (newest === undefined && unfinished !== undefined && (first === undefined || positionOf(first) > 0)) {
    throw new LogRefusal(unfinished, 0, 'it has no intact end, and the log before it is gone', restoreAdvice)
  }
}
