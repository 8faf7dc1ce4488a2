/**
 * What operations of other clusters do to keys, told as events. An operation has no command any more: each of its effects is told by the
 * name of the command that has this effect alone, a RENAME as the removal and the writes that it is.
 *
 * Told is what shows here: nothing of a key that is not there before and after, `new` and `del` when it comes and goes here, and
 * `expired` when what is removed has been hidden here already because its time was over. What a command did to one key in
 * several effects of one kind, as an HSET of several fields, is told once.
 */
import { EventClass } from '#protocol/pubsub/keyspaceEvents.ts'
import type { Origin, Stamp } from '#protocol/sync/stamp.ts'
import type { StreamId } from '#protocol/sync/streamId.ts'
import type { Amount } from '#server/crdt/amount.ts'
import type { CounterReset, ElementReset } from '#server/crdt/counter.ts'
import type { EffectSink, FlushedKey } from '#server/crdt/effect.ts'
import type { Ranked } from '#server/crdt/elementHash.ts'
import type { HyperLogLog } from '#server/crdt/hyperLogLog.ts'
import { keepTtl, type RemovedCounters } from '#server/crdt/keyState.ts'
import type { IdRange } from '#server/crdt/list.ts'
import type { ListId, Side } from '#server/crdt/listId.ts'
import type { Tag } from '#server/crdt/score.ts'
import type { NewEntry } from '#server/crdt/stream.ts'
import type { StreamMarks } from '#server/crdt/streamRegister.ts'
import { expiryOf } from './keyEvents.ts'
import type { SlotTables } from './slotTables.ts'

const never = Number.POSITIVE_INFINITY

export class EffectEvents implements EffectSink {
  readonly #tables: SlotTables
  readonly #inner: EffectSink
  #toldName = ''
  #toldKey = ''

  /** Effects go on to `inner`, which applies them to the tables. */
  constructor(tables: SlotTables, inner: EffectSink) {
    this.#tables = tables
    this.#inner = inner
  }

  /** They come as texts, which have names. */
  setOnlyBytes(): boolean {
    return false
  }

