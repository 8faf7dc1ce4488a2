/** TTLs of hash fields, as the documentation of Redis 7.4 tells: the oracle, 7.0, has none. */
import { describe, expect, it } from 'vitest'
import { expireAtMsMax } from '#server/commands/expiry.ts'
import { TestDatabase } from './handlerDatabase.ts'

function withFields(...fields: string[]): TestDatabase {
  const db = new TestDatabase()
  db.run('HSET', 'h', ...fields.flatMap((field) => [field, `of ${field}`]))
  return db
}

describe('HEXPIRE and its kin', () => {
  it('answer for each field', () => {
    const db = withFields('a', 'b')
    expect(db.ask('HEXPIRE h 100 FIELDS 3 a none b')).toEqual([1, -2, 1])
    expect(db.ask('HTTL h FIELDS 3 a b none')).toEqual([100, 100, -2])
    expect(db.ask('HPEXPIRE h 1500 FIELDS 1 a')).toEqual([1])
    expect(db.ask('HPTTL h FIELDS 1 a')).toEqual([1500])
    expect(db.ask('HTTL h FIELDS 1 a')).toEqual([2])
    const atMs = db.nowMs + 10_500
    expect(db.ask(`HPEXPIREAT h ${atMs} FIELDS 1 a`)).toEqual([1])
    expect(db.ask('HPEXPIRETIME h FIELDS 1 a')).toEqual([atMs])
    expect(db.ask('HEXPIRETIME h FIELDS 1 a')).toEqual([Math.ceil(atMs / 1000)])
    expect(db.ask(`HEXPIREAT h ${Math.ceil(atMs / 1000)} FIELDS 2 a a`)).toEqual([1, 1])
    expect(db.ask('HEXPIRE none 100 FIELDS 2 a b')).toEqual([-2, -2])
    expect(db.ask('EXISTS none')).toBe(0)
    expect(db.ask('TTL h')).toBe(-1)
  })

  it('delete the field when the time has passed, and the key with the last one', () => {
    const db = withFields('a', 'b', 'c')
    expect(db.ask('HEXPIRE h 0 FIELDS 2 a a')).toEqual([2, -2])
    expect(db.ask('HEXPIREAT h 1000 FIELDS 1 b')).toEqual([2])
    expect(db.ask('HPEXPIREAT h 0 XX FIELDS 1 c')).toEqual([0])
    expect(db.ask('HKEYS h')).toEqual(['c'])
    expect(db.ask('HPEXPIRE h 0 LT FIELDS 1 c')).toEqual([2])
    expect(db.ask('EXISTS h')).toBe(0)
  })

  it('obey NX, XX, GT and LT, no TTL being the longest', () => {
    const db = withFields('a', 'b')
    expect(db.ask('HEXPIRE h 100 XX FIELDS 2 a b')).toEqual([0, 0])
    expect(db.ask('HEXPIRE h 100 gt FIELDS 1 a')).toEqual([0])
    expect(db.ask('HEXPIRE h 100 NX FIELDS 2 a a')).toEqual([1, 0])
    expect(db.ask('HEXPIRE h 200 LT FIELDS 2 a b')).toEqual([0, 1])
    expect(db.ask('HEXPIRE h 100 GT FIELDS 2 a b')).toEqual([0, 0])
    expect(db.ask('HEXPIRE h 300 GT FIELDS 2 a b')).toEqual([1, 1])
    expect(db.ask('HEXPIRE h 100 LT FIELDS 1 a')).toEqual([1])
    expect(db.ask('HEXPIRE h 50 XX FIELDS 1 a')).toEqual([1])
    expect(db.ask('HTTL h FIELDS 2 a b')).toEqual([50, 300])
  })

  it('say what is wrong', () => {
    const db = withFields('a')
    db.ask('SET s x')
    const misplaced = '-ERR Mandatory argument FIELDS is missing or not at the right position'
    const mismatch = '-ERR The `numfields` parameter must match the number of arguments'
    expect(db.ask('HEXPIRE s x FIELDS 1 a')).toMatch(/^-WRONGTYPE/)
    expect(db.ask('HTTL s FIELDS 1 a')).toMatch(/^-WRONGTYPE/)
    expect(db.ask('HPERSIST s FIELDS 1 a')).toMatch(/^-WRONGTYPE/)
    expect(db.ask('HEXPIRE h x FIELDS 1 a')).toBe('-ERR value is not an integer or out of range')
    expect(db.ask('HEXPIRE h -1 FIELDS 1 a')).toBe('-ERR invalid expire time, must be >= 0')
    expect(db.ask(`HPEXPIREAT h ${expireAtMsMax + 1} FIELDS 1 a`)).toBe(
      "-ERR invalid expire time in 'hpexpireat' command",
    )
    expect(db.ask('HEXPIRE h 9223372036854775807 FIELDS 1 a')).toBe(
      "-ERR invalid expire time in 'hexpire' command",
    )
    for (const words of ['FIELD 1 a', 'NX XX FIELDS 1 a', 'a FIELDS 1']) {
      expect(db.ask(`HEXPIRE h 1 ${words}`)).toBe(misplaced)
    }
    expect(db.ask('HTTL h NX FIELDS 1 a')).toBe(misplaced)
    for (const count of ['0', '-1', 'x', '9223372036854775808']) {
      expect(db.ask(`HEXPIRE h 1 FIELDS ${count} a`)).toBe(
        '-ERR Parameter `numFields` should be greater than 0',
      )
      expect(db.ask(`HPTTL h FIELDS ${count} a`)).toBe('-ERR Number of fields must be a positive integer')
      expect(db.ask(`HPERSIST h FIELDS ${count} a`)).toBe('-ERR Number of fields must be a positive integer')
    }
    for (const words of ['FIELDS 2 a', 'FIELDS 1 a b', 'NX FIELDS 1']) {
      expect(db.ask(`HEXPIRE h 1 ${words}`)).toBe(mismatch)
    }
    expect(db.ask('HEXPIRETIME h FIELDS 2 a')).toBe(mismatch)
    expect(db.ask('HEXPIRE h 1 FIELDS 1')).toBe("-ERR wrong number of arguments for 'hexpire' command")
    expect(db.ask('HTTL h FIELDS 1 a')).toEqual([-1])
  })
})

