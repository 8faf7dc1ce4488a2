import { describe, expect, it } from 'vitest'
import { repeatedPicksMax } from '#server/commands/randomPick.ts'
import { TestDatabase } from './handlerDatabase.ts'

describe('ZADD', () => {
  it('counts new members, with CH those with another score too', () => {
    const db = new TestDatabase()
    expect(db.ask('ZADD z 1 a 2 b 3 a')).toBe(2)
    expect(db.ask('ZSCORE z a')).toBe('3')
    expect(db.ask('ZADD z CH 3 a 4 b 5 c')).toBe(2)
    expect(db.ask('ZADD z CH GT 2 a 9 b')).toBe(1)
    expect(db.ask('ZADD z LT 1 a 99 b 7 d')).toBe(1)
    expect(db.ask('ZRANGE z 0 -1 WITHSCORES')).toEqual(['a', '1', 'c', '5', 'd', '7', 'b', '9'])
  })

  it('judges the same member twice by what it wrote before', () => {
    const db = new TestDatabase()
    expect(db.ask('ZADD z NX 1 a 2 a')).toBe(1)
    expect(db.ask('ZADD z GT CH 5 a 3 a 9 a')).toBe(2)
    expect(db.ask('ZSCORE z a')).toBe('9')
    expect(db.ask('ZADD none XX 1 a')).toBe(0)
    expect(db.ask('EXISTS none')).toBe(0)
  })

  it('writes nothing when one score is none', () => {
    const db = new TestDatabase()
    expect(db.ask('ZADD z 1 a x b')).toBe('-ERR value is not a valid float')
    expect(db.ask('EXISTS z')).toBe(0)
  })

  it('increments under conditions', () => {
    const db = new TestDatabase()
    expect(db.ask('ZADD z XX INCR 1 a')).toBeNull()
    expect(db.ask('ZADD z INCR 1.5 a')).toBe('1.5')
    expect(db.ask('ZADD z NX INCR 1 a')).toBeNull()
    expect(db.ask('ZADD z GT INCR -1 a')).toBeNull()
    expect(db.ask('ZADD z LT INCR -1 a')).toBe('0.5')
    db.ask('ZADD z inf i')
    expect(db.ask('ZINCRBY z -inf i')).toBe('-ERR resulting score is not a number (NaN)')
    // Not even looked at.
    expect(db.ask('ZADD z NX INCR -inf i')).toBeNull()
    expect(db.ask('ZSCORE z i')).toBe('inf')
  })

  it('knows one zero', () => {
    const db = new TestDatabase()
    db.ask('ZADD z -0 a 1 b')
    expect(db.ask('ZSCORE z a')).toBe('0')
    expect(db.ask('ZUNION 1 z WEIGHTS -0 WITHSCORES')).toEqual(['a', '0', 'b', '0'])
  })
})

describe('scores', () => {
  it('are doubles in RESP3, and texts in RESP2', () => {
    const db = new TestDatabase()
    db.ask('ZADD z 0.1 a 1e300 b -inf c')
    expect(db.raw3('ZSCORE', 'z', 'a')).toBe(',0.1\r\n')
    expect(db.raw3('ZMSCORE', 'z', 'c', 'none')).toBe('*2\r\n,-inf\r\n_\r\n')
    expect(db.ask('ZMSCORE z a b c none')).toEqual(['0.1', '1e+300', '-inf', null])
    expect(db.raw3('ZINCRBY', 'z', '2', 'd')).toBe(',2\r\n')
    expect(db.raw3('ZRANGE', 'z', '0', '0', 'WITHSCORES')).toBe('*1\r\n*2\r\n$1\r\nc\r\n,-inf\r\n')
    expect(db.raw3('ZPOPMIN', 'z')).toBe('*2\r\n$1\r\nc\r\n,-inf\r\n')
    expect(db.raw3('ZPOPMIN', 'z', '1')).toBe('*1\r\n*2\r\n$1\r\na\r\n,0.1\r\n')
    expect(db.raw3('ZSCAN', 'z', '0', 'MATCH', 'd')).toBe('*2\r\n$1\r\n0\r\n*2\r\n$1\r\nd\r\n$1\r\n2\r\n')
  })

  it('come with ranks, as in Redis 7.2', () => {
    const db = new TestDatabase()
    db.ask('ZADD z 1 a 2.5 b')
    expect(db.ask('ZRANK z b')).toBe(1)
    expect(db.ask('ZRANK z b WITHSCORE')).toEqual([1, '2.5'])
    expect(db.ask('ZREVRANK z b withscore')).toEqual([0, '2.5'])
    expect(db.raw3('ZREVRANK', 'z', 'a', 'WITHSCORE')).toBe('*2\r\n:1\r\n,1\r\n')
    expect(db.ask('ZRANK z none')).toBeNull()
    expect(db.raw3('ZRANK', 'z', 'none')).toBe('_\r\n')
    expect(db.raw('ZRANK', 'z', 'none', 'WITHSCORE').length).toBe('*-1\r\n'.length)
    expect(db.ask('ZRANK z b WITHSCORES')).toBe('-ERR syntax error')
    expect(db.ask('ZRANK z b WITHSCORE 1')).toBe("-ERR wrong number of arguments for 'zrank' command")
    expect(db.ask('ZREVRANK none b WITHSCORE')).toBeNull()
  })
})

