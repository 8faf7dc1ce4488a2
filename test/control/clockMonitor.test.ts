import { describe, expect, test } from 'vitest'
import type { ClockReading } from '#control/clock/clockReading.ts'
import { ClockMonitor, stepMs } from '#control/clock/monitor.ts'

const thresholds = { degradedMs: 100, gateMs: 1000, hysteresisPercent: 20 }
const serverAgeMs = 60_000
const peerAgeMs = 600_000

function scene(servers: readonly string[] = []) {
  const monitor = new ClockMonitor(thresholds, serverAgeMs, peerAgeMs)
  let nowMs = 1000
  let baseMs = 1_800_000_000_000
  const reading = (): ClockReading => ({ wallMs: nowMs + baseMs, monotonicMs: nowMs })
  monitor.expectServers(servers, reading())
  return {
    monitor,
    pass: (durationMs: number) => {
      nowMs += durationMs
    },
    step: (byMs: number) => {
      baseMs += byMs
    },
    read: () => monitor.read(reading()),
    /** A server or peer whose clock is `offsetMs` ahead of ours. */
    server: (name: string, offsetMs: number, errorMs = 1) =>
      monitor.serverSample(name, { offsetMs, delayMs: 0, errorMs }, reading()),
    peer: (name: string, offsetMs: number, errorMs = 1) =>
      monitor.peerSample(name, { offsetMs, delayMs: 0, errorMs }, reading()),
    judge: () => monitor.judge(reading()),
  }
}

describe('thresholds', () => {
  test('nothing to compare with: the clock is believed', () => {
    expect(scene().judge()).toEqual({ state: 'ok', offsetMs: 0, source: '', degradedMs: 100, gateMs: 1000 })
  })

  test.each([
    [50, 'ok'],
    [-101, 'ok'],
    [-110, 'degraded'],
    [950, 'degraded'],
    [1001, 'degraded'],
    [-1010, 'gated'],
    [90_000, 'gated'],
  ])('%d ms off', (offsetMs, state) => {
    const { server, judge } = scene(['s'])
    server('s', offsetMs)
    expect(judge()).toMatchObject({ state, offsetMs: -offsetMs, source: 's' })
  })

  test('the way back needs more than falling below the threshold', () => {
    const { server, judge, pass } = scene(['s'])
    const states: string[] = []
    for (const offsetMs of [1010, 950, 810, 795, 500, 95, 84, 79, 101, 110]) {
      pass(serverAgeMs + 1)
      server('s', offsetMs)
      states.push(judge().state)
    }
    expect(states).toEqual([
      'gated',
      'gated',
      'gated',
      'degraded',
      'degraded',
      'degraded',
      'degraded',
      'ok',
      'ok',
      'degraded',
    ])
  })

  test('from far off to right in one measurement', () => {
    const { server, judge, pass } = scene(['s'])
    server('s', 5000)
    expect(judge().state).toBe('gated')
    pass(serverAgeMs + 1)
    server('s', 3)
    expect(judge().state).toBe('ok')
  })

  test('what may be an error of measurement counts for nothing', () => {
    const { server, judge } = scene(['s'])
    server('s', 1500, 600)
    expect(judge()).toMatchObject({ state: 'degraded', offsetMs: -1500 })
  })

  test('the latest samples count, the most exact of them most', () => {
    const { server, judge } = scene(['s'])
    for (const [offsetMs, errorMs] of [
      [700, 300],
      [20, 5],
      [400, 200],
    ] as const)
      server('s', offsetMs, errorMs)
    expect(judge().offsetMs).toBe(-20)
    for (let i = 0; i < 4; i++) server('s', 300, 50)
    expect(judge()).toMatchObject({ state: 'degraded', offsetMs: -300 })
  })
})

