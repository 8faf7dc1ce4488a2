/**
 * Small hashes and sets as bytes of their key's entry, as long as every field or member is one write in no conflict:
 *
 *     elements := count u16 | (stamp u56 | name length varint | name | [text length varint | text])*
 *
 * They are searched from the first to the last, which up to `packedElementsMax` is about as fast as a look-up, and take a third
 * of the memory of objects. What is larger or not as simple is a state on the heap (`server/crdt`). Sorted sets: `packedScores.ts`.
 */

import { originOf, type Stamp } from '#protocol/sync/stamp.ts'
import type { VersionVector } from '#protocol/sync/versionVector.ts'
import { latin1 } from '#runtime/bytes/bytes.ts'
import type { ByteWriter } from '#runtime/bytes/byteWriter.ts'
import { readU56, readVarint, u56Bytes, varint, writeU56 } from '#runtime/bytes/packedNumbers.ts'
import type { Random } from '#runtime/ports.ts'
import { HashState } from '#server/crdt/hash.ts'
import { SetState } from '#server/crdt/set.ts'
import type { HashView, SetView } from './views.ts'

export const packedElementsMax = 64
export const packedBytesMax = 1024
/** What may be packed. */
export interface PackLimits {
  elementsMax: number
  bytesMax: number
}

export const packLimits: PackLimits = { elementsMax: packedElementsMax, bytesMax: packedBytesMax }
/** A state that lies on the heap is packed when it is well below the limits, not each time it crosses them. */
export const repackLimits: PackLimits = { elementsMax: packedElementsMax / 2, bytesMax: packedBytesMax / 2 }
const countBytes = 2

/** The elements that lie at [start, end) of `bytes`: a view, good until the next write. */
export class PackedElements implements HashView, SetView {
  readonly #bytes: Uint8Array
  readonly #start: number
  readonly #end: number
  /** A hash's have texts. */
  readonly #valued: boolean
  // Of the element that was read last.
  #at = 0
  #stamp: Stamp = 0
  #nameStart = 0
  #nameEnd = 0
  #textStart = 0
  #textEnd = 0
  #next = 0

  constructor(bytes: Uint8Array, start: number, end: number, valued: boolean) {
    this.#bytes = bytes
    this.#start = start
    this.#end = end
    this.#valued = valued
  }

