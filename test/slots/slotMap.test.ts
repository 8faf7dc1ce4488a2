import { describe, expect, it } from 'vitest'
import { slotCount } from '#protocol/slots/crc16.ts'
import { evenRanges, includesSlot, overlap, SlotMap } from '#protocol/slots/slotMap.ts'

describe('evenRanges', () => {
  it.each([1, 2, 3, 5, 7, 16, 100, slotCount])(
    'covers each slot once with %i shards of nearly one size',
    (shards) => {
      const ranges = evenRanges(shards)
      expect(ranges).toHaveLength(shards)
      let next = 0
      for (const { first, last } of ranges) {
        expect(first).toBe(next)
        const size = last - first + 1
        expect(Math.abs(size - slotCount / shards)).toBeLessThan(1)
        next = last + 1
      }
      expect(next).toBe(slotCount)
    },
  )

  it.each([0, -1, 1.5, slotCount + 1, Number.NaN])('refuses %d shards', (shards) => {
    expect(() => evenRanges(shards)).toThrow(RangeError)
  })
})

describe('overlap', () => {
  it('finds what two ways of cutting the slots have in common', () => {
    const halves = evenRanges(2)
    const thirds = evenRanges(3)
    expect(overlap(halves.slice(0, 1), thirds.slice(1, 2))).toEqual([{ first: 5461, last: 8191 }])
    expect(overlap(halves.slice(0, 1), thirds.slice(2, 3))).toEqual([])
    const scattered = [
      { first: 100, last: 200 },
      { first: 0, last: 10 },
    ]
    expect(overlap(scattered, [{ first: 5, last: 150 }])).toEqual([
      { first: 5, last: 10 },
      { first: 100, last: 150 },
    ])
  })
})

describe('includesSlot', () => {
  it('counts both ends in', () => {
    const ranges = [
      { first: 3, last: 5 },
      { first: 9, last: 9 },
    ]
    expect([2, 3, 5, 6, 9, 10].map((slot) => includesSlot(ranges, slot))).toEqual([
      false,
      true,
      true,
      false,
      true,
      false,
    ])
  })
})

describe('SlotMap', () => {
  it('names the owner of each slot', () => {
    const map = new SlotMap(evenRanges(3).map((range, index) => ({ index, ranges: [range] })))
    expect([0, 5460, 5461, 10921, 10922, 16383].map((slot) => map.shardOf(slot))).toEqual([0, 0, 1, 1, 2, 2])
    expect(map.firstUnowned()).toBe(-1)
    expect(map.shardOf(slotCount)).toBe(-1)
  })

  it('says which slots nobody owns', () => {
    const map = new SlotMap([{ index: 4, ranges: [{ first: 0, last: 9 }] }])
    expect(map.shardOf(9)).toBe(4)
    expect(map.shardOf(10)).toBe(-1)
    expect(map.firstUnowned()).toBe(10)
  })

  it('refuses two owners and ranges out of range', () => {
    const one = { index: 0, ranges: [{ first: 0, last: 100 }] }
    expect(() => new SlotMap([one, { index: 1, ranges: [{ first: 100, last: 101 }] }])).toThrow(
      'slot 100 is given to shards 0 and 1',
    )
    expect(() => new SlotMap([{ index: 0, ranges: [{ first: 5, last: 4 }] }])).toThrow(RangeError)
    expect(() => new SlotMap([{ index: 0, ranges: [{ first: 0, last: slotCount }] }])).toThrow(RangeError)
    expect(() => new SlotMap([{ index: -1, ranges: [] }])).toThrow(RangeError)
  })
})
