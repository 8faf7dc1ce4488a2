/** What every clock and its timers do. */
import { beforeEach, describe, expect, test } from 'vitest'
import type { Clock, Random, Timers } from '#runtime/ports.ts'

export interface TimeUnderTest {
  clock: Clock
  timers: Timers
  random: Random
  /** Lets time pass until `promise` is fulfilled. */
  until<T>(promise: Promise<T>): Promise<T>
}

export function timersSuite(name: string, make: () => TimeUnderTest): void {
  describe(`time: ${name}`, () => {
    let under: TimeUnderTest
    beforeEach(() => {
      under = make()
    })
    const passed = (delayMs: number) =>
      new Promise<void>((resolve) => {
        under.timers.after(delayMs, resolve)
      })

    test('timers run in the order of their time, not before it', async () => {
      const { clock, timers } = under
      const startMs = clock.monotonicMs()
      const order: number[] = []
      for (const delayMs of [30, 10, 20]) timers.after(delayMs, () => order.push(delayMs))
      await under.until(passed(40))
      expect(order).toEqual([10, 20, 30])
      expect(clock.monotonicMs() - startMs).toBeGreaterThanOrEqual(39)
    })

    test('a cancelled timer does not run; cancelling twice or late is harmless', async () => {
      const ran: string[] = []
      const cancel = under.timers.after(5, () => ran.push('cancelled'))
      const late = under.timers.after(5, () => ran.push('kept'))
      cancel()
      cancel()
      await under.until(passed(10))
      late()
      expect(ran).toEqual(['kept'])
    })

    test('the turn ends after this call, in order, once', async () => {
      const ran: string[] = []
      const ended = new Promise<void>((resolve) => {
        under.timers.atTurnEnd(() => ran.push('first'))
        under.timers.atTurnEnd(() => {
          ran.push('second')
          under.timers.atTurnEnd(() => {
            ran.push('asked for while it ended')
            resolve()
          })
        })
      })
      expect(ran).toEqual([])
      await under.until(ended)
      expect(ran).toEqual(['first', 'second', 'asked for while it ended'])
    })

    test('the monotonic clock does not go back and both move on', async () => {
      const { clock } = under
      const wallMs = clock.wallMs()
      const monotonicMs = clock.monotonicMs()
      await under.until(passed(20))
      expect(clock.monotonicMs()).toBeGreaterThan(monotonicMs)
      expect(clock.wallMs()).toBeGreaterThan(wallMs)
      expect(Number.isInteger(clock.wallMs())).toBe(true)
    })

    test('random integers fill their range', () => {
      const seen = new Set<number>()
      for (let i = 0; i < 2000; i++) seen.add(under.random.below(5))
      expect([...seen].sort()).toEqual([0, 1, 2, 3, 4])
      expect(under.random.below(1)).toBe(0)
      const large = Math.max(...Array.from({ length: 100 }, () => under.random.below(2 ** 32)))
      expect(large).toBeGreaterThan(2 ** 31)
      expect(Number.isInteger(large)).toBe(true)
    })
  })
}
