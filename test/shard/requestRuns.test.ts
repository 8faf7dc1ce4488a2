/** Requests that come in one frame, where each means something to the next: limits, flushes, transactions, watches. */
import { expect, test } from 'vitest'
import { FrameKind } from '#protocol/frames/frame.ts'
import { jsonFrame } from '#protocol/frames/hello.ts'
import { frameBytes, sessionText } from './proxySide.ts'
import { TestShard } from './testShard.ts'

const ok = '+OK\r\n'
const outOfMemory = "-OOM command not allowed when used memory > 'maxmemory'.\r\n"

function runOf(test: TestShard, ...requests: string[][]): string {
  const tag = test.proxy.sendRun(...requests)
  test.world.settle()
  const reply = test.proxy.arrived.find((one) => one.tag === tag)
  expect(reply?.count).toBe(requests.length)
  return reply?.text ?? ''
}

/** Each look at the clock takes so long, and a command whose time is not constant is looked at twice. */
function slowClock(test: TestShard, ms: number): void {
  const { monotonicMs } = test.world
  test.world.monotonicMs = function (this: typeof test.world) {
    this.spend(ms)
    return monotonicMs.call(this)
  }
}

test('memory that ends in the middle refuses what needs it, and nothing else', () => {
  const test = new TestShard({ database: { memorySizeBytes: 100_000, evictionPolicy: 'noeviction' } })
  const value = 'v'.repeat(30_000)
  test.run('SET', 'k1', value)
  test.run('SET', 'k2', value)
  const replies = runOf(
    test,
    ['SET', 'k3', value],
    ['SET', 'k4', value],
    ['SET', 'k5', 'v'],
    ['GET', 'k5'],
    ['DEL', 'k1'],
    ['SET', 'k5', 'v'],
  )
  expect(replies).toBe(`${ok}${ok}${outOfMemory}$-1\r\n:1\r\n${ok}`)
})

test('memory that ends in the middle is made by eviction', () => {
  const test = new TestShard({ database: { memorySizeBytes: 100_000, evictionPolicy: 'allkeys-lru' } })
  const requests = Array.from({ length: 60 }, (_, i) => ['SET', `k${i}`, 'v'.repeat(5_000)])
  expect(runOf(test, ...requests)).toBe(ok.repeat(60))
  expect(test.shard.db.usedBytes).toBeLessThan(100_000)
  expect(test.shard.status().memory.evictedKeys).toBeGreaterThan(40)
})

test('what a running flush has not reached yet is gone for each request', () => {
  const test = new TestShard()
  const names = Array.from({ length: 11_000 }, (_, i) => `k${i}`)
  for (const name of names) test.proxy.send('SET', name, 'v')
  test.world.settle()
  expect(test.shard.db.size).toBe(11_000)
  // Work takes so long that a slice ends after each slot.
  slowClock(test, 1)
  const flush = test.proxy.send('FLUSHALL')
  const run = test.proxy.sendRun(['GET', 'k1'], ['SETNX', 'k2', 'new'], ['GET', 'k2'], ['STRLEN', 'k3'])
  test.world.settle()
  expect(test.proxy.reply(run)).toBe('$-1\r\n:1\r\n$3\r\nnew\r\n:0\r\n')
  expect(test.proxy.reply(flush)).toBeUndefined()
  expect(test.shard.db.size).toBeGreaterThan(5_000)
  test.world.advance(60_000)
  expect(test.proxy.reply(flush)).toBe(ok)
  expect([test.shard.db.size, test.run('GET', 'k2')]).toEqual([1, '$3\r\nnew\r\n'])
})

test('a run that takes long is cut, and others have their turn between', () => {
  const test = new TestShard()
  const other = test.connect()
  const order: string[] = []
  for (const [name, side] of [
    ['slow', test.proxy],
    ['other', other],
  ] as const) {
    const { arrived } = side
    const push = arrived.push.bind(arrived)
    arrived.push = (...replies) => {
      for (const { count, isHeld } of replies) order.push(`${name} ${count}${isHeld ? ' held' : ''}`)
      return push(...replies)
    }
  }
  test.run('RPUSH', 'l', 'a')
  order.length = 0
  slowClock(test, 15)
  const slow = test.proxy.sendRun(
    ['LRANGE', 'l', '0', '-1'],
    ['RPUSH', 'l', 'b'],
    ['LRANGE', 'l', '0', '-1'],
    ['RPUSH', 'l', 'c'],
    ['LRANGE', 'l', '0', '-1'],
  )
  const next = test.proxy.send('LLEN', 'l')
  for (let i = 0; i < 3; i++) other.send('GET', 'k')
  test.world.advance(1_000)
  const replies = test.proxy.arrived.filter(({ tag }) => tag === slow)
  expect(replies.map(({ text }) => text).join('')).toBe(
    '*1\r\n$1\r\na\r\n:2\r\n*2\r\n$1\r\na\r\n$1\r\nb\r\n:3\r\n*3\r\n$1\r\na\r\n$1\r\nb\r\n$1\r\nc\r\n',
  )
  expect(test.proxy.reply(next)).toBe(':3\r\n')
  expect(order).toEqual(['slow 3 held', 'other 1', 'other 1', 'other 1', 'slow 2 held', 'slow 1'])
})

test('a run that is cut stays that of its client', () => {
  const test = new TestShard()
  const { proxy } = test
  proxy.connection.write(jsonFrame(FrameKind.user, 7, { name: 'u', rules: ['+@all', '~a'] }))
  proxy.connection.write(frameBytes(FrameKind.actFor, 7, 0, 0, sessionText(9)))
  slowClock(test, 30)
  const script = (key: string) => ['EVAL', `return redis.call('get', '${key}')`, '0']
  proxy.sendTracked(5, [script('b'), script('b'), script('a'), ['GET', 'a']])
  test.world.advance(10_000)
  expect(proxy.arrived.map(({ text }) => text.slice(0, 12))).toEqual([
    '-ERR The use',
    '-ERR The use',
    '$-1\r\n',
    '$-1\r\n',
  ])
  expect(proxy.denied).toHaveLength(2)
  expect(proxy.denied.every(({ denials }) => denials[0]?.count === 1)).toBe(true)
  test.run('SET', 'a', 'x')
  expect(proxy.invalidated).toMatchObject([{ sessions: [5] }])
})

test('a watch is touched by a request in the middle', () => {
  const test = new TestShard()
  test.proxy.watch(7, 'k')
  runOf(test, ['GET', 'k'], ['SET', 'k', 'v'], ['GET', 'other'])
  const exec = test.proxy.transaction(7, ['SET', 'other', 'v'])
  test.world.settle()
  expect(test.proxy.reply(exec)).toBe('*-1\r\n')
  expect(test.run('EXISTS', 'other')).toBe(':0\r\n')
})
