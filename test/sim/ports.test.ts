/** The simulated ports pass the exam of the real ones; and they are as unkind as the world. */
import { describe, expect, test } from 'vitest'
import { bytesOf, latin1 } from '#runtime/bytes/bytes.ts'
import { connectionSuite, Observer } from '#test/ports/connection.suite.ts'
import { diskSuite } from '#test/ports/disk.suite.ts'
import { timersSuite } from '#test/ports/timers.suite.ts'
import { SeededRandom } from '#test/seed.ts'
import { EventQueue } from './eventQueue.ts'
import { SimDisk } from './simDisk.ts'
import { SimNetwork } from './simNetwork.ts'
import { SimClock, SimProcess } from './simProcess.ts'

class Ports {
  readonly events = new EventQueue()
  readonly random = new SeededRandom(7)
  readonly process = new SimProcess('one', this.events, new SimClock(this.events, 0, 100))
  readonly other = new SimProcess('two', this.events, new SimClock(this.events))
  readonly network = new SimNetwork(this.random)

  /** Lets simulated time pass until the promise is fulfilled. */
  readonly until = async <T>(promise: Promise<T>): Promise<T> => {
    let settled = false
    const watched = promise.finally(() => {
      settled = true
    })
    watched.catch(() => {
      // Whoever waits below gets it.
    })
    while (!settled) {
      for (let i = 0; i < 100 && !settled; i++) await Promise.resolve()
      if (!settled && !this.events.step(Number.POSITIVE_INFINITY))
        throw new Error('nothing is left to happen')
    }
    return watched
  }

  pass(durationMs: number): void {
    const untilMs = this.events.nowMs + durationMs
    while (this.events.step(untilMs));
  }
}

timersSuite('simulated', () => {
  const ports = new Ports()
  return { clock: ports.process, timers: ports.process, random: ports.random, until: ports.until }
})

diskSuite('simulated', () => {
  const ports = new Ports()
  const disk = new SimDisk(ports.random, () => 1 + ports.random.below(5))
  return {
    disk: disk.mount(ports.process),
    reopen: () => disk.mount(ports.other),
    until: ports.until,
    end: () => {},
  }
})

for (const [name, site] of [
  ['simulated, within a site', 1],
  ['simulated, between sites', 2],
] as const) {
  connectionSuite(name, () => {
    const ports = new Ports()
    return {
      pair: () => Promise.resolve(ports.network.pair(ports.process, 1, ports.other, site)),
      until: ports.until,
      end: () => {},
    }
  })
}

describe('a simulated disk', () => {
  const written = (rounds: number) => {
    const ports = new Ports()
    const sizes = new Set<number>()
    let gone = 0
    for (let round = 0; round < rounds; round++) {
      const disk = new SimDisk(ports.random)
      const mounted = disk.mount(ports.process)
      mounted.append('log', [bytesOf('synced')])
      mounted.sync('log', () => {})
      ports.pass(2)
      mounted.append('log', [bytesOf('++++')])
      mounted.append('log', [bytesOf('----')])
      mounted.append('new', [bytesOf('x')])
      disk.cutPower()
      const content = latin1(mounted.read('log', 0, 100))
      expect(content.startsWith('synced')).toBe(true)
      expect('synced++++----'.startsWith(content.replace(/\0.*/s, ''))).toBe(true)
      sizes.add(content.length)
      if (!mounted.list().includes('new')) gone++
    }
    return { sizes, gone }
  }

  test('keeps what was synced, tears the rest at any byte, and may lose a new file', () => {
    const { sizes, gone } = written(400)
    expect([...sizes].sort((a, b) => a - b)).toEqual([6, 7, 8, 9, 10, 11, 12, 13, 14])
    expect(gone).toBeGreaterThan(100)
  })

  test('a sync covers what was appended before it was asked for, not what came later', () => {
    const ports = new Ports()
    let lost = 0
    for (let round = 0; round < 50; round++) {
      const disk = new SimDisk(ports.random, () => 5)
      const mounted = disk.mount(ports.process)
      mounted.append('log', [bytesOf('first')])
      mounted.sync('log', () => {})
      mounted.append('log', [bytesOf('second')])
      ports.pass(10)
      disk.cutPower()
      const content = latin1(mounted.read('log', 0, 100))
      expect(content.startsWith('first')).toBe(true)
      if (content.length < 11) lost++
    }
    expect(lost).toBeGreaterThan(10)
  })

  test('syncs that overtake each other lose nothing', () => {
    const ports = new Ports()
    const times = [9, 1, 5]
    const disk = new SimDisk(ports.random, () => times.shift() ?? 1)
    const mounted = disk.mount(ports.process)
    for (const text of ['a', 'b', 'c']) {
      mounted.append('log', [bytesOf(text)])
      mounted.sync('log', () => {})
    }
    mounted.append('log', [bytesOf('d')])
    ports.pass(3)
    mounted.sync('log', () => {})
    ports.pass(20)
    disk.cutPower()
    expect(latin1(mounted.read('log', 0, 9))).toBe('abcd')
  })

  test('a sync that the process did not live to see may not have happened', () => {
    const ports = new Ports()
    const disk = new SimDisk(ports.random, () => 5)
    const life = new SimProcess('life', ports.events, new SimClock(ports.events))
    let called = false
    disk.mount(life).append('log', [bytesOf('x')])
    disk.mount(life).sync('log', () => {
      called = true
    })
    life.kill()
    ports.pass(100)
    expect(called).toBe(false)
  })

  test('is full for as long as it is said to be', () => {
    const ports = new Ports()
    const disk = new SimDisk(ports.random)
    const mounted = disk.mount(ports.process)
    mounted.append('log', [bytesOf('before')])
    disk.full = true
    expect(() => mounted.append('log', [bytesOf('during')])).toThrow('no space left')
    expect(() => mounted.replace('small', bytesOf('x'))).toThrow('no space left')
    disk.full = false
    mounted.truncate('log', 6)
    mounted.append('log', [bytesOf('after')])
    expect(latin1(mounted.read('log', 0, 100))).toBe('beforeafter')
  })
})

