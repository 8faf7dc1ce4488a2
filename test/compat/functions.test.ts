/** Functions, on redis-server and on a database here: the same replies, in both protocols, and payloads that go both ways. */
import { describe, expect, it } from 'vitest'
import { latin1 } from '#runtime/bytes/bytes.ts'
import { SeededRandom, seedFromEnv } from '#test/seed.ts'
import { DatabaseSide } from './databaseSide.ts'
import { bodiesLibrary, functionBodies, libraryCodes } from './functionTexts.ts'
import { redisForTests } from './redisSide.ts'
import type { Request, Side } from './side.ts'

const redis = redisForTests()

const library = (name: string, ...functions: string[]): string =>
  `#!lua name=${name}\n${functions.map((one) => `redis.register_function("${one}", function() return "${name}" end)`).join('\n')}`

const load = (name: string, ...functions: string[]): Request => [
  'FUNCTION',
  'LOAD',
  library(name, ...functions),
]

const commands: readonly Request[] = [
  load('a', 'f', 'g'),
  load('a', 'h'),
  load('b', 'F'),
  ['FUNCTION', 'LOAD', '#!lua name=a\nx x'],
  ['FUNCTION', 'LOAD', '#!lua name=c\nx x'],
  ['FUNCTION', 'LOAD', 'REPLACE'],
  ['FUNCTION', 'LOAD'],
  ['FUNCTION', 'LOAD', 'foo', 'bar'],
  ['FUNCTION', 'LOAD', 'replace', 'foo', 'bar'],
  ['FUNCTION', 'LOAD', 'replace', 'REPLACE', library('a', 'f')],
  ['FCALL', 'g', '0'],
  ['FUNCTION', 'LIST'],
  ['FUNCTION', 'LIST', 'WITHCODE'],
  ['FUNCTION', 'LIST', 'libraryname', 'A*', 'withcode'],
  ['FUNCTION', 'LIST', 'LIBRARYNAME', 'x*'],
  ['FUNCTION', 'LIST', 'foo'],
  ['FUNCTION', 'LIST', 'LIBRARYNAME'],
  ['FUNCTION', 'LIST', 'LIBRARYNAME', 'a', 'LIBRARYNAME', 'b'],
  ['FUNCTION', 'LIST', 'WITHCODE', 'WITHCODE'],
  ['FUNCTION', 'STATS'],
  ['FUNCTION', 'KILL'],
  ['FUNCTION', 'HELP'],
  ['FUNCTION', 'nosuch'],
  ['FUNCTION'],
  ['FUNCTION', 'DELETE'],
  ['FUNCTION', 'DELETE', 'A'],
  ['FUNCTION', 'DELETE', 'a'],
  ['FCALL', 'f', '0'],
  ['FUNCTION', 'DELETE', 'a'],
  ['FUNCTION', 'FLUSH', 'foo'],
  ['FUNCTION', 'FLUSH', 'sync', 'async'],
  ['FUNCTION', 'FLUSH', 'sync'],
  ['FUNCTION', 'RESTORE', 'x', 'foo'],
  ['FUNCTION', 'RESTORE', 'x'],
  ['FUNCTION', 'RESTORE', 'x', 'append', 'foo'],
  ['FUNCTION', 'RESTORE'],
  ['FCALL'],
  ['FCALL', 'f'],
  ['FCALL', 'nosuch', 'x'],
  load('a', 'f'),
  ['FCALL', 'f', 'x'],
  ['FCALL', 'f', '-1'],
  ['FCALL', 'f', '2', '{t}a'],
  ['FCALL', 'f', '99999999999999999999'],
  ['FCALL', 'F', '1', '{t}a', 'b'],
  ['FCALL_RO', 'f', '0'],
  ['EVAL', 'return redis.call("fcall", "f", 0)', '0'],
  ['EVAL', 'return redis.call("function", "list")', '0'],
  ['MULTI'],
  ['FCALL', 'f', '1', '{t}a'],
  ['INCR', '{t}m'],
  ['FCALL', 'nosuch', '1', '{t}a'],
  ['EXEC'],
  ['FUNCTION', 'LOAD', 'replace', bodiesLibrary],
  ['SET', '{t}k', 'value'],
  ...Object.keys(functionBodies).map(
    (name): Request => ['FCALL', name, '1', '{t}k', 'an argument', '\x00\xff'],
  ),
  ['FCALL', 'counts', '0'],
  ['FCALL_RO', 'writes', '1', '{t}k'],
  ...['ro', 'ro_writes', 'oom'].flatMap((name): Request[] => [
    ['FCALL', name, '1', '{t}k'],
    ['FCALL_RO', name, '1', '{t}k'],
  ]),
]

