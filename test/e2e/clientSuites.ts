/**
 * What each client library does with each type, in its own words: by its methods, not by raw commands, since it is what they
 * make of replies that may break. All of a type come to one result. A new type is one more entry.
 */
import type { Redis } from 'ioredis'
import type { RedisClientType } from 'redis'

export interface ClientSuite {
  type: string
  ioredis: (client: Redis, key: (name: string) => string) => Promise<unknown>
  nodeRedis: (client: RedisClientType, key: (name: string) => string) => Promise<unknown>
  /** Statements that leave the result in `result`; `r` is the client (texts, not bytes), `key(name)` names a key, `pairs` takes one for a list of it. */
  redisPy: string
  expected: unknown
}

/** In whatever order, and whether it is a set or a list. */
const sorted = (texts: Iterable<unknown>): unknown[] => [...texts].map(String).sort()

/** Pairs of members and scores, in one of the forms in which ioredis tells them. */
const scorePairs = (flat: readonly unknown[]): (string | number)[][] => {
  const pairs: (string | number)[][] = []
  const all = flat.flat()
  for (let i = 0; i < all.length; i += 2) pairs.push([String(all[i]), Number(all[i + 1])])
  return pairs
}

/** Of XREAD and XREADGROUP: pairs of stream and entries, or in RESP3 a map of them, as ioredis gives them flat or not. */
const streamIds = (reply: unknown): unknown[] => {
  const found: unknown[] = []
  const visit = (part: unknown): void => {
    if (!Array.isArray(part)) return
    if (part.length === 2 && typeof part[0] === 'string' && /^[0-9]+-[0-9]+$/.test(part[0]))
      found.push(part[0])
    else for (const each of part) visit(each)
  }
  visit(reply)
  return found
}

const messageIds = (reply: unknown): unknown[] =>
  (reply as { messages: { id: string }[] }[]).flatMap(({ messages }) => messages.map(({ id }) => id))

