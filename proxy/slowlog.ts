/** The slow requests of this worker's clients, the latest first: shards tell of those that they have run. */
import type { SlowlogEntry, SlowRequest } from '#protocol/frames/slowlog.ts'
import type { Asker } from '#proxy/linkTargets.ts'
import { EntryLog } from './entryLog.ts'

export class Slowlog extends EntryLog<SlowlogEntry> {
  add(
    { wallMs, durationUs, arguments: texts }: SlowRequest,
    { remoteAddress, name }: Pick<Asker, 'remoteAddress' | 'name'>,
  ): void {
    this.addFirst({
      id: this.takeId(),
      wallMs,
      durationUs,
      arguments: texts,
      client: remoteAddress,
      clientName: name,
    })
  }
}

/** Of several workers, the latest first; what one worker has of one millisecond stays in its order. */
export const joinedSlowlogs = (logs: readonly (readonly SlowlogEntry[])[]): SlowlogEntry[] =>
  logs.flat().sort((a, b) => b.wallMs - a.wallMs)
