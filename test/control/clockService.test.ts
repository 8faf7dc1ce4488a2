/** The clock service, on a clock by hand and against a real NTP server. */
import dgram from 'node:dgram'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { ClockState } from '#config/process.ts'
import {
  burstPauseMs,
  burstQueries,
  ClockService,
  type ClockSettings,
  offsetReportMs,
  ratedPollMaxMs,
  startNodeClock,
  tickMs,
} from '#control/clock/clockService.ts'
import { type SntpQuery, type SntpResult, sntpQuery } from '#control/clock/sntpClient.ts'
import { nodeClock } from '#runtime/node/nodeClock.ts'
import { NodeTimers } from '#runtime/node/nodeTimers.ts'
import type { Clock } from '#runtime/ports.ts'
import { Chronyd, freeUdpPort } from '#test/chronyd.ts'
import { MemoryWorld } from '#test/memoryWorld.ts'
import { RecordingLogger, silentLogger } from '#test/silentLogger.ts'

const settings: ClockSettings = {
  servers: ['a'],
  pollMs: 16_000,
  timeoutMs: 1000,
  degradedMs: 100,
  gateMs: 1000,
  hysteresisPercent: 20,
}

describe('by hand', () => {
  function scene(changes: Partial<ClockSettings> = {}) {
    const world = new MemoryWorld()
    const logger = new RecordingLogger()
    const states: ClockState[] = []
    const queries: { server: string; atMs: number }[] = []
    /** By server: how far it is ahead of the true time; or why it does not answer. */
    const servers = new Map<string, number | { fault: string; detail: string }>()
    const trueBaseMs = world.wallOffsetMs
    const query: SntpQuery = (server, _timeoutMs, done) => {
      queries.push({ server: server.host, atMs: world.monotonicMs() })
      const answer = servers.get(server.host) ?? { fault: 'timeout', detail: '' }
      const reading = { wallMs: world.wallMs(), monotonicMs: world.monotonicMs() }
      const offsetMs = typeof answer === 'number' ? answer + trueBaseMs - world.wallOffsetMs : 0
      const result: SntpResult =
        typeof answer === 'number'
          ? { kind: 'sample', sample: { offsetMs, delayMs: 2, errorMs: 1 }, stratum: 1, reading }
          : { kind: 'failure', ...answer }
      world.post(() => done(result))
    }
    const start = () =>
      new ClockService({ ...settings, ...changes }, { clock: world, timers: world, logger, query }, (state) =>
        states.push(state),
      )
    return { world, logger, states, queries, servers, start }
  }

  test('asks in a burst first, then at each poll, and says nothing of what is as it should be', () => {
    const { world, states, queries, servers, start } = scene()
    servers.set('a', 0)
    const service = start()
    expect(service.state.state).toBe('ok')
    expect(states).toEqual([])
    world.advance(settings.pollMs * 2 + burstPauseMs * burstQueries)
    expect(queries).toHaveLength(burstQueries + 2)
    expect(service.state).toMatchObject({ state: 'ok', source: 'a' })
    service.stop()
    world.advance(60_000)
    expect(queries).toHaveLength(burstQueries + 2)
    expect(world.timerCount).toBe(0)
  })

  test('a wrong clock is gated at the first answer', () => {
    const { world, states, servers, start, logger } = scene()
    servers.set('a', 5000)
    start()
    world.settle()
    expect(states).toEqual([{ state: 'gated', offsetMs: -5000, source: 'a', degradedMs: 100, gateMs: 1000 }])
    expect(logger.lines.map((line) => line.message)).toEqual(['clock state changed'])
  })

  test('a step gates within a tick, asks again at once, and the way back is as fast', () => {
    const { world, states, servers, queries, start } = scene()
    servers.set('a', 0)
    start()
    world.advance(5000)
    const asked = queries.length
    world.wallOffsetMs += 5000
    world.advance(tickMs)
    expect(states.at(-1)).toMatchObject({ state: 'gated', offsetMs: 5000 })
    expect(queries.length).toBeGreaterThan(asked)
    world.advance(5000)
    expect(states.at(-1)).toMatchObject({ state: 'gated', offsetMs: 5000, source: 'a' })
    world.wallOffsetMs -= 5000
    world.advance(tickMs)
    expect(states.at(-1)).toMatchObject({ state: 'ok', offsetMs: 0 })
  })

  test('a drifting clock is followed between polls; offsets are told once a second', () => {
    const { world, states, servers, start } = scene()
    servers.set('a', 0)
    start()
    world.advance(3000)
    const before = states.length
    // 1 % fast: 40 ms in 4 s.
    for (let i = 0; i < 40; i++) {
      world.wallOffsetMs += 1
      world.advance(100)
    }
    world.advance(offsetReportMs)
    expect(states.at(-1)?.offsetMs).toBe(40)
    expect(states.length - before).toBeLessThanOrEqual(Math.ceil(5000 / offsetReportMs) + 1)
  })

  test('peers are compared with when there is no server', () => {
    const { world, states, start } = scene({ servers: [] })
    const service = start()
    service.peerOffset(2, 4000, 20)
    expect(states.at(-1)).toMatchObject({ state: 'gated', offsetMs: -4000, source: 'cluster 2' })
    for (let i = 0; i < 4; i++) service.peerOffset(2, 1, 2)
    expect(states.at(-1)).toMatchObject({ state: 'ok', source: 'cluster 2' })
    world.advance(1000)
    service.stop()
  })

  test('a server that says we ask too often is asked less, one that denies us no more', () => {
    const { world, servers, queries, start, logger } = scene({ servers: ['rate', 'deny'] })
    servers.set('rate', { fault: 'kissOfDeath', detail: 'RATE' })
    servers.set('deny', { fault: 'kissOfDeath', detail: 'DENY' })
    const service = start()
    world.advance(24 * 3600 * 1000)
    const asked = (server: string) => queries.filter((query) => query.server === server)
    expect(asked('deny')).toHaveLength(1)
    expect(asked('rate').length).toBeLessThan(30)
    const [last, previous] = asked('rate').reverse()
    expect((last?.atMs ?? 0) - (previous?.atMs ?? 0)).toBe(ratedPollMaxMs)
    expect(logger.lines.filter((line) => line.message === 'no time from this server')).toHaveLength(2)
    servers.set('deny', 0)
    service.reconfigure({ ...settings, servers: ['deny'] })
    world.settle()
    expect(service.state.source).toBe('deny')
  })

  test('other thresholds hold at once', () => {
    const { world, servers, start } = scene()
    servers.set('a', 500)
    const service = start()
    world.settle()
    expect(service.state).toMatchObject({ state: 'degraded' })
    service.reconfigure({ ...settings, gateMs: 300 })
    expect(service.state).toMatchObject({ state: 'gated', gateMs: 300 })
  })
})

