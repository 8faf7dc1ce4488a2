/**
 * What handlers see of a key. Views are live and read-only: they show the state at the time of each call, and nothing may
 * be kept of them past the command (iterating while the same transaction writes the same key is not defined: take a copy).
 */
import type { Random } from '#runtime/ports.ts'

export type VisibleType = 'none' | 'string' | 'hash' | 'set' | 'zset' | 'list'

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
