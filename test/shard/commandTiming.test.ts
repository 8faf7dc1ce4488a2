/** When the clock is read for commands, and of which one is told that it was slow. */
import { describe, expect, it } from 'vitest'
import { LatencyLog } from '#protocol/frames/latency.ts'
import { CommandTiming } from '#server/commandTiming.ts'
import { type Runnable, Runnables } from '#server/runnables.ts'

class Bench {
  nowMs = 0
  looks = 0
  readonly latency = new LatencyLog()
  readonly slow: [durationUs: number, isCurrent: boolean][] = []
  readonly #byName = new Map<string, Runnable>()
  readonly timing = new CommandTiming(
    {
      wallMs: () => 5_000,
      monotonicMs: () => {
        this.looks++
        return this.nowMs
      },
    },
    this.latency,
    (durationUs, isCurrent) => this.slow.push([durationUs, isCurrent]),
  )

  constructor() {
    for (const runnable of new Runnables().all) this.#byName.set(runnable.spec.name, runnable)
    this.timing.configure(10_000, 0, true)
  }

  of(name: string): Runnable {
    return this.#byName.get(name) as Runnable
  }

  run(name: string, durationMs: number, replyBytes = 5): void {
    const runnable = this.of(name)
    this.timing.begin(runnable)
    runnable.calls++
    this.nowMs += durationMs
    this.timing.done(runnable, replyBytes)
  }
}

describe('the clock', () => {
  it('is read twice for a thousand GETs in a row, and for each command whose time is not constant', () => {
    const bench = new Bench()
    for (let i = 0; i < 1000; i++) bench.run('GET', 0.001)
    bench.timing.end()
    expect(bench.looks).toBe(2)
    for (let i = 0; i < 10; i++) bench.run('SMEMBERS', 0.001)
    expect(bench.looks).toBe(22)
    expect(bench.of('GET').microseconds).toBeCloseTo(1000)
    expect(bench.of('SMEMBERS').microseconds).toBeCloseTo(10)
  })

  it('is read for each command when little counts as slow', () => {
    const bench = new Bench()
    bench.timing.configure(0, 0, true)
    for (let i = 0; i < 10; i++) bench.run('GET', 0.001)
    expect(bench.looks).toBe(20)
    expect(bench.slow).toHaveLength(10)
  })
})

describe('a slow command', () => {
  it('is told of with its own time, though it was timed with others', () => {
    const bench = new Bench()
    for (let i = 0; i < 1000; i++) bench.run('GET', 0.01)
    bench.timing.end()
    for (let i = 0; i < 100; i++) bench.run('GET', 0.01)
    bench.run('GET', 20)
    bench.timing.end()
    expect(bench.slow).toHaveLength(1)
    const [durationUs, isCurrent] = bench.slow[0] as [number, boolean]
    expect(durationUs).toBeCloseTo(20_000, -2)
    expect(isCurrent).toBe(true)
  })

  it('is none when many quick ones together take long', () => {
    const bench = new Bench()
    for (let i = 0; i < 2000; i++) bench.run('GET', 0.01)
    bench.timing.end()
    bench.slow.length = 0
    for (let i = 0; i < 2000; i++) bench.run('GET', 0.01)
    bench.timing.end()
    expect(bench.slow).toEqual([])
  })

  it('is the last one when another begins', () => {
    const bench = new Bench()
    bench.run('GET', 20)
    bench.run('SET', 0.01)
    expect(bench.slow).toEqual([[20_000, false]])
  })

  it('is the one with a large reply, whatever comes behind', () => {
    const bench = new Bench()
    bench.run('GET', 20, 100_000)
    for (let i = 0; i < 10; i++) bench.run('GET', 0.01)
    bench.timing.end()
    expect(bench.slow).toEqual([[20_000, true]])
  })

  it('is a sample of its kind from the threshold on', () => {
    const bench = new Bench()
    bench.timing.configure(-1, 15, true)
    bench.run('SMEMBERS', 14)
    bench.run('SMEMBERS', 16)
    bench.run('GET', 17)
    bench.timing.end()
    expect(bench.slow).toEqual([])
    expect(bench.latency.all).toEqual({
      command: { samples: [[5, 16]], greatestMs: 16 },
      'fast-command': { samples: [[5, 17]], greatestMs: 17 },
    })
  })
})
