/**
 * Effects: what a command did, as data. They are what the log holds and peers apply; they can't fail and hold no condition.
 * An effect removes "what its origin had seen", which the record's context says, so no dots are listed.
 *
 *     effects := effect*
 *     effect  := delta varint | kind u8 | key text | body        (stamp = the previous effect's + delta * 8; the first's delta is 0)
 *     kind    := code | fresh 0x80 | resets 0x40
 *
 * `fresh` (rule A4): the key did not exist at the origin, so the effect begins by ending the TTL writes that its context
 * covers. `resets` (rule A1): the live counters of other origins that the effect removes follow; of an increment of a score, which removes
 * nothing: its rest. A flush has an empty key.
 *
 * One command is one stamp, which several effects may share; a transaction is several. Effects of a part in order see
 * each other: for an effect with stamp s, everything of its origin below s is covered.
 */

import type { Stamp } from '#protocol/sync/stamp.ts'
import type { Amount } from './amount.ts'
import type { CounterReset, ElementReset } from './counter.ts'
import type { HllEffectSink } from './hllEffect.ts'
import type { RemovedCounters } from './keyState.ts'
import type { ListEffectSink } from './listEffect.ts'
import type { Tag } from './score.ts'
import type { StreamEffectSink } from './streamEffect.ts'

export interface FlushedKey {
  readonly key: string
  readonly counters: RemovedCounters
  /** Bits of the types that leave a delete stamp (`deleteWinsTypes`). */
  readonly deletes: number
}

/** Who takes effects: the writer of bytes, the keyspace, a check that keeps nothing. */
export interface EffectSink extends ListEffectSink, StreamEffectSink, HllEffectSink {
  /**
   * `setText` of a text without resets whose TTL isn't kept, key and text being ranges of `bytes`. False: the sink wants it
   * by `setText`. Nearly all effects are of this form.
   */
  setOnlyBytes(
    stamp: Stamp,
    bytes: Uint8Array,
    keyStart: number,
    keyEnd: number,
    textStart: number,
    textEnd: number,
    expireAtMs: number,
  ): boolean
  /** `expireAtMs`: a time, Infinity for none, or `keepTtl`. */
  setText(stamp: Stamp, key: string, text: string, expireAtMs: number, resets: readonly CounterReset[]): void
  /**
   * `setText`, without a TTL or leaving it as it is, of the text that the write with stamp `base` left, with the bytes [start, end) in it from `offset` on
   * and zeros before them where it was shorter. Where that write is gone it can't be computed; whoever delivers the effect looks first
   * (`patchBases.ts`).
   */
  patchText(
    stamp: Stamp,
    key: string,
    base: Stamp,
    keepsTtl: boolean,
    offset: number,
    bytes: Uint8Array,
    start: number,
    end: number,
  ): void
  increment(stamp: Stamp, key: string, fresh: boolean, from: Stamp, sum: Amount): void
  setField(
    stamp: Stamp,
    key: string,
    fresh: boolean,
    field: string,
    text: string,
    resets: readonly CounterReset[],
  ): void
  /** `creates`: the field did not exist at the origin, as `fresh` says of the key. */
  incrementField(
    stamp: Stamp,
    key: string,
    fresh: boolean,
    field: string,
    creates: boolean,
    from: Stamp,
    sum: Amount,
  ): void
  writeFieldTtl(stamp: Stamp, key: string, fields: readonly string[], expireAtMs: number): void
  removeFields(stamp: Stamp, key: string, fields: readonly string[], resets: readonly ElementReset[]): void
  addMembers(stamp: Stamp, key: string, fresh: boolean, members: readonly string[]): void
  removeMembers(stamp: Stamp, key: string, members: readonly string[]): void
  setScore(
    stamp: Stamp,
    key: string,
    fresh: boolean,
    member: string,
    score: number,
    tag: Tag,
    resets: readonly CounterReset<number>[],
  ): void
  incrementScore(
    stamp: Stamp,
    key: string,
    fresh: boolean,
    member: string,
    from: Stamp,
    sum: number,
    rest: number,
  ): void
  removeScores(
    stamp: Stamp,
    key: string,
    members: readonly string[],
    resets: readonly ElementReset<number>[],
  ): void
  /** `types`: bits of the types that go, of `deleteWinsTypes` those that were live; `endsTtl`: and the TTL, as DEL does. */
  remove(stamp: Stamp, key: string, types: number, endsTtl: boolean, counters: RemovedCounters): void
  writeTtl(stamp: Stamp, key: string, expireAtMs: number): void
  /** All keys of the slot; `keys` are those with live counters, or with what leaves a delete stamp. */
  flush(stamp: Stamp, keys: readonly FlushedKey[]): void
}

/**
 * Of the kind byte; those from 20 to 23 are of lists (`listEffect.ts`), from 30 to 36 of streams (`streamEffect.ts`), from 40 to 42
 * of HyperLogLogs (`hllEffect.ts`).
 */
export const Code = {
  setText: 1,
  setTextKeepTtl: 2,
  setTextExpiring: 3,
  increment: 4,
  setField: 5,
  incrementField: 6,
  removeFields: 7,
  addMembers: 8,
  removeMembers: 9,
  remove: 10,
  writeTtl: 11,
  flush: 12,
  setScore: 13,
  setScoreGreater: 14,
  setScoreLess: 15,
  incrementScore: 16,
  removeScores: 17,
  /** `remove` and `flush` with counters of sorted sets, which came later. */
  removeCounted: 18,
  flushCounted: 19,
  /** `flushCounted` with the deletes of each key. */
  flushDeleting: 43,
  incrementNewField: 46,
  writeFieldTtl: 47,
  patchText: 48,
  patchTextKeepTtl: 49,
} as const

export const freshBit = 0x80
export const resetsBit = 0x40
/** An increment resets nothing; of a score it may have a rest. */
export const restBit = resetsBit
export const codeMask = 0x3f
