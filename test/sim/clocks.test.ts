/**
 * Clocks that leap in whole worlds with their monitors: whoever is wrong stops writing, nobody else does, what was stamped
 * ahead of its time waits for it, and everything goes on by itself.
 */
import { describe, expect, test } from 'vitest'
import type { ClockSettings } from '#control/clock/clockService.ts'
import { Gate } from '#server/sync/gate.ts'
import type { Outcome } from '#test/outcome.ts'
import { seedFromEnv } from '#test/seed.ts'
import type { Reply } from './simClient.ts'
import { defaultRun, type RunOptions, runSeed, Simulation } from './simulation.ts'
import { keyOf, spreadTags } from './workload.ts'
import type { SimCluster } from './world.ts'

const hourMs = 3_600_000
const minuteMs = 60_000

const withoutServers: ClockSettings = {
  servers: [],
  pollMs: 1000,
  timeoutMs: 100,
  degradedMs: 300,
  gateMs: 1000,
  hysteresisPercent: 20,
}
const withServers: ClockSettings = { ...withoutServers, servers: ['time-1', 'time-2'] }

const [tag] = spreadTags(2) as [string, string]
const key = keyOf(tag, 'r')

/** Shards that follow a leap at once: what they write before the gate closes is stamped far ahead. */
const hasty: RunOptions['variations'] = { newClock: (clock) => clock }

class Scene {
  readonly simulation: Simulation

  constructor(clusters: number, clock: ClockSettings, variations: RunOptions['variations'] = {}) {
    this.simulation = new Simulation(11, {
      ...defaultRun,
      variations,
      world: { clusters, shards: [1, 1, 1], persistence: 'everysec', backlogBytesMax: 1 << 20, clock },
    })
    for (const cluster of this.simulation.world.clusters) cluster.clock.offsetMs = 0
    this.simulation.world.run(3000)
  }

  cluster(id: number): SimCluster {
    return this.simulation.world.clusters[id - 1] as SimCluster
  }

  step(id: number, offsetMs: number): void {
    this.cluster(id).clock.offsetMs = offsetMs
  }

  pass(durationMs: number): void {
    this.simulation.world.run(durationMs)
  }

  /** One attempt: what it is answered. */
  tries(id: number, ...command: string[]): string {
    const client = this.simulation.clients.find(({ cluster }) => cluster.clusterId === id)
    let answer = 'none'
    client?.send([command], (_: Outcome, replies: Reply[]) => {
      const reply = replies.at(-1)
      answer = reply instanceof Error ? reply.message : String(reply)
    })
    for (let ms = 0; answer === 'none' && ms < 200; ms++) this.pass(1)
    return answer
  }

  get values(): string[] {
    return this.simulation.world.clusters.map(({ clusterId }) => this.tries(clusterId, 'GET', key))
  }

  get states(): string[] {
    return this.simulation.world.clusters.map(({ monitor }) => monitor?.state.state ?? 'unwatched')
  }

  /** By how much the last stamp of a shard is ahead of its own clock. */
  stampsAheadMs(id: number): number {
    return this.cluster(id).shards[0]?.shard?.status().clock.aheadMs ?? Number.NaN
  }

  held(id: number): number {
    return this.cluster(id).shards[0]?.shard?.replication.gate.heldCount ?? -1
  }
}

