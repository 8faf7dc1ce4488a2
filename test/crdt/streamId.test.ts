/** Ids beside pairs of BigInts, at the borders of 32, 53 and 64 bits. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import {
  formatId,
  greaterId,
  idFromBytes,
  idOf,
  isExact,
  lesserId,
  maxId,
  minId,
  msOf,
  nextId,
  previousId,
  seqOf,
  wideId,
  wideMsOf,
  wideSeqOf,
} from '#protocol/sync/streamId.ts'
import { ByteReader, FormatError } from '#runtime/bytes/byteReader.ts'
import { bytesOf } from '#runtime/bytes/bytes.ts'
import { ByteWriter } from '#runtime/bytes/byteWriter.ts'
import { readStreamId, writeStreamId } from '#server/crdt/streamIdCodec.ts'

const end = 2n ** 64n
const borders = [0n, 2n ** 31n, 2n ** 32n, 2n ** 53n, 2n ** 63n, end - 1n]
const numbers = fc.oneof(
  fc.bigInt({ min: 0n, max: end - 1n }),
  fc
    .tuple(fc.constantFrom(...borders), fc.integer({ min: -2, max: 2 }))
    .map(([border, near]) => border + BigInt(near))
    .filter((value) => value >= 0n && value < end),
)
const pairs = fc.tuple(numbers, numbers)
const joinedValue = ([ms, seq]: readonly [bigint, bigint]): bigint => ms * end + seq

test('ids are ordered as their numbers, and give them back', () => {
  fc.assert(
    fc.property(pairs, pairs, (a, b) => {
      const [x, y] = [wideId(...a), wideId(...b)]
      expect(x < y).toBe(joinedValue(a) < joinedValue(b))
      expect(x === y).toBe(joinedValue(a) === joinedValue(b))
      expect([wideMsOf(x), wideSeqOf(x)]).toEqual(a)
      expect([msOf(x), seqOf(x)]).toEqual(a.map(Number))
      expect(formatId(x)).toBe(`${a[0]}-${a[1]}`)
      expect(isExact(x)).toBe(a.every((value) => value < 2n ** 53n))
      if (isExact(x)) expect(idOf(msOf(x), seqOf(x))).toBe(x)
      expect([greaterId(x, y), lesserId(x, y)]).toEqual(x < y ? [y, x] : [x, y])
      expect(idFromBytes(bytesOf(`..${x}`), 2)).toBe(x)
    }),
  )
})

test('the next and the one before', () => {
  fc.assert(
    fc.property(pairs, (pair) => {
      const id = wideId(...pair)
      const next = nextId(id)
      const previous = previousId(id)
      if (next !== undefined)
        expect(joinedValue([wideMsOf(next), wideSeqOf(next)])).toBe(joinedValue(pair) + 1n)
      if (previous !== undefined)
        expect(joinedValue([wideMsOf(previous), wideSeqOf(previous)])).toBe(joinedValue(pair) - 1n)
      expect([next === undefined, previous === undefined]).toEqual([id === maxId, id === minId])
    }),
  )
  expect(nextId(maxId)).toBeUndefined()
  expect(previousId(minId)).toBeUndefined()
})

test('bytes of ids are read as they were written, and cut short they are refused', () => {
  fc.assert(
    fc.property(pairs, (pair) => {
      const writer = new ByteWriter()
      writeStreamId(writer, wideId(...pair))
      const bytes = writer.take()
      const reader = new ByteReader(bytes)
      expect(readStreamId(reader)).toBe(wideId(...pair))
      expect(reader.atEnd).toBe(true)
      expect(() => readStreamId(new ByteReader(bytes, 0, bytes.length - 1))).toThrow(FormatError)
    }),
  )
})

test('a small number in the long form is refused: equal ids have equal bytes', () => {
  const writer = new ByteWriter()
  writer.varint(Number.MAX_SAFE_INTEGER)
  writer.u32(5)
  writer.u32(0)
  writer.varint(0)
  expect(() => readStreamId(new ByteReader(writer.take()))).toThrow(FormatError)
})
