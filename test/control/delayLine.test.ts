import fc from 'fast-check'
import { beforeEach, describe, expect, it } from 'vitest'
import { DelayLine } from '#control/relay/delayLine.ts'
import { MemoryWorld } from '#test/memoryWorld.ts'

let world: MemoryWorld
let arrived: [number, number][]
let line: DelayLine<number>

beforeEach(() => {
  world = new MemoryWorld()
  arrived = []
  line = new DelayLine({
    deliver: (chunk) => arrived.push([chunk, world.monotonicMs()]),
    after: (delayMs, run) => world.after(delayMs, run),
    nowMs: () => world.monotonicMs(),
  })
})

describe('a delay line', () => {
  it('passes on at once when there is no delay', () => {
    line.put(1, 10)
    expect(arrived).toEqual([[1, 0]])
    expect(line.heldBytes).toBe(0)
  })

  it('delays each chunk by the same time', () => {
    line.setDelay(100)
    line.put(1, 10)
    world.advance(30)
    line.put(2, 10)
    expect(line.heldBytes).toBe(20)
    world.advance(100)
    expect(arrived).toEqual([
      [1, 100],
      [2, 130],
    ])
    expect(line.heldBytes).toBe(0)
  })

  it('lets through as many bytes as its rate allows, and the delay comes on top', () => {
    line.setRate(10)
    line.setDelay(100)
    for (const chunk of [1, 2]) line.put(chunk, 500)
    world.advance(1_000)
    line.put(3, 20)
    world.advance(1_000)
    line.setRate(Number.POSITIVE_INFINITY)
    line.setDelay(0)
    line.put(4, 1_000_000)
    expect(arrived).toEqual([
      [1, 150],
      [2, 200],
      [3, 1_102],
      [4, 2_000],
    ])
    expect(line.heldBytes).toBe(0)
  })

  it('keeps the order when the delay shrinks', () => {
    line.setDelay(100)
    line.put(1, 1)
    line.setDelay(0)
    line.put(2, 1)
    world.advance(1_000)
    expect(arrived.map(([chunk]) => chunk)).toEqual([1, 2])
  })

  it('holds everything up while it is cut, and delivers all of it when it is healed', () => {
    line.setDelay(100)
    line.put(1, 5)
    line.setCut(true)
    line.put(2, 5)
    world.advance(10_000)
    expect(arrived).toEqual([])
    line.setCut(false)
    world.advance(1)
    expect(arrived).toEqual([
      [1, 10_000],
      [2, 10_000],
    ])
  })

  it('forgets what is on its way when it is closed', () => {
    line.setDelay(100)
    line.put(1, 5)
    line.close()
    world.advance(1_000)
    expect([arrived, line.heldBytes, world.timerCount]).toEqual([[], 0, 0])
  })

  it('delivers every chunk once and in order, whatever happens to the link', () => {
    const action = fc.oneof(
      fc.record({ do: fc.constant('put' as const) }),
      fc.record({ do: fc.constant('delay' as const), ms: fc.nat(50) }),
      fc.record({ do: fc.constant('cut' as const), cut: fc.boolean() }),
      fc.record({ do: fc.constant('wait' as const), ms: fc.nat(60) }),
    )
    fc.assert(
      fc.property(fc.array(action, { maxLength: 40 }), (actions) => {
        arrived = []
        line.setDelay(0)
        line.setCut(false)
        let count = 0
        for (const one of actions) {
          if (one.do === 'put') line.put(count++, 1)
          else if (one.do === 'delay') line.setDelay(one.ms)
          else if (one.do === 'cut') line.setCut(one.cut)
          else world.advance(one.ms)
        }
        line.setCut(false)
        world.advance(100)
        expect(arrived.map(([chunk]) => chunk)).toEqual(Array.from({ length: count }, (_, i) => i))
        expect(line.heldBytes).toBe(0)
      }),
    )
  })
})
