import { expect, it } from 'vitest'
import { cpuPerRequest, totalMicros } from '#bench/load/rate.ts'

const time = (totalMs: number, userMs: number, systemMs: number) => ({ totalMs, userMs, systemMs })

it('takes the sum from the exact count, and its parts from the ticks', () => {
  const before = new Map([['proxy', time(100, 60, 40)]])
  const after = new Map([
    ['proxy', time(144, 90, 50)],
    // Started meanwhile.
    ['shard', time(10, 0, 10)],
  ])
  const cpu = cpuPerRequest(before, after, 1_000)
  expect(cpu.get('proxy')).toEqual({ user: 33, system: 11 })
  expect(cpu.get('shard')).toEqual({ user: 0, system: 10 })
  expect(totalMicros({ cpu })).toBe(54)
})

it('splits nothing where no tick has passed', () => {
  const before = new Map([['proxy', time(100, 60, 40)]])
  const after = new Map([['proxy', time(104, 60, 40)]])
  expect(cpuPerRequest(before, after, 1_000).get('proxy')).toEqual({ user: 4, system: 0 })
})
