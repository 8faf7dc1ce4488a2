/**
 * Small hashes and sets (`packedValue.ts`):
 *
 *     elements := count u16 | (stamp u56 | name length varint | name | [text length varint | text])*
 */

import type { Stamp } from '#protocol/sync/stamp.ts'
import { covers, type VersionVector } from '#protocol/sync/versionVector.ts'
import { latin1 } from '#runtime/bytes/bytes.ts'
import type { ByteWriter } from '#runtime/bytes/byteWriter.ts'
import { readU56, readVarint, u56Bytes, varint } from '#runtime/bytes/packedNumbers.ts'
import type { Random } from '#runtime/ports.ts'
import { HashState } from '#server/crdt/hash.ts'
import { SetState } from '#server/crdt/set.ts'
import { PackedValue, type PackLimits, pack, packedBytesMax, packedElementsMax } from './packedValue.ts'
import type { HashView, SetView } from './views.ts'

export class PackedElements extends PackedValue implements HashView, SetView {
  /** A hash's have texts. */
  readonly #valued: boolean
  // Of the element that was read last.
  #at = 0
  protected override stamp: Stamp = 0
  #nameStart = 0
  #nameEnd = 0
  #textStart = 0
  #textEnd = 0
  #next = 0

  constructor(valued: boolean, bytes?: Uint8Array, start?: number, end?: number) {
    super(bytes, start, end)
    this.#valued = valued
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
    for (let at = this.first; at < this.end; ) {
      at = this.read(at)
      yield [this.#name(), this.#text()]
    }
  }

  *fields(): IterableIterator<string> {
    for (let at = this.first; at < this.end; ) {
      at = this.read(at)
      yield this.#name()
    }
  }

  members(): IterableIterator<string> {
    return this.fields()
  }

  randomField(random: Random): string {
    this.readAt(random.below(this.size))
    return this.#name()
  }

  randomMember(random: Random): string {
    return this.randomField(random)
  }

  scan(_position: number, _count: number, visit: (name: string, text: string) => void): number {
    for (let at = this.first; at < this.end; ) {
      at = this.read(at)
      visit(this.#name(), this.#valued ? this.#text() : '')
    }
    return 0
  }

  toHash(): HashState {
    const hash = new HashState()
    for (let at = this.first; at < this.end; ) {
      at = this.read(at)
      hash.load(this.#name(), this.#text(), this.stamp)
    }
    return hash
  }

  toSet(): SetState {
    const set = new SetState()
    for (let at = this.first; at < this.end; ) {
      at = this.read(at)
      set.load(this.#name(), this.stamp)
    }
    return set
  }

  /** True: that element is the one that was read last. */
  find(name: string): boolean {
    const { bytes } = this
    const { length } = name
    search: for (let at = this.first; at < this.end; ) {
      at = this.read(at)
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
    if (known && !covers(context, this.stamp)) return false
    const count = known ? this.size : this.size + 1
    const added = u56Bytes + name.length + (text?.length ?? 0)
    if (count > packedElementsMax || this.end - this.start + added > packedBytesMax) return false
    const before = known ? this.#at : this.end
    into.clear()
    into.u16(count)
    into.raw(this.bytes, this.first, before)
    writeElement(into, stamp, name, text)
    if (known) into.raw(this.bytes, this.#next, this.end)
    return true
  }

  /** The same without those of `names` that `context` covers. */
  remove(into: ByteWriter, context: VersionVector, names: readonly string[]): void {
    const removed = new Set(names)
    this.writeRest(into, context, () => removed.has(this.#name()))
  }

  protected override read(at: number): number {
    const { bytes } = this
    this.#at = at
    this.stamp = readU56(bytes, at)
    readVarint(bytes, at + u56Bytes)
    this.#nameStart = varint.end
    this.#nameEnd = varint.end + varint.value
    this.#next = this.#nameEnd
    if (!this.#valued) return this.#next
    readVarint(bytes, this.#nameEnd)
    this.#textStart = varint.end
    this.#textEnd = varint.end + varint.value
    this.#next = this.#textEnd
    return this.#next
  }

  #name(): string {
    return latin1(this.bytes, this.#nameStart, this.#nameEnd)
  }

  #text(): string {
    return latin1(this.bytes, this.#textStart, this.#textEnd)
  }
}

/** Nothing to begin with, of a hash and of a set. */
export const noFields = new PackedElements(true)
export const noMembers = new PackedElements(false)

function writeElement(into: ByteWriter, stamp: Stamp, name: string, text: string | undefined): void {
  into.u56(stamp)
  into.text(name)
  if (text !== undefined) into.text(text)
}

/** Writes the state's elements to `into`. False: they aren't small and simple. */
export function packHash(into: ByteWriter, hash: HashState, limits: PackLimits): boolean {
  return pack(into, hash.size, limits, () =>
    hash.eachSimple((name, text, stamp) => writeElement(into, stamp, name, text)),
  )
}

export function packSet(into: ByteWriter, set: SetState, limits: PackLimits): boolean {
  return pack(into, set.size, limits, () =>
    set.eachSimple((member, stamp) => writeElement(into, stamp, member, undefined)),
  )
}
