import { describe, expect, it } from 'vitest'
import { AccessClock, frequency, idleSeconds, raisedFrequency } from '#server/store/access.ts'

const minuteMs = 60_000
const bits = 2 ** 24
/** The start of a minute; neither seconds nor minutes are about to wrap. */
const startMs = 30_000_000 * minuteMs

function clockAt(nowMs: number, byFrequency: boolean): AccessClock {
  const clock = new AccessClock()
  clock.byFrequency = byFrequency
  clock.setNow(nowMs)
  return clock
}

describe('an access by time', () => {
  it('tells the seconds since, in 24 bits', () => {
    const access = clockAt(startMs, false).fresh()
    expect(access).toBeLessThan(bits)
    expect([0, 999, 1000, 61_500].map((ms) => idleSeconds(access, startMs + ms))).toEqual([0, 0, 1, 61])
    expect(clockAt(startMs + 5000, false).touched(access)).toBe((access + 5) % bits)
  })

  it('goes on counting where the bits wrap', () => {
    const wrapMs = 104 * bits * 1000
    const before = clockAt(wrapMs - 10_000, false).fresh()
    expect(before).toBe(bits - 10)
    expect(idleSeconds(before, wrapMs + 20_000)).toBe(30)
  })

  it('has just happened when the clock was set back a little', () => {
    const access = clockAt(startMs, false).fresh()
    expect(idleSeconds(access, startMs - 1000)).toBe(0)
    expect(idleSeconds(access, startMs - 3_600_000)).toBe(0)
    // That far back it is taken for long ago.
    expect(idleSeconds(access, startMs - 3_601_000)).toBe(bits - 3601)
  })
})

describe('an access by frequency', () => {
  it('starts a new key at 5 and loses one a minute', () => {
    const access = clockAt(startMs, true).fresh()
    expect(access).toBeLessThan(bits)
    const after = [0, 59_999, minuteMs, 3 * minuteMs, 5 * minuteMs, 500 * minuteMs]
    expect(after.map((ms) => frequency(access, startMs + ms))).toEqual([5, 5, 4, 2, 0, 0])
    expect(frequency(access, startMs - 2 * minuteMs)).toBe(5)
  })

  it('is counted with a chance that falls with the counter', () => {
    expect(raisedFrequency(0, 0.999)).toBe(1)
    expect(raisedFrequency(5, 0.999)).toBe(6)
    expect(raisedFrequency(6, 1 / 11 - 0.001)).toBe(7)
    expect(raisedFrequency(6, 1 / 11 + 0.001)).toBe(6)
    expect(raisedFrequency(255, 0)).toBe(255)
  })

  it('reaches about what Redis documents for so many accesses', () => {
    const counterAfter = (accesses: number): number => {
      const clock = clockAt(startMs, true)
      let access = clock.fresh()
      for (let i = 0; i < accesses; i++) access = clock.touched(access)
      return clock.frequency(access)
    }
    expect(Math.abs(counterAfter(100) - 10)).toBeLessThan(5)
    expect(Math.abs(counterAfter(1000) - 18)).toBeLessThan(8)
    expect(Math.abs(counterAfter(100_000) - 142)).toBeLessThan(20)
    expect(counterAfter(2_000_000)).toBe(255)
  })

  it('takes the minutes off before it counts', () => {
    const access = clockAt(startMs, true).fresh()
    const later = clockAt(startMs + 5 * minuteMs, true)
    // 5 - 5, and one that always counts.
    expect(later.frequency(later.touched(access))).toBe(1)
  })
})
