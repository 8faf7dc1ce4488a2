/** OBJECT ENCODING at the thresholds: what Redis names, in the encodings of 7.2. */
import { describe, expect, it } from 'vitest'
import { bytesOf } from '#runtime/bytes/bytes.ts'
import { TestDatabase } from '#test/commands/handlerDatabase.ts'
import { ProxyWorld } from '#test/proxy/proxyWorld.ts'
import { redisForTests } from './redisSide.ts'
import { decodeReply, type Reply } from './reply.ts'

const redis = redisForTests()

const numbers = (count: number, from = 0): string[] =>
  Array.from({ length: count }, (_, i) => String(from + i))
const words = (count: number): string[] => Array.from({ length: count }, (_, i) => `w${i}`)
const long = (length: number): string => 'x'.repeat(length)

interface Case {
  title: string
  /** Makes the key `k`. */
  write: string[]
  /** Where 7.2 has another encoding than the oracle. */
  since72?: string
}

const named = (title: string, write: string[], since72?: string): Case =>
  since72 === undefined ? { title, write } : { title, write, since72 }

const numerals = [
  '',
  '0',
  '-1',
  '9223372036854775807',
  '-9223372036854775808',
  '9223372036854775808',
  '01',
  '+1',
  '1.5',
]

const cases: readonly Case[] = [
  ...numerals.map((text) => named(`string ${text}`, ['SET', 'k', text])),
  ...[44, 45, 19, 20, 21].map((length) => named(`string of ${length}`, ['SET', 'k', long(length)])),
  named('a counter', ['INCRBY', 'k', '70000']),
  ...[128, 129, 511, 512, 513].map((count) =>
    named(`hash of ${count}`, ['HSET', 'k', ...words(count).flatMap((word) => [word, 'v'])]),
  ),
  ...[64, 65].flatMap((length) => [
    named(`hash with a value of ${length}`, ['HSET', 'k', 'f', long(length)]),
    named(`hash with a field of ${length}`, ['HSET', 'k', long(length), 'v']),
    named(`sorted set with a member of ${length}`, ['ZADD', 'k', '1', long(length)]),
  ]),
  ...[127, 128, 129].map((count) =>
    named(`sorted set of ${count}`, ['ZADD', 'k', ...words(count).flatMap((word, i) => [String(i), word])]),
  ),
  named('geography', ['GEOADD', 'k', '1', '1', 'm']),
  ...[511, 512, 513].map((count) => named(`set of ${count} integers`, ['SADD', 'k', ...numbers(count)])),
  named('set of large integers', ['SADD', 'k', '9223372036854775807', '-9223372036854775808']),
  named('set of an integer too large', ['SADD', 'k', '9223372036854775808'], 'listpack'),
  named('set of a number with a zero', ['SADD', 'k', '01'], 'listpack'),
  ...[127, 128].map((count) => named(`set of ${count} words`, ['SADD', 'k', ...words(count)], 'listpack')),
  named('set of 129 words', ['SADD', 'k', ...words(129)]),
  named('set with a member of 64', ['SADD', 'k', long(64)], 'listpack'),
  named('set with a member of 65', ['SADD', 'k', long(65)]),
  named('set of 128 integers and words', ['SADD', 'k', ...numbers(120), ...words(8)], 'listpack'),
  named('set of 130 integers and a word', ['SADD', 'k', ...numbers(130), 'w']),
  named('a short list', ['RPUSH', 'k', 'a', '1'], 'listpack'),
  named('a long list', ['RPUSH', 'k', ...words(9000)]),
  // 7 bytes around, and two more for each element.
  named('a list of 8190 bytes', ['RPUSH', 'k', ...Array<string>(127).fill(long(62)), long(53)], 'listpack'),
  named('a list of more than 8192 bytes', ['RPUSH', 'k', ...Array<string>(128).fill(long(62))]),
  named('a list with one large element', ['RPUSH', 'k', long(8190)]),
]

describe('CONFIG GET', () => {
  it('names the thresholds that redis-server has', async () => {
    const client = new ProxyWorld().client()
    const since72 = 'set-max-listpack-'
    for (const pattern of [
      '*-max-listpack-*',
      '*-max-ziplist-*',
      'set-max-*',
      '*-max-bytes',
      'list-compress-*',
    ]) {
      const own = decodeReply(bytesOf(client.call('CONFIG', 'GET', pattern)))
      const theirs = pairs(await redis.ask('CONFIG', 'GET', pattern))
      expect(theirs.length).toBeGreaterThan(0)
      expect(pairs(own).filter((pair) => !pair.startsWith(since72))).toEqual(expect.arrayContaining(theirs))
    }
  })
})

/** What is told in any order, as `name value`. */
const pairs = ({ items }: Reply): string[] =>
  items.flatMap(({ text }, i) => (i % 2 === 0 ? [`${text} ${items[i + 1]?.text}`] : []))

describe('OBJECT ENCODING', () => {
  it.each(cases)('$title', async ({ write, since72 }) => {
    const db = new TestDatabase()
    db.run(...write)
    const replies = await redis.side().send([['DEL', 'k'], write, ['OBJECT', 'ENCODING', 'k']])
    const theirs = decodeReply(replies.at(-1) as Uint8Array).text
    expect(db.ask('OBJECT ENCODING k')).toBe(since72 ?? theirs)
    if (since72 !== undefined) expect(since72).not.toBe(theirs)
  })

  it('names that of fields that expire as 7.4 does', () => {
    const db = new TestDatabase()
    db.ask('HSET k f v g w')
    db.ask('HEXPIRE k 100 FIELDS 1 f')
    expect(db.ask('OBJECT ENCODING k')).toBe('listpackex')
    db.run('HSET', 'k', ...words(511).flatMap((word) => [word, 'v']))
    expect(db.ask('OBJECT ENCODING k')).toBe('hashtable')
  })
})
