/** redis-py, ioredis and node-redis exercise every type with RESP2 and RESP3. */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createClient, type RedisClientType } from 'redis'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { pythonPath } from '#test/debianPackages.ts'
import { clientSuites } from './clientSuites.ts'
import { Lab } from './lab.ts'

let lab: Lab

beforeAll(async () => {
  lab = await Lab.up({ clusters: 1 })
})

afterAll(async () => {
  expect(await lab.down()).toBe(0)
})

/** Of a run of its own, all in one slot. */
const keysOf = (run: string) => (name: string) => `{${run}}${name}`

describe.each([2, 3] as const)('RESP%i', (protocol) => {
  it.each(clientSuites)('ioredis: $type', async ({ type, ioredis, expected }) => {
    const client = lab.client(1, { protocol })
    expect(await ioredis(client, keysOf(`ioredis ${protocol} ${type}`))).toEqual(expected)
  })

  it.each(clientSuites)('node-redis: $type', async ({ type, nodeRedis, expected }) => {
    const client = createClient({ socket: { host: '127.0.0.1', port: lab.port(1) }, RESP: protocol })
    await client.connect()
    try {
      const result = await nodeRedis(
        client as unknown as RedisClientType,
        keysOf(`node-redis ${protocol} ${type}`),
      )
      expect(result).toEqual(expected)
    } finally {
      client.destroy()
    }
  })
})

/** Debian's redis-py speaks RESP2; a later one, from 5.0 on, speaks both (`PYTHON=path` takes that of another Python). */
const script = (port: number): string => `
import inspect, json, sys, redis
protocols = [2, 3] if 'protocol' in inspect.signature(redis.Redis.__init__).parameters else [2]
results = {}

def pairs(found):
    return [found] if found and not isinstance(found[0], (list, tuple)) else found

${clientSuites.map(({ redisPy }, i) => `def suite${i}(r, key):\n    ${redisPy.trim()}\n    return result\n`).join('\n')}
for protocol in protocols:
    options = {'protocol': protocol} if len(protocols) > 1 else {}
    r = redis.Redis(host='127.0.0.1', port=${port}, decode_responses=True, **options)
    for number, suite in enumerate([${clientSuites.map((_, i) => `suite${i}`).join(', ')}]):
        results['%d %d' % (protocol, number)] = suite(r, lambda name: '{py %d %d}%s' % (protocol, number, name))
print(json.dumps(results))
`

describe('redis-py', () => {
  let results: Record<string, unknown>

  beforeAll(() => {
    const directory = mkdtempSync(join(tmpdir(), 'redis-py-'))
    const path = join(directory, 'clients.py')
    writeFileSync(path, script(lab.port(1)))
    try {
      const python = process.env['PYTHON'] ?? pythonPath
      results = JSON.parse(execFileSync(python, [path], { encoding: 'utf8' })) as Record<string, unknown>
    } finally {
      rmSync(directory, { recursive: true })
    }
  })

  it.each(clientSuites.map(({ type, expected }, i) => ({ type, expected, number: i })))(
    'redis-py: $type',
    ({ expected, number }) => {
      const runs = Object.entries(results).filter(([name]) => name.endsWith(` ${number}`))
      expect(runs.length).toBeGreaterThan(0)
      for (const [name, result] of runs) expect(result, `RESP${name.charAt(0)}`).toEqual(expected)
    },
  )
})
