/**
 * What happens to keys, told while it happens to whoever sends it on (`server/notifications.ts`): Redis's keyspace events. A
 * command tells what it has done by Redis's name for it; that a key is new or has expired is told where keys come and go
 * (`intents.ts`), that one was looked for in vain by the keyspace, and what an operation of another cluster did by its effects
 * (`effectEvents.ts`).
 */
import { EventClass, type KeyEvent } from '#protocol/pubsub/keyspaceEvents.ts'
import type { Ref } from './arena.ts'
import type { SlotTables } from './slotTables.ts'

/** Called in the middle of a change: it may only take note. */
export type KeyEventListener = (event: KeyEvent) => void

export class KeyEvents {
  /** Bits of the classes that are told; 0: nobody hears of anything, which is all that a write needs to look at. */
  classes = 0
  /** The command that runs reads its keys: that one is not there is an event. */
  tellsMisses = false
  onEvent: KeyEventListener = () => {}

  note(kind: number, name: string, key: string): void {
    if ((this.classes & kind) !== 0) this.onEvent({ name, key, isLocal: true })
  }

  /** A key that was looked for. */
  noteMissed(key: string): void {
    if (this.tellsMisses) this.note(EventClass.missed, 'keymiss', key)
  }

  /** As `note`, of what another cluster has done. */
  noteRemote(kind: number, name: string, key: string): void {
    if ((this.classes & kind) !== 0) this.onEvent({ name, key, isLocal: false })
  }
}

type Told = readonly [kind: number, name: string]

const keyExpiry: readonly Told[] = [[EventClass.expired, 'expired']]
const lastFieldExpiry: readonly Told[] = [
  [EventClass.hash, 'hexpired'],
  [EventClass.generic, 'del'],
]

/** How it is told that a key which has expired is deleted; a hash may go with the last of its fields. */
export function expiryOf(tables: SlotTables, ref: Ref): readonly Told[] {
  return tables.nowMs > tables.expireAt(ref) ? keyExpiry : lastFieldExpiry
}