describe('a cluster whose clock is an hour ahead', () => {
  test('stops writing within a moment, without any time server; the others go on', () => {
    const scene = new Scene(3, withoutServers)
    expect(scene.states).toEqual(['ok', 'ok', 'ok'])
    scene.step(1, hourMs)
    scene.pass(300)
    expect(scene.states).toEqual(['gated', 'ok', 'ok'])
    expect(scene.tries(1, 'SET', key, 'from the future')).toMatch(/^CLOCKSKEW/)
    expect(scene.tries(1, 'GET', key)).not.toMatch(/CLOCKSKEW/)
    expect(scene.tries(2, 'SET', key, 'now')).toBe('OK')
    scene.pass(1000)
    expect(scene.values).toEqual(['now', 'now', 'now'])
    // It stays so for as long as the clock is wrong, and the others stay sure of themselves.
    scene.pass(60_000)
    expect(scene.states).toEqual(['gated', 'ok', 'ok'])
    scene.step(1, 0)
    scene.pass(300)
    expect(scene.states).toEqual(['ok', 'ok', 'ok'])
    expect(scene.tries(1, 'SET', key, 'again')).toBe('OK')
    scene.pass(1000)
    expect(scene.values).toEqual(['again', 'again', 'again'])
    scene.simulation.converge()
  })

  test('stamps what it writes before it is noticed as if its clock had not leapt', () => {
    for (const aheadMs of [hourMs, 5 * minuteMs]) {
      const scene = new Scene(3, withoutServers)
      scene.tries(1, 'SET', keyOf(tag, 's'), 'stays', 'EX', '100')
      scene.pass(1000)
      scene.step(1, aheadMs)
      // Before its monitor has looked.
      expect(scene.tries(1, 'SET', key, 'at the leap')).toBe('OK')
      expect(scene.tries(1, 'GET', keyOf(tag, 's'))).toBe('stays')
      scene.pass(100)
      expect(scene.values).toEqual(['at the leap', 'at the leap', 'at the leap'])
      // What it saw has not pushed another's stamps ahead.
      expect(scene.stampsAheadMs(2)).toBeLessThan(1000)
      expect(scene.tries(3, 'SET', key, 'later')).toBe('OK')
      scene.pass(1000)
      expect(scene.states).toEqual(['gated', 'ok', 'ok'])
      expect(scene.values).toEqual(['later', 'later', 'later'])
      scene.step(1, 0)
      scene.pass(1000)
      expect(scene.tries(1, 'SET', key, 'the last')).toBe('OK')
      scene.pass(100)
      expect(scene.values).toEqual(['the last', 'the last', 'the last'])
      expect([1, 2, 3].map((id) => scene.held(id))).toEqual([0, 0, 0])
      scene.tries(1, 'DEL', keyOf(tag, 's'))
      scene.simulation.converge()
    }
  })

  test('does not win with what it wrote ahead of its time, when it did: that waits', () => {
    const scene = new Scene(3, withoutServers, hasty)
    scene.tries(2, 'SET', key, 'before')
    scene.pass(500)
    scene.step(1, hourMs)
    // Before its monitor has looked.
    expect(scene.tries(1, 'SET', key, 'from the future')).toBe('OK')
    scene.pass(1000)
    expect(scene.values).toEqual(['from the future', 'before', 'before'])
    expect([scene.held(2), scene.held(3)]).toEqual([1, 1])
    expect(scene.tries(3, 'SET', key, 'now')).toBe('OK')
    scene.pass(1000)
    expect(scene.values.slice(1)).toEqual(['now', 'now'])
    // Its clock is put right: what it writes from now on comes behind that, so waits too.
    scene.step(1, 0)
    scene.pass(1000)
    expect(scene.states).toEqual(['ok', 'ok', 'ok'])
    expect(scene.tries(1, 'SADD', keyOf(tag, 't'), 'late')).toBe('1')
    scene.pass(1000)
    expect(scene.tries(2, 'SCARD', keyOf(tag, 't'))).toBe('0')
    expect(scene.held(2)).toBe(2)
    // An hour later.
    for (const id of [1, 2, 3]) scene.step(id, hourMs)
    scene.pass(10_000)
    expect([scene.held(2), scene.held(3)]).toEqual([0, 0])
    expect(scene.tries(2, 'SCARD', keyOf(tag, 't'))).toBe('1')
    expect(new Set(scene.values).size).toBe(1)
    expect(scene.tries(3, 'SET', key, 'the last')).toBe('OK')
    scene.pass(1000)
    expect(scene.values).toEqual(['the last', 'the last', 'the last'])
    scene.simulation.converge()
  })

  test('of two clusters without time servers both stop, and with them the right one goes on', () => {
    const alone = new Scene(2, withoutServers)
    alone.step(1, hourMs)
    alone.pass(10_000)
    expect(alone.states).toEqual(['gated', 'gated'])
    alone.step(1, 0)
    alone.pass(10_000)
    expect(alone.states).toEqual(['ok', 'ok'])

    const served = new Scene(2, withServers)
    served.step(1, hourMs)
    served.pass(10_000)
    expect(served.states).toEqual(['gated', 'ok'])
    // Servers that fall silent don't change the judgement.
    served.simulation.world.hasTime = false
    served.pass(3000)
    expect(served.states[0]).toBe('gated')
    served.step(1, 0)
    served.pass(10_000)
    expect(served.states).toContain('ok')
    expect(served.states).not.toContain('gated')
    served.simulation.converge()
  })
})

