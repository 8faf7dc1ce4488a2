/** Functions in real processes of two clusters: known to every shard, kept over its end and the agent's, and stopped when they hang. */
import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { promisify } from 'node:util'
import type { Redis } from 'ioredis'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { Lab } from './lab.ts'
import { patiently } from './patiently.ts'

const run = promisify(execFile)
const busyReplyMs = 200
const code = `#!lua name=counting
redis.register_function('count', function(keys) return redis.call('INCR', keys[1]) end)
redis.register_function{function_name='peek', callback=function(keys) return redis.call('GET', keys[1]) end, flags={'no-writes'}}
redis.register_function('hang', function() while true do end end)`

const started: { lab?: Lab } = {}

const lab = (): Lab => {
  if (started.lab === undefined) throw new Error('the lab is not up')
  return started.lab
}

const opened = new Map<number, Redis>()

function client(cluster: number): Redis {
  const known = opened.get(cluster) ?? lab().client(cluster, { enableReadyCheck: false })
  opened.set(cluster, known)
  return known
}

beforeAll(async () => {
  const settings = [`limits.busy_reply_ms=${busyReplyMs}`, 'proxy.workers=2']
  started.lab = await Lab.up({ clusters: 2, shards: 2, settings })
})
afterAll(() => started.lab?.down())

it('they belong to a cluster, and what they write to all', async () => {
  const [here, there] = [client(1), client(2)]
  expect(await here.function('LOAD', code)).toBe('counting')
  for (const key of ['a', 'b', 'c', 'd', 'e']) expect(await here.fcall('count', 1, key)).toBe(1)
  await lab().settle()
  await expect(there.fcall('count', 1, 'a')).rejects.toThrow('ERR Function not found')
  const payload = await here.functionBuffer('DUMP')
  expect(await there.function('RESTORE', payload as Buffer)).toBe('OK')
  expect(await there.fcall_ro('peek', 1, 'a')).toBe('1')
  expect(await there.fcall('count', 1, 'a')).toBe(2)
})

it('they outlive every process of the node', async () => {
  const before = await lab().processes()
  const victims = before.filter(({ id }) => /^(?:shard|proxy)\//.test(id))
  expect(victims.length).toBe(4)
  for (const { pid } of victims) if (pid !== null) process.kill(pid, 'SIGKILL')
  opened.clear()
  const again = lab().client(1, { retryStrategy: () => 50, maxRetriesPerRequest: null })
  for (const key of ['a', 'b', 'c'])
    expect(await patiently(async () => await again.fcall_ro('peek', 1, key))).toMatch(/^[12]$/)
  expect(await again.function('DELETE', 'counting')).toBe('OK')
  expect(await again.function('LOAD', code)).toBe('counting')
})

it('one that hangs is shown and stopped', async () => {
  const [runner, other] = [lab().client(1, { enableReadyCheck: false }), client(1)]
  const outcome = runner.fcall('hang', 1, 'k', 'an argument').then(String, (error: Error) => error.message)
  await expect
    .poll(async () => JSON.stringify(await other.function('STATS')), { timeout: 20_000 })
    .toMatch('["fcall","hang","1","k","an argument"]')
  await expect(other.script('KILL')).rejects.toThrow('You can only call FUNCTION KILL or SHUTDOWN NOSAVE.')
  expect(await other.function('KILL')).toBe('OK')
  expect(await outcome).toMatch(
    /^ERR Script killed by user with .* KILL\. script: hang, on @user_function:4\.$/,
  )
  await expect(other.function('KILL')).rejects.toThrow('NOTBUSY No scripts in execution right now.')
})

it('they are as docs/functions.md says', async () => {
  for (const cluster of [1, 2]) expect(await client(cluster).function('FLUSH')).toBe('OK')
  const page = readFileSync(new URL('../../docs/functions.md', import.meta.url), 'utf8')
  const [script = ''] = [...page.matchAll(/```sh\n(.*?)```/gs)].map(([, text]) => text ?? '')
  const commands = script
    .replace(/^bin\/antipode .*$/gm, '')
    .replaceAll('-p 12000', `-p ${lab().port(1)}`)
    .replaceAll('-p 12010', `-p ${lab().port(2)}`)
  const { stdout } = await run('bash', ['-e', '-c', `cd "$(mktemp -d)"; ${commands}`])
  expect(stdout.trim().split('\n')).toEqual(['shop', '1', '2', 'OK', '3'])
})
