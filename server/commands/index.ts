/** All handlers by command name; of a subcommand `OBJECT|ENCODING`. */
import { bitmapHandlers } from './bitmap.ts'
import type { Handler } from './context.ts'
import { crdtHandlers } from './crdt.ts'
import { geoHandlers } from './geo.ts'
import { hashHandlers } from './hash.ts'
import { hyperLogLogHandlers } from './hyperLogLog.ts'
import { keyHandlers } from './key.ts'
import { listHandlers } from './list.ts'
import { pubsubHandlers } from './pubsub.ts'
import { scriptHandlers } from './script.ts'
import { serverHandlers } from './server.ts'
import { setHandlers } from './set.ts'
import { sortedSetHandlers } from './sortedSet.ts'
import { streamHandlers } from './stream.ts'
import { stringHandlers } from './string.ts'

export const handlers: Readonly<Record<string, Handler>> = {
  ...stringHandlers,
  ...bitmapHandlers,
  ...keyHandlers,
  ...hashHandlers,
  ...setHandlers,
  ...sortedSetHandlers,
  ...geoHandlers,
  ...listHandlers,
  ...streamHandlers,
  ...hyperLogLogHandlers,
  ...pubsubHandlers,
  ...scriptHandlers,
  ...serverHandlers,
  ...crdtHandlers,
}
