/** What a start brings back besides the data: counts, memory, times to live, residues; and what a scan makes of it. */
import { expect, test } from 'vitest'
import { TestShard } from './testShard.ts'

const members = [
  { clusterId: 1, name: 'one' },
  { clusterId: 2, name: 'two' },
]

/** Keys of all kinds; `{}` so that some share a slot. */
function fill({ run }: Pick<TestShard, 'run'>): void {
  const value = (i: number): string => 'v'.repeat(i % 90)
  for (let i = 0; i < 2_000; i++) run('SET', `text:${i}`, value(i))
  for (let i = 0; i < 500; i++) run('SET', `{s}timed:${i}`, value(i), 'PX', String(10_000 + 20 * i))
  for (let i = 0; i < 200; i++) run('INCRBY', `count:${i}`, String(i))
  for (let i = 0; i < 200; i++) {
    run('SET', `based:${i}`, String(i))
    run('INCR', `based:${i}`)
  }
  for (const count of [3, 30, 60, 200]) {
    for (let i = 0; i < 10; i++) {
      const elements = Array.from({ length: count }, (_, j) => `e${j}`)
      run('HSET', `hash${count}:${i}`, ...elements.flatMap((element) => [element, 'v']))
      for (const element of elements) run('SADD', `set${count}:${i}`, element)
      if (i % 3 === 0) run('PEXPIRE', `hash${count}:${i}`, '10000')
    }
  }
  for (let i = 0; i < 100; i++) run('HINCRBY', `counting:${i % 20}`, `f${i}`, '5')
  // Residues: times to live of keys that are gone.
  for (let i = 0; i < 60; i++) {
    run('SADD', `gone:${i}`, 'e')
    run('PEXPIRE', `gone:${i}`, '1000000')
    run('SREM', `gone:${i}`, 'e')
  }
}

test('counts, memory, residues and times to live are what they were', () => {
  const before = new TestShard({ database: { members, evictionPolicy: 'allkeys-lfu' } })
  fill({ run: before.run.bind(before) })
  // What no member needs is forgotten first.
  before.world.advance(2_000)
  const tag = before.proxy.ask({ what: 'snapshot' })
  before.world.advance(2_000)
  expect(before.proxy.adminAnswers.get(tag)).toEqual({ snapshot: 'started' })
  expect(before.shard.status().log.snapshot).toMatchObject({ completed: 1, running: false })
  const { db } = before.shard
  const again = before.restart().shard
  expect(again.status().log.snapshot.logBytes).toBe(0)

  expect([again.db.size, again.db.expiring, again.db.residues]).toEqual([db.size, db.expiring, db.residues])
  expect(db.residues).toBeGreaterThan(50)
  for (const slot of db.occupiedSlots()) expect(again.db.slotDigest(slot)).toBe(db.slotDigest(slot))
  expect(again.db.accessClock.byFrequency).toBe(true)
  expect(again.db.frequency('text:1')).toBe(5)
  const kinds = ['text:1', '{s}timed:1', 'count:60', 'based:1', 'counting:1']
  for (const count of [3, 30, 60, 200]) kinds.push(`hash${count}:1`, `set${count}:1`)
  for (const name of kinds) {
    const usedBytes = db.memoryUsage(name) as number
    expect([name, again.db.memoryUsage(name)]).toEqual([name, usedBytes])
  }
  expect(Math.abs(again.db.usedBytes / db.usedBytes - 1)).toBeLessThan(0.03)
})

test('keys expire when their time has come', () => {
  const before = new TestShard()
  for (let i = 0; i < 500; i++) before.run('SET', `{s}timed:${i}`, 'v', 'PX', String(10_000 + 20 * i))
  before.run('HSET', 'h', 'f', 'v')
  before.run('PEXPIRE', 'h', '10000')
  before.run('SET', 'stays', 'v')
  const startMs = before.world.wallMs()
  before.proxy.ask({ what: 'snapshot' })
  before.world.advance(2_000)
  const again = before.restart()
  expect(again.shard.db.expiring).toBe(501)
  again.world.advance(startMs + 10_000 - again.world.wallMs())
  expect([again.run('EXISTS', 'h'), again.run('EXISTS', '{s}timed:0')]).toEqual([':1\r\n', ':1\r\n'])
  again.world.advance(1)
  expect([again.run('EXISTS', 'h'), again.run('EXISTS', '{s}timed:0')]).toEqual([':0\r\n', ':0\r\n'])
  // A grace of a second, and ticks of the wheel.
  again.world.advance(6_500)
  expect(again.shard.db.expiring).toBeLessThanOrEqual(501 - 251)
  expect(again.shard.db.expiring).toBeGreaterThan(501 - 326)
  again.world.advance(7_000)
  expect([again.shard.db.expiring, again.shard.db.size]).toEqual([0, 1])
})

test('a scan that is interrupted comes to its end, though the hashes are others', () => {
  let test = new TestShard()
  for (let i = 0; i < 3_000; i++) test.proxy.send('SET', `{s}${i}`, 'v')
  for (let i = 0; i < 500; i++) test.proxy.send('SET', `k${i}`, 'v')
  test.world.settle()
  const met = new Set<string>()
  let cursor = '0'
  let steps = 0
  do {
    const reply = test.run('SCAN', cursor, 'COUNT', '20')
    const [next = '', ...found] = reply.split('\r\n').filter((line) => /^[^*$]/.test(line))
    cursor = next
    for (const name of found) met.add(name)
    if (++steps % 5 === 0) test = test.restart()
  } while (cursor !== '0' && steps < 1_000)
  expect(cursor).toBe('0')
  expect(steps).toBeGreaterThan(20)
  // Those of other slots than the one in which the scan was interrupted.
  for (let i = 0; i < 500; i++) expect(met.has(`k${i}`)).toBe(true)
})
