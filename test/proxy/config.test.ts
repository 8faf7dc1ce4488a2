/** CONFIG at one proxy process; for several see `workers.test.ts`. */
import { describe, expect, it } from 'vitest'
import { informed, shardInfo } from './informedWorld.ts'
import { ProxyWorld } from './proxyWorld.ts'

describe('CONFIG', () => {
  it('GET takes patterns', () => {
    const client = new ProxyWorld().client()
    expect(client.call('CONFIG', 'GET', 'maxclients')).toBe('*2\r\n$10\r\nmaxclients\r\n$3\r\n100\r\n')
    expect(client.call('CONFIG', 'GET', 'MAXCL*', 'databases', 'maxclients')).toBe(
      '*4\r\n$9\r\ndatabases\r\n$1\r\n1\r\n$10\r\nmaxclients\r\n$3\r\n100\r\n',
    )
    expect(client.call('CONFIG', 'GET', 'nothing')).toBe('*0\r\n')
    expect(client.call('CONFIG', 'GET', 'append*')).toBe(
      '*4\r\n$11\r\nappendfsync\r\n$8\r\neverysec\r\n$10\r\nappendonly\r\n$3\r\nyes\r\n',
    )
    expect(client.call('CONFIG', 'GET', '*')).not.toContain('secret')
    client.call('HELLO', '3')
    expect(client.call('CONFIG', 'GET', 'save')).toBe('%1\r\n$4\r\nsave\r\n$0\r\n\r\n')
  })

  it('SET changes what can be changed, and what is changed counts at once', () => {
    const world = new ProxyWorld()
    const client = world.client()
    const set = (...pairs: string[]): string => client.call('CONFIG', 'SET', ...pairs)
    expect(set('maxclients', '2', 'timeout', '7')).toBe('+OK\r\n')
    expect(client.call('CONFIG', 'GET', 'timeout')).toBe('*2\r\n$7\r\ntimeout\r\n$1\r\n7\r\n')
    world.client()
    expect(world.client().read()).toBe('-ERR max number of clients reached\r\n')
    expect(set('client-query-buffer-limit', '70kb')).toBe('+OK\r\n')
    expect(client.call('ECHO', 'x'.repeat(71_680))).toContain('-ERR Protocol error')
  })

  it('GET and SET of maxmemory and its kin are a matter of the shards', () => {
    const world = informed()
    const client = world.client()
    expect(client.call('CONFIG', 'GET', 'maxmemory')).toBe('*2\r\n$9\r\nmaxmemory\r\n$7\r\n8388608\r\n')
    expect(client.call('CONFIG', 'GET', 'maxc*', 'maxmemory-[ps]*')).toBe(
      '*6\r\n$10\r\nmaxclients\r\n$3\r\n100\r\n' +
        '$16\r\nmaxmemory-policy\r\n$11\r\nallkeys-lru\r\n$17\r\nmaxmemory-samples\r\n$1\r\n7\r\n',
    )
    const asked: unknown[] = []
    for (const shard of world.shards) {
      shard.info = (what, question) => {
        asked.push(question)
        return what === 'configure' ? {} : shardInfo(shard.index)
      }
    }
    const set = (...pairs: string[]): string => client.call('CONFIG', 'SET', ...pairs)
    expect(set('maxmemory', '100mb', 'maxclients', '7', 'MAXMEMORY-policy', 'volatile-LFU')).toBe('+OK\r\n')
    const question = {
      what: 'configure',
      settings: { memorySizeBytes: 100 * 1024 * 1024, evictionPolicy: 'volatile-lfu' },
    }
    expect(asked).toEqual([question, question])
    expect(client.call('CONFIG', 'GET', 'maxclients')).toContain('$1\r\n7\r\n')
    expect(set('crdt_xadd_id_uniqueness_mode', 'Semi-Strict')).toBe('+OK\r\n')
    expect(asked.slice(2)).toEqual(
      Array(2).fill({ what: 'configure', settings: { streamIdMode: 'semi-strict' } }),
    )
    expect(client.call('CONFIG', 'GET', 'crdt_*')).toContain('$6\r\nstrict\r\n')
    asked.splice(2)
    expect(set('crdt_xadd_id_uniqueness_mode', 'loose')).toContain(
      '- argument(s) must be one of the following: strict, semi-strict, liberal',
    )
    expect(set('maxmemory-samples', '65')).toContain('- argument must be between 1 and 64 inclusive')
    expect(set('maxmemory', '-1')).toContain('- argument must be a memory value')
    expect(asked).toHaveLength(2)
  })

  it.each(['constructor', '__proto__', 'foo'])('SET says that nobody knows the setting %s', (name) => {
    const client = new ProxyWorld().client()
    const error = `-ERR Unknown option or number of arguments for CONFIG SET - '${name}'\r\n`
    expect(client.call('CONFIG', 'SET', name, '1')).toBe(error)
    expect(client.call('CONFIG', 'SET', 'maxclients', '5', name, '1')).toBe(error)
    expect(client.call('CONFIG', 'GET', name)).toBe('*0\r\n')
  })

  it('SET of client-output-buffer-limit changes the classes that it names', () => {
    const world = new ProxyWorld()
    const client = world.client()
    const name = 'client-output-buffer-limit'
    const shown = (): string => client.call('CONFIG', 'GET', name).split('\r\n')[4] ?? ''
    const set = (text: string): string => client.call('CONFIG', 'SET', name, text)
    expect(shown()).toBe('normal 1048576 0 60 slave 0 0 0 pubsub 262144 0 60')
    expect(set('pubsub 8mb 2mb 60')).toBe('+OK\r\n')
    expect(set('Normal 0 64kb 5 replica 256mb 64mb 60')).toBe('+OK\r\n')
    expect(shown()).toBe('normal 8589934592 65536 5 slave 0 0 0 pubsub 8388608 2097152 60')
    expect(world.proxy.limits).toMatchObject({
      outputBytesMax: 8 * 1024 ** 3,
      subscriberOutputSoftBytes: 2 * 1024 ** 2,
    })
    const failed = (why: string): string =>
      `-ERR CONFIG SET failed (possibly related to argument '${name}') - ${why}\r\n`
    expect(set('normal 1 2')).toBe(failed('Wrong number of arguments in buffer limit configuration.'))
    for (const unknown of ['foo', 'constructor', '__proto__'])
      expect(set(`${unknown} 1 2 3`)).toBe(
        failed('Invalid client class specified in buffer limit configuration.'),
      )
    const error = failed('Error in hard, soft or soft_seconds setting in buffer limit configuration.')
    expect([set('normal 1mb 2mb x'), set('normal -1 2 3'), set('pubsub 1mb two 3')]).toEqual([
      error,
      error,
      error,
    ])
    expect(set('normal 1 0 0')).toContain('a hard limit must be 0 or between 65536 and 8589934592 inclusive')
    expect(set('normal 0 0 4000')).toContain('soft limits must be at most')
    expect(set('')).toBe('+OK\r\n')
    expect(shown()).toBe('normal 8589934592 65536 5 slave 0 0 0 pubsub 8388608 2097152 60')
  })

  it('SET of what a shard does not take changes nothing, in the proxy and at the others', () => {
    const world = informed()
    const client = world.client()
    const told: unknown[] = []
    for (const shard of world.shards)
      shard.info = (_, question) => {
        if (shard.index === 0) told.push(question)
        return shard.index === 1 ? { error: 'no' } : {}
      }
    expect(client.call('CONFIG', 'SET', 'maxclients', '7', 'maxmemory', '1')).toBe(
      '-UNAVAILABLE shard 1 did not take the settings; try again\r\n',
    )
    expect(told).toEqual([
      { what: 'configure', settings: { memorySizeBytes: 1 } },
      { what: 'configure', settings: { memorySizeBytes: world.proxy.database.memorySizeBytes } },
    ])
    expect(client.call('CONFIG', 'GET', 'maxclients')).toContain('$3\r\n100\r\n')
  })

  it('GET of maxmemory without a shard tells what is configured', () => {
    const world = informed()
    const client = world.client()
    for (const shard of world.shards) shard.kill()
    world.world.settle()
    expect(client.call('CONFIG', 'GET', 'maxmemory')).toBe('*2\r\n$9\r\nmaxmemory\r\n$1\r\n0\r\n')
  })

  it('SET refuses what Redis refuses, and then changes nothing', () => {
    const client = new ProxyWorld().client()
    const set = (...pairs: string[]): string => client.call('CONFIG', 'SET', ...pairs)
    expect(set('foo', '1')).toBe("-ERR Unknown option or number of arguments for CONFIG SET - 'foo'\r\n")
    expect(set('port', '1')).toBe(
      "-ERR CONFIG SET failed (possibly related to argument 'port') - can't set immutable config\r\n",
    )
    expect(set('timeout', 'x')).toContain("- argument couldn't be parsed into an integer")
    expect(set('timeout', '-1')).toContain('- argument must be between 0 and 2147483647 inclusive')
    expect(set('client-query-buffer-limit', '1tb')).toContain('- argument must be a memory value')
    expect(set('timeout', '1', 'TIMEOUT', '2')).toContain('- duplicate parameter')
    expect(set('timeout', '5', 'maxclients', 'x')).toContain("'maxclients'")
    expect(set('timeout', '5', 'maxclients')).toBe('-ERR syntax error\r\n')
    expect(client.call('CONFIG', 'GET', 'timeout')).toBe('*2\r\n$7\r\ntimeout\r\n$1\r\n0\r\n')
  })
})