  setText(stamp: Stamp, key: string, text: string, atMs: number, resets: readonly CounterReset[]): void {
    const isShown = this.#tell(key, EventClass.string, 'set', () =>
      this.#inner.setText(stamp, key, text, atMs, resets),
    )
    if (isShown && atMs !== never && atMs !== keepTtl) this.#note(EventClass.generic, 'expire', key)
  }

  patchText(
    stamp: Stamp,
    key: string,
    base: Stamp,
    keepsTtl: boolean,
    offset: number,
    bytes: Uint8Array,
    start: number,
    end: number,
  ): void {
    this.#tell(key, EventClass.string, 'setrange', () =>
      this.#inner.patchText(stamp, key, base, keepsTtl, offset, bytes, start, end),
    )
  }

  increment(stamp: Stamp, key: string, fresh: boolean, from: Stamp, sum: Amount): void {
    this.#tell(key, EventClass.string, isWhole(sum) ? 'incrby' : 'incrbyfloat', () =>
      this.#inner.increment(stamp, key, fresh, from, sum),
    )
  }

  setField(
    stamp: Stamp,
    key: string,
    fresh: boolean,
    field: string,
    text: string,
    resets: readonly CounterReset[],
  ): void {
    this.#tell(key, EventClass.hash, 'hset', () =>
      this.#inner.setField(stamp, key, fresh, field, text, resets),
    )
  }

  incrementField(
    stamp: Stamp,
    key: string,
    fresh: boolean,
    field: string,
    creates: boolean,
    from: Stamp,
    sum: Amount,
  ): void {
    this.#tell(key, EventClass.hash, isWhole(sum) ? 'hincrby' : 'hincrbyfloat', () =>
      this.#inner.incrementField(stamp, key, fresh, field, creates, from, sum),
    )
  }

  writeFieldTtl(stamp: Stamp, key: string, fields: readonly string[], atMs: number): void {
    this.#tell(key, EventClass.hash, atMs === never ? 'hpersist' : 'hexpire', () =>
      this.#inner.writeFieldTtl(stamp, key, fields, atMs),
    )
  }

  removeFields(stamp: Stamp, key: string, fields: readonly string[], resets: readonly ElementReset[]): void {
    this.#tell(key, EventClass.hash, this.#havePassed(key, fields) ? 'hexpired' : 'hdel', () =>
      this.#inner.removeFields(stamp, key, fields, resets),
    )
  }

  addMembers(stamp: Stamp, key: string, fresh: boolean, members: readonly string[]): void {
    this.#tell(key, EventClass.set, 'sadd', () => this.#inner.addMembers(stamp, key, fresh, members))
  }

  removeMembers(stamp: Stamp, key: string, members: readonly string[]): void {
    this.#tell(key, EventClass.set, 'srem', () => this.#inner.removeMembers(stamp, key, members))
  }

  setScore(
    stamp: Stamp,
    key: string,
    fresh: boolean,
    member: string,
    score: number,
    tag: Tag,
    resets: readonly CounterReset<number>[],
  ): void {
    this.#tell(key, EventClass.sortedSet, 'zadd', () =>
      this.#inner.setScore(stamp, key, fresh, member, score, tag, resets),
    )
  }

  incrementScore(
    stamp: Stamp,
    key: string,
    fresh: boolean,
    member: string,
    from: Stamp,
    sum: number,
    rest: number,
  ): void {
    this.#tell(key, EventClass.sortedSet, 'zincr', () =>
      this.#inner.incrementScore(stamp, key, fresh, member, from, sum, rest),
    )
  }

  removeScores(
    stamp: Stamp,
    key: string,
    members: readonly string[],
    resets: readonly ElementReset<number>[],
  ): void {
    this.#tell(key, EventClass.sortedSet, 'zrem', () => this.#inner.removeScores(stamp, key, members, resets))
  }

  pushElements(stamp: Stamp, key: string, fresh: boolean, side: Side, values: readonly string[]): void {
    this.#tell(key, EventClass.list, side < 0 ? 'lpush' : 'rpush', () =>
      this.#inner.pushElements(stamp, key, fresh, side, values),
    )
  }

  writeElement(stamp: Stamp, key: string, id: ListId, text: string): void {
    this.#tell(key, EventClass.list, 'lset', () => this.#inner.writeElement(stamp, key, id, text))
  }

  removeElements(stamp: Stamp, key: string, ranges: readonly IdRange[]): void {
    this.#tell(key, EventClass.list, 'lrem', () => this.#inner.removeElements(stamp, key, ranges))
  }

  addEntries(
    stamp: Stamp,
    key: string,
    fresh: boolean,
    marks: StreamMarks,
    entries: readonly NewEntry[],
  ): void {
    this.#tell(key, EventClass.stream, 'xadd', () =>
      this.#inner.addEntries(stamp, key, fresh, marks, entries),
    )
  }

  setMarks(stamp: Stamp, key: string, fresh: boolean, marks: StreamMarks): void {
    this.#tell(key, EventClass.stream, 'xsetid', () => this.#inner.setMarks(stamp, key, fresh, marks))
  }

  removeEntries(stamp: Stamp, key: string, ids: readonly StreamId[]): void {
    this.#tell(key, EventClass.stream, 'xdel', () => this.#inner.removeEntries(stamp, key, ids))
  }

  trimEntries(stamp: Stamp, key: string, upto: StreamId): void {
    this.#tell(key, EventClass.stream, 'xtrim', () => this.#inner.trimEntries(stamp, key, upto))
  }

  createGroup(stamp: Stamp, key: string, fresh: boolean, group: string, starts: readonly StreamId[]): void {
    this.#tell(key, EventClass.stream, 'xgroup-create', () =>
      this.#inner.createGroup(stamp, key, fresh, group, starts),
    )
  }

  destroyGroup(stamp: Stamp, key: string, group: string): void {
    this.#tell(key, EventClass.stream, 'xgroup-destroy', () => this.#inner.destroyGroup(stamp, key, group))
  }

  /** As in Redis, no event. */
  acknowledge(
    stamp: Stamp,
    key: string,
    group: string,
    origin: Origin,
    from: StreamId,
    upto: StreamId,
  ): void {
    this.#inner.acknowledge(stamp, key, group, origin, from, upto)
  }

  raiseRegisters(stamp: Stamp, key: string, fresh: boolean, values: readonly Ranked[], dense: boolean): void {
    this.#tell(key, EventClass.string, 'pfadd', () =>
      this.#inner.raiseRegisters(stamp, key, fresh, values, dense),
    )
  }

  joinRegisters(stamp: Stamp, key: string, fresh: boolean, registers: HyperLogLog): void {
    this.#tell(key, EventClass.string, 'pfadd', () => this.#inner.joinRegisters(stamp, key, fresh, registers))
  }

  /** That it goes is all there is to tell. */
  remove(stamp: Stamp, key: string, types: number, endsTtl: boolean, counters: RemovedCounters): void {
    this.#tell(key, 0, '', () => this.#inner.remove(stamp, key, types, endsTtl, counters))
  }

  writeTtl(stamp: Stamp, key: string, atMs: number): void {
    this.#tell(key, EventClass.generic, atMs === never ? 'persist' : 'expire', () =>
      this.#inner.writeTtl(stamp, key, atMs),
    )
  }

  /** As in Redis, no event. */
  flush(stamp: Stamp, keys: readonly FlushedKey[]): void {
    this.#inner.flush(stamp, keys)
  }

  /** Applies an effect between a look at the key before and one after; returns whether it is there then. */
  #tell(key: string, kind: number, name: string, apply: () => void): boolean {
    const tables = this.#tables
    const before = tables.findText(key)
    const wasLive = before !== 0 && tables.isLive(before)
    const hidden = wasLive && tables.hasExpired(before) ? expiryOf(tables, before) : []
    const wasShown = wasLive && hidden.length === 0
    apply()
    const after = tables.findText(key)
    const isLive = after !== 0 && tables.isLive(after)
    const isShown = isLive && !tables.hasExpired(after)
    if (!isLive || isShown) for (const [expiryKind, expiry] of hidden) this.#note(expiryKind, expiry, key)
    if (isShown && !wasShown) this.#note(EventClass.created, 'new', key)
    if (wasShown || isShown) this.#note(kind, name, key)
    if (wasShown && !isLive) this.#note(EventClass.generic, 'del', key)
    return isShown
  }

  #note(kind: number, name: string, key: string): void {
    if (name === this.#toldName && key === this.#toldKey) return
    this.#toldName = name
    this.#toldKey = key
    this.#tables.events.noteRemote(kind, name, key)
  }

  #havePassed(key: string, fields: readonly string[]): boolean {
    const tables = this.#tables
    const ref = tables.findText(key)
    const passed = ref === 0 ? undefined : tables.state(ref)?.hash?.passed(tables.nowMs)
    return passed !== undefined && fields.every((field) => passed.has(field))
  }
}

const isWhole = (sum: Amount): boolean => typeof sum === 'number' || sum.scale === 0
