/**
 * A slot state that is joined brings values, not what was done to them: a key that is another one afterwards is told of as if its value had
 * come by RESTORE, one that is gone as deleted. Nothing is told of the keys, nearly all, that stay as they are.
 */
import { EventClass } from '#protocol/pubsub/keyspaceEvents.ts'
import { expiryOf } from './keyEvents.ts'
import { keyDigest } from './slotDigest.ts'
import type { SlotTables } from './slotTables.ts'

/** To compare a larger key would take as long as joining it, at once: it counts as changed. */
const comparedBytesMax = 64 * 1024

/** Looks at a key before it is joined; null: nobody wants to know. */
export function watchJoin(tables: SlotTables, name: string): JoinWatch | null {
  return tables.events.classes === 0 ? null : new JoinWatch(tables, name)
}

class JoinWatch {
  readonly #tables: SlotTables
  readonly #name: string
  readonly #wasShown: boolean
  /** How it is told that what was hidden has gone. */
  readonly #expiry: ReturnType<typeof expiryOf>
  readonly #digest: string | undefined

  constructor(tables: SlotTables, name: string) {
    this.#tables = tables
    this.#name = name
    const ref = tables.findText(name)
    const isLive = ref !== 0 && tables.isLive(ref)
    this.#expiry = isLive && tables.hasExpired(ref) ? expiryOf(tables, ref) : []
    this.#wasShown = isLive && this.#expiry.length === 0
    this.#digest = this.#digestNow()
  }

  /** To be called when it has been joined. */
  tell(): void {
    const { events } = this.#tables
    const ref = this.#tables.findText(this.#name)
    const isLive = ref !== 0 && this.#tables.isLive(ref)
    const isShown = isLive && !this.#tables.hasExpired(ref)
    if (!isLive) for (const [kind, event] of this.#expiry) events.noteRemote(kind, event, this.#name)
    if (isShown && !this.#wasShown) events.noteRemote(EventClass.created, 'new', this.#name)
    if (isShown && (!this.#wasShown || !this.#isSame()))
      events.noteRemote(EventClass.generic, 'restore', this.#name)
    if (this.#wasShown && !isLive) events.noteRemote(EventClass.generic, 'del', this.#name)
  }

  #isSame(): boolean {
    return this.#digest !== undefined && this.#digest === this.#digestNow()
  }

  #digestNow(): string | undefined {
    const tables = this.#tables
    const ref = tables.findText(this.#name)
    return ref === 0 || tables.bytesOf(ref) > comparedBytesMax ? undefined : keyDigest(tables, ref)
  }
}
