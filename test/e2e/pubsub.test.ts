/** Subscribers of two clusters with two proxy workers each, by ioredis, redis-py and redis-cli. */
import { execFile, spawn } from 'node:child_process'
import { promisify } from 'node:util'
import type { Redis } from 'ioredis'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { pythonPath } from '#test/debianPackages.ts'
import { Lab } from './lab.ts'
import { until } from './until.ts'

const execute = promisify(execFile)
const subscribersOfCluster = 6
let lab: Lab

beforeAll(async () => {
  lab = await Lab.up({ settings: ['proxy.workers=2'] })
  await lab.settle()
}, 120_000)

afterAll(async () => {
  expect(await lab.down()).toBe(0)
})

it('every message comes once to every subscriber of both clusters, in the order of its publisher', async () => {
  const heard: string[][] = []
  for (const cluster of [1, 2]) {
    for (let i = 0; i < subscribersOfCluster; i++) {
      const subscriber = lab.client(cluster)
      const own: string[] = []
      heard.push(own)
      if (i % 2 === 0) {
        await subscriber.subscribe('news', 'other')
        subscriber.on('message', (channel, text) => own.push(`${channel} ${text}`))
      } else {
        await subscriber.psubscribe('n*')
        subscriber.on('pmessage', (_, channel, text) => own.push(`${channel} ${text}`))
      }
    }
  }
  const publishers: Redis[] = [lab.client(1), lab.client(2)]
  const count = 500
  await Promise.all(
    publishers.map(async (publisher, i) => {
      for (let n = 0; n < count; n++)
        expect(await publisher.publish('news', `${i} ${n}`)).toBe(subscribersOfCluster)
    }),
  )
  await until(() => heard.every((own) => own.length >= 2 * count))
  for (const own of heard) {
    expect(own).toHaveLength(2 * count)
    for (const i of [0, 1]) {
      const texts = own.filter((text) => text.startsWith(`news ${i} `))
      expect(texts).toEqual(Array.from({ length: count }, (_, n) => `news ${i} ${n}`))
    }
  }
}, 60_000)

it('what was written before a message is there when it comes, in the other cluster too', async () => {
  const [publisher, subscriber, reader] = [lab.client(1), lab.client(2), lab.client(2)]
  await subscriber.subscribe('{k}changed')
  const late: string[] = []
  let heard = 0
  subscriber.on('message', async (_, text) => {
    if ((await reader.get('{k}')) !== text && Number(await reader.get('{k}')) < Number(text)) late.push(text)
    heard++
  })
  const count = 200
  for (let n = 0; n < count; n++) {
    await publisher.set('{k}', String(n))
    await publisher.publish('{k}changed', String(n))
  }
  await until(() => heard === count)
  expect(late).toEqual([])
}, 60_000)

it('redis-py and redis-cli hear of it, in RESP2 and RESP3', async () => {
  const python = process.env['PYTHON'] ?? pythonPath
  const script = `
import redis
client = redis.Redis(port=${lab.port(1)}, decode_responses=True)
subscriber = client.pubsub()
subscriber.subscribe('py')
subscriber.psubscribe('p?')
print([subscriber.get_message(timeout=5)['type'] for _ in range(2)])
print(redis.Redis(port=${lab.port(2)}).publish('py', 'hello'))
print([subscriber.get_message(timeout=5)['data'] for _ in range(2)])
`
  const { stdout } = await execute(python, ['-c', script])
  expect(stdout).toBe("['subscribe', 'psubscribe']\n0\n['hello', 'hello']\n")

  const cli = spawn('redis-cli', ['-3', '-p', String(lab.port(2)), 'subscribe', 'cli'])
  let output = ''
  cli.stdout.on('data', (chunk: Buffer) => {
    output += chunk.toString()
  })
  try {
    await until(() => output.includes('subscribe'))
    await lab.client(1).publish('cli', 'hello')
    await until(() => output.includes('hello'))
  } finally {
    cli.kill()
  }
}, 60_000)
