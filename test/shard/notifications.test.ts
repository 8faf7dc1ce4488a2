/**
 * Keyspace notifications of a shard: when they leave, what tells of expiry, eviction, scripts and operations of another cluster. That
 * commands tell what Redis tells is in `test/compat/notifications.test.ts`.
 */
import { describe, expect, it } from 'vitest'
import { commands } from '#protocol/commands/index.ts'
import { FaultyDisk } from '#test/faultyDisk.ts'
import { type ShardChanges, TestShard } from './testShard.ts'
import { carry, deliver, pair } from './twoClusters.ts'

const all = 'KEAmn'

function subscribe(shard: TestShard, name = '__*'): void {
  shard.proxy.ask({ what: 'subscribed', changes: [{ kind: 'pattern', name, clients: 1 }] })
  shard.world.settle()
}

function listening(changes: ShardChanges = {}): TestShard {
  const shard = new TestShard({
    ...changes,
    database: { notifyKeyspaceEvents: all, sharding: false, ...changes.database },
  })
  subscribe(shard)
  return shard
}

/** What was told since, as `event key`. */
function told(shard: TestShard, kind = 'key'): string[] {
  shard.world.settle()
  const start = `__${kind}event@0__:`
  return shard.proxy.published
    .splice(0)
    .filter(({ channel }) => channel.startsWith(start))
    .map(({ channel, message }) => `${channel.slice(start.length)} ${message}`)
}

describe('notifications of commands', () => {
  it('come on both channels, in Redis order', () => {
    const shard = listening()
    shard.run('SET', 'k', 'v', 'EX', '100')
    expect(shard.proxy.published.map(({ channel, message }) => `${channel} ${message}`)).toEqual([
      '__keyspace@0__:k new',
      '__keyevent@0__:new k',
      '__keyspace@0__:k set',
      '__keyevent@0__:set k',
      '__keyspace@0__:k expire',
      '__keyevent@0__:expire k',
    ])
  })

  it('come of the classes and on the channels that the setting names', () => {
    const shard = listening({ database: { notifyKeyspaceEvents: 'Elg' } })
    shard.run('SET', 's', 'v')
    shard.run('RPUSH', 'l', 'v')
    shard.run('DEL', 's', 'l')
    expect(shard.proxy.published.every(({ channel }) => channel.startsWith('__keyevent'))).toBe(true)
    expect(told(shard)).toEqual(['rpush l', 'del s', 'del l'])
  })

  it('do not come while the setting is empty, or nobody has subscribed', () => {
    const shard = listening({ database: { notifyKeyspaceEvents: '' } })
    shard.run('SET', 'k', 'v')
    expect(shard.proxy.published).toEqual([])
    expect(shard.shard.db.events.classes).toBe(0)
    const alone = new TestShard({ database: { notifyKeyspaceEvents: all } })
    expect(alone.shard.db.events.classes).toBe(0)
    subscribe(alone)
    expect(alone.shard.db.events.classes).not.toBe(0)
    alone.proxy.connection.destroy()
    alone.world.settle()
    expect(alone.shard.db.events.classes).toBe(0)
  })

  it('come of a transaction and a script when they are done, in the order of their commands', () => {
    const shard = listening()
    shard.proxy.transaction(0, ['LPUSH', 'l', 'a'], ['RENAME', 'l', 'm'], ['LPOP', 'm'])
    expect(told(shard)).toEqual([
      ...['new l', 'lpush l', 'new m', 'rename_from l', 'rename_to m', 'lpop m', 'del m'],
    ])
    const script = "redis.call('set', 'a', 1) redis.call('get', 'none') redis.call('incr', 'a') error('late')"
    shard.run('EVAL', script, '0')
    expect(told(shard)).toEqual(['new a', 'set a', 'keymiss none', 'incrby a'])
  })

  it('come of commands that wait, behind those of what they waited for', () => {
    const shard = listening()
    shard.proxy.block(1, 'BLMOVE', 'from', 'to', 'LEFT', 'RIGHT', '0')
    shard.world.settle()
    expect(told(shard)).toEqual([])
    shard.run('RPUSH', 'from', 'v')
    expect(told(shard)).toEqual(['new from', 'rpush from', 'new to', 'rpush to', 'lpop from', 'del from'])
  })

  it('tell that a stream goes with its last group', () => {
    const shard = listening()
    shard.run('XGROUP', 'CREATE', 's', 'g', '$', 'MKSTREAM')
    shard.run('XGROUP', 'DESTROY', 's', 'g')
    expect(told(shard)).toEqual(['new s', 'xgroup-create s', 'xgroup-destroy s', 'del s'])
  })

  it('tell of fields that expire by the names of Redis 7.4', () => {
    const shard = listening()
    shard.run('HSET', 'h', 'f', '1', 'g', '2', 'i', '3')
    shard.run('HPEXPIRE', 'h', '100', 'FIELDS', '2', 'f', 'g')
    shard.run('HPERSIST', 'h', 'FIELDS', '1', 'g')
    shard.run('HPERSIST', 'h', 'FIELDS', '1', 'i')
    shard.run('HEXPIRE', 'h', '0', 'FIELDS', '1', 'i')
    expect(told(shard)).toEqual(['new h', 'hset h', 'hexpire h', 'hpersist h', 'hdel h'])
    shard.world.advance(2_000)
    expect(told(shard)).toEqual(['hexpired h'])
    shard.run('HEXPIREAT', 'h', '1', 'FIELDS', '1', 'g')
    expect(told(shard)).toEqual(['hdel h', 'del h'])
    shard.run('HSET', 'h', 'f', '1')
    shard.run('HPEXPIREAT', 'h', String(shard.world.wallMs() + 100), 'FIELDS', '1', 'f')
    told(shard)
    shard.world.advance(2_000)
    expect(told(shard)).toEqual(['hexpired h', 'del h'])
  })

  it('come of every command that writes and is not known to the oracle', () => {
    const hashes = ['HEXPIRE', 'HEXPIREAT', 'HPEXPIRE', 'HPEXPIREAT', 'HPERSIST']
    const later = [...commands.values()].filter(({ row, isWrite }) => isWrite && row.since === '7.4.0')
    expect(later.map(({ name }) => name).sort()).toEqual(hashes.sort())
    const own = [...commands.values()].filter(({ group, isWrite }) => group === 'crdt' && isWrite)
    expect(own).toEqual([])
  })
})