describe('time servers', () => {
  test('the majority is believed, and its most exact member named', () => {
    const { server, judge } = scene(['a', 'b', 'c'])
    server('a', 5, 10)
    server('b', 90_000, 1)
    server('c', 8, 3)
    expect(judge()).toMatchObject({ state: 'ok', offsetMs: -8, source: 'c' })
  })

  test('the majority may be against us', () => {
    const { server, judge } = scene(['a', 'b', 'c'])
    server('a', 90_000)
    server('b', 0)
    server('c', 90_001)
    expect(judge()).toMatchObject({ state: 'gated', source: 'a' })
  })

  test('two that disagree leave us in doubt, but do not stop us', () => {
    const { server, judge } = scene(['a', 'b'])
    server('a', 90_000)
    server('b', 2)
    expect(judge()).toMatchObject({ state: 'degraded', offsetMs: -2, source: 'b' })
  })

  test('intervals that only touch in a chain do not agree', () => {
    const { server, judge } = scene(['a', 'b', 'c'])
    server('a', 0, 60)
    server('b', 100, 60)
    server('c', 200, 60)
    expect(['a', 'b', 'c']).toContain(judge().source)
    expect(Math.abs(judge().offsetMs)).toBeLessThanOrEqual(100)
  })

  test('they count more than peers', () => {
    const { server, peer, judge } = scene(['a'])
    peer('cluster 2', 90_000)
    peer('cluster 3', 90_000)
    server('a', 1)
    expect(judge()).toMatchObject({ state: 'ok', source: 'a' })
  })

  test('servers that never answer: believed for a while, then degraded', () => {
    const { judge, pass, peer } = scene(['a'])
    expect(judge().state).toBe('ok')
    pass(serverAgeMs + 1)
    expect(judge()).toMatchObject({ state: 'degraded', source: '' })
    peer('cluster 2', 0)
    expect(judge()).toMatchObject({ state: 'ok', source: 'cluster 2' })
  })

  test('when they fall silent the last judgement stands, and is no longer quite believed', () => {
    const { server, judge, pass, step } = scene(['a'])
    server('a', 2000)
    pass(serverAgeMs + 1)
    expect(judge()).toMatchObject({ state: 'degraded' })
    server('a', 2000)
    expect(judge().state).toBe('gated')
    pass(serverAgeMs + 1)
    expect(judge()).toMatchObject({ state: 'gated', offsetMs: -2000, source: 'a' })
    // The operator sets the clock.
    step(2000)
    expect(judge()).toMatchObject({ state: 'degraded', offsetMs: 0 })
  })

  test('one that is no longer configured is forgotten', () => {
    const { monitor, server, judge } = scene(['a', 'b'])
    server('a', 5000)
    server('b', 0)
    monitor.expectServers(['a'], { wallMs: 0, monotonicMs: 0 })
    server('b', 0)
    expect(judge()).toMatchObject({ state: 'gated', source: 'a' })
  })
})

describe('peers', () => {
  test('of two clusters that disagree both are wrong', () => {
    const { peer, judge } = scene()
    peer('cluster 2', 5000)
    expect(judge()).toMatchObject({ state: 'gated', offsetMs: -5000, source: 'cluster 2' })
  })

  test('of three the odd one is wrong', () => {
    const right = scene()
    right.peer('cluster 2', 90_000)
    right.peer('cluster 3', 4)
    expect(right.judge()).toMatchObject({ state: 'ok', offsetMs: -4, source: 'cluster 3' })
    const wrong = scene()
    wrong.peer('cluster 2', -90_000)
    wrong.peer('cluster 3', -90_004)
    expect(wrong.judge()).toMatchObject({ state: 'gated', offsetMs: 90_000 })
  })

  test('with us and one against two, nobody knows', () => {
    const { peer, judge } = scene()
    peer('cluster 2', 1)
    peer('cluster 3', -5000)
    peer('cluster 4', -5001)
    expect(judge()).toMatchObject({ state: 'gated', source: 'cluster 3' })
  })

  test('whose link is cut goes on voting', () => {
    const { peer, judge, pass } = scene()
    peer('cluster 2', 3)
    pass(60_000)
    peer('cluster 3', 90_000)
    expect(judge().state).toBe('ok')
    pass(peerAgeMs)
    peer('cluster 3', 90_000)
    expect(judge().state).toBe('gated')
  })
})

describe('steps of the wall clock', () => {
  test('are told, drift is not', () => {
    const { read, pass, step } = scene()
    expect(read()).toBe(0)
    pass(250)
    step(stepMs)
    expect(read()).toBe(0)
    pass(250)
    step(-stepMs - 1)
    expect(read()).toBe(-stepMs - 1)
    pass(250)
    expect(read()).toBe(0)
  })

  test('count at once, before anything is measured', () => {
    const { server, judge, step, pass } = scene(['a'])
    server('a', 10)
    expect(judge().state).toBe('ok')
    pass(250)
    step(5000)
    expect(judge()).toMatchObject({ state: 'gated', offsetMs: 4990, source: 'a' })
    step(-5000)
    expect(judge()).toMatchObject({ state: 'ok', offsetMs: -10 })
  })

  test('count also when nobody answers any more', () => {
    const { peer, judge, step, pass } = scene()
    peer('cluster 2', 0)
    judge()
    pass(peerAgeMs + 1)
    expect(judge()).toMatchObject({ state: 'ok', source: '' })
    step(-5000)
    expect(judge()).toMatchObject({ state: 'gated', offsetMs: -5000, source: 'cluster 2' })
  })
})
