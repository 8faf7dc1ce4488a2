/** CRDT.WAIT and the lag of INFO crdt between real processes: linked, cut, and with a peer that is killed. */
import { execFileSync } from 'node:child_process'
import type { Redis } from 'ioredis'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { pythonPath } from '#test/debianPackages.ts'
import { Lab } from './lab.ts'
import { patiently } from './patiently.ts'
import { until } from './until.ts'

let lab: Lab
let here: Redis
let there: Redis

beforeAll(async () => {
  lab = await Lab.up()
  here = lab.client(1)
  there = lab.client(2, { retryStrategy: () => 50, maxRetriesPerRequest: null })
  await lab.settle()
}, 120_000)

afterAll(async () => {
  expect(await lab.down()).toBe(0)
})

const figures = async (): Promise<Record<string, string>> => {
  const line = /^crdt_replica_2:(.*)\r$/m.exec(await here.info('crdt'))?.[1] ?? ''
  return Object.fromEntries(line.split(',').map((field) => field.split('=') as [string, string]))
}

describe('while the clusters are linked', () => {
  it('what CRDT.WAIT has counted is there, whichever shard it is on', async () => {
    const tookMs: number[] = []
    for (let i = 0; i < 200; i++) {
      await here.set(`key:${i}`, `value ${i}`)
      const startMs = performance.now()
      expect(await here.call('CRDT.WAIT', '1', '5000')).toBe(1)
      tookMs.push(performance.now() - startMs)
      expect(await there.get(`key:${i}`)).toBe(`value ${i}`)
    }
    tookMs.sort((a, b) => a - b)
    console.log(`CRDT.WAIT: median ${tookMs[100]?.toFixed(1)} ms, slowest ${tookMs.at(-1)?.toFixed(1)} ms`)
    // Heartbeats come once a second: nobody waits for those.
    expect(tookMs[100]).toBeLessThan(250)
  }, 60_000)

  it('unchanged clients can ask: redis-cli and redis-py', () => {
    const port = String(lab.port(1))
    const input = 'set cli 1\ncrdt.wait 1 5000\n'
    expect(execFileSync('redis-cli', ['-p', port], { input, encoding: 'utf8' })).toBe('OK\n1\n')
    const script = `
import redis
client = redis.StrictRedis(host='localhost', port=${port}, single_connection_client=True)
client.set('python', '1')
print(client.execute_command('CRDT.WAIT', 1, 5000))
print(client.execute_command('CRDT.INFO', 'python')[1] >= 0)
`
    const python = process.env['PYTHON'] ?? pythonPath
    expect(execFileSync(python, ['-c', script], { encoding: 'utf8' })).toBe('1\nTrue\n')
  })

  it('what was counted outlives the death of the peer', async () => {
    for (let i = 0; i < 5; i++) {
      await here.mset(`left:${i}`, 'a', `right:${i}`, 'b')
      expect(await here.call('CRDT.WAIT', '1', '20000')).toBe(1)
      await lab.lab('kill', 2, 'shard')
      const values = await patiently(() => there.mget(`left:${i}`, `right:${i}`))
      expect(values).toEqual(['a', 'b'])
    }
  }, 120_000)
})

describe('while the link is cut', () => {
  it('CRDT.WAIT tells of nobody at its time, and lag rises; then both end', async () => {
    await patiently(async () => expect(await here.call('CRDT.WAIT', '1', '5000')).toBe(1))
    await lab.cut(1, 2)
    await here.set('cut', 'v')
    const startMs = performance.now()
    expect(await here.call('CRDT.WAIT', '1', '500')).toBe(0)
    const tookMs = performance.now() - startMs
    expect(tookMs).toBeGreaterThanOrEqual(495)
    expect(tookMs).toBeLessThan(2000)
    expect(await there.get('cut')).toBeNull()
    const before = await figures()
    expect(Number(before['lag_ms'])).toBeGreaterThanOrEqual(495)
    expect(Number(before['lag_ops'])).toBeGreaterThanOrEqual(1)
    expect(await here.call('CRDT.WAIT', '1', '1500')).toBe(0)
    const after = await figures()
    expect(Number(after['lag_ms'])).toBeGreaterThanOrEqual(Number(before['lag_ms']) + 1495)

    const waiting = here.call('CRDT.WAIT', '1', '0')
    await lab.heal()
    expect(await waiting).toBe(1)
    expect(await there.get('cut')).toBe('v')
    // The other direction may be on its way still.
    await until(async () => {
      const { state, lag_ms, lag_ops } = await figures()
      return state === 'in-sync' && lag_ms === '0' && lag_ops === '0'
    }, 'being in sync without lag')
  }, 120_000)
})
