import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  beginOperations,
  readMessage,
  syncVersion,
  writeAcknowledge,
  writeApplied,
  writeAskApplied,
  writeBehind,
  writeCaughtUp,
  writeHeartbeat,
  writeNeed,
  writeOffer,
  writePlan,
  writeSubscribe,
} from '#protocol/sync/message.ts'
import { writeAppliedAt, writeAskRelayed } from '#protocol/sync/relayMessage.ts'
import {
  beginCutTail,
  slotStatePartBytesMax,
  writeCutBegin,
  writeCutEnd,
  writeCutKeys,
  writeSendStates,
  writeSlotStatePart,
  writeStatesDue,
  writeStatesSent,
} from '#protocol/sync/stateMessage.ts'
import { emptyVector } from '#protocol/sync/versionVector.ts'
import { FormatError } from '#runtime/bytes/byteReader.ts'
import { ByteWriter } from '#runtime/bytes/byteWriter.ts'

const written = (write: (writer: ByteWriter) => void) => {
  const writer = new ByteWriter()
  write(writer)
  return writer.take()
}
const read = (bytes: Uint8Array) => readMessage(bytes, 0, bytes.length)

const vector = (...entries: [origin: number, counter: number][]) => {
  const made = emptyVector()
  for (const [origin, counter] of entries) made[origin] = counter * 8 + origin
  return made
}

