/**
 * What patches of texts need: the writes that they patch, their bases. Causal delivery sees to it that a base has been applied before,
 * not that it is still there: a write or delete that the patch's origin had not seen may have covered it. Then the patch can't be
 * applied, and its result comes as state instead (`server/sync/gate.ts`).
 */
import type { Stamp } from '#protocol/sync/stamp.ts'
import { latin1 } from '#runtime/bytes/bytes.ts'
import type { EffectSink } from './effect.ts'
import { noSink, readEffects } from './effectReading.ts'

/** Whether a key has a write with this stamp. */
export type HasWrite = (key: string, stamp: Stamp) => boolean

/**
 * Whether one of the patches among the effects [start, end) finds no base: neither there, nor made by an effect before it. The effects
 * have been checked.
 */
export function lacksBase(
  bytes: Uint8Array,
  start: number,
  end: number,
  first: Stamp,
  last: Stamp,
  isThere: HasWrite,
): boolean {
  const made = new Map<string, Stamp>()
  let lacks = false
  const sink: EffectSink = {
    ...noSink,
    setOnlyBytes(stamp, keyBytes, keyStart, keyEnd) {
      made.set(latin1(keyBytes, keyStart, keyEnd), stamp)
      return true
    },
    setText: (stamp, key) => {
      made.set(key, stamp)
    },
    patchText: (stamp, key, base) => {
      if (made.get(key) !== base && !isThere(key, base)) lacks = true
      made.set(key, stamp)
    },
  }
  readEffects(bytes, start, end, first, last, sink)
  return lacks
}