describe('a real NTP server', () => {
  let chronyd: Chronyd
  let server = ''
  beforeAll(async () => {
    chronyd = await Chronyd.start()
    server = chronyd.address
  })
  afterAll(() => chronyd.stop())

  const firstState = (of: ClockSettings, clock: Clock): Promise<ClockState> =>
    new Promise((resolve) => {
      const ports = { clock, timers: new NodeTimers(), logger: silentLogger, query: sntpQuery(clock) }
      const service = new ClockService(of, ports, (state) => {
        service.stop()
        resolve(state)
      })
    })

  test('this clock against a server on this machine is right', async () => {
    const states: ClockState[] = []
    await new Promise<void>((resolve) => {
      const service = startNodeClock(silentLogger)({ ...settings, servers: [server] }, (state) => {
        states.push(state)
        service.stop()
        resolve()
      })
    })
    expect(states[0]).toMatchObject({ state: 'ok', source: server })
    expect(Math.abs(states[0]?.offsetMs ?? 1e9)).toBeLessThan(50)
  })

  test('a clock that is 90 s ahead is gated, and how far is measured', async () => {
    const ahead: Clock = { ...nodeClock, wallMs: () => nodeClock.wallMs() + 90_000 }
    const state = await firstState({ ...settings, servers: [server] }, ahead)
    expect(state).toMatchObject({ state: 'gated', source: server })
    expect(Math.abs(state.offsetMs - 90_000)).toBeLessThan(50)
  })

  test('a port where nobody listens, a name that does not exist', async () => {
    const ask = (host: string, port: number): Promise<SntpResult> =>
      new Promise((resolve) => sntpQuery(nodeClock)({ host, port }, 2000, resolve))
    expect(await ask('127.0.0.1', await freeUdpPort())).toMatchObject({
      kind: 'failure',
      fault: 'unreachable',
    })
    expect(await ask('does-not-exist.invalid', 123)).toMatchObject({ kind: 'failure' })
  })

  test('forged answers are not taken, and the true one behind them is', async () => {
    const fake = dgram.createSocket('udp4')
    fake.on('message', (question, from) => {
      const forged = Buffer.alloc(48)
      forged[0] = 0x24
      forged[1] = 1
      fake.send(forged, from.port, from.address)
      const answer = Buffer.from(forged)
      question.copy(answer, 24, 40, 48)
      answer.writeUInt32BE(2_208_988_800 + 1_800_000_000, 32)
      answer.writeUInt32BE(2_208_988_800 + 1_800_000_000, 40)
      fake.send(answer, from.port, from.address)
    })
    await new Promise<void>((resolve) => fake.bind(0, '127.0.0.1', resolve))
    const { port } = fake.address()
    const clock: Clock = { ...nodeClock, wallMs: () => 1_800_000_000_000 }
    const result = await new Promise<SntpResult>((resolve) =>
      sntpQuery(clock)({ host: '127.0.0.1', port }, 5000, resolve),
    )
    fake.close()
    expect(result).toMatchObject({ kind: 'sample', stratum: 1 })
    if (result.kind === 'sample') expect(Math.abs(result.sample.offsetMs)).toBeLessThan(50)
  })

  test('a server that never answers times out', async () => {
    const silent = dgram.createSocket('udp4')
    await new Promise<void>((resolve) => silent.bind(0, '127.0.0.1', resolve))
    const result = await new Promise<SntpResult>((resolve) =>
      sntpQuery(nodeClock)({ host: '127.0.0.1', port: silent.address().port }, 50, resolve),
    )
    silent.close()
    expect(result).toEqual({ kind: 'failure', fault: 'timeout', detail: 'no answer within 50 ms' })
  })
})
