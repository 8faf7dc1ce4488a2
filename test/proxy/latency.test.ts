/** LATENCY: samples of several processes, the graph, and histograms. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { cumulative, Durations, percentileUs } from '#protocol/frames/durations.ts'
import { joinedEvents, LatencyLog, type LatencySample, latencySamplesMax } from '#protocol/frames/latency.ts'
import { latencyGraph } from '#proxy/local/latencyGraph.ts'
import { type ParsedReply, RealRedis } from '#test/realRedis.ts'
import { BlockingWorld } from './blockingWorld.ts'

const redis: { server?: RealRedis } = {}
beforeAll(async () => {
  redis.server = await RealRedis.start(['--enable-debug-command', 'yes', '--latency-monitor-threshold', '1'])
})
afterAll(() => redis.server?.stop())

describe('samples', () => {
  it('of one second are one, the greatest; the oldest are forgotten; below the threshold there is none', () => {
    const log = new LatencyLog()
    log.note('command', 1000, 5_000)
    expect(log.all).toEqual({})
    log.thresholdMs = 10
    for (const [durationMs, wallMs] of [
      [9, 5_000],
      [20, 5_100],
      [15, 5_900],
      [30, 7_000],
    ] as const)
      log.note('command', durationMs, wallMs)
    expect(log.all).toEqual({
      command: {
        samples: [
          [5, 20],
          [7, 30],
        ],
        greatestMs: 30,
      },
    })
    for (let i = 0; i < 2 * latencySamplesMax; i++) log.note('loop', 10, 10_000 + i * 1000)
    expect(log.all['loop']?.samples).toHaveLength(latencySamplesMax)
    expect(log.reset(['loop', 'nosuch'])).toEqual(['loop'])
    expect(log.reset([])).toEqual(['command'])
    expect(log.all).toEqual({})
  })

  it('of several processes are joined by their time', () => {
    const one = {
      command: {
        samples: [
          [5, 20],
          [7, 30],
        ] as LatencySample[],
        greatestMs: 99,
      },
    }
    const two = {
      command: {
        samples: [
          [5, 25],
          [6, 1],
        ] as LatencySample[],
        greatestMs: 25,
      },
    }
    expect(joinedEvents([one, two])).toEqual({
      command: {
        samples: [
          [5, 25],
          [6, 1],
          [7, 30],
        ],
        greatestMs: 99,
      },
    })
  })
})

describe('the graph', () => {
  it('is drawn as redis-server draws it', async () => {
    const server = redis.server as RealRedis
    for (const seconds of ['0.02', '0.2', '0.1']) {
      await server.request('DEBUG', 'SLEEP', seconds)
      await new Promise((resolve) => setTimeout(resolve, 1000))
    }
    const history = (await server.request('LATENCY', 'HISTORY', 'command')) as ParsedReply[]
    const samples = history.map((sample) => sample as unknown as LatencySample)
    expect(samples.length).toBeGreaterThan(1)
    const [now] = (await server.request('TIME')) as ParsedReply[]
    const graph = await server.request('LATENCY', 'GRAPH', 'command')
    const greatestMs = Math.max(...samples.map(([, durationMs]) => durationMs))
    // The second may end between the two questions, and the graph is drawn by a coarser clock, some milliseconds behind that of TIME.
    const drawn = [-1, 0, 1].map((later) =>
      latencyGraph('command', { samples, greatestMs }, Number(now) + later),
    )
    expect(drawn).toContain(graph)
  })
})

describe('a histogram', () => {
  it('counts by powers of two, up to the names that Redis gives them', () => {
    const durations = new Durations()
    for (const [us, count] of [
      [0.5, 1],
      [1.5, 2],
      [30, 4],
      [900, 8],
      [5_000_000, 1],
    ] as const)
      durations.add(us / 1000, count)
    const steps = cumulative(durations.counts)
    expect(steps.slice(0, -1)).toEqual([
      [1, 1],
      [2, 3],
      [33, 7],
      [1056, 15],
    ])
    expect(steps.at(-1)?.[1]).toBe(16)
  })

  it('tells percentiles within seven percent', () => {
    const durations = new Durations()
    for (let us = 10; us <= 10_000; us += 10) durations.add(us / 1000, 1)
    for (const [percent, us] of [
      [50, 5000],
      [99, 9900],
      [99.9, 9990],
    ] as const) {
      const told = percentileUs(durations.counts, percent)
      expect(told / us).toBeGreaterThan(0.93)
      expect(told / us).toBeLessThan(1.07)
    }
    expect(percentileUs([], 50)).toBe(0)
  })
})

describe('LATENCY', () => {
  it('tells of shards and proxies together', () => {
    const world = new BlockingWorld({ shardCount: 2, limits: { latencyThresholdMs: 5 } })
    const client = world.client()
    for (const proxy of world.proxies) proxy.observation.latency.note('command', 70, world.world.wallMs())
    const seconds = Math.floor(world.world.wallMs() / 1000)
    expect(client.call('LATENCY', 'LATEST')).toContain(`*4\r\n$7\r\ncommand\r\n:${seconds}\r\n:70\r\n:70\r\n`)
    expect(client.call('LATENCY', 'HISTORY', 'command')).toBe(`*1\r\n*2\r\n:${seconds}\r\n:70\r\n`)
    expect(client.call('LATENCY', 'HISTORY', 'nosuch')).toBe('*0\r\n')
    expect(client.call('LATENCY', 'GRAPH', 'nosuch')).toBe("-ERR No samples available for event 'nosuch'\r\n")
    for (const event of ['constructor', '__proto__'])
      expect(client.call('LATENCY', 'GRAPH', event)).toMatch(/^-ERR No samples available/)
    expect(client.call('LATENCY', 'GRAPH', 'command')).toContain('command - high 70 ms, low 70 ms')
    expect(client.call('LATENCY', 'DOCTOR')).toContain('command: 1 samples, 70 ms on average')
    expect(client.call('LATENCY', 'RESET', 'command', 'other')).toBe(':1\r\n')
    expect(client.call('LATENCY', 'RESET')).toMatch(/^:\d\r\n/)
    expect(client.call('LATENCY', 'DOCTOR')).toContain('Nothing took too long.')
    expect(client.call('LATENCY', 'HELP')).toContain('GRAPH <event>')
  })

  it('HISTOGRAM and INFO latencystats count calls of shards and proxies, until RESETSTAT', () => {
    const world = new BlockingWorld({ shardCount: 2 })
    const client = world.client()
    for (const key of ['a', 'b', 'c']) client.call('SET', key, '1')
    client.call('CLIENT', 'SETNAME', 'x')
    expect(client.call('LATENCY', 'HISTOGRAM', 'set', 'nosuch')).toBe(
      '*2\r\n$3\r\nset\r\n*4\r\n$5\r\ncalls\r\n:3\r\n$14\r\nhistogram_usec\r\n*2\r\n:1\r\n:3\r\n',
    )
    expect(client.call('LATENCY', 'HISTOGRAM', 'client')).toContain('client|setname')
    expect(client.call('INFO', 'latencystats')).toContain(
      'latency_percentiles_usec_set:p50=1.024,p99=1.024,p99.9=1.024',
    )
    client.call('CONFIG', 'RESETSTAT')
    expect(client.call('LATENCY', 'HISTOGRAM', 'set')).toBe('*0\r\n')
    client.call('CONFIG', 'SET', 'latency-tracking', 'no')
    client.call('SET', 'a', '1')
    expect(client.call('LATENCY', 'HISTOGRAM', 'set')).toBe('*0\r\n')
  })

  it('INFO errorstats counts errors by their code, whoever replied them', () => {
    const world = new BlockingWorld({ shardCount: 2 })
    const client = world.client()
    client.call('NOSUCH')
    client.call('SET', 'a', 'x')
    client.call('LPUSH', 'a', 'x')
    client.call('INCR', 'a')
    client.call('SELECT', '7')
    client.call('EVAL', "return redis.error_reply('-MINE own')", '0')
    const info = client.call('INFO', 'errorstats')
    expect(info).toContain('errorstat_ERR:count=3\r\n')
    expect(info).toContain('errorstat_WRONGTYPE:count=1\r\n')
    expect(info).toContain('errorstat_MINE:count=1\r\n')
    for (const code of ['constructor', '__proto__'])
      client.call('EVAL', `return redis.error_reply('-${code} x')`, '0')
    expect(client.call('INFO', 'errorstats')).toContain(
      'errorstat_constructor:count=1\r\nerrorstat___proto__:count=1',
    )
    expect(client.call('INFO', 'stats')).toContain('total_error_replies:7\r\n')
  })
})
