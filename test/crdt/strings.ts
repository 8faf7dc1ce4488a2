/** Writes of strings, as the random tests give them, and what a replica needs that can't apply one. */
import { bytesOf } from '#runtime/bytes/bytes.ts'
import type { Keyspace } from '#server/store/keyspace.ts'
import type { Transaction } from '#server/store/transaction.ts'
import type { SeededRandom } from '#test/seed.ts'
import type { Replica } from './replica.ts'

/** SETRANGE of a string, or of nothing; without `offset` APPEND. */
export interface PatchIntent {
  command: 'patch'
  key: string
  offset: number | undefined
  text: string
}

/** A number stays such as the history can count with: no longer, and with the same fraction. */
export function randomPatch(random: SeededRandom, key: string, text: string): PatchIntent {
  if (random.chance(0.4)) return { command: 'patch', key, offset: undefined, text: `_${text}` }
  if (random.chance(0.5)) return { command: 'patch', key, offset: 0, text: String(1 + random.below(9)) }
  return { command: 'patch', key, offset: random.below(6), text: `<${text}>` }
}

/** With zeros where there was nothing. */
export function patched(text: string, { offset = text.length, text: patch }: PatchIntent): string {
  const characters = [...text]
  while (characters.length < offset) characters.push('\0')
  characters.splice(offset, patch.length, ...patch)
  return characters.join('')
}

export type StringIntent =
  | PatchIntent
  | { command: 'set'; key: string; text: string }
  | { command: 'setKeepTtl'; key: string; text: string }
  | { command: 'setExpiring'; key: string; text: string; expireAtMs: number }

export function runOnString(db: Keyspace, write: Transaction, intent: StringIntent): undefined {
  const { command, key, text } = intent
  if (command === 'set') write.setString(key, text, { kind: 'clear' })
  else if (command === 'setKeepTtl') write.setString(key, text, { kind: 'keep' })
  else if (command === 'setExpiring') write.setString(key, text, { kind: 'at', atMs: intent.expireAtMs })
  else write.patchString(key, intent.offset ?? db.stringBytes(key)?.length ?? 0, bytesOf(text))
  return undefined
}

/** What the gate asks for: states of slots, from one of `sources` that has applied what lacks something here. */
export function giveLacking(sources: readonly Replica[], to: Replica): void {
  for (const { shipment, slots } of to.lacking()) {
    const from = sources.find((other) => other.isKnown(shipment))
    if (from !== undefined) for (const slot of slots) to.merge(from.cut(slot), from.log)
  }
}
