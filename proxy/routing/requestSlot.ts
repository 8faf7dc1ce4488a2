/** The hash slot that a request belongs to. */
import type { CommandSpec } from '#protocol/commands/index.ts'
import { keyPositions } from '#protocol/commands/keys.ts'
import type { RequestScanner } from '#protocol/resp/requestScanner.ts'
import { slotOf } from '#protocol/slots/crc16.ts'

/** It names no key, or not in a way that tells where it is: whoever runs it finds the words for that. */
export const noSlot = -1
export const crossSlot = -2

/** With `sharding` all its keys must lie there; without, the first one's slot stands for all. */
export function requestSlot(spec: CommandSpec, request: RequestScanner, sharding: boolean): number {
  let slot = noSlot
  for (const position of keyPositions(spec, request.argumentCount, (i) => request.text(i))) {
    const own = slotOf(request.bytes, request.start(position), request.endOf(position))
    if (!sharding) return own
    if (slot >= 0 && slot !== own) return crossSlot
    slot = own
  }
  return slot
}
