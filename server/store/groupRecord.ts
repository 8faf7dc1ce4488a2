/**
 * What consumer groups are in this cluster, as the log and snapshots of this shard keep it (ADR 14); peers never see it.
 *
 *     changes of a record := key text | group text | created f64 | change*       `server/crdt/groupChange.ts`
 *     of a snapshot       := count varint | (group text | created f64 | size varint | change*)*
 *
 * `created` names the group: the stamp of an XGROUP CREATE that made it. A record may be replayed on a state that is later than
 * it; when the group that it speaks of is gone there, or another one is in its place, it says nothing any more.
 */
import { readStamp } from '#protocol/sync/record.ts'
import { ByteReader, FormatError } from '#runtime/bytes/byteReader.ts'
import { ByteWriter } from '#runtime/bytes/byteWriter.ts'
import { GroupChangeWriter, readGroupChanges } from '#server/crdt/groupChange.ts'
import type { KeyState } from '#server/crdt/keyState.ts'
import { LocalGroup } from '#server/crdt/localGroup.ts'
import type { StreamGroup } from '#server/crdt/streamGroup.ts'
import { startPosition } from './groupPosition.ts'
import type { SlotTables } from './slotTables.ts'

/** The group as it is here, which there is from now on. */
export function localOf(group: StreamGroup): LocalGroup {
  group.local ??= new LocalGroup(startPosition(group))
  return group.local
}

/** The state of a key whose groups have changed here: nobody else hears of it, but its memory is counted. */
export function settleGroups(tables: SlotTables, name: string, state: KeyState): void {
  tables.aim(name)
  tables.tidy(state)
}

/** Throws `FormatError`; half of the changes may have been made then. */
export function applyGroupRecord(tables: SlotTables, slot: number, reader: ByteReader): void {
  const name = reader.text()
  const groupName = reader.text()
  const created = readStamp(reader)
  if (tables.slotOf(name) !== slot) throw new FormatError(`a key of another slot than ${slot}`)
  const state = stateOf(tables, name)
  const group = state?.stream?.group(groupName)
  if (state === undefined || group === undefined || !group.created.includes(created)) return
  readGroupChanges(reader, localOf(group))
  settleGroups(tables, name, state)
}

function stateOf(tables: SlotTables, name: string): KeyState | undefined {
  const ref = tables.findText(name)
  return ref === 0 ? undefined : tables.state(ref)
}

/** Groups that have been used here. */
export function usedGroups(state: KeyState | undefined): StreamGroup[] {
  return [...(state?.stream?.groups() ?? [])].filter(({ local }) => local !== undefined)
}

export function writeGroups(writer: ByteWriter, groups: readonly StreamGroup[]): void {
  writer.varint(groups.length)
  for (const group of groups) {
    writer.text(group.name)
    writer.f64(group.created[0] as number)
    const changes = new ByteWriter()
    group.local?.tell(new GroupChangeWriter(changes))
    writer.varint(changes.length)
    writer.raw(changes.bytes, 0, changes.length)
  }
}

/** Of the key that is aimed at, as `writeGroups` wrote it beside its state. */
export function loadGroups(tables: SlotTables, reader: ByteReader): void {
  const ref = tables.find()
  const state = ref === 0 ? undefined : tables.state(ref)
  for (let count = reader.varint(); count > 0; count--) {
    const group = state?.stream?.group(reader.text())
    const created = readStamp(reader)
    if (!group?.created.includes(created)) throw new FormatError('what was read of a group that is not there')
    const changes = reader.skipText()
    readGroupChanges(new ByteReader(reader.bytes, changes, reader.at), localOf(group))
  }
  if (state !== undefined) tables.tidy(state)
}
