/** Which keys go, and how long a slice may take: eviction over a keyspace, with a clock of its own. */
import { describe, expect, it } from 'vitest'
import { type EvictionPolicy, evictionPolicies } from '#protocol/frames/memory.ts'
import { originOfCluster, StampClock } from '#protocol/sync/stamp.ts'
import { ByteWriter } from '#runtime/bytes/byteWriter.ts'
import { Eviction } from '#server/eviction.ts'
import { Memory } from '#server/memory.ts'
import { Keyspace } from '#server/store/keyspace.ts'
import { Transaction } from '#server/store/transaction.ts'
import { SeededRandom } from '#test/seed.ts'
import { RecordingLogger } from '#test/silentLogger.ts'

const origin = originOfCluster(1)
const startMs = Date.UTC(2026, 0, 1)

class World {
  nowMs = startMs
  /** What each look at the clock takes. */
  lookMs = 0
  #monotonicMs = 0
  readonly db = new Keyspace({ origin, ranges: [{ first: 0, last: 16383 }] })
  readonly logger = new RecordingLogger()
  readonly eviction: Eviction
  readonly #transaction = new Transaction(this.db, new StampClock(origin))

  constructor(policy: EvictionPolicy) {
    const clock = {
      wallMs: () => this.nowMs,
      monotonicMs: () => {
        this.#monotonicMs += this.lookMs
        return this.#monotonicMs
      },
    }
    this.eviction = new Eviction(this, this.db, clock, new SeededRandom(1))
    this.eviction.policy = policy
  }

