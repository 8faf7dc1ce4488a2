/**
 * The keys of a slot, dealt to portions by a hash of their names on which two shards have agreed, and what each portion holds as
 * a digest of 128 bits. Of each key everything is in it that a slot state has of it: stamps, conflicts, counters, TTLs and residues.
 * A digest is the sum (XOR) of keyed hashes, one of each key, and one more of each field and member, so that the order in which they
 * lie does not matter. So two portions with one digest are equal, or 2^-128 has happened.
 *
 * A key that is too large to be hashed in a step is not: its portion has no digest (all ones), and differs from any other.
 */
import { digestBytes, type Portioning, portionKeyBytes } from '#protocol/sync/digestMessage.ts'
import { FormatError } from '#runtime/bytes/byteReader.ts'
import { latin1 } from '#runtime/bytes/bytes.ts'
import { ByteWriter } from '#runtime/bytes/byteWriter.ts'
import { KeyState } from '#server/crdt/keyState.ts'
import { writeKeyState } from '#server/crdt/keyStateCodec.ts'
import { hashOfSum, hashPrime, hashStart } from '#server/crdt/nameHash.ts'
import type { Ref } from './arena.ts'
import { hashWords, KeyedHash } from './keyedHash.ts'
import { writeKey } from './slotState.ts'
import type { SlotTables } from './slotTables.ts'

/** Of one key, as it lies in memory. */
const comparedBytesMax = 128 * 1024
/** A scratch that a long one has blown up is not kept. */
const scratchBytesKept = 256 * 1024
/** What a hash is of, beside the name. */
const Piece = { text: 0, field: 1, member: 2, state: 3 } as const

/** Which portion a name belongs to. */
export class Portions {
  readonly count: number
  readonly portioning: Portioning
  readonly #mask: number
  readonly #hashStart: number

  constructor(portioning: Portioning) {
    const { bits, key } = portioning
    this.portioning = portioning
    this.count = 2 ** bits
    this.#mask = this.count - 1
    let seed = 0
    for (let i = 0; i < portionKeyBytes; i++) seed = Math.imul(seed, 31) + (key[i] as number)
    this.#hashStart = hashStart(seed)
  }

  of(bytes: Uint8Array, start: number, end: number): number {
    let sum = this.#hashStart
    for (let at = start; at < end; at++) sum = Math.imul(sum ^ (bytes[at] as number), hashPrime)
    return hashOfSum(sum) & this.#mask
  }

  ofName(name: string): number {
    let sum = this.#hashStart
    for (let at = 0; at < name.length; at++) sum = Math.imul(sum ^ name.charCodeAt(at), hashPrime)
    return hashOfSum(sum) & this.#mask
  }
}

export class PortionDigests {
  readonly portions: Portions
  readonly #hash: KeyedHash
  readonly #words: Int32Array
  /** One bit for each portion that has no digest. */
  readonly #isSpoilt: Uint8Array
  #scratch = new ByteWriter(1024)

  constructor(portions: Portions) {
    this.portions = portions
    this.#hash = new KeyedHash(portions.portioning.key)
    this.#words = new Int32Array(portions.count * hashWords)
    this.#isSpoilt = new Uint8Array(portions.count)
  }

  isSpoilt(portion: number): boolean {
    return this.#isSpoilt[portion] === 1
  }

  /** Adds the key to its portion; returns how many bytes of work it was. */
  add(tables: SlotTables, ref: Ref): number {
    tables.readName(ref)
    const { textBytes, textStart, textEnd } = tables
    const portion = this.portions.of(textBytes, textStart, textEnd)
    if (this.isSpoilt(portion)) return textEnd - textStart
    if (tables.bytesOf(ref) > comparedBytesMax) {
      this.#isSpoilt[portion] = 1
      return textEnd - textStart
    }
    const writer = this.#scratch
    writer.clear()
    writer.u8(Piece.text)
    if (tables.isText(ref)) {
      writeKey(writer, tables, ref)
      this.#addPiece(portion)
      return writer.length
    }
    const sizeBytes = this.#addState(portion, latin1(textBytes, textStart, textEnd), tables.stateOf(ref))
    if (writer.bytes.length > scratchBytesKept) this.#scratch = new ByteWriter(1024)
    return sizeBytes
  }

