import { describe, expect, it } from 'vitest'
import { flatness } from '#bench/figures/flatness.ts'
import { median } from '#bench/figures/median.ts'

const samplesOf = (value: (seconds: number) => number) =>
  Array.from({ length: 100 }, (_, i) => ({ seconds: i + 1, value: value(i + 1) }))

describe('flatness of memory', () => {
  it('holds for what stays, falls, or grows in the first quarter only', () => {
    expect(flatness(samplesOf(() => 100))).toMatchObject({ growth: 0, isFlat: true })
    expect(flatness(samplesOf((seconds) => 200 - seconds)).isFlat).toBe(true)
    expect(flatness(samplesOf((seconds) => Math.min(seconds, 25) * 10))).toMatchObject({
      secondQuarter: 250,
      lastQuarter: 250,
      isFlat: true,
    })
  })

  it('doesn’t hold for a leak', () => {
    const { growth, isFlat } = flatness(samplesOf((seconds) => 1_000 + seconds * 2))
    expect(growth).toBeCloseTo(100 / 1_076, 2)
    expect(isFlat).toBe(false)
  })

  it('is not upset by single peaks, but by many', () => {
    expect(flatness(samplesOf((seconds) => (seconds % 5 === 0 ? 900 : 100))).isFlat).toBe(true)
    expect(flatness(samplesOf((seconds) => (seconds > 80 ? 900 : 100))).isFlat).toBe(false)
  })

  it('needs samples in the quarters that it compares', () => {
    expect(() => flatness([{ seconds: 100, value: 1 }])).toThrow('quarter 2')
  })
})

describe('the median', () => {
  it('is the middle, or the mean of the two there', () => {
    expect(median([3, 1, 2])).toBe(2)
    expect(median([4, 1, 3, 2])).toBe(2.5)
    expect(median([10, 9])).toBe(9.5)
    expect(median([])).toBeNaN()
  })
})
