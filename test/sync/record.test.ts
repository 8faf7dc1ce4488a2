import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  beginPart,
  beginRecord,
  endRecord,
  RecordKind,
  type RecordPart,
  RecordReader,
  recordLength,
  writeVector,
} from '#protocol/sync/record.ts'
import { originOf, originsMax, type Stamp, stampStep } from '#protocol/sync/stamp.ts'
import { emptyVector, type VersionVector } from '#protocol/sync/versionVector.ts'
import { FormatError } from '#runtime/bytes/byteReader.ts'
import { ByteWriter } from '#runtime/bytes/byteWriter.ts'

interface Written {
  slot: number
  first: Stamp
  last: Stamp
  previous: Stamp
  context: VersionVector
  effects: Uint8Array
}

function record(parts: readonly Written[]): Uint8Array {
  const writer = new ByteWriter()
  const start = beginRecord(writer, RecordKind.operations)
  for (const { slot, first, last, previous, context, effects } of parts) {
    beginPart(writer, slot, first, last, previous, context, effects.length)
    writer.raw(effects)
  }
  endRecord(writer, start)
  return writer.take()
}

const written = fc
  .record({
    slot: fc.integer({ min: 0, max: 16383 }),
    origin: fc.integer({ min: 0, max: originsMax - 1 }),
    tick: fc.integer({ min: 2 ** 20, max: 2 ** 49 }),
    span: fc.integer({ min: 0, max: 1000 }),
    chained: fc.boolean(),
    behind: fc.array(fc.integer({ min: 0, max: 2 ** 20 - 1 }), {
      minLength: originsMax,
      maxLength: originsMax,
    }),
    effects: fc.uint8Array({ maxLength: 50 }),
  })
  .map(({ slot, origin, tick, span, chained, behind, effects }): Written => {
    const first = tick * stampStep + origin
    const context = Float64Array.from(behind, (ticks, o) =>
      ticks === 0 ? 0 : (tick - ticks) * stampStep + o,
    )
    // A context entry of another origin at the very same tick may be above the first stamp.
    for (let o = 0; o < originsMax; o++) if ((context[o] as number) > first) context[o] = 0
    const previous = chained ? first - stampStep : 0
    context[origin] = previous
    return { slot, first, last: first + span * stampStep, previous, context, effects }
  })

describe('records of operations', () => {
  test('come back as they were written', () => {
    fc.assert(
      fc.property(fc.array(written, { minLength: 1, maxLength: 5 }), (parts) => {
        const bytes = record(parts)
        const reader = new RecordReader()
        expect(recordLength(bytes, 0, bytes.length)).toBe(bytes.length)
        expect(reader.read(bytes, 0, bytes.length)).toBe(bytes.length)
        expect(reader.partCount).toBe(parts.length)
        for (const [i, part] of parts.entries()) {
          const read = reader.parts[i] as RecordPart
          const { effects, ...rest } = part
          expect(read).toMatchObject({ ...rest, origin: originOf(part.first) })
          expect([...bytes.subarray(read.effectsStart, read.effectsEnd)]).toEqual([...effects])
        }
      }),
    )
  })

  test('cut short anywhere, or changed anywhere, they are a FormatError or still a record', () => {
    fc.assert(
      fc.property(
        fc.array(written, { minLength: 1, maxLength: 3 }),
        fc.nat(),
        fc.integer({ min: 1, max: 255 }),
        (parts, at, change) => {
          const bytes = record(parts)
          const reader = new RecordReader()
          expect(() => reader.read(bytes, 0, at % bytes.length)).toThrow(FormatError)
          bytes[at % bytes.length] = (bytes[at % bytes.length] as number) ^ change
          try {
            reader.read(bytes, 0, bytes.length)
          } catch (error) {
            expect(error).toBeInstanceOf(FormatError)
          }
        },
      ),
    )
  })

  test.each([
    ['no part', [1]],
    ['an unknown kind', [9, 0]],
    ['a slot out of range', [1, 0xff, 0xff]],
    ['a slot out of range, of a group', [3, 0xff, 0xff]],
    ['a group without a slot', [3, 1]],
    ['a stamp that is none', [1, 0, 0, 0, 0, 0, 0, 0, 0, 0xf8, 0x7f]],
  ])('%s is refused', (_what, body) => {
    const bytes = new Uint8Array([body.length, 0, 0, 0, ...body])
    expect(() => new RecordReader().read(bytes, 0, bytes.length)).toThrow(FormatError)
  })

  test('an empty record, and one that announces more than there is, are refused', () => {
    expect(() => new RecordReader().read(new Uint8Array(5), 0, 5)).toThrow('empty record')
    const huge = new Uint8Array([0xff, 0xff, 0xff, 0xff, 1])
    expect(() => new RecordReader().read(huge, 0, 5)).toThrow('5 are left')
  })
})

test('a slot state comes back as it was written', () => {
  const writer = new ByteWriter()
  const label = emptyVector()
  label[3] = 8003
  const start = beginRecord(writer, RecordKind.slotState)
  writer.u16(77)
  writeVector(writer, label)
  writer.raw(new Uint8Array([5, 6, 7]))
  endRecord(writer, start)
  const bytes = writer.take()
  const reader = new RecordReader()
  reader.read(bytes, 0, bytes.length)
  expect(reader).toMatchObject({ kind: RecordKind.slotState, slot: 77, label })
  expect([...bytes.subarray(reader.stateStart, reader.stateEnd)]).toEqual([5, 6, 7])
})

test('changes of a group come back as they were written', () => {
  const writer = new ByteWriter()
  const start = beginRecord(writer, RecordKind.group)
  writer.u16(77)
  writer.raw(new Uint8Array([5, 6, 7]))
  endRecord(writer, start)
  const bytes = writer.take()
  const reader = new RecordReader()
  expect(reader.read(bytes, 0, bytes.length)).toBe(bytes.length)
  expect(reader).toMatchObject({ kind: RecordKind.group, slot: 77 })
  expect([...bytes.subarray(reader.stateStart, reader.stateEnd)]).toEqual([5, 6, 7])
})
