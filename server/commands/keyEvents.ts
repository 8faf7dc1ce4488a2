/** How handlers tell what they have done to keys, where it takes more than one call of `events.note`. */

import type { CommandSpec } from '#protocol/commands/index.ts'
import { EventClass } from '#protocol/pubsub/keyspaceEvents.ts'
import type { CommandContext } from './context.ts'

/** Writes that read their keys, or sources, as readers do. Others tell by themselves what they miss. */
const readingWrites: ReadonlySet<string> = new Set([
  'BITOP',
  'GEORADIUS',
  'GEORADIUSBYMEMBER',
  'GEOSEARCHSTORE',
  'GETDEL',
  'GETEX',
  'GETSET',
  'PFMERGE',
  'SDIFFSTORE',
  'SINTERSTORE',
  'SORT',
  'SUNIONSTORE',
  'XACK',
  'XAUTOCLAIM',
  'XCLAIM',
  'XREADGROUP',
  'ZDIFFSTORE',
  'ZINTERSTORE',
  'ZRANGESTORE',
  'ZUNIONSTORE',
])
/** They look at keys without wanting them. */
const silentReads: ReadonlySet<string> = new Set(['OBJECT|REFCOUNT'])

/** Whether `keymiss` is told of each key that the command reads and doesn't find. */
export const tellsMisses = ({ isWrite, name }: CommandSpec): boolean =>
  isWrite ? readingWrites.has(name) : !silentReads.has(name)

/** DEL as what the command is about, or comes to; false: there was no such key. */
export function deleteKey({ write, events }: CommandContext, key: string): boolean {
  const wasThere = write.delete(key)
  if (wasThere) events.note(EventClass.generic, 'del', key)
  return wasThere
}

/** What has taken elements away may have left none, and so no key. */
export function tellTaken({ db, events }: CommandContext, kind: number, event: string, key: string): void {
  if (events.classes === 0) return
  events.note(kind, event, key)
  if (!db.has(key)) events.note(EventClass.generic, 'del', key)
}

/** Puts a value in place of what is there, by `write`, or with nothing to put there deletes it. */
export function store(
  context: CommandContext,
  told: { readonly kind: number; readonly event: string },
  target: string,
  isEmpty: boolean,
  write: () => void,
): void {
  if (isEmpty) {
    deleteKey(context, target)
    return
  }
  context.write.replace(target)
  write()
  context.events.note(told.kind, told.event, target)
}
