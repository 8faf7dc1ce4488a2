/**
 * The name of a key as it is looked up: bytes somewhere (a request, a record, an entry), and the two numbers it is found by,
 * its hash slot and a hash of 32 bits. Both are made in one pass over the bytes, as each alone would wait for its own last
 * step at every byte.
 */
import { crc16Table, slotCount, slotOf } from '#protocol/slots/crc16.ts'
import { allocate, latin1, writeLatin1 } from '#runtime/bytes/bytes.ts'

const openBrace = 0x7b
const fnvOffset = 0x811c9dc5
const fnvPrime = 0x01000193
const scratchBytesMin = 256
/** A scratch that one long name has blown up is not kept. */
const scratchBytesKept = 64 * 1024

export class KeyName {
  bytes: Uint8Array = new Uint8Array(0)
  start = 0
  end = 0
  slot = 0
  /** A signed integer: an unsigned one wouldn't always be a small integer of the engine. */
  hash = 0
  /** Who could compute hashes beforehand could send keys that all have the same one. */
  readonly #seed: number
  /** Holds a name that was given as text. */
  #scratch: Uint8Array = allocate(scratchBytesMin)
  #text: string | undefined = undefined

  constructor(seed: number) {
    this.#seed = (fnvOffset ^ seed) | 0
  }

  /** The bytes must stay as they are while the name is used. */
  aim(bytes: Uint8Array, start: number, end: number): void {
    this.bytes = bytes
    this.start = start
    this.end = end
    this.#text = undefined
    this.#hash()
  }

  /** False: it was aimed at that name already. */
  aimAtText(text: string): boolean {
    if (text === this.#text && this.bytes === this.#scratch) return false
    const { length } = text
    if (
      length > this.#scratch.length ||
      (this.#scratch.length > scratchBytesKept && length < scratchBytesMin)
    )
      this.#scratch = allocate(Math.max(scratchBytesMin, length))
    writeLatin1(this.#scratch, 0, text)
    this.aim(this.#scratch, 0, length)
    this.#text = text
    return true
  }

  get length(): number {
    return this.end - this.start
  }

  get text(): string {
    this.#text ??= latin1(this.bytes, this.start, this.end)
    return this.#text
  }

  /** FNV-1a with MurmurHash3's finish, and CRC16. */
  #hash(): void {
    const { bytes, end } = this
    let crc = 0
    let hash = this.#seed
    let tagged = false
    for (let at = this.start; at < end; at++) {
      const byte = bytes[at] as number
      if (byte === openBrace) tagged = true
      crc = ((crc << 8) & 0xffff) ^ (crc16Table[(crc >>> 8) ^ byte] as number)
      hash = Math.imul(hash ^ byte, fnvPrime)
    }
    hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
    hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
    this.hash = hash ^ (hash >>> 16)
    this.slot = tagged ? slotOf(bytes, this.start, end) : crc & (slotCount - 1)
  }
}
