/** Scripts in real processes: one that never ends, what others are told meanwhile, and how it is stopped. */
import { afterAll, beforeAll, expect, it } from 'vitest'
import { Lab } from './lab.ts'

const busyReplyMs = 200
const forEver = 'while true do end'
const forEverProtected = 'while true do pcall(function() while true do end end) end'
const forEverAfterWrite = "redis.call('set', KEYS[1], 'v') for i = 1, 4e8 do end return 'done'"

const started: { lab?: Lab } = {}

const lab = (): Lab => {
  if (started.lab === undefined) throw new Error('the lab is not up')
  return started.lab
}

/** Asks again and again; what has come to the shard before it counted as busy waits, and is not waited for. */
async function until(ask: () => Promise<void>): Promise<void> {
  for (;;) {
    const pause = new Promise<'pause'>((resolve) => setTimeout(() => resolve('pause'), 50))
    const outcome = await Promise.race([
      pause,
      ask().then(
        () => 'held',
        () => pause,
      ),
    ])
    if (outcome === 'held') return
  }
}

/** It asks for no INFO first: a busy shard would not answer. */
const client = () => lab().client(1, { enableReadyCheck: false })

beforeAll(async () => {
  started.lab = await Lab.up({ shards: 2, settings: [`limits.busy_reply_ms=${busyReplyMs}`] })
})
afterAll(() => started.lab?.down())

it.each([
  ['an endless loop', forEver],
  ['an endless loop around pcall', forEverProtected],
  ['a pattern that takes for ever', "return ('x'):rep(200):find(('.-'):rep(20) .. 'y')"],
])('%s is stopped by SCRIPT KILL, and others are told that the shard is busy', async (_, script) => {
  const runner = client()
  const other = client()
  const outcome = runner.eval(script, 1, 'k').then(String, (error: Error) => error.message)
  await until(async () => {
    await expect(client().get('k')).rejects.toThrow(
      'BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.',
    )
  })
  expect(await other.ping()).toBe('PONG')
  expect(await other.script('KILL')).toBe('OK')
  expect(await outcome).toMatch(
    /^ERR Script killed by user with SCRIPT KILL\. script: [0-9a-f]{40}, on @user_script:1\.$/,
  )
  expect(await other.set('k', 'v')).toBe('OK')
  await expect(other.script('KILL')).rejects.toThrow('NOTBUSY No scripts in execution right now.')
})

it('what has written can not be stopped', async () => {
  const runner = client()
  const other = client()
  const outcome = runner.eval(forEverAfterWrite, 1, 'k').then(String, (error: Error) => error.message)
  await until(async () => {
    await expect(other.script('KILL')).rejects.toThrow(
      'UNKILLABLE Sorry the script already executed write commands against the dataset.',
    )
  })
  expect(await outcome).toBe('done')
})

it('what a script writes reaches the other cluster together', async () => {
  const [here, there] = [lab().client(1), lab().client(2)]
  const script = "for i = 1, 100 do redis.call('rpush', KEYS[1], i) end return redis.call('incr', KEYS[2])"
  expect(await here.eval(script, 2, '{t}list', '{t}count')).toBe(1)
  await until(async () => {
    expect(await there.multi().get('{t}count').llen('{t}list').exec()).toEqual([
      [null, '1'],
      [null, 100],
    ])
  })
})

it('a script that is loaded is known to every shard', async () => {
  const sha = String(await client().script('LOAD', 'return KEYS[1]'))
  expect(await client().script('EXISTS', sha)).toEqual([1])
  for (let i = 0; i < 20; i++) expect(await client().evalsha(sha, 1, `key:${i}`)).toBe(`key:${i}`)
})