  get size(): number {
    return (this.#bytes[this.#start] as number) | ((this.#bytes[this.#start + 1] as number) << 8)
  }

  get(field: string): string | undefined {
    return this.find(field) ? this.#text() : undefined
  }

  has(element: string): boolean {
    return this.find(element)
  }

  /** A hash whose fields expire isn't packed. */
  expireAtMs(_field: string): number {
    return Number.POSITIVE_INFINITY
  }

  *entries(): IterableIterator<[string, string]> {
    for (let at = this.#first; at < this.#end; ) {
      this.#read(at)
      at = this.#next
      yield [this.#name(), this.#text()]
    }
  }

  *fields(): IterableIterator<string> {
    for (let at = this.#first; at < this.#end; ) {
      this.#read(at)
      at = this.#next
      yield this.#name()
    }
  }

  members(): IterableIterator<string> {
    return this.fields()
  }

  randomField(random: Random): string {
    let at = this.#first
    for (let skip = random.below(this.size); skip >= 0; skip--) {
      this.#read(at)
      at = this.#next
    }
    return this.#name()
  }

  randomMember(random: Random): string {
    return this.randomField(random)
  }

  scan(_position: number, _count: number, visit: (name: string, text: string) => void): number {
    for (let at = this.#first; at < this.#end; at = this.#next) {
      this.#read(at)
      visit(this.#name(), this.#valued ? this.#text() : '')
    }
    return 0
  }

  /** Whether `context` covers every element. */
  coveredBy(context: VersionVector): boolean {
    for (let at = this.#first; at < this.#end; at = this.#next) {
      this.#read(at)
      if (!this.#covered(context)) return false
    }
    return true
  }

  toHash(): HashState {
    const hash = new HashState()
    for (let at = this.#first; at < this.#end; at = this.#next) {
      this.#read(at)
      hash.load(this.#name(), this.#text(), this.#stamp)
    }
    return hash
  }

  toSet(): SetState {
    const set = new SetState()
    for (let at = this.#first; at < this.#end; at = this.#next) {
      this.#read(at)
      set.load(this.#name(), this.#stamp)
    }
    return set
  }

  /** True: that element is the one that was read last. */
  find(name: string): boolean {
    const bytes = this.#bytes
    const { length } = name
    search: for (let at = this.#first; at < this.#end; at = this.#next) {
      this.#read(at)
      const start = this.#nameStart
      if (this.#nameEnd - start !== length) continue
      for (let i = 0; i < length; i++) if (bytes[start + i] !== name.charCodeAt(i)) continue search
      return true
    }
    return false
  }

  /**
   * Writes to `into` what the elements are with `name` written at `stamp`, `text` being undefined in a set. False: that can't
   * be packed.
   */
  write(
    into: ByteWriter,
    context: VersionVector,
    stamp: Stamp,
    name: string,
    text: string | undefined,
  ): boolean {
    const known = this.find(name)
    if (known && !this.#covered(context)) return false
    const count = known ? this.size : this.size + 1
    const added = u56Bytes + name.length + (text?.length ?? 0)
    if (count > packedElementsMax || this.#end - this.#start + added > packedBytesMax) return false
    const before = known ? this.#at : this.#end
    into.clear()
    into.u16(count)
    into.raw(this.#bytes, this.#first, before)
    writeElement(into, stamp, name, text)
    if (known) into.raw(this.#bytes, this.#next, this.#end)
    return true
  }

  /** The same without those of `names` that `context` covers. */
  remove(into: ByteWriter, context: VersionVector, names: readonly string[]): void {
    const removed = new Set(names)
    let count = 0
    into.clear()
    into.u16(0)
    for (let at = this.#first; at < this.#end; at = this.#next) {
      this.#read(at)
      if (removed.has(this.#name()) && this.#covered(context)) continue
      into.raw(this.#bytes, at, this.#next)
      count++
    }
    into.bytes[0] = count
  }

  get #first(): number {
    return this.#start + countBytes
  }

  #read(at: number): void {
    const bytes = this.#bytes
    this.#at = at
    this.#stamp = readU56(bytes, at)
    readVarint(bytes, at + u56Bytes)
    this.#nameStart = varint.end
    this.#nameEnd = varint.end + varint.value
    this.#next = this.#nameEnd
    if (!this.#valued) return
    readVarint(bytes, this.#nameEnd)
    this.#textStart = varint.end
    this.#textEnd = varint.end + varint.value
    this.#next = this.#textEnd
  }

  #covered(context: VersionVector): boolean {
    return this.#stamp <= (context[originOf(this.#stamp)] as number)
  }

  #name(): string {
    return latin1(this.#bytes, this.#nameStart, this.#nameEnd)
  }

  #text(): string {
    return latin1(this.#bytes, this.#textStart, this.#textEnd)
  }
}

/** Nothing to begin with, of a hash and of a set. */
const none = new Uint8Array(countBytes)
export const noFields = new PackedElements(none, 0, countBytes, true)
export const noMembers = new PackedElements(none, 0, countBytes, false)

function writeElement(into: ByteWriter, stamp: Stamp, name: string, text: string | undefined): void {
  into.reserve(u56Bytes)
  writeU56(into.bytes, into.length, stamp)
  into.length += u56Bytes
  into.text(name)
  if (text !== undefined) into.text(text)
}

/** Writes the state's elements to `into`. False: they aren't small and simple. */
export function packHash(into: ByteWriter, hash: HashState, limits: PackLimits): boolean {
  const { size } = hash
  if (size === 0 || size > limits.elementsMax) return false
  into.clear()
  into.u16(size)
  return (
    hash.eachSimple((name, text, stamp) => writeElement(into, stamp, name, text)) &&
    into.length <= limits.bytesMax
  )
}

export function packSet(into: ByteWriter, set: SetState, limits: PackLimits): boolean {
  const { size } = set
  if (size === 0 || size > limits.elementsMax) return false
  into.clear()
  into.u16(size)
  return (
    set.eachSimple((member, stamp) => writeElement(into, stamp, member, undefined)) &&
    into.length <= limits.bytesMax
  )
}
