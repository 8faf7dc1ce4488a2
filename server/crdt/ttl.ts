/**
 * MVMAX, the time to live of a key (`DESIGN.md`): all TTL writes that no later one has covered; the longest shows. Concurrent
 * writes keep the longer life, a later write replaces the earlier.
 *
 * SET without a TTL is itself a TTL write ("none"), and by far the commonest, so it costs nothing: the string's register
 * sibling stands for it until a TTL write covers it and sets its `ttlApart` (rule D5). Here are the explicit writes only.
 */
import type { Stamp } from '#protocol/sync/stamp.ts'
import { covers, type VersionVector } from '#protocol/sync/versionVector.ts'

export interface TtlWrite {
  readonly stamp: Stamp
  /** Milliseconds since 1970; Infinity for PERSIST. */
  readonly expireAtMs: number
}

/** Ascending by stamp; shared when empty, never changed in place. */
export type TtlWrites = readonly TtlWrite[]

export const noTtlWrites: TtlWrites = []

export const withoutCoveredTtl = (writes: TtlWrites, context: VersionVector): TtlWrites => {
  if (writes.length === 0) return writes
  const left = writes.filter((write) => !covers(context, write.stamp))
  return left.length === 0 ? noTtlWrites : left
}

export function withTtlWrite(writes: TtlWrites, added: TtlWrite): TtlWrites {
  if (writes.some((write) => write.stamp === added.stamp)) return writes
  return [...writes, added].sort((x, y) => x.stamp - y.stamp)
}

export function mergeTtl(
  a: TtlWrites,
  aContext: VersionVector,
  b: TtlWrites,
  bContext: VersionVector,
): TtlWrites {
  if (a.length === 0 && b.length === 0) return noTtlWrites
  const merged = a.filter((w) => b.some((other) => other.stamp === w.stamp) || !covers(bContext, w.stamp))
  for (const write of b) {
    if (!a.some((other) => other.stamp === write.stamp) && !covers(aContext, write.stamp)) merged.push(write)
  }
  return merged.length === 0 ? noTtlWrites : merged.sort((x, y) => x.stamp - y.stamp)
}

/** The write that shows: the longest, and the later of two equal ones. Its origin is to send the expiry. */
export function shownTtl(writes: TtlWrites): TtlWrite | undefined {
  let shown: TtlWrite | undefined
  for (const write of writes) if (shown === undefined || write.expireAtMs >= shown.expireAtMs) shown = write
  return shown
}
