import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { stampAt, stampEpochMs, stampStep } from '#protocol/sync/stamp.ts'
import { FormatError } from '#runtime/bytes/byteReader.ts'
import { bytesOf, latin1 } from '#runtime/bytes/bytes.ts'
import { ByteWriter } from '#runtime/bytes/byteWriter.ts'
import {
  checkEffects,
  type EffectSink,
  EffectWriter,
  type FlushedKey,
  readEffects,
} from '#server/crdt/effect.ts'
import { keepTtl, noRemovedCounters } from '#server/crdt/keyState.ts'

const first = stampAt(stampEpochMs + 1_000_000, 7)
const stampOf = (tick: number): number => first + tick * stampStep

const texts = fc.string({ unit: fc.integer({ min: 0, max: 255 }).map((code) => String.fromCharCode(code)) })
const amounts = fc.oneof(fc.integer(), fc.maxSafeInteger()).map((value) => (value === 0 ? 0 : value))
const resets = fc
  .uniqueArray(fc.integer({ min: 1, max: 7 }), { maxLength: 3 })
  .map((origins) =>
    origins
      .sort((a, b) => a - b)
      .map((origin) => ({ last: 8_000 + origin, from: 800 + origin, sum: origin * 100 })),
  )
const fieldResets = fc.array(fc.record({ field: texts, resets }), { maxLength: 3 })
const counters = fc.oneof(fc.constant(noRemovedCounters), fc.record({ string: resets, fields: fieldResets }))
const expireAt = fc.oneof(fc.constant(Number.POSITIVE_INFINITY), fc.integer({ min: 1 }))

type Call = (sink: EffectSink, stamp: number) => void

const calls: fc.Arbitrary<Call> = fc.oneof(
  fc.tuple(texts, texts, fc.oneof(expireAt, fc.constant(keepTtl)), resets).map(
    ([k, t, at, r]): Call =>
      (sink, stamp) =>
        sink.setText(stamp, k, t, at, r),
  ),
  fc.tuple(texts, texts, expireAt).map(([k, t, at]): Call => {
    const bytes = bytesOf(k + t)
    return (sink, stamp) => {
      if (!sink.setOnlyBytes(stamp, bytes, 0, k.length, k.length, bytes.length, at))
        sink.setText(stamp, k, t, at, [])
    }
  }),
  fc.tuple(texts, fc.boolean(), fc.integer({ min: 0, max: 99 }), amounts).map(
    ([k, fresh, age, a]): Call =>
      (sink, stamp) =>
        sink.increment(stamp, k, fresh, stamp - age * stampStep, a),
  ),
  fc.tuple(texts, fc.boolean(), texts, texts, resets).map(
    ([k, fresh, f, t, r]): Call =>
      (sink, stamp) =>
        sink.setField(stamp, k, fresh, f, t, r),
  ),
  fc.tuple(texts, fc.boolean(), texts, fc.boolean(), amounts).map(
    ([k, fresh, f, creates, a]): Call =>
      (sink, stamp) =>
        sink.incrementField(stamp, k, fresh, f, creates, stamp, a),
  ),
  fc.tuple(texts, fc.array(texts), expireAt).map(
    ([k, f, at]): Call =>
      (sink, stamp) =>
        sink.writeFieldTtl(stamp, k, f, at),
  ),
  fc.tuple(texts, fc.array(texts), fieldResets).map(
    ([k, f, r]): Call =>
      (sink, stamp) =>
        sink.removeFields(stamp, k, f, r),
  ),
  fc.tuple(texts, fc.boolean(), fc.array(texts)).map(
    ([k, fresh, m]): Call =>
      (sink, stamp) =>
        sink.addMembers(stamp, k, fresh, m),
  ),
  fc.tuple(texts, fc.array(texts)).map(
    ([k, m]): Call =>
      (sink, stamp) =>
        sink.removeMembers(stamp, k, m),
  ),
  fc.tuple(texts, fc.integer({ min: 0, max: 7 }), fc.boolean(), counters).map(
    ([k, types, ends, c]): Call =>
      (sink, stamp) =>
        sink.remove(stamp, k, types, ends, c),
  ),
  fc.tuple(texts, expireAt).map(
    ([k, at]): Call =>
      (sink, stamp) =>
        sink.writeTtl(stamp, k, at),
  ),
  fc
    .array(fc.record({ key: texts, counters: fc.record({ string: resets, fields: fieldResets }) }), {
      maxLength: 3,
    })
    .map(
      (keys): Call =>
        (sink, stamp) =>
          sink.flush(stamp, keys),
    ),
)

