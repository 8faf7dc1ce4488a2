import { describe, expect, it } from 'vitest'
import { TestDatabase } from './handlerDatabase.ts'

const wrongType = '-WRONGTYPE Operation against a key holding the wrong kind of value'
const notInteger = '-ERR value is not an integer or out of range'

function filled(...values: string[]): TestDatabase {
  const db = new TestDatabase()
  db.run('RPUSH', 'l', ...values)
  return db
}

describe('lists', () => {
  it('grow at both ends, one element after the other', () => {
    const db = new TestDatabase()
    expect(db.ask('LPUSHX l a')).toBe(0)
    expect(db.ask('RPUSHX l a')).toBe(0)
    expect(db.ask('EXISTS l')).toBe(0)
    expect(db.ask('LPUSH l b a')).toBe(2)
    expect(db.ask('RPUSH l c d')).toBe(4)
    expect(db.ask('LPUSHX l y x')).toBe(6)
    expect(db.ask('RPUSHX l z')).toBe(7)
    expect(db.ask('LRANGE l 0 -1')).toEqual(['x', 'y', 'a', 'b', 'c', 'd', 'z'])
    expect(db.ask('LLEN l')).toBe(7)
    expect(db.ask('TYPE l')).toBe('list')
  })

  it('are not pushed to when they have expired, unless that makes a new one', () => {
    const db = filled('old')
    db.ask('PEXPIRE l 50')
    db.nowMs += 51
    expect(db.ask('RPUSHX l new')).toBe(0)
    expect(db.ask('LPUSHX l new')).toBe(0)
    expect(db.ask('RPUSH l new')).toBe(1)
    expect(db.ask('LRANGE l 0 -1')).toEqual(['new'])
  })

  it('are read by places from both ends', () => {
    const db = filled('a', 'b', 'c')
    expect(['0', '2', '-1', '-3'].map((place) => db.run('LINDEX', 'l', place))).toEqual(['a', 'c', 'c', 'a'])
    for (const place of ['3', '-4', '9223372036854775807', '-9223372036854775808'])
      expect(db.run('LINDEX', 'l', place)).toBe(null)
    expect(db.ask('LINDEX l x')).toBe(notInteger)
    expect(db.ask('LINDEX none x')).toBe(null)
    expect(db.ask('LRANGE l 1 1')).toEqual(['b'])
    expect(db.ask('LRANGE l -100 100')).toEqual(['a', 'b', 'c'])
    expect(db.ask('LRANGE l 2 1')).toEqual([])
    expect(db.ask('LRANGE l -2 -1')).toEqual(['b', 'c'])
    expect(db.ask('LRANGE none 0 -1')).toEqual([])
    expect(db.ask('LRANGE none 0 x')).toBe(notInteger)
  })

  it('are changed in the middle', () => {
    const db = filled('a', 'b', 'c')
    expect(db.ask('LSET l -1 C')).toBe('OK')
    expect(db.ask('LSET l 3 x')).toBe('-ERR index out of range')
    expect(db.ask('LSET l -4 x')).toBe('-ERR index out of range')
    expect(db.ask('LSET none 0 x')).toBe('-ERR no such key')
    expect(db.ask('LINSERT l BEFORE b x')).toBe(4)
    expect(db.ask('LINSERT l after b y')).toBe(5)
    expect(db.ask('LINSERT l after nothing y')).toBe(-1)
    expect(db.ask('LINSERT none after b y')).toBe(0)
    expect(db.ask('LINSERT l behind b y')).toBe('-ERR syntax error')
    expect(db.ask('LRANGE l 0 -1')).toEqual(['a', 'x', 'b', 'y', 'C'])
  })

  it('lose elements by value, from either end', () => {
    const db = filled('x', 'a', 'x', 'b', 'x')
    expect(db.ask('LREM l -1 x')).toBe(1)
    expect(db.ask('LREM l 1 x')).toBe(1)
    expect(db.ask('LRANGE l 0 -1')).toEqual(['a', 'x', 'b'])
    db.ask('RPUSH l x')
    expect(db.ask('LREM l 0 x')).toBe(2)
    expect(db.ask('LREM l 0 nothing')).toBe(0)
    expect(db.ask('LREM l x a')).toBe(notInteger)
    expect(db.ask('LREM l -9223372036854775808 a')).toBe(1)
    expect(db.ask('LREM l 2 b')).toBe(1)
    expect(db.ask('EXISTS l')).toBe(0)
  })

  it('are trimmed, down to nothing', () => {
    const db = filled('a', 'b', 'c', 'd')
    expect(db.ask('LTRIM l 1 -2')).toBe('OK')
    expect(db.ask('LRANGE l 0 -1')).toEqual(['b', 'c'])
    expect(db.ask('LTRIM l -100 100')).toBe('OK')
    expect(db.ask('LLEN l')).toBe(2)
    expect(db.ask('LTRIM none 0 1')).toBe('OK')
    expect(db.ask('LTRIM l 0 x')).toBe(notInteger)
    expect(db.ask('LTRIM l 2 1')).toBe('OK')
    expect(db.ask('EXISTS l')).toBe(0)
  })

  it('tell where an element is', () => {
    const db = filled(...'abcabcabc')
    expect(db.ask('LPOS l b')).toBe(1)
    expect(db.ask('LPOS l b RANK 2')).toBe(4)
    expect(db.ask('LPOS l b RANK -1')).toBe(7)
    expect(db.ask('LPOS l b RANK 4')).toBe(null)
    expect(db.ask('LPOS l b COUNT 2')).toEqual([1, 4])
    expect(db.ask('LPOS l b COUNT 0 RANK -2')).toEqual([4, 1])
    expect(db.ask('LPOS l b COUNT 0 MAXLEN 5')).toEqual([1, 4])
    expect(db.ask('LPOS l b MAXLEN 1')).toBe(null)
    expect(db.ask('LPOS l b RANK -1 MAXLEN 2')).toBe(7)
    expect(db.ask('LPOS l z COUNT 1')).toEqual([])
    expect(db.ask('LPOS none z COUNT 1')).toEqual([])
    expect(db.ask('LPOS none z')).toBe(null)
    expect(db.ask('LPOS l b RANK 0')).toMatch(/^-ERR RANK can't be zero: use 1 to start from the first match/)
    expect(db.ask('LPOS l b RANK x')).toBe(notInteger)
    expect(db.ask('LPOS l b RANK -9223372036854775808')).toBe(
      '-ERR value is out of range, value must between -9223372036854775807 and 9223372036854775807',
    )
    expect(db.ask('LPOS l b COUNT -1')).toBe("-ERR COUNT can't be negative")
    expect(db.ask('LPOS l b MAXLEN x')).toBe("-ERR MAXLEN can't be negative")
    expect(db.ask('LPOS l b MAXLEN')).toBe('-ERR syntax error')
    expect(db.ask('LPOS l b FROM 1')).toBe('-ERR syntax error')
  })

  it('are refused where another type is, by every command', () => {
    const db = new TestDatabase()
    db.ask('SET s x')
    db.ask('RPUSH l x')
    for (const request of [
      'LPUSH s a',
      'RPUSH s a',
      'LPUSHX s a',
      'RPUSHX s a',
      'LPOP s',
      'RPOP s 0',
      'LLEN s',
      'LINDEX s x',
      'LSET s x a',
      'LINSERT s BEFORE a b',
      'LRANGE s 0 1',
      'LREM s 0 a',
      'LTRIM s 0 1',
      'LPOS s a',
      'LMOVE s l LEFT LEFT',
      'LMOVE l s LEFT LEFT',
      'RPOPLPUSH l s',
      'LMPOP 2 none s LEFT',
      'BLPOP none s 0',
      'BRPOP none s 0',
      'BLMOVE s l LEFT LEFT 0',
      'BRPOPLPUSH l s 0',
      'BLMPOP 0 2 none s LEFT',
    ])
      expect(db.ask(request), request).toBe(wrongType)
    expect(db.ask('LRANGE l 0 -1')).toEqual(['x'])
    // Nothing to move: the target is not looked at.
    expect(db.ask('LMOVE none s LEFT LEFT')).toBe(null)
    expect(db.ask('SADD l x')).toBe(wrongType)
  })

  it('are renamed and copied with their order and their time to live', () => {
    const db = filled('b', 'a', 'b')
    db.ask('EXPIRE l 100')
    expect(db.ask('RENAME l m')).toBe('OK')
    expect(db.ask('COPY m n')).toBe(1)
    for (const key of ['m', 'n']) {
      expect(db.run('LRANGE', key, '0', '-1')).toEqual(['b', 'a', 'b'])
      expect(db.run('TTL', key)).toBe(100)
    }
  })
})

describe('popping', () => {
  it('gives one element, or several in an array', () => {
    const db = filled('a', 'b', 'c', 'd', 'e', 'f')
    expect(db.ask('LPOP l')).toBe('a')
    expect(db.ask('RPOP l')).toBe('f')
    expect(db.ask('LPOP l 2')).toEqual(['b', 'c'])
    expect(db.ask('RPOP l 0')).toEqual([])
    expect(db.ask('RPOP l 9223372036854775807')).toEqual(['e', 'd'])
    expect(db.ask('EXISTS l')).toBe(0)
    expect(db.ask('LPOP l')).toBe(null)
    expect(db.raw3('LPOP', 'l', '1')).toBe('_\r\n')
    expect(db.ask('LPOP l -1')).toBe('-ERR value is out of range, must be positive')
    expect(db.ask('LPOP l x')).toBe('-ERR value is out of range, must be positive')
    expect(db.ask('LPOP l 1 1')).toBe("-ERR wrong number of arguments for 'lpop' command")
  })

  it('takes from the first list that has something', () => {
    const db = filled('a', 'b', 'c')
    expect(db.ask('LMPOP 2 none l LEFT')).toEqual(['l', ['a']])
    expect(db.ask('LMPOP 1 l right count 5')).toEqual(['l', ['c', 'b']])
    expect(db.ask('LMPOP 1 l LEFT')).toBe(null)
    for (const count of ['0', 'x', '-1'])
      expect(db.run('LMPOP', count, 'l', 'LEFT')).toBe('-ERR numkeys should be greater than 0')
    expect(db.ask('LMPOP 1 l UP')).toBe('-ERR syntax error')
    expect(db.ask('LMPOP 3 l l LEFT')).toBe('-ERR syntax error')
    expect(db.ask('LMPOP 1 l LEFT COUNT')).toBe('-ERR syntax error')
    expect(db.ask('LMPOP 1 l LEFT COUNT 1 COUNT 1')).toBe('-ERR syntax error')
    expect(db.ask('LMPOP 1 l LEFT COUNT 0')).toBe('-ERR count should be greater than 0')
  })

  it('moves elements, also within one list, which keeps its time to live', () => {
    const db = filled('a', 'b', 'c')
    expect(db.ask('LMOVE l m left RIGHT')).toBe('a')
    expect(db.ask('RPOPLPUSH l m')).toBe('c')
    expect(db.ask('LRANGE m 0 -1')).toEqual(['c', 'a'])
    db.ask('EXPIRE m 100')
    expect(db.ask('LMOVE m m LEFT RIGHT')).toBe('c')
    expect(db.ask('LMOVE m m RIGHT RIGHT')).toBe('c')
    expect(db.ask('LRANGE m 0 -1')).toEqual(['a', 'c'])
    expect(db.ask('LPOP m')).toBe('a')
    for (const from of ['LEFT', 'RIGHT'])
      for (const to of ['LEFT', 'RIGHT']) expect(db.run('LMOVE', 'm', 'm', from, to)).toBe('c')
    expect(db.ask('LRANGE m 0 -1')).toEqual(['c'])
    expect(db.ask('TTL m')).toBe(100)
    expect(db.ask('LMOVE l m UP LEFT')).toBe('-ERR syntax error')
    expect(db.ask('LMOVE l m LEFT DOWN')).toBe('-ERR syntax error')
    expect(db.ask('LMOVE l m LEFT LEFT')).toBe('b')
    expect(db.ask('EXISTS l')).toBe(0)
  })
})

describe('the time that a command waits', () => {
  it('is a number of seconds that is not negative and fits', () => {
    const db = new TestDatabase()
    for (const time of ['0', '-0', '1', '0.5', '.5', '5.', '1e-3', '0x10', '9000000000000000', '-0.0001'])
      expect(db.run('BLPOP', 'l', time), time).toBe(null)
    for (const time of ['', 'x', 'nan', ' 1', '1 ', '1e', '.', '1_0', `1${'0'.repeat(300)}`])
      expect(db.run('BRPOP', 'l', time), time).toBe('-ERR timeout is not a float or out of range')
    for (const time of ['-1', '-1e30', '-inf', '-0x1'])
      expect(db.run('BLMOVE', 'a', 'b', 'LEFT', 'LEFT', time), time).toBe('-ERR timeout is negative')
    for (const time of ['inf', '+Infinity', '1e30', '9223372036854775807', '9223372036854776'])
      expect(db.run('BRPOPLPUSH', 'a', 'b', time), time).toBe('-ERR timeout is out of range')
  })

  it('is looked at after the other words, and before the keys', () => {
    const db = new TestDatabase()
    db.ask('SET s x')
    expect(db.ask('BLPOP s x')).toBe('-ERR timeout is not a float or out of range')
    expect(db.ask('BLMOVE s s UP LEFT x')).toBe('-ERR syntax error')
    expect(db.ask('BLMOVE s s LEFT LEFT -1')).toBe('-ERR timeout is negative')
    expect(db.ask('BLMPOP x 0 s LEFT')).toBe('-ERR numkeys should be greater than 0')
    expect(db.ask('BLMPOP x 1 s LEFT')).toBe('-ERR timeout is not a float or out of range')
  })

  it('does not matter when there is something, or nobody can wait', () => {
    const db = filled('a', 'b', 'c', 'd', 'e')
    expect(db.ask('BLPOP none l 0')).toEqual(['l', 'a'])
    expect(db.ask('BRPOP l 0')).toEqual(['l', 'e'])
    expect(db.ask('BLMPOP 0 2 none l RIGHT COUNT 2')).toEqual(['l', ['d', 'c']])
    expect(db.ask('BLMOVE l m LEFT LEFT 0')).toBe('b')
    expect(db.ask('BRPOPLPUSH m l 0')).toBe('b')
    expect(db.ask('BRPOP m 0')).toBe(null)
    expect(db.raw3('BLPOP', 'm', '0')).toBe('_\r\n')
  })
})
