/**
 * What handlers see of a key. Views are live and read-only: they show the state at the time of each call, and nothing may
 * be kept of them past the command (iterating while the same transaction writes the same key is not defined: take a copy).
 */
import type { Origin, Stamp } from '#protocol/sync/stamp.ts'
import type { StreamId } from '#protocol/sync/streamId.ts'
import type { Random } from '#runtime/ports.ts'
import type { LocalGroup } from '#server/crdt/localGroup.ts'
import type { StreamEntry } from '#server/crdt/streamBlock.ts'

export type VisibleType = 'none' | 'string' | 'hash' | 'set' | 'zset' | 'list' | 'stream'

export interface HashView {
  /** Fields that have a value; never 0 in a view that a keyspace gives. */
  readonly size: number
  get(field: string): string | undefined
  has(field: string): boolean
  /** Of a field that is there; Infinity: it doesn't expire. */
  expireAtMs(field: string): number
  /** In order of first insertion as long as the hash is small, without counters and conflicts. */
  entries(): Iterable<[string, string]>
  fields(): Iterable<string>
  /** Uniform up to the noise of hashing. */
  randomField(random: Random): string
  /**
   * Visits about `count` fields from `position` on (0 at the start) and returns where to go on, 0 at the end. A field that
   * is there during the whole scan is visited at least once, whatever is written meanwhile.
   */
  scan(position: number, count: number, visit: (field: string, value: string) => void): number
}

export interface SetView {
  readonly size: number
  has(member: string): boolean
  members(): Iterable<string>
  randomMember(random: Random): string
  /** As `HashView.scan`. */
  scan(position: number, count: number, visit: (member: string) => void): number
}

/** Members in their order: ascending by score, equal scores by the bytes of the name. Positions count from 0. */
export interface SortedSetView {
  readonly size: number
  has(member: string): boolean
  score(member: string): number | undefined
  /** Its position. */
  rank(member: string): number | undefined
  /** Those at the positions [start, end), ascending. */
  range(start: number, end: number): Iterable<readonly [member: string, score: number]>
  /** The same from the highest position down: the member at `end - 1` first. */
  rangeReversed(start: number, end: number): Iterable<readonly [member: string, score: number]>
  /** How many members lie before the bound: their score is below it, or at most `score` with `inclusive`. */
  countBelow(score: number, inclusive: boolean): number
  /** The same by name, of members whose scores are all equal. */
  countBelowMember(member: string, inclusive: boolean): number
  randomMember(random: Random): string
  /** As `HashView.scan`. */
  scan(position: number, count: number, visit: (member: string, score: number) => void): number
}

export interface ListView {
  readonly size: number
  /** 0 <= index < size; undefined elsewhere. */
  at(index: number): string | undefined
  /** Values at [start, end), from the first to the last. */
  range(start: number, end: number): Iterable<string>
  /** The same from the last to the first. */
  rangeReversed(start: number, end: number): Iterable<string>
}

/** May be empty: a stream whose entries are all gone, or one that a group has made. */
export interface StreamView {
  /** Entries. */
  readonly size: number
  /** The greatest id ever given, by any cluster that is known here; 0-0: none. */
  readonly lastId: StreamId
  readonly entriesAdded: number
  readonly maxDeletedId: StreamId
  /** Entries with ids in [from, to], ascending; of equal ids the earlier first. */
  range(from: StreamId, to: StreamId): Iterable<StreamEntry>
  /** The same from the last to the first. */
  rangeReversed(from: StreamId, to: StreamId): Iterable<StreamEntry>
  /** How many entries have lesser ids. */
  countBelow(id: StreamId): number
  /** Of the entry at `position`, counted from 0 in the order of `range`; undefined: there is none. */
  idAt(position: number): StreamId | undefined
  /** Entries behind the id that `cursor` tells for who added them, ascending. */
  rangeBehind(cursor: (origin: Origin) => StreamId): Iterable<StreamEntry>
  /** Of the entries that one origin has added (`originOf` their stamp), as `range`. */
  rangeOf(origin: Origin, from: StreamId, to: StreamId): Iterable<StreamEntry>
  /** Origins that have entries. */
  origins(): readonly Origin[]
  /** The greatest id of one origin that is known here; 0-0: none. */
  lastIdOf(origin: Origin): StreamId
  /** By name. */
  groups(): Iterable<StreamGroupView>
  group(name: string): StreamGroupView | undefined
}

export interface StreamGroupView {
  readonly name: string
  /**
   * Stamps of the XGROUP CREATEs that made it, concurrent ones. Once there are other ones only, it is another group: what is
   * remembered of a group elsewhere is remembered with one of these.
   */
  readonly created: readonly Stamp[]
  /** Entries of `origin` up to here are not for the group. */
  start(origin: Origin): StreamId
  /** Entries of `origin` up to here have been acknowledged, in whatever cluster, or are before the start. */
  ackedUpto(origin: Origin): StreamId
  /** What the cluster `by` has told of the entries of `origin`: all in (from, upto] are acknowledged. */
  toldOf(origin: Origin, by: Origin): { readonly from: StreamId; readonly upto: StreamId } | undefined
  /** What the group is in this cluster alone; undefined: nobody has used it here. To be read only: see `Transaction.changeGroup`. */
  readonly local: LocalGroup | undefined
}