/** Which of several functions that collide is told depends on an order that is any. */
const shown = (reply: Uint8Array): string =>
  latin1(reply).replace(/^-ERR Function \w already exists/, '-ERR Function ? already exists')

async function compare(ours: Side, requests: readonly Request[]): Promise<void> {
  const own = (await ours.send(requests)).map(shown)
  const theirs = (await redis.side().send(requests)).map(shown)
  const wrong = requests.flatMap((request, i) => {
    if (request[0] === 'HELLO' || own[i] === theirs[i]) return []
    return [
      `${JSON.stringify(request)}\n  own:   ${JSON.stringify(own[i])}\n  redis: ${JSON.stringify(theirs[i])}`,
    ]
  })
  expect(wrong.join('\n')).toBe('')
}

const started = (version: string): Request[] => [['HELLO', version], ['FUNCTION', 'FLUSH'], ['FLUSHALL']]

describe.each(['2', '3'])('in RESP%s', (version) => {
  it('libraries are taken, or refused in the words of redis-server', async () => {
    const requests = libraryCodes.flatMap((code): Request[] => [
      ['FUNCTION', 'LOAD', 'REPLACE', code],
      ['FUNCTION', 'LIST'],
    ])
    await compare(new DatabaseSide(3, 1), [...started(version), ...requests])
  })

  it('functions answer as those of redis-server', async () => {
    await compare(new DatabaseSide(1, 1), [...started(version), ...commands])
  })
})

async function bulk(side: Side, request: Request): Promise<string> {
  const [reply = new Uint8Array(0)] = await side.send([request])
  const text = latin1(reply)
  return text.slice(text.indexOf('\r\n') + 2, -2)
}

const policies: readonly (readonly string[])[] = [[], ['APPEND'], ['replace'], ['FLUSH']]

describe('payloads', () => {
  it('go to redis-server and come from it', async () => {
    const [own, theirs] = [new DatabaseSide(2, 1), redis.side()]
    const libraries = [load('a', 'f', 'g'), ['FUNCTION', 'LOAD', bodiesLibrary]]
    for (const [from, to] of [
      [own, theirs],
      [theirs, own],
    ] as const) {
      await from.send([['HELLO', '2'], ['FUNCTION', 'FLUSH'], ...libraries])
      await to.send([
        ['HELLO', '2'],
        ['FUNCTION', 'FLUSH'],
      ])
      const payload = await bulk(from, ['FUNCTION', 'DUMP'])
      const [restored] = await to.send([['FUNCTION', 'RESTORE', payload]])
      expect(latin1(restored ?? new Uint8Array(0))).toBe('+OK\r\n')
      const listed = await bulk(to, ['FUNCTION', 'LIST', 'LIBRARYNAME', 'bodies', 'WITHCODE'])
      expect(listed).toContain(bodiesLibrary)
      expect(await bulk(to, ['FCALL', 'loads', '0'])).toBe(await bulk(from, ['FCALL', 'loads', '0']))
      expect(latin1((await to.send([['FCALL', 'g', '0']]))[0] ?? new Uint8Array(0))).toBe('$1\r\na\r\n')
    }
  })

  it('of random libraries are restored as redis-server restores them', async () => {
    const random = new SeededRandom(seedFromEnv())
    const own = new DatabaseSide(2, 1)
    const names = ['a', 'b', 'c'] as const
    const functions = ['f', 'g', 'h', 'i'] as const
    const randomLoad = (count: number): Request => {
      const chosen = Array.from({ length: count }, () => random.pick(functions))
      // Letter case does not count.
      return load(
        random.pick(names),
        ...new Set(random.chance(0.3) ? chosen.map((one) => one.toUpperCase()) : chosen),
      )
    }
    await compare(own, started('2'))
    for (let round = 0; round < 60; round++) {
      await compare(own, [['FUNCTION', 'FLUSH'], randomLoad(2), randomLoad(2), randomLoad(2)])
      const dumped = await bulk(random.chance(0.5) ? own : redis.side(), ['FUNCTION', 'DUMP'])
      const payload = random.chance(0.1) ? dumped.replace('lua', 'lux') : dumped
      const restore: Request = ['FUNCTION', 'RESTORE', payload, ...random.pick(policies)]
      const called = functions.map((name): Request => ['FCALL', name, '0'])
      await compare(own, [['FUNCTION', 'FLUSH'], randomLoad(1), restore, ['FUNCTION', 'STATS'], ...called])
    }
  })
})
