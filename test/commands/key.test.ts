import { describe, expect, it } from 'vitest'
import { evenRanges } from '#protocol/slots/slotMap.ts'
import { expireAtMsMax } from '#server/commands/expiry.ts'
import { type Answer, TestDatabase } from './handlerDatabase.ts'

const texts = (answer: Answer | undefined): string[] => (Array.isArray(answer) ? answer.map(String) : [])

describe('EXPIRE', () => {
  it('hides the key when its time has passed', () => {
    const db = new TestDatabase()
    db.ask('SET k a PX 100')
    db.nowMs += 100
    expect(db.ask('GET k')).toBe('a')
    db.nowMs += 1
    expect(db.ask('GET k')).toBe(null)
    expect(db.ask('EXISTS k')).toBe(0)
    expect(db.ask('TTL k')).toBe(-2)
    expect(db.ask('KEYS *')).toEqual([])
    expect(db.ask('APPEND k b')).toBe(1)
    expect(db.ask('TTL k')).toBe(-1)
  })

  it('deletes at once when the time has passed already', () => {
    const db = new TestDatabase()
    for (const request of ['EXPIRE k 0', 'PEXPIRE k -9223372036854775808', 'EXPIREAT k 1', 'PEXPIREAT k 0']) {
      db.ask('SET k a')
      expect(db.ask(request)).toBe(1)
      expect(db.ask('DBSIZE')).toBe(0)
    }
  })

  it('takes a key without TTL for one that lives for ever', () => {
    const db = new TestDatabase()
    db.ask('SET k a')
    expect(db.ask('EXPIRE k 10 GT')).toBe(0)
    expect(db.ask('EXPIRE k 10 XX')).toBe(0)
    expect(db.ask('EXPIRE k 10 LT')).toBe(1)
    expect(db.ask('EXPIRE k 10 GT')).toBe(0)
    expect(db.ask('EXPIRE k 10 LT')).toBe(0)
    expect(db.ask('EXPIRE k 11 XX GT')).toBe(1)
    expect(db.ask('EXPIRE k 5 NX')).toBe(0)
    expect(db.ask('TTL k')).toBe(11)
  })

  it('refuses words that do not go together, and times that are too far away', () => {
    const db = new TestDatabase()
    expect(db.ask('EXPIRE k 1 NX GT')).toMatch(/^-ERR NX and XX, GT or LT options/)
    expect(db.ask('EXPIRE k 1 GT LT')).toMatch(/^-ERR GT and LT options/)
    expect(db.ask('EXPIRE k x FOO')).toBe('-ERR Unsupported option FOO')
    expect(db.ask('EXPIRE k x')).toBe('-ERR value is not an integer or out of range')
    expect(db.ask('EXPIRE k 9223372036854775')).toBe("-ERR invalid expire time in 'expire' command")
    expect(db.ask('EXPIRE k -9223372036854776')).toBe("-ERR invalid expire time in 'expire' command")
    expect(db.ask('EXPIRE k -9223372036854775')).toBe(0)
    expect(db.run('PEXPIREAT', 'k', String(expireAtMsMax + 1))).toBe(
      "-ERR invalid expire time in 'pexpireat' command",
    )
  })

  it('repeats an unknown word up to its first NUL, as Redis does', () => {
    expect(new TestDatabase().run('EXPIRE', 'k', '1', 'no\0such')).toBe('-ERR Unsupported option no')
  })
})

describe('TTL', () => {
  it('rounds to the nearest second', () => {
    const db = new TestDatabase()
    db.ask('SET k a PX 10499')
    expect(db.ask('TTL k')).toBe(10)
    db.ask('SET k a PX 10500')
    expect(db.ask('TTL k')).toBe(11)
    expect(db.ask('PTTL k')).toBe(10500)
    expect(db.ask('EXPIRETIME k')).toBe(Math.floor((db.nowMs + 10500 + 500) / 1000))
    expect(db.ask('PERSIST k')).toBe(1)
    expect(db.ask('PERSIST k')).toBe(0)
    expect(db.ask('PEXPIRETIME k')).toBe(-1)
    expect(db.ask('PEXPIRETIME none')).toBe(-2)
  })
})

