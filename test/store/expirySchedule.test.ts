import { expect, test } from 'vitest'
import { ExpirySchedule } from '#server/store/expirySchedule.ts'
import { SeededRandom, seedFromEnv } from '#test/seed.ts'

function takeAll(schedule: ExpirySchedule, nowMs: number): string[] {
  const names: string[] = []
  for (let name = schedule.take(nowMs); name !== undefined; name = schedule.take(nowMs)) names.push(name)
  return names.sort()
}

test('a name comes up within a second of its time, not before', () => {
  const schedule = new ExpirySchedule()
  schedule.add('a', 10_500)
  schedule.add('b', 12_000)
  expect(takeAll(schedule, 10_499)).toEqual([])
  expect(takeAll(schedule, 11_000)).toEqual(['a'])
  expect(takeAll(schedule, 11_999)).toEqual([])
  expect(takeAll(schedule, 12_000)).toEqual(['b'])
  expect(schedule.size).toBe(0)
})

test('an earlier time replaces a later one; a later one waits for the earlier to come up', () => {
  const schedule = new ExpirySchedule()
  schedule.add('a', 50_000)
  schedule.add('a', 20_000)
  schedule.add('a', 90_000)
  expect(schedule.size).toBe(1)
  expect(takeAll(schedule, 20_000)).toEqual(['a'])
  expect(takeAll(schedule, 100_000)).toEqual([])
})

test('a time that has passed comes up in the next second', () => {
  const schedule = new ExpirySchedule()
  expect(takeAll(schedule, 100_000)).toEqual([])
  schedule.add('a', 3_000)
  expect(takeAll(schedule, 100_999)).toEqual([])
  expect(takeAll(schedule, 101_000)).toEqual(['a'])
})

test('a clock that is set back, or jumps, loses nothing', () => {
  const schedule = new ExpirySchedule()
  schedule.add('far', 10_000_000_000)
  expect(takeAll(schedule, 5_000_000)).toEqual([])
  expect(takeAll(schedule, 2_000_000)).toEqual([])
  schedule.add('near', 2_003_000)
  expect(takeAll(schedule, 2_003_000)).toEqual(['near'])
  expect(takeAll(schedule, 20_000_000_000)).toEqual(['far'])
})

test('random times, steps and jumps', () => {
  const random = new SeededRandom(seedFromEnv())
  for (let run = 0; run < 200; run++) {
    const schedule = new ExpirySchedule()
    const due = new Map<string, number>()
    let now = 1_000_000
    for (let step = 0; step < 200; step++) {
      const name = `k${random.below(20)}`
      const at = now + random.below(random.chance(0.1) ? 10_000_000 : 20_000)
      schedule.add(name, at)
      due.set(name, Math.min(at, due.get(name) ?? at))
      now += random.chance(0.05) ? random.below(5_000_000) : random.below(2_000)
      const taken = takeAll(schedule, now)
      const early = taken.filter((name) => (due.get(name) ?? 0) > now)
      for (const name of taken) due.delete(name)
      const missed = [...due.values()].filter((dueMs) => dueMs <= now - 2_000)
      if (early.length + missed.length > 0) expect({ run, step, early, missed }).toBeUndefined()
    }
  }
})
