/** A log on a faulty disk, opened as a shard opens it. */

import { RecordReader } from '#protocol/sync/record.ts'
import { originOf } from '#protocol/sync/stamp.ts'
import { Log, type LogOptions, segmentBytesMaxDefault } from '#server/log/log.ts'
import type { RecoveredLog, TakeRecord } from '#server/log/recovery.ts'
import type { TakePart } from '#server/log/snapshotFormat.ts'
import type { FaultyDisk } from '#test/faultyDisk.ts'
import { MemoryWorld } from '#test/memoryWorld.ts'
import { ListeningLogger } from './records.ts'

export interface OpenedLog {
  log: Log
  world: MemoryWorld
  logger: ListeningLogger
  fatal: Error[]
  replayed: Uint8Array[]
  recovered: RecoveredLog
}

const testOptions: LogOptions = {
  persistence: 'always',
  clusterId: 1,
  backlogBytesMax: 1 << 20,
  segmentBytesMax: segmentBytesMaxDefault,
}

export function openLog(
  disk: FaultyDisk,
  options: Partial<LogOptions> = {},
  takePart: TakePart = () => {},
): OpenedLog {
  const world = new MemoryWorld()
  const logger = new ListeningLogger()
  const fatal: Error[] = []
  const log = new Log(
    { ...testOptions, ...options },
    { disk, clock: world, timers: world, logger, fatal: (error) => fatal.push(error) },
  )
  const replayed: Uint8Array[] = []
  const reader = new RecordReader()
  const takeRecord: TakeRecord = (bytes, start, end, bytesLeft) => {
    replayed.push(bytes.slice(start, end))
    reader.read(bytes, start, end)
    const last = reader.parts[reader.partCount - 1]?.last ?? 8
    if (log.keeps(bytesLeft)) log.appendOf(bytes, start, end, originOf(last), last)
    else log.backlog.skip(end - start)
  }
  const recovery = log.recover(takeRecord, takePart)
  let step = recovery.next()
  while (step.done !== true) step = recovery.next()
  log.start()
  return { log, world, logger, fatal, replayed, recovered: step.value }
}

export function append(log: Log, record: Uint8Array): void {
  log.appendOf(record, 0, record.length, 1, 8)
}
