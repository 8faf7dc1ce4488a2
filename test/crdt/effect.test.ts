import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { stampAt, stampEpochMs, stampStep } from '#protocol/sync/stamp.ts'
import { idOf, maxId, minId, type StreamId, wideId } from '#protocol/sync/streamId.ts'
import { FormatError } from '#runtime/bytes/byteReader.ts'
import { bytesOf, latin1 } from '#runtime/bytes/bytes.ts'
import { ByteWriter } from '#runtime/bytes/byteWriter.ts'
import type { EffectSink, FlushedKey } from '#server/crdt/effect.ts'
import { checkEffects, readEffects } from '#server/crdt/effectReading.ts'
import { EffectWriter } from '#server/crdt/effectWriter.ts'
import { ranked } from '#server/crdt/elementHash.ts'
import { HyperLogLog } from '#server/crdt/hyperLogLog.ts'
import { allTypes, deleteWinsTypes, keepTtl, noRemovedCounters } from '#server/crdt/keyState.ts'
import { compareIds, listDepthMax } from '#server/crdt/listId.ts'
import { lacksBase } from '#server/crdt/patchBases.ts'
import { Tag } from '#server/crdt/score.ts'

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
const fieldResets = fc.array(fc.record({ element: texts, resets }), { maxLength: 3 })
const doubles = fc.double({ noNaN: true })
const scoreResets = fc
  .tuple(resets, doubles)
  .map(([all, sum]) => all.map(({ last, from }) => ({ last, from, sum })))
const memberResets = fc.array(fc.record({ element: texts, resets: scoreResets }), { maxLength: 3 })
const allCounters = fc.record({ string: resets, fields: fieldResets, scores: memberResets })
const counters = fc.oneof(fc.constant(noRemovedCounters), allCounters)
const listSteps = fc.tuple(
  fc.constantFrom(-1, 1),
  fc.tuple(fc.constantFrom(-1, 1), fc.integer({ min: 1, max: 2 ** 52 })).map(([sign, key]) => sign * key),
  fc.integer({ min: -(2 ** 31) + 1, max: 2 ** 31 - 1 }).map((offset) => offset + 0),
)
const listIds = fc.array(listSteps, { minLength: 1, maxLength: 4 }).map((steps) => steps.flat())
const idRanges = fc.array(
  fc
    .tuple(listIds, listIds)
    .map(([a, b]) => (compareIds(a, b) <= 0 ? { from: a, to: b } : { from: b, to: a })),
  { maxLength: 3 },
)
const streamIds = fc.oneof(
  fc.tuple(fc.maxSafeNat(), fc.nat()).map(([ms, seq]) => idOf(ms, seq)),
  fc
    .tuple(fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }), fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }))
    .map(([ms, seq]) => wideId(ms, seq)),
  fc.constantFrom(minId, maxId, idOf(0, 1)),
)
const idPairs = fc
  .uniqueArray(streamIds, { minLength: 2, maxLength: 2 })
  .map((ids) => ids.sort() as [StreamId, StreamId])
const marks = fc.record({ lastId: streamIds, added: fc.maxSafeNat(), maxDeletedId: streamIds })
const newEntries = fc
  .uniqueArray(
    streamIds.filter((id) => id !== minId),
    { maxLength: 3 },
  )
  .chain((ids) =>
    fc.tuple(
      ...ids.sort().map((id) =>
        fc.record({
          id: fc.constant(id),
          fields: fc
            .array(fc.tuple(texts, texts), { minLength: 1, maxLength: 2 })
            .map((pairs) => pairs.flat()),
        }),
      ),
    ),
  )
const rankedValues = fc
  .tuple(fc.nat(16383), fc.integer({ min: 1, max: 63 }))
  .map(([index, rank]) => ranked(index, rank))
const deletes = fc.constantFrom(0, deleteWinsTypes)

