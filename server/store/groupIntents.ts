/**
 * What commands change of consumer groups in this cluster alone. It is applied at once and logged, each group's changes of a
 * transaction as a record of their own (`groupRecord.ts`), but has no stamps and is sent to nobody.
 */
import { beginRecord, endRecord, RecordKind } from '#protocol/sync/record.ts'
import { ByteWriter } from '#runtime/bytes/byteWriter.ts'
import { invariant } from '#runtime/invariant.ts'
import { type GroupChangeSink, GroupChangeWriter } from '#server/crdt/groupChange.ts'
import type { StreamGroup } from '#server/crdt/streamGroup.ts'
import { startPosition } from './groupPosition.ts'
import { localOf, settleGroups } from './groupRecord.ts'
import { StreamIntents } from './streamIntents.ts'

/** Length and kind of a record, slot, lengths of names, and a stamp. */
const draftHeaderBytesMax = 64

class GroupDraft {
  readonly bytes: ByteWriter = new ByteWriter()
  readonly changes: GroupChangeWriter = new GroupChangeWriter(this.bytes)
  readonly slot: number
  readonly name: string
  readonly group: StreamGroup

  constructor(slot: number, name: string, group: StreamGroup) {
    this.slot = slot
    this.name = name
    this.group = group
  }

  get recordBytesMax(): number {
    return draftHeaderBytesMax + this.name.length + this.group.name.length + this.bytes.length
  }

  finish(writer: ByteWriter): void {
    const start = beginRecord(writer, RecordKind.group)
    writer.u16(this.slot)
    writer.text(this.name)
    writer.text(this.group.name)
    writer.f64(this.group.created[0] as number)
    writer.raw(this.bytes.bytes, 0, this.bytes.length)
    endRecord(writer, start)
  }
}

export class GroupDrafts {
  readonly #drafts = new Map<StreamGroup, GroupDraft>()

  get count(): number {
    return this.#drafts.size
  }

  get recordBytesMax(): number {
    let bytesMax = 0
    for (const draft of this.#drafts.values()) bytesMax += draft.recordBytesMax
    return bytesMax
  }

  clear(): void {
    if (this.#drafts.size > 0) this.#drafts.clear()
  }

  of(slot: number, name: string, group: StreamGroup): GroupDraft {
    let draft = this.#drafts.get(group)
    if (draft === undefined) {
      draft = new GroupDraft(slot, name, group)
      this.#drafts.set(group, draft)
    }
    return draft
  }

  finish(writer: ByteWriter): void {
    for (const draft of this.#drafts.values()) draft.finish(writer)
    this.clear()
  }
}

export abstract class GroupIntents extends StreamIntents {
  protected readonly groupDrafts: GroupDrafts = new GroupDrafts()

  /** Changes what the group is in this cluster; it is there. */
  changeGroup(name: string, groupName: string, change: (sink: GroupChangeSink) => void): void {
    const { tables } = this.keyspace
    const state = this.onHeap(name)
    const group = state?.stream?.group(groupName)
    if (state === undefined || group === undefined) {
      invariant(false, 'a group that is changed is there', { groupName })
      return
    }
    const { changes } = this.groupDrafts.of(tables.slotOf(name), name, group)
    // What it begins with is told: where the group starts may change later.
    if (group.local === undefined) changes.setPosition(startPosition(group))
    change(changes)
    change(localOf(group))
    settleGroups(tables, name, state)
  }

  /** A consumer that there is gives a sign of life. That alone isn't logged: it is known as long as the shard runs. */
  seeConsumer(name: string, groupName: string, consumerName: string, nowMs: number): void {
    const consumer = this.onHeap(name)?.stream?.group(groupName)?.local?.consumerNamed(consumerName)
    if (consumer !== undefined) consumer.seenMs = nowMs
  }
}