describe('a simulated link', () => {
  test('that is cut swallows bytes in that direction only, and delivers them late when it heals', () => {
    const ports = new Ports()
    const [near, far] = ports.network.pair(ports.process, 1, ports.other, 2)
    const [atNear, atFar] = [new Observer(), new Observer()]
    near.handler = atNear
    far.handler = atFar
    ports.network.cut(1, 2)
    near.write(bytesOf('there'))
    far.write(bytesOf('back'))
    ports.pass(60_000)
    expect([atFar.text, atNear.text]).toEqual(['', 'back'])
    expect(near.bufferedBytes).toBe(5)
    ports.network.heal(1, 2)
    ports.pass(100)
    expect(atFar.text).toBe('there')
  })

  test('that is cut hides the end of a process; who is left is reset when it heals', () => {
    const ports = new Ports()
    const [, far] = ports.network.pair(ports.process, 1, ports.other, 2)
    const atFar = new Observer()
    far.handler = atFar
    ports.network.cut(1, 2)
    ports.process.kill()
    ports.pass(60_000)
    expect(atFar.closes).toEqual([])
    ports.network.heal(1, 2)
    ports.pass(100)
    expect(atFar.closes).toHaveLength(1)
  })

  test('may break its connections when it heals', () => {
    const ports = new Ports()
    const [near, far] = ports.network.pair(ports.process, 1, ports.other, 2)
    const [atNear, atFar] = [new Observer(), new Observer()]
    near.handler = atNear
    far.handler = atFar
    ports.network.cut(1, 2)
    near.write(bytesOf('lost'))
    ports.network.heal(1, 2, true)
    ports.pass(100)
    expect([atNear.closes.length, atFar.closes.length]).toEqual([1, 1])
    expect(atFar.text).toBe('')
  })

  test('answers no call while it is cut, and refuses one to nobody', () => {
    const ports = new Ports()
    const opened: string[] = []
    const call = (port: number) => {
      const observer = Object.assign(new Observer(), { onOpen: () => opened.push(`${port}`) })
      ports.network.net(ports.process, 1).connect({ kind: 'tcp', host: 'b', port }, observer)
      return observer
    }
    ports.network.listen('b:1', ports.other, 2, () => {})
    ports.network.cut(2, 1)
    const waiting = call(1)
    const refused = call(2)
    ports.pass(10_000)
    expect(opened).toEqual([])
    expect([waiting.closes.length, refused.closes.length]).toEqual([0, 1])
    ports.network.heal(2, 1)
    ports.pass(100)
    expect(opened).toEqual(['1'])
  })
})