describe('ranges', () => {
  function letters(): TestDatabase {
    const db = new TestDatabase()
    db.ask('ZADD z 1 a 2 b 3 c 4 d 5 e')
    return db
  }

  it('count from either end', () => {
    const db = letters()
    expect(db.ask('ZRANGE z 1 -2')).toEqual(['b', 'c', 'd'])
    expect(db.ask('ZREVRANGE z 0 1')).toEqual(['e', 'd'])
    expect(db.ask('ZRANGE z -2 -1 REV')).toEqual(['b', 'a'])
    expect(db.ask('ZRANGE z -9223372036854775808 9223372036854775807')).toHaveLength(5)
    expect(db.ask('ZRANGE z 3 1')).toEqual([])
    // As Redis does: what says "no limit" may stand there, and skips nothing.
    expect(db.ask('ZRANGE z 0 0 LIMIT 3 -1')).toEqual(['a'])
    expect(db.ask('ZRANGE z 5 9')).toEqual([])
  })

  it('skip and stop where LIMIT says', () => {
    const db = letters()
    expect(db.ask('ZRANGEBYSCORE z (1 +inf LIMIT 1 2')).toEqual(['c', 'd'])
    expect(db.ask('ZREVRANGEBYSCORE z +inf -inf LIMIT 1 -1')).toEqual(['d', 'c', 'b', 'a'])
    expect(db.ask('ZRANGEBYSCORE z 1 5 LIMIT -1 2')).toEqual([])
    expect(db.ask('ZREVRANGEBYSCORE z 5 1 LIMIT 0 0')).toEqual([])
    expect(db.ask('ZREVRANGEBYSCORE z 5 1 LIMIT 4 9')).toEqual(['a'])
    expect(db.ask('ZRANGE z 5 2 BYSCORE REV LIMIT 9223372036854775807 9223372036854775807')).toEqual([])
  })

  it('store over their own source', () => {
    const db = letters()
    expect(db.ask('ZRANGESTORE z z 4 2 BYSCORE REV LIMIT 0 2')).toBe(2)
    expect(db.ask('ZRANGE z 0 -1')).toEqual(['c', 'd'])
    expect(db.ask('ZRANGESTORE z z 7 9')).toBe(0)
    expect(db.ask('EXISTS z')).toBe(0)
  })

  it('by name do not fail where scores differ', () => {
    const db = letters()
    for (const request of [
      'ZRANGEBYLEX z [e (a',
      'ZLEXCOUNT z [c [a',
      'ZREVRANGEBYLEX z [b [d LIMIT 1 1',
      'ZREMRANGEBYLEX z (d [b',
    ]) {
      expect(String(db.ask(request))).not.toMatch(/^-/)
    }
  })

  it('remove by name, score and rank, and the key with the last', () => {
    const db = letters()
    expect(db.ask('ZREMRANGEBYRANK z -1 -1')).toBe(1)
    expect(db.ask('ZREMRANGEBYSCORE z (1 2')).toBe(1)
    db.ask('ZADD l 0 a 0 b 0 c')
    expect(db.ask('ZREMRANGEBYLEX l (a +')).toBe(2)
    expect(db.ask('ZREMRANGEBYLEX l - +')).toBe(1)
    expect(db.ask('EXISTS l')).toBe(0)
  })
})