  /** Fields and members lie in any order: each is a piece of its own. */
  #addState(portion: number, name: string, state: KeyState): number {
    const writer = this.#scratch
    let sizeBytes = 0
    const begin = (piece: number) => {
      writer.clear()
      writer.u8(piece)
      writer.text(name)
      return writer.length
    }
    const separately = (piece: number) => {
      const start = begin(piece)
      return () => {
        sizeBytes += writer.length
        this.#addPiece(portion)
        writer.length = start
      }
    }
    state.hash?.encode(writer, separately(Piece.field))
    state.set?.encode(writer, separately(Piece.member))
    const rest = new KeyState()
    rest.string = state.string
    rest.zset = state.zset
    rest.list = state.list
    rest.stream = state.stream
    rest.hll = state.hll
    rest.ttl = state.ttl
    begin(Piece.state)
    writeKeyState(writer, rest)
    this.#addPiece(portion)
    return sizeBytes + writer.length
  }

  #addPiece(portion: number): void {
    const { bytes, length } = this.#scratch
    this.#hash.update(bytes, 0, length)
    for (let i = 0; i < hashWords; i++) {
      const at = portion * hashWords + i
      this.#words[at] = (this.#words[at] as number) ^ (this.#hash.words[i] as number)
    }
  }

  /** Of all portions, in order. */
  encode(): Uint8Array {
    const writer = new ByteWriter(this.portions.count * digestBytes)
    for (let portion = 0; portion < this.portions.count; portion++)
      for (let i = 0; i < hashWords; i++) writer.u32(this.isSpoilt(portion) ? -1 : this.#wordOf(portion, i))
    return writer.take()
  }

  /** Those that differ from the ones in `theirs`, which is what `encode` has made of another shard's. */
  compare(theirs: Uint8Array): PortionSet {
    const differing = new PortionSet(this.portions)
    const own = this.encode()
    for (let portion = 0; portion < this.portions.count; portion++) {
      const start = portion * digestBytes
      let isEqual = !this.isSpoilt(portion)
      for (let at = start; isEqual && at < start + digestBytes; at++) isEqual = own[at] === theirs[at]
      if (!isEqual) differing.add(portion)
    }
    return differing
  }

  #wordOf(portion: number, i: number): number {
    return this.#words[portion * hashWords + i] as number
  }
}

/** Some of the portions. */
export class PortionSet {
  readonly portions: Portions
  /** Bit p % 8 of byte p / 8 is that of portion p. */
  readonly bits: Uint8Array
  count = 0

  constructor(portions: Portions) {
    this.portions = portions
    this.bits = new Uint8Array(Math.ceil(portions.count / 8))
  }

  /** Throws `FormatError`. */
  static read(portions: Portions, bytes: Uint8Array): PortionSet {
    const set = new PortionSet(portions)
    if (bytes.length !== set.bits.length)
      throw new FormatError(`${bytes.length} bytes for ${portions.count} portions`)
    for (let portion = 0; portion < 8 * bytes.length; portion++) {
      if (((bytes[portion >> 3] as number) & (1 << (portion & 7))) === 0) continue
      if (portion >= portions.count) throw new FormatError(`portion ${portion} of ${portions.count}`)
      set.add(portion)
    }
    return set
  }

  add(portion: number): void {
    if (this.has(portion)) return
    this.bits[portion >> 3] = (this.bits[portion >> 3] as number) | (1 << (portion & 7))
    this.count++
  }

  has(portion: number): boolean {
    return ((this.bits[portion >> 3] as number) & (1 << (portion & 7))) !== 0
  }

  hasName(name: string): boolean {
    return this.has(this.portions.ofName(name))
  }
}