describe('RENAME and COPY', () => {
  const fill: Readonly<Record<string, readonly string[]>> = {
    string: ['SET', '{t}a', 'v'],
    hash: ['HSET', '{t}a', 'f', '1', 'g', '2'],
    set: ['SADD', '{t}a', 'x', 'y'],
    list: ['RPUSH', '{t}a', 'x', 'y', 'x'],
  }
  for (const [type, request] of Object.entries(fill)) {
    it(`carry a ${type} with its TTL over whatever is there`, () => {
      const db = new TestDatabase()
      for (const old of Object.values(fill)) {
        db.run(...old.map((word) => word.replace('{t}a', '{t}b')))
        db.ask('EXPIRE {t}b 5')
        db.run(...request)
        db.ask('EXPIRE {t}a 100')
        expect(db.ask('COPY {t}a {t}b')).toBe(0)
        expect(db.ask('COPY {t}a {t}b REPLACE DB 0')).toBe(1)
        expect(db.ask('RENAMENX {t}a {t}b')).toBe(0)
        expect(db.ask('RENAME {t}a {t}c')).toBe('OK')
        for (const key of ['{t}b', '{t}c']) {
          expect(db.run('TYPE', key)).toBe(type)
          expect(db.run('TTL', key)).toBe(100)
          expect(db.raw('DUMP', key)).toEqual(db.raw('DUMP', '{t}c'))
        }
        expect(db.ask('EXISTS {t}a')).toBe(0)
        db.ask('FLUSHALL')
      }
    })
  }

  it('know what is one key and what is none', () => {
    const db = new TestDatabase()
    expect(db.ask('RENAME a a')).toBe('-ERR no such key')
    expect(db.ask('COPY a a')).toBe('-ERR source and destination objects are the same')
    db.ask('SET a 1')
    expect(db.ask('RENAME a a')).toBe('OK')
    expect(db.ask('RENAMENX a a')).toBe(0)
    expect(db.ask('COPY a b DB 1')).toBe('-ERR DB index is out of range')
  })
})

describe('SCAN', () => {
  const names = Array.from({ length: 500 }, (_, i) => `key:${i}`)

  function filled(options: { shards?: number; shard?: number } = {}): TestDatabase {
    const db = new TestDatabase(options)
    for (const name of names) db.run('SET', name, '1')
    return db
  }

  function scanned(db: TestDatabase, ...words: string[]): { keys: string[]; calls: number } {
    const keys: string[] = []
    let cursor = '0'
    let calls = 0
    do {
      const [next, part] = db.run('SCAN', cursor, ...words) as [string, Answer]
      keys.push(...texts(part))
      cursor = next
      calls++
    } while (cursor !== '0')
    return { keys, calls }
  }

  it('tells every key once when nothing changes, in steps of about COUNT', () => {
    const { keys, calls } = scanned(filled(), 'COUNT', '10')
    expect(keys.sort()).toEqual([...names].sort())
    expect(calls).toBeGreaterThan(10)
    expect(calls).toBeLessThan(100)
  })

  it('filters by pattern and type', () => {
    const db = filled()
    db.ask('SADD key:set a')
    expect(scanned(db, 'TYPE', 'SET').keys).toEqual(['key:set'])
    expect(scanned(db, 'MATCH', 'key:1?', 'COUNT', '100').keys).toHaveLength(10)
    expect(scanned(db, 'TYPE', 'nosuch').keys).toEqual([])
  })

  it('leads from one shard to the next by its cursor', () => {
    const shards = 3
    const [first] = evenRanges(shards)
    const db = new TestDatabase({ shards, shard: 0 })
    expect(db.ask('SCAN 0')).toEqual([String((first?.last ?? 0) + 1), []])
    expect(new TestDatabase({ shards, shard: 2 }).ask('SCAN 16000')).toEqual(['0', []])
  })

  it('takes cursors as strtoul does, and ends on those it never gave', () => {
    const db = filled()
    for (const bad of ['x', '1x', ' 1', '-', '18446744073709551616']) {
      expect(db.run('SCAN', bad)).toBe('-ERR invalid cursor')
    }
    for (const odd of ['-1', '18446744073709551615', String(2 ** 53)]) {
      expect(db.run('SCAN', odd)).toEqual(['0', []])
    }
    expect(texts((db.run('SCAN', '') as Answer[])[1]).length).toBeGreaterThan(0)
  })
})