describe('operations on several sorted sets', () => {
  it('take infinities that cancel each other for 0', () => {
    const db = new TestDatabase()
    db.ask('ZADD a inf x 1 y')
    db.ask('ZADD b -inf x 2 y 3 z')
    expect(db.ask('ZUNION 2 a b WITHSCORES')).toEqual(['x', '0', 'y', '3', 'z', '3'])
    expect(db.ask('ZINTER 2 a b WEIGHTS 0 1 AGGREGATE MAX WITHSCORES')).toEqual(['x', '0', 'y', '2'])
  })

  it('count the members of sets as 1', () => {
    const db = new TestDatabase()
    db.ask('SADD s x y')
    db.ask('ZADD z 5 y 7 q')
    expect(db.ask('ZUNION 2 s z WEIGHTS 10 1 WITHSCORES')).toEqual(['q', '7', 'x', '10', 'y', '15'])
    expect(db.ask('ZDIFF 2 s z WITHSCORES')).toEqual(['x', '1'])
    expect(db.ask('ZINTERCARD 2 s z LIMIT 1')).toBe(1)
    expect(db.ask('ZUNIONSTORE s 2 s z AGGREGATE MIN')).toBe(3)
    expect(db.ask('TYPE s')).toBe('zset')
  })
})

describe('pops', () => {
  it('take from the first that has any', () => {
    const db = new TestDatabase()
    db.ask('ZADD z 1 a 2 b 3 c')
    expect(db.ask('ZMPOP 2 none z MAX COUNT 2')).toEqual([
      'z',
      [
        ['c', '3'],
        ['b', '2'],
      ],
    ])
    expect(db.ask('ZPOPMAX z 9223372036854775807')).toEqual(['a', '1'])
    expect(db.ask('EXISTS z')).toBe(0)
    expect(db.raw3('ZMPOP', '1', 'z', 'MIN')).toBe('_\r\n')
  })
})

describe('ZRANDMEMBER', () => {
  it('gives different members, or with repetition up to a limit', () => {
    const db = new TestDatabase()
    db.run('ZADD', 'z', ...Array.from({ length: 20 }, (_, i) => [String(i), `m${i}`]).flat())
    for (const count of [1, 5, 19, 20, 50]) {
      const members = db.run('ZRANDMEMBER', 'z', String(count)) as string[]
      expect(new Set(members).size).toBe(Math.min(20, count))
    }
    expect(db.ask('ZRANDMEMBER z -50 WITHSCORES')).toHaveLength(100)
    expect(db.run('ZRANDMEMBER', 'z', String(-repeatedPicksMax - 1))).toBe('-ERR value is out of range')
    expect(db.ask('ZRANDMEMBER z 9223372036854775807 WITHSCORES')).toBe('-ERR value is out of range')
  })
})

describe('keys that are sorted sets', () => {
  it('are copied and renamed', () => {
    const db = new TestDatabase()
    db.ask('ZADD z 0.1 a 2 b')
    db.ask('EXPIRE z 100')
    expect(db.ask('COPY z c')).toBe(1)
    db.ask('RENAME z y')
    for (const key of ['c', 'y']) {
      expect(db.ask(`ZRANGE ${key} 0 -1 WITHSCORES`)).toEqual(['a', '0.1', 'b', '2'])
      expect(db.ask(`TTL ${key}`)).toBe(100)
    }
  })

  it('take no other type', () => {
    const db = new TestDatabase()
    db.ask('SET s x')
    db.ask('SADD set x')
    for (const request of [
      'ZADD s 1 a',
      'ZADD s INCR 1 a',
      'ZINCRBY set 1 a',
      'ZREM s a',
      'ZUNION 1 s',
      'GEOADD s 1 1 a',
      'ZPOPMIN set',
      'ZMPOP 2 none s MIN',
      'GEOSEARCH s',
    ]) {
      expect(db.ask(request)).toMatch(/^-(WRONGTYPE|ERR wrong number)/)
    }
  })
})