describe('sync messages', () => {
  test('a subscribe comes back as it was written', () => {
    const message = {
      round: 3,
      stale: true,
      runId: 'run-1',
      staleRuns: [{ clusterId: 2, runId: 'run-9' }],
      answers: true,
      compares: true,
      takesPublished: true,
      relays: true,
      origins: 0b1010_0000,
      vectors: new Map([
        [0, vector([7, 5])],
        [1, vector([7, 1], [5, 2 ** 49])],
        [16383, vector([0, 1])],
      ]),
    }
    expect(read(written((writer) => writeSubscribe(writer, message)))).toEqual({
      kind: 'subscribe',
      ...message,
    })
  })

  test('so do the others', () => {
    const plan = { round: 7, stale: false, runId: 'x'.repeat(64), relays: true, slotStates: 16384 }
    expect(read(written((w) => writePlan(w, plan)))).toEqual({ kind: 'plan', ...plan })
    expect(read(written((w) => writeCaughtUp(w, 9)))).toEqual({ kind: 'caughtUp', round: 9 })
    expect(read(written((w) => writeAcknowledge(w, 2 ** 40)))).toEqual({
      kind: 'acknowledge',
      received: 2 ** 40,
    })
    for (const answer of ['log', 'logOrState', 'state'] as const) {
      const need = { slot: 16383, answer, have: vector([7, 1]), wanted: vector([7, 3], [2, 9]) }
      expect(read(written((w) => writeNeed(w, need)))).toEqual({ kind: 'need', ...need })
    }
    const label = vector([6, 2])
    expect(read(written((w) => writeCutBegin(w, 5, label)))).toEqual({ kind: 'cutBegin', slot: 5, label })
    expect(read(written((w) => writeCutEnd(w, 5, label)))).toEqual({
      kind: 'cutEnd',
      slot: 5,
      reached: label,
    })
    expect(read(written((w) => writeStatesDue(w, 7)))).toEqual({ kind: 'statesDue', number: 7 })
    expect(read(written((w) => writeSendStates(w, 7)))).toEqual({ kind: 'sendStates', number: 7 })
    expect(read(written(writeStatesSent))).toEqual({ kind: 'statesSent' })
    const offered = [
      { slot: 3, stamp: 8001 },
      { slot: 3, stamp: 16002 },
    ]
    expect(read(written((w) => writeOffer(w, offered)))).toEqual({ kind: 'offer', offered })
    expect(read(written(writeBehind))).toEqual({ kind: 'behind' })
    const stamp = 2 ** 50 + 7
    expect(read(written((w) => writeAskApplied(w, stamp)))).toEqual({ kind: 'askApplied', stamp })
    expect(read(written((w) => writeApplied(w, stamp)))).toEqual({ kind: 'applied', stamp })
    const slots = [
      { first: 0, last: 0 },
      { first: 9, last: 16383 },
    ]
    const relayed = { stamp, ranges: slots }
    expect(read(written((w) => writeAskRelayed(w, relayed)))).toEqual({ kind: 'askRelayed', ...relayed })
    const appliedAt = { member: 8, ...relayed }
    expect(read(written((w) => writeAppliedAt(w, appliedAt)))).toEqual({ kind: 'appliedAt', ...appliedAt })
    const ranges = [
      { first: 0, last: 9, applied: vector([7, 3], [1, 2]) },
      { first: 10, last: 16383, applied: vector() },
    ]
    expect(read(written((w) => writeHeartbeat(w, false, ranges)))).toEqual({
      kind: 'heartbeat',
      stale: false,
      refusing: false,
      ranges,
    })
    expect(read(written((w) => writeHeartbeat(w, true, [])))).toEqual({
      kind: 'heartbeat',
      stale: true,
      refusing: false,
      ranges: [],
    })
    expect(read(written((w) => writeHeartbeat(w, true, ranges, true)))).toEqual({
      kind: 'heartbeat',
      stale: true,
      refusing: true,
      ranges,
    })
  })

  test('operations and parts of slot states point into the bytes', () => {
    const operations = written((writer) => {
      beginOperations(writer)
      writer.raw(new Uint8Array([1, 2, 3]))
    })
    expect(read(operations)).toMatchObject({ kind: 'operations', start: 1, end: 4 })
    const state = new Uint8Array(slotStatePartBytesMax).fill(7)
    const label = vector([7, 1])
    const first = written((w) => writeSlotStatePart(w, 12, 0, false, label, state, 0, state.length))
    const message = read(first)
    expect(message).toMatchObject({ kind: 'slotState', slot: 12, part: 0, last: false, label })
    const keys = written((w) => writeCutKeys(w, 12, true, state, 3, 10))
    expect(read(keys)).toMatchObject({ kind: 'cutKeys', slot: 12, last: true, start: 4, end: 11 })
    const tail = written((w) => {
      beginCutTail(w, 12)
      w.raw(new Uint8Array([1, 2]))
    })
    expect(read(tail)).toMatchObject({ kind: 'cutTail', slot: 12, start: 3, end: 5 })
    const later = written((w) => writeSlotStatePart(w, 12, 1, true, label, state, 0, 10))
    expect(read(later)).toMatchObject({ slot: 12, part: 1, last: true, label: null })
  })

  test.each([
    ['no message', []],
    ['an unknown kind', [99]],
    ['another version', [1, syncVersion + 1]],
    ['bytes behind a message', [9, 0]],
    ['a slot out of range', [8, 0xff, 0xff]],
    ['a need for an answer that there is not', [8, 0, 0, 3, 0, 0]],
    ['a need without a vector', [8, 0, 0, 1, 0]],
    ['an offer of too much', [17, 0x81, 0x20]],
    ['an offer of no stamp', [17, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]],
    ['an end of a cut without a vector', [13, 0, 0]],
    ['a run id that is too long', [2, syncVersion, 1, 0, 65, ...new Array(65).fill(65), 0]],
    ['a subscribe to too many slots', [1, syncVersion, 1, 0, 0, 0, 0xff, 0x81, 0x80, 0x02]],
    ['a slot twice', [1, syncVersion, 1, 0, 0, 0, 0xff, 2, 1, 0, 0, 0]],
    ['a slot behind the last', [1, syncVersion, 1, 0, 0, 0, 0xff, 1, 0x81, 0x80, 0x02, 0]],
    ['a stale run of no cluster', [1, syncVersion, 1, 1, 0, 1, 9, 0, 0xff, 0]],
    ['a stamp that is no integer', [6, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0xf0, 0x7f]],
    ['a question about no slots', [28, ...new Array(8).fill(1), 0]],
    ['slots that are not in order', [28, ...new Array(7).fill(1), 0, 2, 5, 0, 6, 0, 6, 0, 7, 0]],
    ['a question about too many runs of slots', [28, ...new Array(7).fill(1), 0, 0x81, 0x08]],
    ['what no cluster has applied', [29, 9, ...new Array(7).fill(1), 0, 1, 5, 0, 6, 0]],
    ['ranges that overlap', [6, 0, 2, 0, 0, 5, 0, 0, 5, 0, 6, 0, 0]],
    ['a range that ends before it begins', [6, 0, 1, 5, 0, 4, 0, 0]],
    [
      'a part of a slot state that is too large',
      [4, 0, 0, 1, 1, ...new Array(slotStatePartBytesMax + 1).fill(0)],
    ],
  ])('%s is refused', (_what, bytes) => {
    expect(() => read(new Uint8Array(bytes))).toThrow(FormatError)
  })

  test('random bytes are a message or a FormatError, and a prefix of a message is never another one', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), fc.integer({ min: 1, max: 29 }), (bytes, kind) => {
        const whole = new Uint8Array([kind, syncVersion, ...bytes])
        try {
          read(whole)
        } catch (error) {
          expect(error).toBeInstanceOf(FormatError)
        }
      }),
      { numRuns: 2000 },
    )
    const subscribe = written((writer) =>
      writeSubscribe(writer, {
        round: 300,
        stale: true,
        runId: 'run',
        staleRuns: [{ clusterId: 1, runId: 'r' }],
        answers: false,
        compares: false,
        takesPublished: false,
        relays: false,
        origins: 255,
        vectors: new Map([[5, vector([3, 9])]]),
      }),
    )
    for (let end = 0; end < subscribe.length; end++) {
      expect(() => readMessage(subscribe, 0, end)).toThrow(FormatError)
    }
  })
})