describe('notifications of keys that go by themselves', () => {
  it('come once when an expired key is deleted', () => {
    const shard = listening()
    shard.run('SET', 'k', 'v', 'PX', '100')
    told(shard)
    shard.world.advance(500)
    shard.run('GET', 'k')
    expect(told(shard)).toEqual(['keymiss k'])
    shard.world.advance(2_000)
    expect(told(shard)).toEqual(['expired k'])
    shard.world.advance(60_000)
    expect(told(shard)).toEqual([])
  })

  it.each([
    ['SET k v', ['expired k', 'new k', 'set k']],
    ['SET k v KEEPTTL', ['expired k', 'new k', 'set k']],
    ['INCR k', ['expired k', 'new k', 'incrby k']],
    ['APPEND k v', ['expired k', 'new k', 'append k']],
    ['RPUSH k v', ['expired k', 'new k', 'rpush k']],
    ['DEL k', ['expired k']],
    ['SUNIONSTORE k none', ['keymiss none', 'expired k']],
    ['SETNX k v', ['expired k', 'new k', 'set k']],
  ])('come before what %s does to an expired key', (line, events) => {
    const shard = listening()
    shard.run('SET', 'k', '1', 'PX', '100')
    shard.world.advance(500)
    told(shard)
    shard.run(...line.split(' '))
    expect(told(shard)).toEqual(events)
    shard.world.advance(5_000)
    expect(told(shard)).toEqual([])
  })

  it('come of a key that is set to expire in the past as if it had been there', () => {
    const shard = listening()
    shard.run('SET', 'k', 'v', 'PXAT', '1')
    expect(told(shard)).toEqual(['new k', 'set k', 'expire k', 'expired k'])
    shard.run('SET', 'k', 'v')
    shard.run('PEXPIREAT', 'k', '1')
    expect(told(shard)).toEqual(['new k', 'set k', 'del k'])
  })

  it('come of keys that are evicted', () => {
    const shard = listening({ database: { memorySizeBytes: 64 * 1024, evictionPolicy: 'allkeys-random' } })
    for (let i = 0; i < 1_000; i++) shard.run('SET', `k${i}`, 'v'.repeat(200))
    const evicted = told(shard).filter((one) => one.startsWith('evicted '))
    expect(evicted.length).toBeGreaterThan(500)
    expect(new Set(evicted).size).toBe(evicted.length)
    expect(evicted.length + shard.shard.db.size).toBe(1_000)
  })

  it('do not come of FLUSHALL, as in Redis, nor of a restart', () => {
    const shard = listening()
    shard.run('SET', 'k', 'v')
    shard.run('FLUSHALL')
    expect(told(shard)).toEqual(['new k', 'set k'])
    shard.run('SET', 'k', 'v')
    const again = shard.restart()
    subscribe(again)
    expect(told(again)).toEqual([])
  })
})