test.each([-5 * minuteMs, 5 * minuteMs, -hourMs])('a step by %i ms and back', (stepMs) => {
  const scene = new Scene(3, withServers)
  scene.step(2, stepMs)
  scene.pass(300)
  expect(scene.states).toEqual(['ok', 'gated', 'ok'])
  expect(scene.tries(2, 'SET', key, 'wrong')).toMatch(/^CLOCKSKEW/)
  scene.step(2, 0)
  scene.pass(1000)
  expect(scene.states).toEqual(['ok', 'ok', 'ok'])
  expect(scene.tries(2, 'SET', key, 'right')).toBe('OK')
  scene.pass(1000)
  expect(scene.values).toEqual(['right', 'right', 'right'])
  scene.simulation.converge()
})

test('a leap second, which steps all clocks back by one, stops nobody for long', () => {
  for (const clock of [withoutServers, withServers]) {
    const scene = new Scene(3, clock)
    // Not at the same instant: kernels differ, and smearing ones take a day.
    const closed = new Set<string>()
    for (const id of [1, 2, 3]) {
      scene.step(id, -1000)
      for (let ms = 0; ms < 300; ms += 50) {
        scene.pass(50)
        for (const state of scene.states) closed.add(state)
      }
    }
    expect(closed).not.toContain('gated')
    if (clock.servers.length > 0) continue
    scene.pass(20_000)
    expect(scene.states).toEqual(['ok', 'ok', 'ok'])
  }
})

describe('random runs with leaps of minutes and of an hour', () => {
  const harms = ['leap', 'leap', 'cut', 'killShard', 'killSyncer', 'power'] as const
  const options = { harms, world: { clock: withoutServers } }

  test('end equal', () => {
    const first = seedFromEnv() % 1_000_000
    let refused = 0
    for (let seed = first; seed < first + 10; seed++) {
      const result = runSeed(seed, options)
      expect(result.failure, `seed ${seed}\n${result.trace}`).toBeNull()
      refused += result.refused
    }
    expect(refused).toBeGreaterThan(0)
  })
})

test('a gate that takes what is ahead of its time would be noticed', () => {
  const { tick } = Gate.prototype
  Gate.prototype.tick = function (this: Gate, nowMs, wallMs) {
    tick.call(this, nowMs, wallMs + 2 * hourMs)
  }
  try {
    const scene = new Scene(3, withoutServers, hasty)
    scene.step(1, hourMs)
    scene.tries(1, 'SET', key, 'from the future')
    scene.pass(1000)
    expect(scene.values).toEqual(['from the future', 'from the future', 'from the future'])
    expect(scene.tries(3, 'SET', key, 'now')).toBe('OK')
    scene.pass(1000)
    // It saw what came from there, so goes behind it: an hour ahead itself by now.
    expect(scene.cluster(3).shards[0]?.shard?.status().clock.aheadMs).toBeGreaterThan(hourMs / 2)
  } finally {
    Gate.prototype.tick = tick
  }
})
