import { describe, expect, it } from 'vitest'
import { repeatedPicksMax } from '#server/commands/randomPick.ts'
import { TestDatabase } from './handlerDatabase.ts'

describe('hashes', () => {
  it('count new fields, and go with the last one', () => {
    const db = new TestDatabase()
    expect(db.ask('HSET h a 1 b 2 a 3')).toBe(2)
    expect(db.ask('HSET h a 4 c 5')).toBe(1)
    expect(db.ask('HMGET h a b none')).toEqual(['4', '2', null])
    expect(db.ask('HSETNX h a 9')).toBe(0)
    expect(db.ask('HDEL h a b c c none')).toBe(3)
    expect(db.ask('EXISTS h')).toBe(0)
    expect(db.ask('HSET h a')).toBe("-ERR wrong number of arguments for 'hset' command")
    expect(db.ask('HMSET h a 1 b')).toBe("-ERR wrong number of arguments for 'hmset' command")
  })

  it('are maps in RESP3', () => {
    const db = new TestDatabase()
    db.ask('HSET h a 1')
    expect(db.raw3('HGETALL', 'h')).toBe('%1\r\n$1\r\na\r\n$1\r\n1\r\n')
    expect(db.raw3('HGETALL', 'none')).toBe('%0\r\n')
    expect(db.raw3('HRANDFIELD', 'h', '1', 'WITHVALUES')).toBe('*1\r\n*2\r\n$1\r\na\r\n$1\r\n1\r\n')
    expect(db.ask('HRANDFIELD h 1 WITHVALUES')).toEqual(['a', '1'])
  })

  it('have fields that count', () => {
    const db = new TestDatabase()
    expect(db.ask('HINCRBY h n 5')).toBe(5)
    expect(db.ask('HINCRBYFLOAT h n 0.5')).toBe('5.5')
    expect(db.ask('HINCRBY h n 1')).toBe('-ERR hash value is not an integer')
    db.ask('HSET h t text')
    expect(db.ask('HINCRBYFLOAT h t 1')).toBe('-ERR hash value is not a float')
    expect(db.ask('HINCRBYFLOAT h n x')).toBe('-ERR value is not a valid float')
    expect(db.ask('HINCRBYFLOAT h n inf')).toBe('-ERR value is NaN or Infinity')
    db.run('HSET', 'h', 'n', String(2n ** 59n))
    expect(db.ask('HINCRBY h n 1')).toBe('-ERR increment or decrement would overflow')
    db.ask('HSET h n inf')
    expect(db.ask('HINCRBYFLOAT h n 1')).toBe('-ERR increment would produce NaN or Infinity')
  })

  it('give random fields: different ones, or with repetition up to a limit', () => {
    const db = new TestDatabase()
    for (let i = 0; i < 100; i++) db.run('HSET', 'h', `f${i}`, String(i))
    for (const count of [1, 10, 50, 99, 100, 1000]) {
      const fields = db.run('HRANDFIELD', 'h', String(count)) as string[]
      expect(fields).toHaveLength(Math.min(100, count))
      expect(new Set(fields).size).toBe(fields.length)
    }
    expect(db.ask('HRANDFIELD h -250')).toHaveLength(250)
    expect(db.run('HRANDFIELD', 'h', String(-repeatedPicksMax - 1))).toBe('-ERR value is out of range')
    expect(db.ask('HRANDFIELD h 0')).toEqual([])
    expect(db.ask('HRANDFIELD none')).toBe(null)
    expect(db.ask('HRANDFIELD h 1 WITHVALUES x')).toBe('-ERR syntax error')
  })

  it('are scanned whole, however large', () => {
    const db = new TestDatabase()
    const names = Array.from({ length: 3000 }, (_, i) => `f${i}`)
    db.run('HSET', 'h', ...names.flatMap((name) => [name, 'v']))
    const found = new Set<string>()
    let cursor = '0'
    do {
      const [next, part] = db.run('HSCAN', 'h', cursor, 'MATCH', 'f*') as [string, string[]]
      for (let i = 0; i < part.length; i += 2) found.add(part[i] as string)
      cursor = next
    } while (cursor !== '0')
    expect(found.size).toBe(names.length)
    expect(db.ask('HSCAN h 0 NOVALUES')).toBe('-ERR syntax error')
    // What follows is looked at only when there is a hash.
    expect(db.ask('HSCAN none 0 COUNT 0')).toEqual(['0', []])
    expect(db.ask('HSCAN none x')).toBe('-ERR invalid cursor')
  })
})