describe('a notification leaves', () => {
  it('behind the reply of the command', () => {
    const shard = listening()
    shard.run('SET', 'k', 'v')
    expect(shard.proxy.published.map(({ replies }) => replies)).toEqual([1, 1, 1, 1])
  })

  it('with persistence always not before the write is on the disk, and to other links neither', () => {
    const disk = new FaultyDisk()
    const shard = listening({ disk, database: { persistence: 'always' } })
    const other = shard.connect()
    other.ask({ what: 'subscribed', changes: [{ kind: 'channel', name: '__keyevent@0__:set', clients: 1 }] })
    shard.world.settle()
    disk.slow = true
    shard.run('SET', 'k', 'v')
    expect([shard.proxy.published, other.published]).toEqual([[], []])
    disk.finishSyncs()
    shard.world.settle()
    expect(other.published.map(({ message }) => message)).toEqual(['k'])
    expect(told(shard)).toEqual(['new k', 'set k'])
  })

  it('not before a log that could not be written has been', () => {
    const disk = new FaultyDisk()
    const shard = listening({ disk })
    shard.run('SET', 'k', 'v')
    told(shard)
    disk.failAt = disk.calls
    disk.failsOn = true
    expect(shard.run('DEL', 'k')).toMatch(/^-MISCONF/)
    expect(told(shard)).toEqual([])
    disk.failAt = Number.POSITIVE_INFINITY
    shard.world.advance(1_000)
    expect(told(shard)).toEqual(['del k'])
  })

  it('not when more than may wait have come at once', () => {
    const shard = listening({ limits: { keyEventsBytesMax: 64 * 1024 } })
    shard.run('EVAL', "for i = 1, 5000 do redis.call('get', 'none' .. i) end", '0')
    const count = told(shard).length
    expect(count).toBeGreaterThan(500)
    expect(count).toBeLessThan(5_000)
    const [line] = shard.logger.lines.filter(({ message }) => message.includes('key_events_bytes_max'))
    expect(line?.facts).toMatchObject({ dropped: 5_000 - count })
    shard.run('SET', 'k', 'v')
    expect(told(shard)).toEqual(['new k', 'set k'])
  })
})

describe('the setting', () => {
  it('is changed while the shard runs, and told', () => {
    const shard = listening({ database: { notifyKeyspaceEvents: '' } })
    const configure = (letters: unknown): unknown => {
      const tag = shard.proxy.ask({ what: 'configure', settings: { notifyKeyspaceEvents: letters } })
      shard.world.settle()
      return shard.proxy.adminAnswers.get(tag)
    }
    expect(configure('AKE')).toEqual({})
    expect(shard.shard.status().settings.notifyKeyspaceEvents).toBe('AKE')
    shard.run('SET', 'k', 'v')
    expect(told(shard)).toEqual(['set k'])
    expect(configure('Q')).toEqual({ error: 'notifyKeyspaceEvents can not be Q' })
    expect(configure(7)).toEqual({ error: 'notifyKeyspaceEvents can not be 7' })
  })
})