describe('a field TTL', () => {
  it('goes with HPERSIST, HSET and HDEL, but not with HINCRBY', () => {
    const db = withFields('a', 'b')
    db.ask('HSET h n 1')
    db.ask('HEXPIRE h 100 FIELDS 3 a b n')
    expect(db.ask('HPERSIST h FIELDS 4 a none a b')).toEqual([1, -2, -1, 1])
    db.ask('HEXPIRE h 100 FIELDS 2 a b')
    expect(db.ask('HSET h a again')).toBe(0)
    expect(db.ask('HDEL h b')).toBe(1)
    db.ask('HSET h b new')
    expect(db.ask('HINCRBY h n 4')).toBe(5)
    expect(db.ask('HINCRBYFLOAT h n 0.5')).toBe('5.5')
    expect(db.ask('HTTL h FIELDS 3 a b n')).toEqual([-1, -1, 100])
    expect(db.ask('HPERSIST none FIELDS 1 a')).toEqual([-2])
  })

  it('hides the field from every command when it has passed', () => {
    const db = withFields('a', 'b', 'c')
    db.ask('HPEXPIRE h 50 FIELDS 2 a b')
    db.nowMs += 50
    expect(db.ask('HGET h a')).toBe('of a')
    expect(db.ask('HPTTL h FIELDS 1 a')).toEqual([0])
    db.nowMs += 1
    expect(db.ask('HMGET h a b c')).toEqual([null, null, 'of c'])
    expect(db.ask('HLEN h')).toBe(1)
    expect(db.ask('HEXISTS h a')).toBe(0)
    expect(db.ask('HSTRLEN h a')).toBe(0)
    for (const command of ['HKEYS h', 'HRANDFIELD h 5']) expect(db.ask(command)).toEqual(['c'])
    expect(db.ask('HRANDFIELD h')).toBe('c')
    expect(db.ask('HGETALL h')).toEqual(['c', 'of c'])
    expect(db.ask('HSCAN h 0')).toEqual(['0', ['c', 'of c']])
    expect(db.ask('HDEL h a')).toBe(0)
    expect(db.ask('HPTTL h FIELDS 1 a')).toEqual([-2])
    expect(db.ask('HEXPIRE h 100 FIELDS 1 a')).toEqual([-2])
    expect(db.ask('HSETNX h a new')).toBe(1)
    expect(db.ask('HSET h b new')).toBe(1)
    expect(db.ask('HTTL h FIELDS 2 a b')).toEqual([-1, -1])
  })

  it('lets a counter begin anew', () => {
    const db = new TestDatabase()
    db.ask('HINCRBY h n 5')
    db.ask('HSET h other x')
    db.ask('HPEXPIRE h 50 FIELDS 1 n')
    db.nowMs += 51
    expect(db.ask('HINCRBY h n 2')).toBe(2)
    expect(db.ask('HTTL h FIELDS 1 n')).toEqual([-1])
  })

  it('takes the key along when no field is left, with its own TTL', () => {
    const db = withFields('a', 'b')
    db.ask('EXPIRE h 1000')
    db.ask('HPEXPIRE h 50 FIELDS 1 a')
    db.ask('HPEXPIRE h 80 FIELDS 1 b')
    db.nowMs += 60
    expect(db.ask('EXISTS h')).toBe(1)
    db.nowMs += 30
    expect(db.ask('EXISTS h')).toBe(0)
    expect(db.ask('TYPE h')).toBe('none')
    expect(db.ask('KEYS *')).toEqual([])
    expect(db.ask('SETNX h text')).toBe(1)
    expect(db.ask('TTL h')).toBe(-1)
    db.ask('DEL h')
    db.ask('HSET h a new')
    expect([db.ask('HGETALL h'), db.ask('TTL h')]).toEqual([['a', 'new'], -1])
  })

  it('is copied and renamed with its field', () => {
    const db = withFields('a', 'b', 'c')
    db.ask('HEXPIRE h 100 FIELDS 2 a c')
    db.ask('COPY h copy')
    db.ask('RENAME h moved')
    for (const key of ['copy', 'moved']) expect(db.ask(`HTTL ${key} FIELDS 3 a b c`)).toEqual([100, -1, 100])
  })

  it('is one of many', () => {
    const db = new TestDatabase()
    const names = Array.from({ length: 500 }, (_, i) => `f${i}`)
    db.run('HSET', 'h', ...names.flatMap((name) => [name, 'v']))
    for (const [i, name] of names.entries()) db.ask(`HPEXPIRE h ${1 + ((i * 7919) % 500)} FIELDS 1 ${name}`)
    for (let passed = 0; passed < 500; passed += 50) {
      expect(db.ask('HLEN h')).toBe(500 - Math.max(0, passed - 1))
      db.nowMs += 50
    }
    db.nowMs += 1
    expect(db.ask('EXISTS h')).toBe(0)
  })
})
