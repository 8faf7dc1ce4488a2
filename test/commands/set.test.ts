import { describe, expect, it } from 'vitest'
import { repeatedPicksMax } from '#server/commands/randomPick.ts'
import { type Answer, TestDatabase } from './handlerDatabase.ts'

const sorted = (answer: Answer): Answer[] => [...(answer as Answer[])].sort()

describe('sets', () => {
  it('are added to, removed from, and moved between', () => {
    const db = new TestDatabase()
    expect(db.ask('SADD s a b a')).toBe(2)
    expect(db.ask('SADD s a c')).toBe(1)
    expect(db.ask('SREM s a a none')).toBe(1)
    expect(db.ask('SMISMEMBER s a b')).toEqual([0, 1])
    expect(db.ask('SMOVE s t b')).toBe(1)
    expect(db.ask('SMOVE s t b')).toBe(0)
    expect(db.ask('SMOVE s s c')).toBe(1)
    expect(db.ask('SMOVE s t c')).toBe(1)
    expect(db.ask('EXISTS s')).toBe(0)
    db.ask('SET str x')
    // Nothing to move: the target is not looked at.
    expect(db.ask('SMOVE s str c')).toBe(0)
    expect(db.ask('SMOVE t str none')).toMatch(/^-WRONGTYPE/)
  })

  it('pop different members, and go with the last one', () => {
    const db = new TestDatabase()
    db.run('SADD', 's', ...Array.from({ length: 100 }, (_, i) => `m${i}`))
    db.ask('EXPIRE s 100')
    const popped = db.ask('SPOP s 30') as string[]
    expect(new Set(popped).size).toBe(30)
    expect(db.ask('SCARD s')).toBe(70)
    expect(db.ask('TTL s')).toBe(100)
    expect(popped).not.toContain(db.ask('SPOP s'))
    expect(db.ask('SPOP s 0')).toEqual([])
    expect(db.ask('SPOP s 9223372036854775807')).toHaveLength(69)
    expect(db.ask('EXISTS s')).toBe(0)
    expect(db.ask('SPOP s')).toBe(null)
    expect(db.ask('SPOP s -1')).toBe('-ERR value is out of range, must be positive')
    expect(db.ask('SPOP s x')).toBe('-ERR value is out of range, must be positive')
    expect(db.ask('SPOP s 1 1')).toBe('-ERR syntax error')
  })

  it('give random members: different ones, or with repetition up to a limit', () => {
    const db = new TestDatabase()
    db.run('SADD', 's', ...Array.from({ length: 20 }, (_, i) => String(i)))
    for (const count of [1, 5, 19, 20, 50]) {
      const members = db.run('SRANDMEMBER', 's', String(count)) as string[]
      expect(new Set(members).size).toBe(Math.min(20, count))
    }
    expect(db.ask('SRANDMEMBER s -50')).toHaveLength(50)
    expect(db.run('SRANDMEMBER', 's', String(-repeatedPicksMax - 1))).toBe('-ERR value is out of range')
    expect(db.ask('SRANDMEMBER s -9223372036854775808')).toMatch(
      /^-ERR value is out of range, value must between/,
    )
    expect(db.ask('SCARD s')).toBe(20)
  })

  it('reach every member at random', () => {
    const db = new TestDatabase()
    db.ask('SADD s a b c d')
    const seen = new Set(Array.from({ length: 200 }, () => db.ask('SRANDMEMBER s 2')).flat())
    expect([...seen].sort()).toEqual(['a', 'b', 'c', 'd'])
  })

  it('are sets in RESP3', () => {
    const db = new TestDatabase()
    db.ask('SADD s a')
    expect(db.raw3('SMEMBERS', 's')).toBe('~1\r\n$1\r\na\r\n')
    expect(db.raw3('SINTER', 's', 'none')).toBe('~0\r\n')
    expect(db.raw3('SPOP', 's', '0')).toBe('~0\r\n')
    expect(db.raw3('SRANDMEMBER', 's', '1')).toBe('*1\r\n$1\r\na\r\n')
  })
})

describe('operations on several sets', () => {
  function filled(): TestDatabase {
    const db = new TestDatabase()
    db.ask('SADD a 1 2 3 4')
    db.ask('SADD b 2 3 5')
    db.ask('SADD c 3 9')
    return db
  }

  it('intersect, unite and subtract', () => {
    const db = filled()
    expect(sorted(db.ask('SINTER a b'))).toEqual(['2', '3'])
    expect(sorted(db.ask('SUNION b c none'))).toEqual(['2', '3', '5', '9'])
    expect(sorted(db.ask('SDIFF a b c'))).toEqual(['1', '4'])
    expect(db.ask('SINTER a none')).toEqual([])
    expect(db.ask('SDIFF none a')).toEqual([])
  })

  it('complain of another type even when the result is known to be empty', () => {
    const db = filled()
    db.ask('SET str x')
    expect(db.ask('SINTER none str')).toMatch(/^-WRONGTYPE/)
    expect(db.ask('SINTERSTORE d none str')).toMatch(/^-WRONGTYPE/)
  })

  it('store over any type, also over one of the sets, and an empty result as no key', () => {
    const db = filled()
    db.ask('SET d x EX 100')
    expect(db.ask('SUNIONSTORE d b c')).toBe(4)
    expect(db.ask('TTL d')).toBe(-1)
    expect(db.ask('SINTERSTORE a a b c')).toBe(1)
    expect(db.ask('SMEMBERS a')).toEqual(['3'])
    expect(db.ask('SDIFFSTORE d a b')).toBe(0)
    expect(db.ask('EXISTS d')).toBe(0)
  })

  it('count intersections up to a limit', () => {
    const db = filled()
    expect(db.ask('SINTERCARD 2 a b')).toBe(2)
    expect(db.ask('SINTERCARD 2 a b LIMIT 1')).toBe(1)
    expect(db.ask('SINTERCARD 2 a b LIMIT 0')).toBe(2)
    for (const request of ['0 a', 'x a', '9223372036854775808 a']) {
      expect(db.ask(`SINTERCARD ${request}`)).toBe('-ERR numkeys should be greater than 0')
    }
    expect(db.ask('SINTERCARD 2 a')).toBe("-ERR Number of keys can't be greater than number of args")
    expect(db.ask('SINTERCARD 1 a LIMIT -1')).toBe("-ERR LIMIT can't be negative")
    expect(db.ask('SINTERCARD 1 a LIMIT x')).toBe("-ERR LIMIT can't be negative")
    expect(db.ask('SINTERCARD 1 a LIMIT')).toBe('-ERR syntax error')
  })
})
