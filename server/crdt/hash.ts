/**
 * A hash: field -> STRNUM, add and update win. HDEL removes what its origin saw of the field, resets included, so a
 * concurrent HSET or HINCRBY survives. A field whose increments are all reset stays, unseen, while its baselines must
 * (`residueFields`); it counts in neither `size` nor any reply.
 */

import type { Stamp } from '#protocol/sync/stamp.ts'
import type { VersionVector } from '#protocol/sync/versionVector.ts'
import { type ByteReader, FormatError } from '#runtime/bytes/byteReader.ts'
import type { ByteWriter } from '#runtime/bytes/byteWriter.ts'
import type { Random } from '#runtime/ports.ts'
import type { Amount } from './amount.ts'
import type { CounterEntry, CounterReset } from './counter.ts'
import { noResets } from './counter.ts'
import { Dictionary } from './dictionary.ts'
import { Sibling } from './register.ts'
import { Stamped } from './stamped.ts'
import { readStamped, readStrnum, writeStamped, writeStrnum } from './stateCodec.ts'
import { noStrnum, Strnum } from './strnum.ts'

/** The counters of one field as the effect that removes them saw them. */
export interface FieldReset {
  readonly field: string
  readonly resets: readonly CounterReset[]
}

/** Draws of a random field before the first live one is taken. */
const drawsMax = 64

type Field = Stamped<Strnum>

/** Heap of an empty hash, of a field without its characters, and of a field's full state. */
const hashBytes = 400
const fieldBytes = 130
const strnumBytes = 300

const bytesOf = (content: string | Strnum): number =>
  typeof content === 'string' ? content.length : strnumBytes

export class HashState {
  /** Fields with a live value. */
  size = 0
  /** Fields that hold baselines of reset counters. */
  residueFields: Set<string> | undefined = undefined
  /** Characters of names and values, and an estimate of what full states take. */
  #contentBytes = 0
  /** Fields that have counter entries, live or not. */
  #counterFields: Set<string> | undefined = undefined
  readonly #fields: Dictionary<Field> = new Dictionary()

  get live(): boolean {
    return this.size > 0
  }

  /** Neither value nor residue. */
  get nothing(): boolean {
    return this.#fields.size === 0
  }

  /** On the heap, as measured. */
  get usedBytes(): number {
    return hashBytes + this.#fields.size * fieldBytes + this.#contentBytes
  }

  // ---- what shows

  get(name: string): string | undefined {
    const field = this.#fields.get(name)
    if (field === undefined) return undefined
    return typeof field.content === 'string' ? field.content : field.content.shown()
  }

  has(name: string): boolean {
    const field = this.#fields.get(name)
    return field !== undefined && isLive(field)
  }

  *entries(): IterableIterator<[string, string]> {
    for (const [name, field] of this.#fields.entries()) {
      const text = typeof field.content === 'string' ? field.content : field.content.shown()
      if (text !== undefined) yield [name, text]
    }
  }

