/** Users of a database with three proxy workers: made at one, known at all, kept over restarts; and the commands of docs/users.md. */
import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { promisify } from 'node:util'
import { Redis } from 'ioredis'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Lab } from './lab.ts'
import { patiently } from './patiently.ts'

const run = promisify(execFile)
const clientCount = 12

describe('users', () => {
  let lab: Lab
  let admin: Redis
  const opened: Redis[] = []

  beforeAll(async () => {
    lab = await Lab.up({ clusters: 1, settings: ['proxy.workers=3'] })
    admin = lab.client(1)
  })

  afterAll(async () => {
    for (const client of opened) client.disconnect()
    expect(await lab.down()).toBe(0)
  })

  /** As many as find all workers. */
  function loggedIn(username: string, password: string): Redis[] {
    const clients = Array.from({ length: clientCount }, () => {
      const client = new Redis(lab.port(1), '127.0.0.1', { username, password, retryStrategy: () => null })
      client.on('error', () => {})
      return client
    })
    opened.push(...clients)
    return clients
  }

  const shell = async (command: string): Promise<string> => {
    const text = command.replaceAll('-p 12000', `-p ${lab.port(1)}`)
    return (await run('bash', ['-c', `${text} 2>&1`])).stdout.trim()
  }

  it('that are made at one worker hold at all of them, and end at all of them', async () => {
    await admin.call('ACL', 'SETUSER', 'alice', 'on', '>secret', '~a*', '+@all', '-acl')
    const clients = loggedIn('alice', 'secret')
    const infos = await Promise.all(clients.map(async (client) => await client.info('server')))
    expect(new Set(infos.map((info) => /proxy_worker:(\d+)/.exec(info)?.[1])).size).toBeGreaterThan(1)
    for (const client of clients) {
      expect(await client.set('a1', 'x')).toBe('OK')
      await expect(client.set('b1', 'x')).rejects.toThrow(
        'NOPERM this user has no permissions to access one of',
      )
    }
    await admin.call('ACL', 'SETUSER', 'alice', '-set')
    for (const client of clients) await expect(client.set('a1', 'x')).rejects.toThrow("run the 'set' command")
    const log = (await admin.call('ACL', 'LOG')) as unknown[][]
    expect(log.map((entry) => [entry[1], entry[3], entry[9]])).toEqual(
      [
        [clientCount, 'command', 'alice'],
        [clientCount, 'key', 'alice'],
      ].map(([count, reason, user]) => [count, reason, user]),
    )
    await admin.call('ACL', 'DELUSER', 'alice')
    for (const client of clients) await expect(client.ping()).rejects.toThrow()
  })

  it('outlive all workers', async () => {
    await admin.call('ACL', 'SETUSER', 'bob', 'on', '>secret', '~*', '+@all')
    const victims = (await lab.processes()).filter(({ id }) => id.startsWith('proxy/'))
    for (const { pid } of victims) if (pid !== null) process.kill(pid, 'SIGKILL')
    const again = lab.client(1, {
      username: 'bob',
      password: 'secret',
      retryStrategy: () => 50,
      maxRetriesPerRequest: null,
    })
    expect(await patiently(async () => await again.call('ACL', 'WHOAMI'))).toBe('bob')
  })

  it('log in with redis-py', async () => {
    const script = `
import redis
r = redis.Redis(port=${lab.port(1)}, username='bob', password='secret', decode_responses=True)
print(r.acl_whoami(), r.set('p', '1'), r.acl_getuser('bob')['flags'])
try:
    redis.Redis(port=${lab.port(1)}, username='bob', password='wrong').ping()
except redis.exceptions.RedisError as error:
    print(error)
`
    const { stdout } = await run('/usr/bin/python3', ['-c', script])
    expect(stdout).toMatch(
      /^bob True \['on'.*\]\n(?:WRONGPASS )?invalid username-password pair or user is disabled\.\n$/,
    )
  })

  it('are as docs/users.md says', async () => {
    const page = readFileSync(new URL('../../docs/users.md', import.meta.url), 'utf8')
    const commands = [...page.matchAll(/^redis-cli .*$/gm)].map(([command]) => command)
    const answers: string[] = []
    for (const command of commands) answers.push(await shell(command))
    const [alice, set, refused, log, reporter, reads, writes, denied, worker, runs, called, ...others] =
      answers
    for (const answer of [alice, set, reporter, reads, writes, worker, runs]) expect(answer).toBe('OK')
    expect(refused).toBe('NOPERM this user has no permissions to access one of the keys used as arguments')
    expect(log).toContain('other')
    expect(denied).toBe("This user has no permissions to access the 'cache:1' key")
    expect(called).toMatch("The user executing the script can't access at least one of the keys")
    expect(others).toEqual(['OK', 'OK', 'NOAUTH Authentication required.', 'OK', 'OK', 'OK'])
  })
})