export const clientSuites: readonly ClientSuite[] = [
  {
    type: 'string',
    ioredis: async (c, key) => [
      await c.set(key('a'), 'v'),
      await c.append(key('a'), 'w'),
      await c.get(key('a')),
      await c.set(key('a'), 'x', 'EX', 100, 'NX'),
      await c.incrby(key('n'), 5),
      Number(await c.incrbyfloat(key('n'), 0.5)),
      await c.mget(key('a'), key('none')),
      await c.getrange(key('a'), 1, -1),
    ],
    nodeRedis: async (c, key) => [
      await c.set(key('a'), 'v'),
      await c.append(key('a'), 'w'),
      await c.get(key('a')),
      await c.set(key('a'), 'x', { expiration: { type: 'EX', value: 100 }, condition: 'NX' }),
      await c.incrBy(key('n'), 5),
      Number(await c.incrByFloat(key('n'), 0.5)),
      await c.mGet([key('a'), key('none')]),
      await c.getRange(key('a'), 1, -1),
    ],
    redisPy: `result = ['OK' if r.set(key('a'), 'v') else None, r.append(key('a'), 'w'), r.get(key('a')),
      r.set(key('a'), 'x', ex=100, nx=True), r.incrby(key('n'), 5), r.incrbyfloat(key('n'), 0.5),
      r.mget(key('a'), key('none')), r.getrange(key('a'), 1, -1)]`,
    expected: ['OK', 2, 'vw', null, 5, 5.5, ['vw', null], 'w'],
  },
  {
    type: 'bitmap',
    ioredis: async (c, key) => [
      await c.setbit(key('b'), 7, 1),
      await c.getbit(key('b'), 7),
      await c.bitcount(key('b')),
      await c.bitpos(key('b'), 1),
      await c.call('BITFIELD', key('b'), 'INCRBY', 'u8', '8', '3', 'GET', 'u8', '0'),
    ],
    nodeRedis: async (c, key) => [
      await c.setBit(key('b'), 7, 1),
      await c.getBit(key('b'), 7),
      await c.bitCount(key('b')),
      await c.bitPos(key('b'), 1),
      await c.bitField(key('b'), [
        { operation: 'INCRBY', encoding: 'u8', offset: 8, increment: 3 },
        { operation: 'GET', encoding: 'u8', offset: 0 },
      ]),
    ],
    redisPy: `result = [r.setbit(key('b'), 7, 1), r.getbit(key('b'), 7), r.bitcount(key('b')), r.bitpos(key('b'), 1),
      r.bitfield(key('b')).incrby('u8', 8, 3).get('u8', 0).execute()]`,
    expected: [0, 1, 1, 7, [3, 1]],
  },
  {
    type: 'hash',
    ioredis: async (c, key) => [
      await c.hset(key('h'), { f: 'v', n: '1' }),
      await c.hincrby(key('h'), 'n', 4),
      await c.hgetall(key('h')),
      await c.hmget(key('h'), 'f', 'none'),
      await c.call('HEXPIRE', key('h'), '100', 'FIELDS', '1', 'f'),
      await c.hdel(key('h'), 'f', 'none'),
      await c.hlen(key('h')),
    ],
    nodeRedis: async (c, key) => [
      await c.hSet(key('h'), { f: 'v', n: '1' }),
      await c.hIncrBy(key('h'), 'n', 4),
      { ...(await c.hGetAll(key('h'))) },
      await c.hmGet(key('h'), ['f', 'none']),
      await c.hExpire(key('h'), 'f', 100),
      await c.hDel(key('h'), ['f', 'none']),
      await c.hLen(key('h')),
    ],
    redisPy: `result = [r.hset(key('h'), mapping={'f': 'v', 'n': '1'}), r.hincrby(key('h'), 'n', 4), r.hgetall(key('h')),
      r.hmget(key('h'), 'f', 'none'), r.execute_command('HEXPIRE', key('h'), 100, 'FIELDS', 1, 'f'),
      r.hdel(key('h'), 'f', 'none'), r.hlen(key('h'))]`,
    expected: [2, 5, { f: 'v', n: '5' }, ['v', null], [1], 1, 1],
  },
  {
    type: 'set',
    ioredis: async (c, key) => [
      await c.sadd(key('s'), 'a', 'b', 'c'),
      sorted(await c.smembers(key('s'))),
      await c.sismember(key('s'), 'a'),
      await c.sadd(key('t'), 'b', 'c', 'd'),
      sorted(await c.sinter(key('s'), key('t'))),
      await c.sunionstore(key('u'), key('s'), key('t')),
      await c.srem(key('s'), 'a'),
      sorted((await c.spop(key('s'), 2)) as string[]),
    ],
    nodeRedis: async (c, key) => [
      await c.sAdd(key('s'), ['a', 'b', 'c']),
      sorted(await c.sMembers(key('s'))),
      await c.sIsMember(key('s'), 'a'),
      await c.sAdd(key('t'), ['b', 'c', 'd']),
      sorted(await c.sInter([key('s'), key('t')])),
      await c.sUnionStore(key('u'), [key('s'), key('t')]),
      await c.sRem(key('s'), 'a'),
      sorted(await c.sPopCount(key('s'), 2)),
    ],
    redisPy: `result = [r.sadd(key('s'), 'a', 'b', 'c'), sorted(r.smembers(key('s'))), int(r.sismember(key('s'), 'a')),
      r.sadd(key('t'), 'b', 'c', 'd'), sorted(r.sinter(key('s'), key('t'))), r.sunionstore(key('u'), key('s'), key('t')),
      r.srem(key('s'), 'a'), sorted(r.spop(key('s'), 2))]`,
    expected: [3, ['a', 'b', 'c'], 1, 3, ['b', 'c'], 4, 1, ['b', 'c']],
  },
  {
    type: 'sorted set',
    ioredis: async (c, key) => [
      await c.zadd(key('z'), 1, 'a', 2.5, 'b', 3, 'c'),
      Number(await c.zincrby(key('z'), 4, 'a')),
      scorePairs(await c.zrange(key('z'), '0', '-1', 'WITHSCORES')),
      Number(await c.zscore(key('z'), 'b')),
      await c.zrank(key('z'), 'a'),
      scorePairs(await c.zpopmin(key('z'))),
      await c.zrangebyscore(key('z'), '(3', '+inf'),
      await c.zcard(key('z')),
    ],
    nodeRedis: async (c, key) => [
      await c.zAdd(key('z'), [
        { score: 1, value: 'a' },
        { score: 2.5, value: 'b' },
        { score: 3, value: 'c' },
      ]),
      await c.zIncrBy(key('z'), 4, 'a'),
      (await c.zRangeWithScores(key('z'), 0, -1)).map(({ value, score }) => [value, score]),
      await c.zScore(key('z'), 'b'),
      await c.zRank(key('z'), 'a'),
      [await c.zPopMin(key('z'))].map((popped) => [popped?.value, popped?.score]),
      await c.zRangeByScore(key('z'), '(3', '+inf'),
      await c.zCard(key('z')),
    ],
    redisPy: `result = [r.zadd(key('z'), {'a': 1, 'b': 2.5, 'c': 3}), r.zincrby(key('z'), 4, 'a'),
      r.zrange(key('z'), 0, -1, withscores=True), r.zscore(key('z'), 'b'), r.zrank(key('z'), 'a'), pairs(r.zpopmin(key('z'))),
      r.zrangebyscore(key('z'), '(3', '+inf'), r.zcard(key('z'))]`,
    expected: [
      3,
      5,
      [
        ['b', 2.5],
        ['c', 3],
        ['a', 5],
      ],
      2.5,
      2,
      [['b', 2.5]],
      ['a'],
      2,
    ],
  },
  {
    type: 'geography',
    ioredis: async (c, key) => [
      await c.geoadd(key('g'), 13.361389, 38.115556, 'Palermo', 15.087269, 37.502669, 'Catania'),
      Math.round(Number(await c.geodist(key('g'), 'Palermo', 'Catania', 'KM'))),
      await c.geosearch(key('g'), 'FROMLONLAT', 15, 37, 'BYRADIUS', 200, 'KM', 'ASC'),
      (await c.geopos(key('g'), 'Palermo', 'none')).map(
        (place) => place?.map((degrees) => Math.round(Number(degrees))) ?? null,
      ),
    ],
    nodeRedis: async (c, key) => [
      await c.geoAdd(key('g'), [
        { longitude: 13.361389, latitude: 38.115556, member: 'Palermo' },
        { longitude: 15.087269, latitude: 37.502669, member: 'Catania' },
      ]),
      Math.round(Number(await c.geoDist(key('g'), 'Palermo', 'Catania', 'km'))),
      await c.geoSearch(
        key('g'),
        { longitude: 15, latitude: 37 },
        { radius: 200, unit: 'km' },
        { SORT: 'ASC' },
      ),
      (await c.geoPos(key('g'), ['Palermo', 'none'])).map(
        (place) => place && [Math.round(Number(place.longitude)), Math.round(Number(place.latitude))],
      ),
    ],
    redisPy: `result = [r.geoadd(key('g'), [13.361389, 38.115556, 'Palermo', 15.087269, 37.502669, 'Catania']),
      round(r.geodist(key('g'), 'Palermo', 'Catania', 'km')),
      r.geosearch(key('g'), longitude=15, latitude=37, radius=200, unit='km', sort='ASC'),
      [place and [round(place[0]), round(place[1])] for place in r.geopos(key('g'), 'Palermo', 'none')]]`,
    expected: [2, 166, ['Catania', 'Palermo'], [[13, 38], null]],
  },
  {
    type: 'list',
    ioredis: async (c, key) =>
      [
        await c.rpush(key('l'), 'a', 'b', 'c', 'b'),
        await c.lpush(key('l'), 'first'),
        await c.lrange(key('l'), 0, -1),
        await c.lpos(key('l'), 'b'),
        await c.linsert(key('l'), 'BEFORE', 'a', 'x'),
        await c.lrem(key('l'), 0, 'b'),
        await c.lpop(key('l'), 2),
        await c.blpop(key('none'), key('l'), 5),
        await c.lmove(key('l'), key('m'), 'LEFT', 'RIGHT'),
        await c.exists(key('l')),
      ].map((reply) => (Array.isArray(reply) && reply[0] === key('l') ? reply.slice(1) : reply)),
    nodeRedis: async (c, key) => [
      await c.rPush(key('l'), ['a', 'b', 'c', 'b']),
      await c.lPush(key('l'), 'first'),
      await c.lRange(key('l'), 0, -1),
      await c.lPos(key('l'), 'b'),
      await c.lInsert(key('l'), 'BEFORE', 'a', 'x'),
      await c.lRem(key('l'), 0, 'b'),
      await c.lPopCount(key('l'), 2),
      [(await c.blPop([key('none'), key('l')], 5))?.element],
      await c.lMove(key('l'), key('m'), 'LEFT', 'RIGHT'),
      await c.exists(key('l')),
    ],
    redisPy: `result = [r.rpush(key('l'), 'a', 'b', 'c', 'b'), r.lpush(key('l'), 'first'), r.lrange(key('l'), 0, -1),
      r.lpos(key('l'), 'b'), r.linsert(key('l'), 'BEFORE', 'a', 'x'), r.lrem(key('l'), 0, 'b'), r.lpop(key('l'), 2),
      list(r.blpop([key('none'), key('l')], 5))[1:], r.lmove(key('l'), key('m'), 'LEFT', 'RIGHT'), r.exists(key('l'))]`,
    expected: [4, 5, ['first', 'a', 'b', 'c', 'b'], 2, 6, 2, ['first', 'x'], ['a'], 'c', 0],
  },
  {
    type: 'any key',
    ioredis: async (c, key) => [
      await c.rpush(key('l'), '3', '1', '2'),
      await c.sort(key('l'), 'LIMIT', 0, 2, 'DESC'),
      await c.expire(key('l'), 100),
      await c.ttl(key('l')),
      await c.rename(key('l'), key('r')),
      await c.type(key('r')),
      await c.object('ENCODING', key('r')),
      await c.copy(key('r'), key('c')),
      await c.del(key('r'), key('c'), key('none')),
    ],
    nodeRedis: async (c, key) => [
      await c.rPush(key('l'), ['3', '1', '2']),
      await c.sort(key('l'), { DIRECTION: 'DESC', LIMIT: { offset: 0, count: 2 } }),
      await c.expire(key('l'), 100),
      await c.ttl(key('l')),
      await c.rename(key('l'), key('r')),
      await c.type(key('r')),
      await c.objectEncoding(key('r')),
      await c.copy(key('r'), key('c')),
      await c.del([key('r'), key('c'), key('none')]),
    ],
    redisPy: `result = [r.rpush(key('l'), '3', '1', '2'), r.sort(key('l'), start=0, num=2, desc=True),
      int(r.expire(key('l'), 100)), r.ttl(key('l')), 'OK' if r.rename(key('l'), key('r')) else None, r.type(key('r')),
      r.object('ENCODING', key('r')), int(r.copy(key('r'), key('c'))), r.delete(key('r'), key('c'), key('none'))]`,
    expected: [3, ['3', '2'], 1, 100, 'OK', 'list', 'listpack', 1, 2],
  },
  {
    type: 'stream',
    ioredis: async (c, key) => [
      await c.xadd(key('s'), '5', 'f', 'v'),
      await c.xadd(key('s'), '6', 'f', 'w'),
      await c.xlen(key('s')),
      (await c.xrange(key('s'), '-', '+')).map(([id, fields]) => [id, ...fields]),
      await c.xgroup('CREATE', key('s'), 'g', '0'),
      streamIds(await c.xreadgroup('GROUP', 'g', 'c', 'COUNT', 1, 'STREAMS', key('s'), '>')),
      Number((await c.xpending(key('s'), 'g'))[0]),
      await c.xack(key('s'), 'g', '5-1'),
      streamIds(await c.xread('STREAMS', key('s'), '5-1')),
      await c.xdel(key('s'), '5-1'),
    ],
    nodeRedis: async (c, key) => [
      await c.xAdd(key('s'), '5', { f: 'v' }),
      await c.xAdd(key('s'), '6', { f: 'w' }),
      await c.xLen(key('s')),
      ((await c.xRange(key('s'), '-', '+')) ?? []).map(({ id, message }) => [id, 'f', message['f']]),
      await c.xGroupCreate(key('s'), 'g', '0'),
      messageIds(await c.xReadGroup('g', 'c', { key: key('s'), id: '>' }, { COUNT: 1 })),
      (await c.xPending(key('s'), 'g'))?.pending,
      await c.xAck(key('s'), 'g', '5-1'),
      messageIds(await c.xRead({ key: key('s'), id: '5-1' })),
      await c.xDel(key('s'), '5-1'),
    ],
    redisPy: `
    def ids(found):
        return [id for _, entries in pairs(found) for id, _ in entries]
    result = [r.xadd(key('s'), {'f': 'v'}, id='5'), r.xadd(key('s'), {'f': 'w'}, id='6'), r.xlen(key('s')),
      [[id, 'f', fields['f']] for id, fields in r.xrange(key('s'))],
      'OK' if r.xgroup_create(key('s'), 'g', '0') else None,
      ids(r.xreadgroup('g', 'c', {key('s'): '>'}, count=1)), r.xpending(key('s'), 'g')['pending'],
      r.xack(key('s'), 'g', '5-1'), ids(r.xread({key('s'): '5-1'})), r.xdel(key('s'), '5-1')]`,
    expected: [
      '5-1',
      '6-1',
      2,
      [
        ['5-1', 'f', 'v'],
        ['6-1', 'f', 'w'],
      ],
      'OK',
      ['5-1'],
      1,
      1,
      ['6-1'],
      1,
    ],
  },
  {
    type: 'HyperLogLog',
    ioredis: async (c, key) => [
      await c.pfadd(key('p'), 'a', 'b', 'a'),
      await c.pfadd(key('p'), 'b'),
      await c.pfadd(key('q'), 'c'),
      await c.pfcount(key('p'), key('q')),
      await c.pfmerge(key('m'), key('p'), key('q')),
      await c.pfcount(key('m')),
    ],
    nodeRedis: async (c, key) => [
      Number(await c.pfAdd(key('p'), ['a', 'b', 'a'])),
      Number(await c.pfAdd(key('p'), 'b')),
      Number(await c.pfAdd(key('q'), 'c')),
      await c.pfCount([key('p'), key('q')]),
      await c.pfMerge(key('m'), [key('p'), key('q')]),
      await c.pfCount(key('m')),
    ],
    redisPy: `result = [int(r.pfadd(key('p'), 'a', 'b', 'a')), int(r.pfadd(key('p'), 'b')), int(r.pfadd(key('q'), 'c')),
      r.pfcount(key('p'), key('q')), 'OK' if r.pfmerge(key('m'), key('p'), key('q')) else None, r.pfcount(key('m'))]`,
    expected: [1, 0, 1, 3, 'OK', 3],
  },
  {
    type: 'transaction',
    ioredis: async (c, key) => {
      await c.watch(key('a'))
      const replies = await c
        .multi()
        .set(key('a'), '1')
        .incr(key('a'))
        .hset(key('h'), 'f', 'v')
        .hgetall(key('h'))
        .exec()
      await c.watch(key('a'))
      await c.incr(key('a'))
      const given = await c.multi().get(key('a')).exec()
      return [replies?.map(([, reply]) => reply), given]
    },
    nodeRedis: async (c, key) => {
      await c.watch(key('a'))
      const replies = await c
        .multi()
        .set(key('a'), '1')
        .incr(key('a'))
        .hSet(key('h'), 'f', 'v')
        .hGetAll(key('h'))
        .exec()
      await c.watch(key('a'))
      await c.incr(key('a'))
      const given = await c
        .multi()
        .get(key('a'))
        .exec()
        .catch(() => null)
      return [replies.map((reply) => (typeof reply === 'object' ? { ...(reply as object) } : reply)), given]
    },
    redisPy: `
    pipe = r.pipeline()
    pipe.watch(key('a'))
    pipe.multi()
    pipe.set(key('a'), '1').incr(key('a')).hset(key('h'), 'f', 'v').hgetall(key('h'))
    replies = pipe.execute()
    pipe.watch(key('a'))
    r.incr(key('a'))
    pipe.multi()
    pipe.get(key('a'))
    try:
        given = pipe.execute()
    except redis.WatchError:
        given = None
    result = [['OK' if replies[0] is True else replies[0], *replies[1:]], given]`,
    expected: [['OK', 2, 1, { f: 'v' }], null],
  },
]