function registersOf(values: readonly number[], dense: boolean): HyperLogLog {
  const registers = HyperLogLog.empty()
  if (dense) registers.toDense()
  registers.raise(values)
  return registers
}

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
  fc
    .tuple(
      texts,
      fc.integer({ min: 1, max: 99 }),
      fc.integer({ min: 0, max: 2 ** 29 - 100 }),
      texts,
      fc.boolean(),
    )
    .map(([k, age, offset, t, keeps]): Call => {
      const bytes = bytesOf(`before${t}behind`)
      return (sink, stamp) => sink.patchText(stamp, k, stamp - age, keeps, offset, bytes, 6, 6 + t.length)
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
  fc.tuple(texts, fc.boolean(), texts, doubles, fc.constantFrom(...Object.values(Tag)), scoreResets).map(
    ([k, fresh, m, score, tag, r]): Call =>
      (sink, stamp) =>
        sink.setScore(stamp, k, fresh, m, score, tag, r),
  ),
  fc.tuple(texts, fc.boolean(), texts, fc.integer({ min: 0, max: 99 }), doubles, doubles).map(
    ([k, fresh, m, age, sum, rest]): Call =>
      (sink, stamp) =>
        sink.incrementScore(stamp, k, fresh, m, stamp - age * stampStep, sum, rest === 0 ? 0 : rest),
  ),
  fc.tuple(texts, fc.array(texts), memberResets).map(
    ([k, m, r]): Call =>
      (sink, stamp) =>
        sink.removeScores(stamp, k, m, r),
  ),
  fc.tuple(texts, fc.boolean(), fc.constantFrom(-1 as const, 1 as const), fc.array(texts)).map(
    ([k, fresh, side, values]): Call =>
      (sink, stamp) =>
        sink.pushElements(stamp, k, fresh, side, values),
  ),
  fc.tuple(texts, listIds, texts).map(
    ([k, id, t]): Call =>
      (sink, stamp) =>
        sink.writeElement(stamp, k, id, t),
  ),
  fc.tuple(texts, idRanges).map(
    ([k, ranges]): Call =>
      (sink, stamp) =>
        sink.removeElements(stamp, k, ranges),
  ),
  fc.tuple(texts, fc.boolean(), marks, newEntries).map(
    ([k, fresh, m, entries]): Call =>
      (sink, stamp) =>
        sink.addEntries(stamp, k, fresh, { ...m, lastId: maxId }, entries),
  ),
  fc.tuple(texts, fc.boolean(), marks).map(
    ([k, fresh, m]): Call =>
      (sink, stamp) =>
        sink.setMarks(stamp, k, fresh, m),
  ),
  fc.tuple(texts, fc.array(streamIds, { maxLength: 3 })).map(
    ([k, ids]): Call =>
      (sink, stamp) =>
        sink.removeEntries(stamp, k, ids),
  ),
  fc.tuple(texts, streamIds).map(
    ([k, upto]): Call =>
      (sink, stamp) =>
        sink.trimEntries(stamp, k, upto),
  ),
  fc.tuple(texts, fc.boolean(), texts, fc.array(streamIds, { minLength: 8, maxLength: 8 })).map(
    ([k, fresh, group, starts]): Call =>
      (sink, stamp) =>
        sink.createGroup(stamp, k, fresh, group, starts),
  ),
  fc.tuple(texts, texts).map(
    ([k, group]): Call =>
      (sink, stamp) =>
        sink.destroyGroup(stamp, k, group),
  ),
  fc.tuple(texts, texts, fc.nat({ max: 7 }), idPairs).map(
    ([k, group, origin, [from, upto]]): Call =>
      (sink, stamp) =>
        sink.acknowledge(stamp, k, group, origin, from, upto),
  ),
  fc.tuple(texts, fc.nat(), fc.boolean(), counters).map(
    ([k, types, ends, c]): Call =>
      (sink, stamp) =>
        sink.remove(stamp, k, types & (allTypes | deleteWinsTypes), ends, c),
  ),
  fc.tuple(texts, expireAt).map(
    ([k, at]): Call =>
      (sink, stamp) =>
        sink.writeTtl(stamp, k, at),
  ),
  fc.tuple(texts, fc.boolean(), fc.array(rankedValues, { maxLength: 5 }), fc.boolean()).map(
    ([k, fresh, values, dense]): Call =>
      (sink, stamp) =>
        sink.raiseRegisters(stamp, k, fresh, values, dense),
  ),
  fc.tuple(texts, fc.boolean(), fc.array(rankedValues, { maxLength: 5 }), fc.boolean()).map(
    ([k, fresh, values, dense]): Call =>
      (sink, stamp) =>
        sink.joinRegisters(stamp, k, fresh, registersOf(values, dense)),
  ),
  fc.array(fc.record({ key: texts, counters: allCounters, deletes }), { maxLength: 3 }).map(
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
      patchText: (stamp, key, base, keepsTtl, offset, bytes, start, end) => {
        told.push(['patchText', stamp, key, base, keepsTtl, offset, latin1(bytes, start, end)])
      },
      increment: note('increment'),
      setField: note('setField'),
      incrementField: note('incrementField'),
      writeFieldTtl: note('writeFieldTtl'),
      removeFields: note('removeFields'),
      addMembers: note('addMembers'),
      removeMembers: note('removeMembers'),
      setScore: note('setScore'),
      incrementScore: note('incrementScore'),
      removeScores: note('removeScores'),
      pushElements: note('pushElements'),
      writeElement: note('writeElement'),
      removeElements: note('removeElements'),
      addEntries: note('addEntries'),
      setMarks: note('setMarks'),
      removeEntries: note('removeEntries'),
      trimEntries: note('trimEntries'),
      createGroup: note('createGroup'),
      destroyGroup: note('destroyGroup'),
      acknowledge: note('acknowledge'),
      raiseRegisters: note('raiseRegisters'),
      joinRegisters: (stamp, key, fresh, registers) =>
        told.push(['joinRegisters', stamp, key, fresh, registers.text]),
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
    ['a score that is not a number', [0, 13, 0, 0, 0, 0, 0, 0, 0, 0, 0xf8, 0x7f]],
    ['a sum that is not a number', [0, 16, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xf8, 0x7f]],
    ['an increment without the rest it announces', [0, 0x40 | 16, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]],
    ['a fresh removal of scores', [0, 0x80 | 17, 0, 0]],
    ['a counted removal with another flag', [0, 0x40 | 18, 0, 16, 0, 0, 0, 0]],
    ['a counted flush with a key', [0, 19, 1, 0x6b, 0]],
    ['a flag that is none', [0, 10, 0, 7, 2]],
    ['a count that the bytes cannot hold', [0, 9, 0, 0xff, 0xff, 0xff, 0xff, 0x0f]],
    ['a step of a list id with unknown signs', [0, 22, 0, 1, 4, 1, 0, 0]],
    ['a step of a list id without a key', [0, 22, 0, 1, 1, 0, 0, 0]],
    ['a list id without steps', [0, 22, 0, 0, 0]],
    [
      'a list id that is too deep',
      [0, 22, 0, 0xe9, 0x07, ...Array.from({ length: 1001 }, () => [1, 1, 0]).flat(), 0],
    ],
    ['an offset beyond 31 bits', [0, 22, 0, 1, 1, 1, 0x80, 0x80, 0x80, 0x80, 0x10, 0]],
    ['a range that ends before it begins', [0, 23, 0, 1, 0, 1, 1, 2, 0, 1, 1, 1, 0]],
    ['a range of one element that is none', [0, 23, 0, 1, 0, 1, 1, 1, 0, 1, 1, 1, 0]],
    ['a fresh write of an element', [0, 0x80 | 22, 0, 1, 1, 1, 0, 0]],
    ['a push with resets', [0, 0x40 | 20, 0, 0]],
    ['a patch of itself', [0, 48, 0, 0, 0, 0]],
    ['a patch of a write before all time', [0, 48, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x0f, 0, 0]],
    ['a patch that ends beyond what a text may have', [0, 48, 0, 8, 0xe8, 0xff, 0xff, 0xff, 0x01, 1, 0x78]],
    ['a fresh patch', [0, 0x80 | 48, 0, 8, 0, 0]],
    ['a fresh patch that keeps the TTL', [0, 0x80 | 49, 0, 8, 0, 0]],
    ['a patch with resets', [0, 0x40 | 48, 0, 8, 0, 0, 0]],
    ['nothing', []],
  ])('%s', (_, bytes) => {
    expect(() => checkEffects(Uint8Array.from(bytes), 0, bytes.length, first, first)).toThrow(FormatError)
  })

  test('a list id of all steps there may be is read', () => {
    const steps = Array.from({ length: listDepthMax }, () => [1, 1, 0]).flat()
    const bytes = Uint8Array.from([0, 22, 0, 0xe8, 0x07, ...steps, 0])
    checkEffects(bytes, 0, bytes.length, first, first)
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

  test('a patch that ends with the longest text is none of them', () => {
    const bytes = Uint8Array.from([0, 48, 0, 8, 0xe7, 0xff, 0xff, 0xff, 0x01, 1, 0x78])
    expect(checkEffects(bytes, 0, bytes.length, first, first)).toBe(true)
  })

  test('whether there are patches is told of each record anew', () => {
    const { bytes, last } = encode([[(sink, stamp) => sink.removeMembers(stamp, 'k', ['m']), 0]])
    expect(checkEffects(bytes, 0, bytes.length, first, last)).toBe(false)
  })

  test("stamps that aren't the part's", () => {
    const { bytes } = encode([[(sink, stamp) => sink.removeMembers(stamp, 'k', ['m']), 0]])
    expect(() => checkEffects(bytes, 0, bytes.length, first, first + stampStep)).toThrow(FormatError)
  })
})

test('the bytes of a patch are these for ever', () => {
  const base = first - 2 * stampStep
  for (const keepsTtl of [false, true]) {
    const writer = new EffectWriter()
    writer.patchText(first, 'k', base, keepsTtl, 300, bytesOf('.xy.'), 1, 3)
    const bytes = bytesWritten(writer)
    expect([...bytes]).toEqual([0, keepsTtl ? 49 : 48, 1, 0x6b, 16, 0xac, 0x02, 2, 0x78, 0x79])
    const { told, sink } = recorder()
    readEffects(bytes, 0, bytes.length, first, first, sink)
    expect(told).toEqual([['patchText', first, 'k', base, keepsTtl, 300, 'xy']])
  }
})

describe('what patches need', () => {
  const patch = (sink: EffectSink, stamp: number, key: string, base: number): void =>
    sink.patchText(stamp, key, base, false, 0, bytesOf('x'), 0, 1)
  const lacks = (calls: readonly Call[], there: readonly (readonly [string, number])[]): boolean => {
    const { bytes, last } = encode(calls.map((call) => [call, 1]))
    return lacksBase(bytes, 0, bytes.length, first, last, (key, stamp) =>
      there.some(([name, base]) => name === key && base === stamp),
    )
  }
  const [base, other] = [first - 2 * stampStep, first - stampStep]

  test('is what they patch, in the key they patch', () => {
    const effects: Call[] = [(sink, stamp) => patch(sink, stamp, 'k', base)]
    expect(lacks(effects, [['k', base]])).toBe(false)
    expect(lacks(effects, [['k', other]])).toBe(true)
    expect(lacks(effects, [['l', base]])).toBe(true)
  })

  test('may have been made by an effect before', () => {
    const patchLast: Call = (sink, stamp) => patch(sink, stamp, 'k', stamp - stampStep)
    const set: Call = (sink, stamp) => sink.setText(stamp, 'k', 'text', keepTtl, [])
    const setOther: Call = (sink, stamp) => sink.setText(stamp, 'l', 'text', keepTtl, [])
    const setPlain: Call = (sink, stamp) => {
      sink.setOnlyBytes(stamp, bytesOf('ktext'), 0, 1, 1, 5, Number.POSITIVE_INFINITY)
    }
    expect(lacks([set, patchLast, patchLast], [])).toBe(false)
    expect(lacks([setPlain, patchLast], [])).toBe(false)
    expect(lacks([setOther, patchLast], [])).toBe(true)
    expect(lacks([patchLast, set], [])).toBe(true)
  })

  test('is asked of each of them', () => {
    const effects: Call[] = [
      (sink, stamp) => patch(sink, stamp, 'k', base),
      (sink, stamp) => patch(sink, stamp, 'l', base),
    ]
    expect(lacks(effects, [['k', base]])).toBe(true)
    expect(lacks(effects, [['l', base]])).toBe(true)
  })
})