  change(write: (transaction: Transaction) => void): boolean {
    this.#transaction.begin(this.nowMs)
    write(this.#transaction)
    return this.#transaction.finish(new ByteWriter())
  }

  set(name: string, ttlMs = Number.POSITIVE_INFINITY): void {
    const atMs = this.nowMs + ttlMs
    this.change((write) => write.setString(name, 'v'.repeat(100), { kind: 'at', atMs }))
  }

  fill(count: number, ttlMs?: (i: number) => number): void {
    for (let i = 0; i < count; i++) this.set(`k${i}`, ttlMs?.(i))
  }

  /** Indexes of the keys that are left. */
  left(count: number): number[] {
    return Array.from({ length: count }, (_, i) => i).filter((i) => this.db.type(`k${i}`) !== 'none')
  }
}

const half = ({ db }: World): number => db.usedBytes / 2

/** Average index of the keys that are left. */
const mean = (numbers: readonly number[]): number => numbers.reduce((a, b) => a + b, 0) / numbers.length

describe('eviction', () => {
  it('goes down to what is wanted and no further', () => {
    const world = new World('allkeys-random')
    world.fill(200)
    const target = half(world)
    expect(world.eviction.run(target, 5)).toBe(true)
    expect(world.db.usedBytes).toBeLessThanOrEqual(target)
    expect(world.db.usedBytes).toBeGreaterThan(target - 2_000)
    expect(world.eviction.evictedKeys).toBe(200 - world.db.size)
  })

  it('prefers the keys that were not used for longest', () => {
    const world = new World('allkeys-lru')
    for (let i = 0; i < 200; i++) {
      world.set(`k${i}`)
      world.nowMs += 10_000
    }
    // The oldest is used again.
    world.db.nowMs = world.nowMs
    world.db.string('k0')
    world.eviction.run(half(world), 5)
    const left = world.left(200)
    // By chance it would be 100.
    expect(mean(left)).toBeGreaterThan(135)
    expect(left).toContain(0)
  })

  it('prefers the keys that were used least often', () => {
    const world = new World('allkeys-lfu')
    world.fill(200)
    for (let i = 100; i < 200; i++) for (let times = 0; times < 200; times++) world.db.string(`k${i}`)
    world.eviction.run(half(world), 5)
    expect(world.left(200).filter((i) => i >= 100).length).toBeGreaterThan(90)
  })

  it('prefers the keys that expire first', () => {
    const world = new World('volatile-ttl')
    world.fill(200, (i) => (1 + i) * 60_000)
    world.eviction.run(half(world), 5)
    expect(mean(world.left(200))).toBeGreaterThan(135)
  })

  it.each(evictionPolicies.filter((policy) => policy.startsWith('volatile-')))(
    'leaves keys without a TTL alone: %s',
    (policy) => {
      const world = new World(policy)
      world.fill(100, (i) => (i % 2 === 0 ? 60_000 : Number.POSITIVE_INFINITY))
      expect(world.eviction.run(0, 5)).toBe(false)
      expect(world.left(100)).toEqual(Array.from({ length: 50 }, (_, i) => 2 * i + 1))
      expect(world.eviction.canEvict).toBe(false)
    },
  )

  it.each(evictionPolicies.filter((policy) => policy.startsWith('allkeys-')))(
    'can empty the database: %s',
    (policy) => {
      const world = new World(policy)
      world.fill(100, (i) => (i % 2 === 0 ? 60_000 : Number.POSITIVE_INFINITY))
      expect(world.eviction.run(0, 5)).toBe(true)
      expect([world.db.size, world.db.usedBytes, world.eviction.evictedKeys]).toEqual([0, 0, 100])
    },
  )

  it('does nothing without a policy', () => {
    const world = new World('noeviction')
    world.fill(10)
    expect(world.eviction.run(0, 5)).toBe(false)
    expect(world.db.size).toBe(10)
  })

  it('takes what has expired, too', () => {
    const world = new World('volatile-lru')
    world.fill(10, () => 10)
    world.nowMs += 1000
    world.db.nowMs = world.nowMs
    expect(world.eviction.run(0, 5)).toBe(true)
  })

  it('forgets candidates of another policy, and those that are no candidates any more', () => {
    const world = new World('volatile-lru')
    world.fill(5, () => 60_000)
    world.eviction.run(world.db.usedBytes - 1, 5)
    // Four of them are in the pool.
    world.change((write) => {
      for (const i of world.left(5)) write.expire(`k${i}`, Number.POSITIVE_INFINITY)
    })
    world.set('k9', 60_000)
    world.eviction.run(0, 5)
    expect(world.left(10)).toHaveLength(4)
    world.eviction.policy = 'allkeys-lru'
    expect(world.eviction.run(0, 5)).toBe(true)
    expect(world.left(10)).toEqual([])
  })

  it('stops when its time is over, and goes on the next time', () => {
    const world = new World('allkeys-lru')
    world.fill(200)
    world.lookMs = 1
    expect(world.eviction.run(0, 5)).toBe(false)
    expect(world.db.size).toBe(196)
    expect(world.eviction.run(0, 5)).toBe(false)
    expect(world.db.size).toBe(192)
  })
})

describe('the memory limit', () => {
  const limited = (policy: EvictionPolicy, world = new World(policy)) => {
    world.fill(200)
    const memorySizeBytes = 2 * world.db.usedBytes
    const settings = { memorySizeBytes, evictionPolicy: policy, evictionSamples: 5 }
    const memory = new Memory(world.db, world.eviction, () => 1000, 2, settings, world.logger)
    return { world, memory, settings }
  }

  it('is shared by the shards', () => {
    const { memory, settings } = limited('noeviction')
    // Half of it is this shard's, and all of that is used.
    expect(memory.makeRoom()).toBe("OOM command not allowed when used memory > 'maxmemory'.")
    memory.configure({ ...settings, memorySizeBytes: (settings.memorySizeBytes / 0.95) * 1.001 })
    expect(memory.makeRoom()).toBeNull()
    memory.configure({ ...settings, memorySizeBytes: 0 })
    expect(memory.makeRoom()).toBeNull()
  })

  it('makes room for a command just below the line', () => {
    const { memory, world } = limited('allkeys-lru')
    const line = world.db.usedBytes * 0.95
    expect(memory.makeRoom()).toBeNull()
    expect(world.db.usedBytes).toBeLessThan(line)
    expect(world.db.usedBytes).toBeGreaterThan(line - 2_000)
  })

  it('lets one slow slice a turn hold commands up, and refuses the rest', () => {
    const { memory, world, settings } = limited('allkeys-lru')
    memory.configure({ ...settings, memorySizeBytes: settings.memorySizeBytes / 2 })
    world.lookMs = 1
    const evictedBy = (): number => {
      const before = world.eviction.evictedKeys
      expect(memory.makeRoom()).toMatch(/^OOM/)
      return world.eviction.evictedKeys - before
    }
    expect([evictedBy(), evictedBy(), evictedBy()]).toEqual([4, 0, 0])
    memory.judge()
    expect([evictedBy(), evictedBy()]).toEqual([4, 0])
  })

  it('refuses nothing below 100 % while there is something to evict', () => {
    const { memory, world, settings } = limited('volatile-lru')
    expect(memory.makeRoom()).toMatch(/^OOM/)
    for (let i = 0; i < 10; i++) world.change((write) => write.expire(`k${i}`, world.nowMs + 60_000))
    // A TTL takes some bytes, too.
    memory.configure({ ...settings, memorySizeBytes: 2 * world.db.usedBytes })
    world.lookMs = 2
    const line = world.db.usedBytes * 0.95
    expect(memory.makeRoom()).toBeNull()
    expect(world.db.usedBytes).toBeGreaterThan(line)
    // Until there is nothing left.
    world.lookMs = 0
    memory.judge()
    world.fill(10)
    for (let i = 10; i < 20; i++) world.set(`more${i}`)
    expect(memory.makeRoom()).toMatch(/^OOM/)
  })

  it('evicts in the background down to 80 %, and says when that is urgent', () => {
    const { memory, world } = limited('allkeys-lru')
    const limit = world.db.usedBytes
    world.lookMs = 1
    expect(memory.isUrgent).toBe(true)
    for (let slice = 0; slice < 100 && memory.isUrgent; slice++) memory.evict()
    expect(world.db.usedBytes).toBeLessThanOrEqual(limit * 0.9)
    expect(world.db.usedBytes).toBeGreaterThan(limit * 0.85)
    for (let slice = 0; slice < 100; slice++) memory.evict()
    expect(world.db.usedBytes).toBeLessThanOrEqual(limit * 0.8)
    expect(world.db.usedBytes).toBeGreaterThan(limit * 0.8 - 2_000)
  })

  it('pauses the intake at 100 % and lets it go on a little below', () => {
    const { memory, world } = limited('noeviction')
    memory.judge()
    expect(memory.intakePaused).toBe(true)
    const del = (name: string) => world.change((write) => write.delete(name))
    del('k0')
    memory.judge()
    expect(memory.intakePaused).toBe(true)
    for (let i = 1; i < 10; i++) del(`k${i}`)
    memory.judge()
    expect(memory.intakePaused).toBe(false)
    expect(world.logger.lines.map(({ message }) => message)).toEqual([
      'the memory limit is reached: operations of peers wait',
      'there is memory again: operations of peers are taken',
    ])
  })

  it('remembers the most that was used', () => {
    const { memory, world } = limited('allkeys-lru')
    memory.judge()
    const peakBytes = memory.totalBytes
    world.eviction.run(0, 5)
    memory.judge()
    expect(memory.peakBytes).toBe(peakBytes)
    expect(memory.totalBytes).toBe(1000)
  })
})
