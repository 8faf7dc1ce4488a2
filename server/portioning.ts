/**
 * Into how many portions a slot is dealt that is compared before its state is sent. A digest costs 16 bytes for each portion, and a portion
 * that differs in one key is sent whole: with 16 keys in each, a slot that is equal costs a byte a key, and a key that differs
 * 16 keys.
 */
import { type Portioning, portionBitsMax, portionKeyBytes } from '#protocol/sync/digestMessage.ts'
import type { Random } from '#runtime/ports.ts'

const keysPerPortionUsual = 16

export function portioningOf(keys: number, random: Random, keysPerPortion = keysPerPortionUsual): Portioning {
  const bits = Math.max(0, Math.min(portionBitsMax, Math.ceil(Math.log2(keys / keysPerPortion))))
  // Another one each time: whoever writes keys can't know it.
  const key = Uint8Array.from({ length: portionKeyBytes }, () => random.below(256))
  return { bits, key }
}
