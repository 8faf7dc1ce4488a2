import { describe, expect, it } from 'vitest'
import { CounterEntry, resetsOf, withoutOwn } from '#server/crdt/counter.ts'

/** Stamps of two origins. */
const a = (tick: number): number => tick * 8 + 1
const b = (tick: number): number => tick * 8 + 2

const entries = [new CounterEntry(a(1), a(5), 50), new CounterEntry(b(2), b(4), 20)]

describe('a removal', () => {
  it('names the counters of other origins', () => {
    expect(resetsOf(entries, 1)).toEqual([{ last: b(4), from: b(2), sum: 20 }])
    expect(resetsOf(entries, 2)).toEqual([{ last: a(5), from: a(1), sum: 50 }])
    expect(resetsOf(entries, 3)).toHaveLength(2)
  })

  it("takes its own origin's by its stamp", () => {
    expect(withoutOwn(entries, a(6))).toEqual([entries[1]])
    expect(withoutOwn([entries[1] as CounterEntry], b(6))).toEqual([])
  })

  it('leaves what its origin has begun since: a log that is replayed on a later state changes nothing', () => {
    const since = [new CounterEntry(a(6), a(9), 7)]
    expect(withoutOwn(since, a(6))).toBe(since)
    expect(withoutOwn(since, a(3))).toBe(since)
  })
})
