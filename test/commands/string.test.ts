import { describe, expect, it } from 'vitest'
import { bulkBytesMax } from '#protocol/resp/requestScanner.ts'
import { expireAtMsMax } from '#server/commands/expiry.ts'
import { lcsTableBytesMax } from '#server/commands/longestCommonSubsequence.ts'
import { TestDatabase } from './handlerDatabase.ts'

const tooLong = '-ERR string exceeds maximum allowed size (proto-max-bulk-len)'

describe('SET', () => {
  it('judges NX and XX by whether the key is there, of whatever type', () => {
    const db = new TestDatabase()
    expect(db.ask('SET k a XX')).toBe(null)
    expect(db.ask('SET k a NX')).toBe('OK')
    expect(db.ask('SET k b NX')).toBe(null)
    expect(db.ask('SET k b XX GET')).toBe('a')
    expect(db.ask('SET k c NX GET')).toBe('b')
    db.ask('SADD s m')
    expect(db.ask('SET s x NX')).toBe(null)
    expect(db.ask('SET s x GET')).toMatch(/^-WRONGTYPE/)
    expect(db.ask('SET s x')).toBe('OK')
    expect(db.ask('TYPE s')).toBe('string')
  })

  it('ends the TTL, keeps it, or sets another', () => {
    const db = new TestDatabase()
    db.ask('SET k a EX 100')
    expect(db.ask('TTL k')).toBe(100)
    db.ask('SET k b KEEPTTL')
    expect(db.ask('TTL k')).toBe(100)
    db.ask('SET k c')
    expect(db.ask('TTL k')).toBe(-1)
    db.ask('SET k d PX 1500')
    expect(db.ask('PTTL k')).toBe(1500)
  })

  it('takes the last of one word said twice, and refuses two of the others', () => {
    const db = new TestDatabase()
    expect(db.ask('SET k a EX 10 EX 20')).toBe('OK')
    expect(db.ask('TTL k')).toBe(20)
    for (const words of ['NX XX', 'EX 1 PX 1', 'KEEPTTL EX 1', 'EX', 'PERSIST', 'EXAT 1 KEEPTTL']) {
      expect(db.ask(`SET k a ${words}`)).toBe('-ERR syntax error')
    }
  })

  it('with a time that has passed leaves no key', () => {
    const db = new TestDatabase()
    db.ask('SET k a')
    expect(db.ask('SET k b PXAT 1')).toBe('OK')
    expect(db.ask('EXISTS k')).toBe(0)
    expect(db.ask('DBSIZE')).toBe(0)
  })

  it('refuses times that are not positive or too far away', () => {
    const db = new TestDatabase()
    const refusal = "-ERR invalid expire time in 'set' command"
    for (const words of ['EX 0', 'PX -1', 'EX 9223372036854775807', `PXAT ${expireAtMsMax + 1}`]) {
      expect(db.ask(`SET k a ${words}`)).toBe(refusal)
    }
    expect(db.ask(`SET k a PXAT ${expireAtMsMax}`)).toBe('OK')
    expect(db.ask('PEXPIRETIME k')).toBe(expireAtMsMax)
    expect(db.ask('SETEX k 0 a')).toBe("-ERR invalid expire time in 'setex' command")
    expect(db.ask('PSETEX k x a')).toBe('-ERR value is not an integer or out of range')
  })
})

describe('GETEX', () => {
  it('changes nothing but the TTL', () => {
    const db = new TestDatabase()
    db.ask('SET k a')
    expect(db.ask('GETEX k EX 10')).toBe('a')
    expect(db.ask('TTL k')).toBe(10)
    expect(db.ask('GETEX k')).toBe('a')
    expect(db.ask('TTL k')).toBe(10)
    expect(db.ask('GETEX k PERSIST')).toBe('a')
    expect(db.ask('TTL k')).toBe(-1)
    expect(db.ask('GETEX k PXAT 1')).toBe('a')
    expect(db.ask('GET k')).toBe(null)
  })

  it('looks at the time only when there is a key', () => {
    const db = new TestDatabase()
    expect(db.ask('GETEX k EX 0')).toBe(null)
    db.ask('SET k a')
    expect(db.ask('GETEX k EX 0')).toBe("-ERR invalid expire time in 'getex' command")
  })
})

