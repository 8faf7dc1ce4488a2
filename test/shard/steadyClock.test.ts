/** The wall clock as shards go by it: what leaps is not followed before the monitor has judged it. */
import fc from 'fast-check'
import { beforeEach, describe, expect, test } from 'vitest'
import { judgedAfterMs, leapMs, SteadyClock } from '#server/steadyClock.ts'
import { MemoryWorld } from '#test/memoryWorld.ts'

const hourMs = 3_600_000
/** A shard reads it at least so often. */
const readEveryMs = 50

let world: MemoryWorld
let isGated: boolean
let clock: SteadyClock
/** Minus what a clock says that never leaps. */
const aheadMs = () => Math.round(clock.wallMs() - world.monotonicMs() - Date.UTC(2026, 0, 1))

beforeEach(() => {
  world = new MemoryWorld()
  isGated = false
  clock = new SteadyClock(world, () => isGated)
})

function pass(durationMs: number): void {
  for (let passedMs = 0; passedMs < durationMs; passedMs += readEveryMs) {
    world.advance(readEveryMs)
    clock.wallMs()
  }
}

describe('a leap', () => {
  test.each([hourMs, -hourMs, leapMs + 1, -leapMs - 1])('by %i ms is not followed at once', (byMs) => {
    pass(1000)
    world.wallOffsetMs += byMs
    expect(aheadMs()).toBe(0)
    pass(judgedAfterMs - readEveryMs)
    expect(aheadMs()).toBe(0)
  })

  test('is followed when nobody had an objection', () => {
    world.wallOffsetMs += hourMs
    clock.wallMs()
    pass(judgedAfterMs)
    expect(aheadMs()).toBe(hourMs)
  })

  test('is not followed while the gate is closed, and forgotten when the clock is put right', () => {
    world.wallOffsetMs += hourMs
    clock.wallMs()
    pass(250)
    isGated = true
    pass((2 * hourMs) / 100)
    expect(aheadMs()).toBe(0)
    world.wallOffsetMs -= hourMs
    isGated = false
    expect(aheadMs()).toBe(0)
    pass(judgedAfterMs + 100)
    expect(aheadMs()).toBe(0)
  })

  test('of a clock that was wrong from the start is followed at once: the gate opens on it', () => {
    world.wallOffsetMs += hourMs
    clock = new SteadyClock(world, () => isGated)
    isGated = true
    pass(1000)
    expect(aheadMs()).toBe(hourMs)
    world.wallOffsetMs -= hourMs
    expect(aheadMs()).toBe(0)
    isGated = false
    expect(aheadMs()).toBe(0)
  })

  test('and another one wait for the last of them', () => {
    world.wallOffsetMs += hourMs
    clock.wallMs()
    pass(judgedAfterMs - 100)
    world.wallOffsetMs += hourMs
    clock.wallMs()
    pass(judgedAfterMs - 100)
    expect(aheadMs()).toBe(0)
    pass(200)
    expect(aheadMs()).toBe(2 * hourMs)
  })
})

test('what a time server puts right bit by bit is followed as it comes', () => {
  for (let i = 0; i < 100; i++) {
    world.wallOffsetMs -= 4
    pass(readEveryMs)
    expect(aheadMs()).toBe(-4 * (i + 1))
  }
})

test('whatever leaps: within the time of the monitor nothing is ahead of what was believed, and time does not go back by itself', () => {
  const step = fc.record({
    byMs: fc.constantFrom(0, 0, 1, 60_000, -60_000, hourMs),
    passMs: fc.integer({ min: 50, max: 400 }),
  })
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      world = new MemoryWorld()
      clock = new SteadyClock(world, () => false)
      let quietSinceMs = Number.NEGATIVE_INFINITY
      let believedMs = world.wallOffsetMs
      for (const { byMs, passMs } of steps) {
        world.wallOffsetMs += byMs
        if (Math.abs(byMs) > leapMs) quietSinceMs = world.monotonicMs()
        const offsetMs = clock.wallMs() - world.monotonicMs()
        const isJudged = world.monotonicMs() - quietSinceMs >= judgedAfterMs
        if (isJudged || Math.abs(world.wallOffsetMs - believedMs) <= leapMs) believedMs = world.wallOffsetMs
        expect(Math.abs(offsetMs - believedMs)).toBeLessThanOrEqual(1)
        world.advance(passMs)
        clock.wallMs()
        if (world.monotonicMs() - quietSinceMs >= judgedAfterMs) believedMs = world.wallOffsetMs
      }
    }),
  )
})