/** Writes down what it is told. */
function recorder(): { told: unknown[]; sink: EffectSink } {
  const told: unknown[] = []
  const note =
    (name: string) =>
    (...args: unknown[]): void => {
      told.push([name, ...args])
    }
  return {
    told,
    sink: {
      setOnlyBytes: () => false,
      setText: note('setText'),
      increment: note('increment'),
      setField: note('setField'),
      incrementField: note('incrementField'),
      writeFieldTtl: note('writeFieldTtl'),
      removeFields: note('removeFields'),
      addMembers: note('addMembers'),
      removeMembers: note('removeMembers'),
      remove: note('remove'),
      writeTtl: note('writeTtl'),
      flush: note('flush'),
    },
  }
}

const steps = fc.array(fc.tuple(calls, fc.integer({ min: 0, max: 1_000 })), { minLength: 1, maxLength: 8 })

function bytesWritten(writer: EffectWriter): Uint8Array {
  const bytes = new ByteWriter()
  writer.writeTo(bytes)
  expect(bytes.length).toBe(writer.length)
  return bytes.take()
}

function encode(given: readonly (readonly [Call, number])[]): {
  bytes: Uint8Array
  last: number
  told: unknown[]
} {
  const writer = new EffectWriter()
  const { told, sink } = recorder()
  let tick = 0
  given.forEach(([call, delta], at) => {
    if (at > 0) tick += delta
    call(writer, stampOf(tick))
    call(sink, stampOf(tick))
  })
  return { bytes: bytesWritten(writer), last: stampOf(tick), told }
}

test('effects are read as they were written', () => {
  fc.assert(
    fc.property(steps, (given) => {
      const { bytes, last, told } = encode(given)
      const read = recorder()
      readEffects(bytes, 0, bytes.length, first, last, read.sink)
      expect(read.told).toEqual(told)
    }),
  )
})

describe('bytes that are no effects', () => {
  test('cut short, with a byte more, or changed: refused or read, never anything else', () => {
    fc.assert(
      fc.property(steps, fc.nat(), fc.integer({ min: 0, max: 255 }), (given, place, byte) => {
        const { bytes, last } = encode(given)
        const at = place % bytes.length
        expect(() => checkEffects(bytes, 0, at, first, last)).toThrow(FormatError)
        bytes[at] = byte
        try {
          checkEffects(bytes, 0, bytes.length, first, last)
        } catch (error) {
          expect(error).toBeInstanceOf(FormatError)
        }
      }),
    )
  })

  test('random bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => {
        try {
          checkEffects(bytes, 0, bytes.length, first, first)
        } catch (error) {
          expect(error).toBeInstanceOf(FormatError)
        }
      }),
    )
  })

  test.each([
    ['an unknown code', [0, 63, 0]],
    ['fresh where it means nothing', [0, 0x80 | 9, 0, 0]],
    ['resets where there are none', [0, 0x40 | 4, 0, 0, 0, 1]],
    ['a first effect above the first stamp', [1, 9, 0, 0]],
    ['unknown types', [0, 10, 0, 8, 0]],
    ['a flag that is none', [0, 10, 0, 7, 2]],
    ['a count that the bytes cannot hold', [0, 9, 0, 0xff, 0xff, 0xff, 0xff, 0x0f]],
    ['nothing', []],
  ])('%s', (_, bytes) => {
    expect(() => checkEffects(Uint8Array.from(bytes), 0, bytes.length, first, first)).toThrow(FormatError)
  })

  test('each key can be judged, those of a flush too', () => {
    fc.assert(
      fc.property(steps, (given) => {
        const { bytes, last, told } = encode(given)
        const shown: string[] = []
        checkEffects(bytes, 0, bytes.length, first, last, (key, start, end) => {
          shown.push(latin1(key, start, end))
        })
        const keys = (told as [string, number, unknown][]).flatMap(([name, , key]) =>
          name === 'flush' ? (key as FlushedKey[]).map((flushed) => flushed.key) : [key as string],
        )
        expect(shown).toEqual(keys)
      }),
    )
  })

  test("stamps that aren't the part's", () => {
    const { bytes } = encode([[(sink, stamp) => sink.removeMembers(stamp, 'k', ['m']), 0]])
    expect(() => checkEffects(bytes, 0, bytes.length, first, first + stampStep)).toThrow(FormatError)
  })
})
