/** All handlers by command name; of a subcommand `OBJECT|ENCODING`. */
import type { Handler } from './context.ts'
import { crdtHandlers } from './crdt.ts'
import { hashHandlers } from './hash.ts'
import { keyHandlers } from './key.ts'
import { listHandlers } from './list.ts'
import { serverHandlers } from './server.ts'
import { setHandlers } from './set.ts'
import { stringHandlers } from './string.ts'

export const handlers: Readonly<Record<string, Handler>> = {
  ...stringHandlers,
  ...keyHandlers,
  ...hashHandlers,
  ...setHandlers,
  ...listHandlers,
  ...serverHandlers,
  ...crdtHandlers,
}