describe('counters', () => {
  it('stay within 59 bits', () => {
    const db = new TestDatabase()
    const overflow = '-ERR increment or decrement would overflow'
    db.run('SET', 'k', String(2n ** 59n - 1n))
    expect(db.ask('INCR k')).toEqual(expect.anything())
    expect(db.ask('INCR k')).toBe(overflow)
    expect(db.ask('GET k')).toBe(String(2n ** 59n))
    db.run('SET', 'k', String(-(2n ** 59n)))
    expect(db.ask('DECR k')).toBe(overflow)
    expect(db.ask('DECRBY k -9223372036854775808')).toBe('-ERR decrement would overflow')
    expect(db.ask('INCRBY k 9223372036854775807')).toBe(overflow)
  })

  it('add floats as exact decimals', () => {
    const db = new TestDatabase()
    expect(db.ask('INCRBYFLOAT k 0.1')).toBe('0.1')
    expect(db.ask('INCRBYFLOAT k 0.2')).toBe('0.3')
    expect(db.ask('INCRBYFLOAT k 10000000000')).toBe('10000000000.3')
    expect(db.ask('INCRBYFLOAT k 5.0e3')).toBe('10000005000.3')
    expect(db.ask('INCRBYFLOAT k -0.3')).toBe('10000005000')
    expect(db.ask('INCRBYFLOAT k inf')).toBe('-ERR increment would produce NaN or Infinity')
    expect(db.ask('INCRBYFLOAT k nan')).toBe('-ERR value is not a valid float')
  })

  it('are not found in long texts', () => {
    const db = new TestDatabase()
    db.run('SET', 'k', '1'.repeat(30_000))
    expect(db.ask('INCR k')).toBe('-ERR value is not an integer or out of range')
    expect(db.ask('INCRBYFLOAT k 1')).toBe('-ERR value is not a valid float')
    expect(db.ask('PFADD k a')).toBe('-WRONGTYPE Key is not a valid HyperLogLog string value.')
    expect(db.ask('OBJECT ENCODING k')).toBe('raw')
  })

  it('keep the TTL', () => {
    const db = new TestDatabase()
    db.ask('SET k 1 EX 10')
    db.ask('INCR k')
    expect(db.ask('TTL k')).toBe(10)
  })
})

describe('GETRANGE', () => {
  it('compares the ends of a range exactly, even where doubles are equal', () => {
    const db = new TestDatabase()
    db.ask('SET k hello')
    expect(db.ask('GETRANGE k -9223372036854775807 -9223372036854775808')).toBe('')
    expect(db.ask('GETRANGE k -9223372036854775808 -9223372036854775807')).toBe('h')
    expect(db.ask('GETRANGE k 1 9223372036854775807')).toBe('ello')
  })
})

describe('the length of a string', () => {
  it('is limited', () => {
    const db = new TestDatabase()
    expect(db.run('SETRANGE', 'k', String(bulkBytesMax), 'x')).toBe(tooLong)
    expect(db.run('SETRANGE', 'k', '9223372036854775807', 'x')).toBe(tooLong)
    expect(db.ask('EXISTS k')).toBe(0)
    expect(db.run('SETRANGE', 'k', String(bulkBytesMax), '')).toBe(0)
    expect(db.ask('SETRANGE k 3 x')).toBe(4)
    expect(db.ask('GET k')).toBe('\0\0\0x')
  })
})

describe('LCS', () => {
  it('tells the ranges from the end', () => {
    const db = new TestDatabase()
    db.ask('MSET a ohmytext b mynewtext')
    expect(db.ask('LCS a b')).toBe('mytext')
    expect(db.ask('LCS a b LEN')).toBe(6)
    expect(db.ask('LCS a b IDX MINMATCHLEN 4 WITHMATCHLEN')).toEqual([
      'matches',
      [[[4, 7], [5, 8], 4]],
      'len',
      6,
    ])
  })

  it('refuses texts whose table would be too large', () => {
    const db = new TestDatabase()
    const side = Math.ceil(Math.sqrt(lcsTableBytesMax / 4))
    db.run('SET', 'a', 'x'.repeat(side))
    expect(db.ask('LCS a a')).toMatch(/^-ERR Insufficient memory, transient memory for LCS/)
    expect(db.ask('LCS a none')).toBe('')
  })
})

describe('MSET', () => {
  it('changes nothing when a value is missing', () => {
    const db = new TestDatabase()
    expect(db.ask('MSET a 1 b')).toBe("-ERR wrong number of arguments for 'mset' command")
    expect(db.ask('MSETNX a 1 b')).toBe("-ERR wrong number of arguments for 'msetnx' command")
    expect(db.ask('DBSIZE')).toBe(0)
  })

  it('takes the last value of a key named twice', () => {
    const db = new TestDatabase()
    db.ask('MSET a 1 a 2')
    expect(db.ask('MGET a b a')).toEqual(['2', null, '2'])
    expect(db.ask('MSETNX c 1 a 3')).toBe(0)
    expect(db.ask('EXISTS c')).toBe(0)
  })
})