describe('OBJECT', () => {
  it('answers null for no key and tells what it keeps', () => {
    const db = new TestDatabase()
    for (const what of ['ENCODING', 'REFCOUNT', 'IDLETIME', 'FREQ'])
      expect(db.run('OBJECT', what, 'k')).toBe(null)
    db.ask('SET k 12')
    expect(db.ask('OBJECT ENCODING k')).toBe('int')
    expect(db.ask('OBJECT REFCOUNT k')).toBe(1)
    expect(db.ask('OBJECT FREQ k')).toMatch(/^-ERR An LFU maxmemory policy is not selected/)
    db.nowMs += 12_345
    expect(db.ask('OBJECT IDLETIME k')).toBe(12)
    db.ask('TOUCH k none')
    expect(db.ask('OBJECT IDLETIME k')).toBe(0)
  })

  it.each(['EXPIRE k 10 GT', 'PERSIST k'])(
    'counts as an access what finds the key and leaves it: %s',
    (request) => {
      const db = new TestDatabase()
      db.ask('SET k 12')
      db.nowMs += 12_345
      expect(db.ask(request)).toBe(0)
      expect(db.ask('OBJECT IDLETIME k')).toBe(0)
    },
  )

  it('counts what reads and writes as several uses, and a value of another type as a new key', () => {
    const db = new TestDatabase()
    db.database.keyspace.accessClock.byFrequency = true
    db.ask('SET k 12')
    const ofNew = db.ask('OBJECT FREQ k')
    db.database.keyspace.setFrequency('k', 0)
    db.ask('GET k')
    expect(db.ask('OBJECT FREQ k')).toBe(1)
    db.database.keyspace.setFrequency('k', 0)
    db.ask('SETRANGE k 0 x')
    expect(db.ask('OBJECT FREQ k')).toBeGreaterThan(1)
    db.ask('DEL k')
    db.ask('SADD k m')
    db.database.keyspace.setFrequency('k', 100)
    db.ask('SET k 12')
    expect(db.ask('OBJECT FREQ k')).toBe(ofNew)
  })
})

describe('DEL', () => {
  it('counts what was there, once', () => {
    const db = new TestDatabase()
    db.ask('MSET a 1 b 2')
    expect(db.ask('DEL a a none b')).toBe(2)
    expect(db.ask('EXISTS a b')).toBe(0)
    db.ask('SET a 1')
    expect(db.ask('EXISTS a a none')).toBe(2)
  })

  it('removes sets of many members', () => {
    const db = new TestDatabase()
    db.run('SADD', 's', ...Array.from({ length: 2000 }, (_, i) => String(i)))
    expect(db.ask('DEL s')).toBe(1)
    expect(db.ask('DBSIZE')).toBe(0)
  })
})

describe('FLUSHALL', () => {
  it('removes everything, and takes ASYNC or SYNC', () => {
    const db = new TestDatabase()
    for (const words of ['', ' ASYNC', ' sync']) {
      db.ask('MSET a 1 b 2')
      db.ask('HINCRBY h f 1')
      expect(db.ask(`FLUSHALL${words}`)).toBe('OK')
      expect(db.ask('DBSIZE')).toBe(0)
    }
    expect(db.ask('FLUSHDB ASYNC SYNC')).toBe('-ERR syntax error')
  })

  it('does not touch watched keys that are not there, whatever is kept of them', () => {
    const db = new TestDatabase()
    const touched: string[] = []
    db.ask('MSET a 1 b 1')
    db.ask('INCR a')
    db.ask('DEL a')
    db.database.keyspace.onTouched = (key) => touched.push(key)
    db.ask('FLUSHALL')
    expect(touched).toEqual(['b'])
  })
})

describe('RANDOMKEY', () => {
  it('finds what is there', () => {
    const db = new TestDatabase()
    expect(db.ask('RANDOMKEY')).toBe(null)
    db.ask('MSET a 1 b 2')
    const found = new Set(Array.from({ length: 50 }, () => db.ask('RANDOMKEY')))
    expect([...found].sort()).toEqual(['a', 'b'])
  })
})
