import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { crc16, slotCount, slotOf, slotOfKey } from '#protocol/slots/crc16.ts'
import { bytesOf } from '#runtime/bytes/bytes.ts'

/** Answers of `CLUSTER KEYSLOT` of redis-server 7.0. */
const keySlots: readonly (readonly [key: string, slot: number])[] = [
  ['', 0],
  ['foo', 12182],
  ['bar', 5061],
  ['hello', 866],
  ['somekey', 11058],
  ['123456789', 12739],
  ['foo{bar}', 5061],
  ['{user1000}.following', 3443],
  ['{user1000}.followers', 3443],
  ['foo{}{bar}', 8363],
  ['foo{{bar}}zap', 4015],
  ['foo{bar}{zap}', 5061],
  ['{}', 15257],
  ['}{', 12793],
  ['a{b', 13340],
  ['a{}b{c}', 7353],
]

/** CRC16/XMODEM bit by bit, straight from the definition. */
function crc16Bitwise(bytes: Uint8Array): number {
  let crc = 0
  for (const byte of bytes) {
    crc ^= byte << 8
    for (let bit = 0; bit < 8; bit++) crc = (crc & 0x8000 ? (crc << 1) ^ 0x1021 : crc << 1) & 0xffff
  }
  return crc
}

describe('crc16', () => {
  it('gives the check value of CRC16/XMODEM', () => {
    expect(crc16(bytesOf('123456789'), 0, 9)).toBe(0x31c3)
  })

  it('agrees with the definition on any bytes and any part of them', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 80 }), fc.nat(20), fc.nat(20), (bytes, head, tail) => {
        const start = Math.min(head, bytes.length)
        const end = Math.max(start, bytes.length - tail)
        expect(crc16(bytes, start, end)).toBe(crc16Bitwise(bytes.subarray(start, end)))
      }),
    )
  })
})

describe('slotOf', () => {
  it.each(keySlots)('gives the slot that Redis gives for %j', (key, slot) => {
    expect(slotOf(bytesOf(key), 0, key.length)).toBe(slot)
    expect(slotOfKey(key)).toBe(slot)
    const framed = bytesOf(`{x}${key}}y`)
    expect(slotOf(framed, 3, 3 + key.length)).toBe(slot)
  })

  it('is the same for bytes and text, within range, with and without tags', () => {
    const piece = fc.oneof(
      fc.constantFrom('{', '}', '{}', 'a', '\xff'),
      fc.string({ maxLength: 4, unit: 'binary' }),
    )
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 8 }), (pieces) => {
        const bytes = bytesOf(pieces.join(''))
        const key = String.fromCharCode(...bytes)
        const slot = slotOf(bytes, 0, bytes.length)
        expect(slotOfKey(key)).toBe(slot)
        expect(slot).toBeGreaterThanOrEqual(0)
        expect(slot).toBeLessThan(slotCount)
      }),
    )
  })
})
