/** XTRIM, and what XADD trims. */
import { EventClass } from '#protocol/pubsub/keyspaceEvents.ts'
import type { StreamId } from '#protocol/sync/streamId.ts'
import type { StreamView } from '#server/store/views.ts'
import type { CommandContext, Handler } from './context.ts'
import { parseTrimOptions, type Trimming, trimBlockEntries } from './streamArguments.ts'

/** Returns how many entries are gone. */
export function trim({ db, write, events }: CommandContext, key: string, trimming: Trimming): number {
  const stream = db.stream(key)
  const last = stream === undefined ? undefined : lastToGo(stream, trimming)
  const trimmed = last === undefined ? 0 : write.streamTrim(key, last)
  if (trimmed > 0) events.note(EventClass.stream, 'xtrim', key)
  return trimmed
}

/**
 * Redis takes away whole blocks when it may be approximate. Here blocks are counted from the oldest entry on, as they are there
 * when none of their entries has been deleted.
 */
function lastToGo(
  stream: StreamView,
  { maxLength, minId: least, isApproximate, limit }: Trimming,
): StreamId | undefined {
  const { size } = stream
  const excess = maxLength === undefined ? size : size - maxLength
  const goingMax = Math.min(excess, limit)
  if (goingMax <= 0 || (isApproximate && goingMax < Math.min(size, trimBlockEntries))) return undefined
  const eligible = least === undefined ? goingMax : Math.min(goingMax, stream.countBelow(least))
  const gone = isApproximate && eligible < size ? eligible - (eligible % trimBlockEntries) : eligible
  return stream.idAt(gone - 1)
}

export const XTRIM: Handler = (context) => {
  const { args, db, reply } = context
  const { trimming } = parseTrimOptions(args, false)
  const key = args.text(1)
  db.requireWritable(key, 'stream')
  reply.integer(trimming === undefined ? 0 : trim(context, key, trimming))
}
