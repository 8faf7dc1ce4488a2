/** Keyspace notifications of two clusters of two shards and two proxy workers each, by ioredis and redis-cli. */
import { spawn } from 'node:child_process'
import type { Redis } from 'ioredis'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { Lab } from './lab.ts'
import { until } from './until.ts'

let lab: Lab

beforeAll(async () => {
  lab = await Lab.up({ settings: ['proxy.workers=2'] })
  await lab.settle()
}, 120_000)

afterAll(async () => {
  expect(await lab.down()).toBe(0)
})

/** What a client of the cluster hears of, as `event key`. */
async function listener(cluster: number, kind: 'key' | 'local'): Promise<string[]> {
  const heard: string[] = []
  const subscriber = lab.client(cluster)
  await subscriber.psubscribe(`__${kind}event@0__:*`)
  subscriber.on('pmessage', (_, channel, key) => heard.push(`${channel.replace(/^[^:]*:/, '')} ${key}`))
  return heard
}

it('CONFIG SET at any worker counts at all shards of its cluster, and at no other', async () => {
  const [first, second]: Redis[] = [lab.client(1), lab.client(2)]
  await first?.config('SET', 'notify-keyspace-events', 'LAKE')
  for (let i = 0; i < 4; i++)
    expect(await lab.client(1).config('GET', 'notify-keyspace-events')).toEqual([
      'notify-keyspace-events',
      'AKEL',
    ])
  expect(await second?.config('GET', 'notify-keyspace-events')).toEqual(['notify-keyspace-events', ''])
  await expect(first?.config('SET', 'notify-keyspace-events', 'KQ')).rejects.toThrow(
    "ERR CONFIG SET failed (possibly related to argument 'notify-keyspace-events') - Invalid event class character. Use 'Ag$lshzxeKEtmdnL'.",
  )
  await second?.config('SET', 'notify-keyspace-events', 'LAKE')
}, 60_000)

it('every change is told of once at each cluster, and once in all on the local channels', async () => {
  const everywhere = await Promise.all([1, 2].map((cluster) => listener(cluster, 'key')))
  const local = await Promise.all([1, 2].map((cluster) => listener(cluster, 'local')))
  const writers = [lab.client(1), lab.client(2)]
  const count = 200
  await Promise.all(
    writers.map(async (writer, i) => {
      for (let n = 0; n < count; n++) await writer.set(`k${i}:${n}`, 'v')
      await writer.set(`timed${i}`, 'v', 'PX', 5_000)
    }),
  )
  const isDone = (heard: string[]): boolean => [0, 1].every((i) => heard.includes(`expired timed${i}`))
  await until(() => everywhere.every(isDone))
  const sets = (i: number): string[] => Array.from({ length: count }, (_, n) => `set k${i}:${n}`)
  const timed = (i: number): string[] => [`set timed${i}`, `expire timed${i}`, `expired timed${i}`]
  for (const heard of everywhere)
    expect(heard.toSorted()).toEqual([...sets(0), ...timed(0), ...sets(1), ...timed(1)].sort())
  for (const [i, heard] of local.entries()) expect(heard.toSorted()).toEqual([...sets(i), ...timed(i)].sort())
}, 60_000)

it('who hears of a change finds it', async () => {
  const [writer, subscriber, reader] = [lab.client(1), lab.client(2), lab.client(2)]
  await subscriber.subscribe('__keyspace@0__:{k}')
  const missed: string[] = []
  let heard = 0
  subscriber.on('message', async () => {
    const number = heard++
    const found = Number(await reader.get('{k}'))
    if (found < number) missed.push(`${found} when ${number} was told`)
  })
  const count = 200
  for (let n = 0; n < count; n++) await writer.set('{k}', n)
  await until(() => heard === count)
  expect(missed).toEqual([])
}, 60_000)

it('redis-cli hears of transactions and scripts of the other cluster, in RESP3', async () => {
  const cli = spawn('redis-cli', ['-3', '-p', String(lab.port(2)), 'psubscribe', '__keyspace@0__:{x}*'])
  let output = ''
  cli.stdout.on('data', (chunk: Buffer) => {
    output += chunk.toString()
  })
  try {
    await until(() => output.includes('psubscribe'))
    const writer = lab.client(1)
    await writer.multi().rpush('{x}list', 'a').rename('{x}list', '{x}other').exec()
    await writer.eval(
      "redis.call('hset', KEYS[1], 'f', 'v') redis.call('expire', KEYS[1], 100)",
      1,
      '{x}hash',
    )
    await until(() => output.includes('expire'))
    const told = [...output.matchAll(/__keyspace@0__:(\{x\}\w+)"?\n(?:4\) ")?(\w+)/g)].map(
      ([, key, event]) => `${event} ${key}`,
    )
    expect(told).toEqual([
      ...['rpush {x}list', 'del {x}list', 'rpush {x}other', 'hset {x}hash', 'expire {x}hash'],
    ])
  } finally {
    cli.kill()
  }
}, 60_000)
