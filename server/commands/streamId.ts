/**
 * The id of a new entry. It is above all that have been seen. Where clusters must not give the same id, each has sequence
 * numbers of its own: those whose rest by 16 is the number of the cluster.
 */
import type { StreamIdMode } from '#protocol/frames/streams.ts'
import { errors, ReplyError } from '#protocol/resp/errors.ts'
import {
  idNumberMax,
  maxId,
  nextId,
  type StreamId,
  wideId,
  wideMsOf,
  wideSeqOf,
} from '#protocol/sync/streamId.ts'
import type { WrittenId } from './streamArguments.ts'

const clusterSpacing = 16n

export interface IdSource {
  mode: StreamIdMode
  clusterId: number
  nowMs: number
}

/** `wanted` is undefined for `*`, `lastId` the greatest of the stream. Throws `ReplyError`. */
export function newEntryId(
  { mode, clusterId, nowMs }: IdSource,
  wanted: WrittenId | undefined,
  lastId: StreamId,
): StreamId {
  if (wanted?.seq !== undefined && mode === 'strict') throw new ReplyError(errors.streamIdStrict)
  if (lastId === maxId) throw new ReplyError(errors.streamExhausted)
  const id =
    mode === 'liberal' || wanted?.seq !== undefined
      ? plainId(nowMs, wanted, lastId)
      : ownId(clusterId, nowMs, wanted, lastId)
  if (id === undefined || id <= lastId) throw new ReplyError(errors.streamIdNotGreater)
  return id
}

/** As Redis has it. */
function plainId(nowMs: number, wanted: WrittenId | undefined, lastId: StreamId): StreamId | undefined {
  const lastMs = wideMsOf(lastId)
  if (wanted === undefined) return BigInt(nowMs) > lastMs ? wideId(BigInt(nowMs), 0n) : nextId(lastId)
  const { ms, seq, isAuto } = wanted
  if (!isAuto || ms !== lastMs) return wideId(ms, seq ?? 0n)
  return wideSeqOf(lastId) === idNumberMax ? undefined : nextId(lastId)
}

/** Of those that are this cluster's the first that will do. */
function ownId(
  clusterId: number,
  nowMs: number,
  wanted: WrittenId | undefined,
  lastId: StreamId,
): StreamId | undefined {
  const own = BigInt(clusterId)
  const lastMs = wideMsOf(lastId)
  const ms = wanted?.ms ?? (BigInt(nowMs) > lastMs ? BigInt(nowMs) : lastMs)
  if (ms !== lastMs) return wideId(ms, own)
  const above = wideSeqOf(lastId) + 1n
  const seq = above + ((((own - above) % clusterSpacing) + clusterSpacing) % clusterSpacing)
  if (seq <= idNumberMax) return wideId(ms, seq)
  return wanted === undefined && ms < idNumberMax ? wideId(ms + 1n, own) : undefined
}
