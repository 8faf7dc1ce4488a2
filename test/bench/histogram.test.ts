import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Histogram } from '#bench/figures/histogram.ts'

const durations = fc.array(fc.double({ min: 0, max: 100_000, noNaN: true }), { minLength: 1, maxLength: 300 })
const parts = fc.constantFrom(0.01, 0.5, 0.9, 0.99, 0.999, 1)

function histogramOf(list: readonly number[]): Histogram {
  const histogram = new Histogram()
  for (const durationMs of list) histogram.record(durationMs)
  return histogram
}

/** The smallest duration that so many are at most. */
function exact(list: readonly number[], part: number): number {
  const sorted = list.toSorted((a, b) => a - b)
  return sorted[Math.max(0, Math.ceil(sorted.length * part) - 1)] as number
}

describe('percentiles of a histogram', () => {
  it('are those of the sorted list, to 1/128 and the microsecond', () => {
    fc.assert(
      fc.property(durations, parts, (list, part) => {
        const is = histogramOf(list).percentileMs(part)
        const shall = exact(list, part)
        expect(is).toBeGreaterThanOrEqual(shall - 0.0006)
        expect(is).toBeLessThanOrEqual(shall * (1 + 1 / 128) + 0.0016)
      }),
    )
  })

  it('keep the largest as it is', () => {
    fc.assert(
      fc.property(durations, (list) => {
        expect(histogramOf(list).percentiles()).toMatchObject({
          count: list.length,
          maxMs: Math.max(...list),
        })
      }),
    )
  })

  it('don’t depend on whether one histogram counts or two are added', () => {
    fc.assert(
      fc.property(durations, durations, (one, other) => {
        const added = histogramOf(one)
        added.add(histogramOf(other))
        expect(added.percentiles()).toEqual(histogramOf([...one, ...other]).percentiles())
      }),
    )
  })

  it('tell 999 quick ones from a slow one', () => {
    const histogram = histogramOf([...Array.from({ length: 999 }, () => 0.2), 50])
    expect(histogram.percentileMs(0.99)).toBe(0.2)
    expect(histogram.percentileMs(0.999)).toBe(0.2)
    expect(histogram.percentileMs(0.9995)).toBe(50)
    histogram.clear()
    expect(histogram.percentiles()).toEqual({ count: 0, p50Ms: 0, p99Ms: 0, p999Ms: 0, maxMs: 0 })
  })
})
