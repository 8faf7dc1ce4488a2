/** Scripts of all kinds, on redis-server and on a database here: the same replies, in both protocols. */
import { describe, expect, it } from 'vitest'
import { latin1 } from '#runtime/bytes/bytes.ts'
import { DatabaseSide } from './databaseSide.ts'
import { redisForTests } from './redisSide.ts'
import { scriptTexts } from './scriptTexts.ts'
import type { Request } from './side.ts'

const redis = redisForTests()

const sameRequests: readonly Request[] = [
  ['EVAL', 'return 1'],
  ['EVAL', 'return 1', 'x'],
  ['EVAL', 'return 1', '-1'],
  ['EVAL', 'return 1', '2', '{t}a'],
  ['EVAL', 'return {KEYS,ARGV}', '2', '{t}a', '{t}b', 'c', '\x00\xff'],
  ['EVALSHA', 'abc', '0'],
  ['EVALSHA', 'abc', 'x'],
  ['EVALSHA', 'f'.repeat(40), '0'],
  ['EVALSHA', 'e0e1f9fabfc9d4800c877a703b823ac0578ff8db', '0'],
  ['EVALSHA', 'E0E1F9FABFC9D4800C877A703B823AC0578FF8DB', '0'],
  ['EVALSHA_RO', 'e0e1f9fabfc9d4800c877a703b823ac0578ff8db', '0'],
  ['EVAL_RO', "return redis.call('set','{t}a','b')", '0'],
  ['EVAL_RO', '#!lua\nreturn 1', '0'],
  ['EVAL_RO', '#!lua flags=no-writes\nreturn redis.call("get","{t}a")', '1', '{t}a'],
  ['SCRIPT', 'LOAD', 'x y'],
  ['SCRIPT', 'LOAD', 'return 42'],
  ['EVALSHA', '1fa00e76656cc152ad327c13fe365858fd7be306', '0'],
  ['SCRIPT', 'LOAD'],
  ['SCRIPT', 'EXISTS'],
  ['SCRIPT', 'EXISTS', '1fa00e76656cc152ad327c13fe365858fd7be306', 'b'],
  ['SCRIPT', 'FLUSH', 'x'],
  ['SCRIPT', 'FLUSH', 'async', 'x'],
  ['SCRIPT', 'FLUSH', 'ASYNC'],
  ['SCRIPT', 'EXISTS', '1fa00e76656cc152ad327c13fe365858fd7be306'],
  ['SCRIPT', 'KILL'],
  ['SCRIPT', 'HELP'],
  ['SCRIPT', 'nosuch'],
  ['SCRIPT'],
  ['MULTI'],
  ['EVAL', 'return redis.call("incr",KEYS[1])', '1', '{t}m'],
  ['INCR', '{t}m'],
  ['EVAL', 'error("x")', '0'],
  ['EVAL', 'return redis.call("incr",KEYS[1])', '1', '{t}m'],
  ['EXEC'],
]

describe.each(['2', '3'])('in RESP%s, scripts', (version) => {
  it('answer as those of redis-server', async () => {
    const own = new DatabaseSide(3, 1)
    const requests: Request[] = [
      ['HELLO', version],
      ['SCRIPT', 'FLUSH'],
      ['FLUSHALL'],
      // The shard that has the slot.
      ...scriptTexts.map((text): Request => ['EVAL', text, '1', '{t}a', 'an argument']),
      ['EVAL', 'return 1', '0'],
      ...sameRequests,
    ]
    const ours = (await own.send(requests)).map((reply) => latin1(reply))
    const theirs = (await redis.side().send(requests)).map((reply) => latin1(reply))
    const wrong = requests.flatMap((request, i) => {
      if (request[0] === 'HELLO' || ours[i] === theirs[i]) return []
      return [
        `${JSON.stringify(request)}\n  own:   ${JSON.stringify(ours[i])}\n  redis: ${JSON.stringify(theirs[i])}`,
      ]
    })
    expect(wrong.join('\n')).toBe('')
  })
})