describe('operations of another cluster', () => {
  /** Subscribers are at the second one. */
  function clusters(letters = all) {
    const { a, b, connect, world } = pair({ database: { notifyKeyspaceEvents: letters, sharding: false } })
    connect()
    subscribe(b)
    const run = (line: string): string[] => {
      a.run(...line.split(' '))
      deliver(a, b)
      return told(b)
    }
    return { a, b, run, world }
  }

  it.each([
    ['SET k v', ['new k', 'set k']],
    ['SET k v EX 100', ['new k', 'set k', 'expire k']],
    ['INCRBY k 7', ['new k', 'incrby k']],
    ['INCRBYFLOAT k 0.5', ['new k', 'incrbyfloat k']],
    ['HSET k f 1 g 2', ['new k', 'hset k']],
    ['HINCRBY k f 1', ['new k', 'hincrby k']],
    ['HINCRBYFLOAT k f 0.5', ['new k', 'hincrbyfloat k']],
    ['SADD k a b', ['new k', 'sadd k']],
    ['ZADD k 1 a 2 b', ['new k', 'zadd k']],
    ['ZINCRBY k 1 a', ['new k', 'zincr k']],
    ['LPUSH k a b', ['new k', 'lpush k']],
    ['RPUSH k a', ['new k', 'rpush k']],
    ['XADD k * f v', ['new k', 'xadd k']],
    ['XGROUP CREATE k g $ MKSTREAM', ['new k', 'xgroup-create k']],
    ['PFADD k a b', ['new k', 'pfadd k']],
  ])('%s is told of by its effect', (line, events) => {
    expect(clusters().run(line)).toEqual(events)
  })

  it.each<[string, string, string[]]>([
    ['SET k v', 'DEL k', ['del k']],
    ['SET k v', 'SET k w', ['set k']],
    ['SET k v', 'EXPIRE k 100', ['expire k']],
    ['SET k v EX 100', 'PERSIST k', ['persist k']],
    ['SET k v', 'RENAME k l', ['del k', 'new l', 'set l']],
    ['HSET k f 1 g 2', 'HDEL k f', ['hdel k']],
    ['HSET k f 1', 'HDEL k f', ['hdel k', 'del k']],
    ['HSET k f 1 g 1', 'HEXPIRE k 100 FIELDS 1 f', ['hexpire k']],
    ['SADD k a b', 'SREM k a', ['srem k']],
    ['SADD k a', 'SPOP k', ['srem k', 'del k']],
    ['SADD k a', 'SMOVE k l a', ['srem k', 'del k', 'new l', 'sadd l']],
    ['ZADD k 1 a', 'ZREM k a', ['zrem k', 'del k']],
    ['RPUSH k a b c', 'LPOP k', ['lrem k']],
    ['RPUSH k a b c', 'LSET k 1 x', ['lset k']],
    ['RPUSH k a b c', 'LTRIM k 5 6', ['lrem k', 'del k']],
    ['XADD k * f v', 'XTRIM k MAXLEN 0', ['xtrim k']],
    ['XADD k * f v', 'XSETID k 99999999999999-0', ['xsetid k']],
    ['XADD k * f v', 'XDEL k 1-1', []],
    ['SET k v', 'FLUSHALL', []],
    ['SET k v', 'DEL none', []],
    ['SET k v', 'GET none', []],
  ])('after %s, %s is told of', (before, line, events) => {
    const { run } = clusters()
    run(before)
    expect(run(line)).toEqual(events)
  })

  it('are told of as what came in one step, in order', () => {
    const { a, b } = clusters()
    a.proxy.transaction(0, ['SET', '{a}', '1'], ['SET', '{a}', '2'], ['RPUSH', '{a}l', 'x'], ['DEL', '{a}'])
    deliver(a, b)
    expect(told(b)).toEqual(['new {a}', 'set {a}', 'new {a}l', 'rpush {a}l', 'del {a}'])
  })

  it('that change a part of a long string, destroy a group, or rename a key are told of by what they do', () => {
    const { run } = clusters()
    run(`SET k ${'v'.repeat(100_000)}`)
    expect(run('APPEND k x')).toEqual(['setrange k'])
    run('XADD s * f v')
    run('XGROUP CREATE s g $')
    expect(run('XGROUP DESTROY s g')).toEqual(['xgroup-destroy s'])
    // As at the cluster itself, a stream of nothing but groups goes with the last.
    run('XGROUP CREATE t g $ MKSTREAM')
    expect(run('XGROUP DESTROY t g')).toEqual(['xgroup-destroy t', 'del t'])
  })

  it('are told of here, and not there by those who told of them; messages are no operations', () => {
    const { a, b, run } = clusters()
    subscribe(a)
    run('SET k v')
    expect(told(a)).toEqual(['new k', 'set k'])
    b.run('SET', 'k', 'w')
    deliver(a, b)
    expect(told(a)).toEqual(['set k'])
    expect(told(b)).toEqual(['set k'])
  })

  it('are not told of on the local channels', () => {
    const { b, run } = clusters('KEAL')
    run('SET k v')
    expect(told(b, 'local')).toEqual([])
    b.run('SET', 'k', 'w')
    expect(b.proxy.published.map(({ channel, message }) => `${channel} ${message}`)).toEqual([
      '__keyspace@0__:k set',
      '__keyevent@0__:set k',
      '__localspace@0__:k set',
      '__localevent@0__:set k',
    ])
  })

  it('that delete what has expired are told of as expiry, once at each cluster, and once on the local channels of all', () => {
    const { a, b, run, world } = clusters('KEAL')
    subscribe(a)
    run('SET k v PX 100')
    run('HSET h f v')
    run('HPEXPIRE h 100 FIELDS 1 f')
    for (const shard of [a, b]) shard.proxy.published.length = 0
    world.advance(500)
    carry(a, b, 40_000)
    const isOfKeys = (one: string): boolean => / [kh]$/.test(one)
    const [atA, atB] = [a, b].map((shard) => shard.proxy.published.map((one) => ({ ...one })))
    const events = (of: typeof atA, kind: string): string[] =>
      (of ?? [])
        .filter(({ channel }) => channel.startsWith(`__${kind}event`))
        .map(({ channel, message }) => `${channel.replace(/.*:/, '')} ${message}`)
        .filter(isOfKeys)
        .sort()
    expect(events(atA, 'key')).toEqual(['del h', 'expired k', 'hexpired h'])
    expect(events(atB, 'key')).toEqual(['del h', 'expired k', 'hexpired h'])
    expect(events(atA, 'local')).toEqual(['del h', 'expired k', 'hexpired h'])
    expect(events(atB, 'local')).toEqual([])
  })

  it('that evict are told of as deletes', () => {
    const { a, b, run } = clusters()
    run('SET k v')
    a.shard.configure({
      ...a.options,
      database: { ...a.options.database, memorySizeBytes: 1, evictionPolicy: 'allkeys-random' },
    })
    carry(a, b, 1_000)
    expect(told(b)).toEqual(['del k'])
  })

  it('that come as the state of a slot are told of as values that are restored, each key that is another one', () => {
    const { a, b, connect } = pair({
      database: { notifyKeyspaceEvents: all, sharding: false },
      limits: { backlogBytesMax: 64 * 1024 },
    })
    connect()
    for (const key of ['{t}same', '{t}text', '{t}gone']) a.run('SET', key, 'v')
    for (const key of ['{t}h', '{t}hash']) a.run('HSET', key, 'f', 'v', 'n', '1')
    carry(a, b, 500)
    a.proxy.closeChannel(1, 'cut')
    a.proxy.closeChannel(2, 'cut')
    b.proxy.closeChannel(1, 'cut')
    b.proxy.closeChannel(2, 'cut')
    carry(a, b, 100)
    a.run('SET', '{t}text', 'w')
    a.run('SET', '{t}more', 'v')
    a.run('HSET', '{t}hash', 'f', 'w')
    a.run('DEL', '{t}gone')
    for (let i = 0; i < 100; i++) a.run('SET', '{u}filler', `${i}`.repeat(1_000))
    subscribe(b)
    const before = b.shard.status().sync
    connect()
    carry(a, b, 2_000)
    expect(b.run('GET', '{t}more')).toBe('$1\r\nv\r\n')
    expect(b.shard.status().sync).not.toEqual(before)
    const ofSlot = told(b).filter((one) => one.includes('{t}'))
    expect(ofSlot.sort()).toEqual([
      ...['del {t}gone', 'new {t}more', 'restore {t}hash', 'restore {t}more', 'restore {t}text'],
    ])
  })
})
