/**
 * The name of a key as it is looked up: bytes somewhere (a request, a record, an entry), and the two numbers it is found by,
 * its hash slot and a hash of 32 bits. Both are made in one pass over the bytes, as each alone would wait for its own last
 * step at every byte.
 */
import { crc16Table, slotCount, slotOf } from '#protocol/slots/crc16.ts'
import { allocate, latin1, writeLatin1 } from '#runtime/bytes/bytes.ts'
import { hashOfSum, hashPrime, hashStart } from '#server/crdt/nameHash.ts'

const openBrace = 0x7b
const scratchBytesMin = 256
/** A scratch that one long name has blown up is not kept. */
const scratchBytesKept = 64 * 1024

export class KeyName {
  bytes: Uint8Array = new Uint8Array(0)
  start = 0
  end = 0
  slot = 0
  hash = 0
  readonly #hashStart: number
  /** Holds a name that was given as text. */
  #scratch: Uint8Array = allocate(scratchBytesMin)
  #text: string | undefined = undefined

  constructor(seed: number) {
    this.#hashStart = hashStart(seed)
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

  /** Both numbers. */
  #hash(): void {
    const { bytes, end } = this
    let crc = 0
    let sum = this.#hashStart
    let tagged = false
    for (let at = this.start; at < end; at++) {
      const byte = bytes[at] as number
      if (byte === openBrace) tagged = true
      crc = ((crc << 8) & 0xffff) ^ (crc16Table[(crc >>> 8) ^ byte] as number)
      sum = Math.imul(sum ^ byte, hashPrime)
    }
    this.hash = hashOfSum(sum)
    this.slot = tagged ? slotOf(bytes, this.start, end) : crc & (slotCount - 1)
  }
}