  *fields(): IterableIterator<string> {
    for (const [name, field] of this.#fields.entries()) if (isLive(field)) yield name
  }

  randomField(random: Random): string {
    for (let draw = 0; draw < drawsMax; draw++) {
      const name = this.#fields.randomKey(random)
      if (name !== undefined && this.has(name)) return name
    }
    // Nearly all are residues.
    for (const name of this.fields()) return name
    return ''
  }

  scan(position: number, count: number, visit: (field: string, value: string) => void): number {
    return this.#fields.scan(position, count, (field, name) => {
      const text = typeof field.content === 'string' ? field.content : field.content.shown()
      if (text !== undefined) visit(name, text)
    })
  }

  // ---- prepare

  greatest(): Stamp {
    let greatest = 0
    this.#fields.forEach((field) => {
      const stamp = typeof field.content === 'string' ? field.stamp : field.content.greatest()
      if (stamp > greatest) greatest = stamp
    })
    return greatest
  }

  fieldResets(name: string): readonly CounterReset[] {
    if (this.#counterFields === undefined) return noResets
    const content = this.#fields.get(name)?.content
    return content === undefined || typeof content === 'string' ? noResets : content.resets()
  }

  /** Of all fields, for an effect that removes the hash. */
  resets(): FieldReset[] {
    const all: FieldReset[] = []
    for (const name of this.#counterFields ?? []) {
      const resets = this.fieldResets(name)
      if (resets.length > 0) all.push({ field: name, resets })
    }
    return all
  }

  /** The counter entries of a field, to prepare an increment. */
  fieldState(name: string): Strnum {
    const content = this.#fields.get(name)?.content
    return content === undefined || typeof content === 'string' ? noStrnum : content
  }

  // ---- apply

  setField(
    context: VersionVector,
    stamp: Stamp,
    name: string,
    text: string,
    resets: readonly CounterReset[],
  ): void {
    const field = this.#fields.get(name)
    if (field === undefined) {
      this.load(name, text, stamp)
      return
    }
    if (typeof field.content === 'string' && field.coveredBy(context)) {
      this.#contentBytes += text.length - field.content.length
      field.content = text
      field.stamp = stamp
      return
    }
    const wasLive = isLive(field)
    const state = fullState(field)
    state.write(context, new Sibling(stamp, text, true), resets)
    this.#settle(name, field, state, wasLive)
  }

  incrementField(stamp: Stamp, name: string, from: Stamp, sum: Amount): void {
    let field = this.#fields.get(name)
    if (field === undefined) {
      field = new Stamped<Strnum>(new Strnum(), 0)
      this.#insert(name, field)
    }
    const wasLive = isLive(field)
    const state = fullState(field)
    state.increment(stamp, from, sum)
    this.#settle(name, field, state, wasLive)
  }

  removeField(context: VersionVector, stamp: Stamp, name: string, resets: readonly CounterReset[]): void {
    const field = this.#fields.get(name)
    if (field === undefined) return
    if (typeof field.content === 'string') {
      if (!field.coveredBy(context)) return
      this.#drop(name, field)
      this.size--
      return
    }
    const wasLive = field.content.live
    field.content.remove(context, resets, stamp)
    this.#settle(name, field, field.content, wasLive)
  }

  /**
   * Removes of every field what `context` covers; counters only by `resets`. `coversAll`: it covers all that is here, so that
   * a hash without counters goes in one step, however large.
   */
  removeAll(context: VersionVector, stamp: Stamp, resets: readonly FieldReset[], coversAll: boolean): void {
    if (coversAll && this.#counterFields === undefined) {
      this.#fields.clear()
      this.#contentBytes = 0
      this.size = 0
      return
    }
    this.#fields.forEach((_, name) => {
      this.removeField(context, stamp, name, noResets)
    })
    for (const reset of resets) this.removeField(context, stamp, reset.field, reset.resets)
  }

  #settle(name: string, field: Field, state: Strnum, wasLive: boolean): void {
    this.size += (state.live ? 1 : 0) - (wasLive ? 1 : 0)
    this.#note(name, state)
    if (state.nothing) this.#drop(name, field)
    else this.#setContent(field, state)
  }

  #insert(name: string, field: Field): void {
    this.#fields.set(name, field)
    this.#contentBytes += name.length + bytesOf(field.content)
  }

  #drop(name: string, field: Field): void {
    this.#fields.delete(name)
    this.#contentBytes -= name.length + bytesOf(field.content)
  }

  #setContent(field: Field, state: Strnum): void {
    this.#contentBytes -= bytesOf(field.content)
    const only = state.siblings[0]
    if (state.siblings.length === 1 && state.entries.length === 0 && only !== undefined) {
      field.content = only.text
      field.stamp = only.stamp
    } else field.content = state
    this.#contentBytes += bytesOf(field.content)
  }

  /** Shows the fields, each being one write in no conflict. False: one is not; some may have been shown then. */
  eachSimple(visit: (name: string, text: string, stamp: Stamp) => void): boolean {
    for (const [name, field] of this.#fields.entries()) {
      if (typeof field.content !== 'string') return false
      visit(name, field.content, field.stamp)
    }
    return true
  }

  /** Puts a field that isn't there yet, as one write. */
  load(name: string, text: string, stamp: Stamp): void {
    this.#insert(name, new Stamped<Strnum>(text, stamp))
    this.size++
  }

  // ---- merge, residues

  merge(own: VersionVector, other: HashState, label: VersionVector): void {
    this.#fields.forEach((field, name) => {
      this.#mergeField(own, name, field, other.#fields.get(name), label)
    })
    for (const [name, theirs] of other.#fields.entries()) {
      if (!this.#fields.has(name)) this.#adopt(own, name, theirs, label)
    }
  }

  #mergeField(
    own: VersionVector,
    name: string,
    field: Field,
    theirs: Field | undefined,
    label: VersionVector,
  ): void {
    if (typeof field.content === 'string') {
      if (theirs === undefined) {
        if (!field.coveredBy(label)) return
        this.#drop(name, field)
        this.size--
        return
      }
      if (typeof theirs.content === 'string' && theirs.stamp === field.stamp) return
    }
    const wasLive = isLive(field)
    const state = fullState(field)
    state.merge(own, theirs === undefined ? noStrnum : fullState(theirs), label)
    this.#settle(name, field, state, wasLive)
  }

  #adopt(own: VersionVector, name: string, theirs: Field, label: VersionVector): void {
    const state = new Strnum()
    state.merge(own, fullState(theirs), label)
    if (state.nothing) return
    const field = new Stamped<Strnum>(state, 0)
    this.#insert(name, field)
    this.#settle(name, field, state, false)
  }

  /** Forgets the reset entries that `mayForget` names. Returns whether some are left. */
  forget(mayForget: (entry: CounterEntry) => boolean): boolean {
    for (const name of this.residueFields ?? []) {
      const field = this.#fields.get(name)
      if (field === undefined || typeof field.content === 'string') continue
      const state = field.content
      state.forget(mayForget)
      if (state.nothing) this.#drop(name, field)
      else this.#setContent(field, state)
      this.#note(name, state)
    }
    return this.residueFields !== undefined
  }

  /** To be called when a field's full state has changed. */
  #note(name: string, state: Strnum): void {
    this.#counterFields = withName(this.#counterFields, name, state.entries.length > 0)
    this.residueFields = withName(this.residueFields, name, state.hasResidue)
  }

  // ---- codec

  encode(writer: ByteWriter): void {
    writer.varint(this.#fields.size)
    this.#fields.forEach((field, name) => {
      writer.text(name)
      writeStamped(writer, field, writeStrnum)
    })
  }

  static decode(reader: ByteReader): HashState {
    const hash = new HashState()
    for (let count = reader.varint(); count > 0; count--) {
      const name = reader.text()
      const field = readStamped(reader, readStrnum)
      if (hash.#fields.has(name)) throw new FormatError('a field twice')
      hash.#insert(name, field)
      hash.#settle(name, field, fullState(field), false)
    }
    return hash
  }

  /** One digest a field, in no order. Without residues. */
  digest(take: (name: string, state: Strnum) => void): void {
    this.#fields.forEach((field, name) => {
      if (isLive(field)) take(name, fullState(field))
    })
  }
}

/** Few hashes have any, so the set is made late and dropped when empty. */
function withName(names: Set<string> | undefined, name: string, present: boolean): Set<string> | undefined {
  if (present) return (names ?? new Set()).add(name)
  if (names === undefined || !names.delete(name) || names.size > 0) return names
  return undefined
}

const isLive = (field: Field): boolean => typeof field.content === 'string' || field.content.live

/** The field's state; a text is spelled out. */
function fullState(field: Field): Strnum {
  if (typeof field.content !== 'string') return field.content
  const state = new Strnum()
  state.siblings = [new Sibling(field.stamp, field.content, true)]
  return state
}
