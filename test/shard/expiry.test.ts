import { expect, test } from 'vitest'
import { trustedClock } from '#server/gates.ts'
import { Keyspace } from '#server/store/keyspace.ts'
import { MemoryWorld } from '#test/memoryWorld.ts'
import { TestShard } from './testShard.ts'
import { carry, pair } from './twoClusters.ts'

/** What looking for due keys, and deleting one, takes in the world below. */
const callMs = 0.01
const keyMs = 0.005

/** A world in which work takes time; it measures how long the loop is held, and how much of its time that is. */
class BusyWorld extends MemoryWorld {
  longestMs = 0
  busyMs = 0

  override after(delayMs: number, run: () => void): () => void {
    return super.after(delayMs, () => {
      const startMs = this.monotonicMs()
      run()
      const tookMs = this.monotonicMs() - startMs
      this.longestMs = Math.max(this.longestMs, tookMs)
      this.busyMs += tookMs
    })
  }
}

function busyShard() {
  const world = new BusyWorld()
  class BusyKeyspace extends Keyspace {
    override dueExpiries(limit: number): string[] {
      const keys = super.dueExpiries(limit)
      world.spend(callMs + keys.length * keyMs)
      return keys
    }

    override tidyExpiries(): boolean {
      world.spend(callMs)
      return super.tidyExpiries()
    }
  }
  const variations = {
    newKeyspace: (options: ConstructorParameters<typeof Keyspace>[0]) => new BusyKeyspace(options),
  }
  return { world, test: new TestShard({ world, variations }) }
}

/** Counts the records that the log takes. */
function countRecords(test: TestShard): { records: number } {
  const { log } = test.shard
  const commit = log.commit
  const count = { records: 0 }
  log.commit = (...stamps) => {
    count.records++
    commit.apply(log, stamps)
  }
  return count
}

test('fifty thousand keys due in one second: short slices, a quarter of the time, no tick waited for', () => {
  const { world, test } = busyShard()
  const keys = 50_000
  for (let key = 0; key < keys; key++) {
    test.proxy.send('SET', `k${key}`, 'v', 'PX', '1000')
    if (key % 500 === 0) world.settle()
  }
  world.settle()
  world.advance(1_900)
  expect(test.shard.db.size).toBe(keys)
  test.proxy.arrived.length = 0
  world.longestMs = 0
  world.busyMs = 0
  const startMs = world.monotonicMs()
  while (test.shard.db.size > 0) {
    world.advance(10)
    expect(test.run('GET', 'k1')).toBe('$-1\r\n')
  }
  const tookMs = world.monotonicMs() - startMs
  // A slice of 4 ms may end with one batch of 64 more.
  expect(world.longestMs).toBeLessThan(5)
  expect(test.shard.status().loopLateMs).toBeLessThan(5)
  expect(world.busyMs / tookMs).toBeLessThan(0.3)
  expect(world.busyMs / tookMs).toBeGreaterThan(0.2)
  expect(test.shard.status().expiredKeys).toBe(keys)
})

test('keys of one slot that are due at once are deleted by few records', () => {
  const test = new TestShard()
  for (let key = 0; key < 640; key++) test.proxy.send('SET', `{t}${key}`, 'v', 'PX', '1000')
  test.world.settle()
  const count = countRecords(test)
  test.world.advance(3_000)
  expect(test.shard.db.size).toBe(0)
  expect(count.records).toBe(10)
})

test('a record of deletes does not grow without bound', () => {
  const { a: test, b, connect } = pair()
  connect()
  // Counters of the other cluster, each of which a delete names.
  const fields = Array.from({ length: 3_000 }, (_, field) => ['HINCRBY', `field${field}`, '1'])
  for (let key = 0; key < 8; key++)
    for (const [command = '', field = '', by = ''] of fields) b.proxy.send(command, `{t}${key}`, field, by)
  carry(test, b, 100)
  for (let key = 0; key < 8; key++) test.proxy.send('PEXPIRE', `{t}${key}`, '1000')
  test.world.settle()
  const before = test.shard.log.end
  const count = countRecords(test)
  test.world.advance(3_000)
  expect(test.shard.db.size).toBe(0)
  const bytes = test.shard.log.end - before
  expect(bytes).toBeGreaterThan(4 * 64 * 1024)
  // Up to the limit, and one key more.
  expect(bytes / count.records).toBeLessThan(64 * 1024 + bytes / 8)
})

test('a restarted shard deletes what expired meanwhile', () => {
  const before = new TestShard()
  for (let key = 0; key < 200; key++) before.proxy.send('SET', `k${key}`, 'v', 'PX', String(1_000 + key))
  before.proxy.send('SET', 'stays', 'v')
  before.world.settle()
  const test = before.restart()
  test.world.advance(5_000)
  expect(test.shard.db.size).toBe(1)
})

test('while writes are refused, what is remembered of TTLs that are gone is freed all the same', () => {
  const test = new TestShard()
  for (let round = 0; round < 70; round++) {
    for (let key = 0; key < 1_000; key++) test.proxy.send('SET', `k${key}`, 'v', 'EX', '1000')
    test.world.settle()
  }
  expect(test.shard.db.tables.wheel.size).toBe(70_000)
  test.shard.setClock({ ...trustedClock, state: 'gated' })
  test.world.advance(200)
  expect(test.shard.db.tables.wheel.size).toBe(1_000)
})

test('fields whose time has passed are deleted, in slices, and a restarted shard goes on with it', () => {
  const before = new TestShard()
  const fields = Array.from({ length: 2_500 }, (_, field) => `field${field}`)
  before.proxy.send('HSET', 'h', ...fields.flatMap((field) => [field, 'v']))
  before.proxy.send('HPEXPIRE', 'h', '1000', 'FIELDS', String(fields.length), ...fields)
  before.proxy.send('HSET', 'h', 'stays', 'v')
  before.world.settle()
  const test = before.restart()
  const count = countRecords(test)
  test.world.advance(3_000)
  const { tables } = test.shard.db
  expect(tables.stateOf(tables.findText('h')).hash?.size).toBe(1)
  expect(test.shard.status().expiredKeys).toBe(0)
  expect(count.records).toBe(3)
})
