/** Sorted sets beside plain maps, in all their forms: packed in the entry, spelled out, with counters, in conflict. */
import { describe, expect, test } from 'vitest'
import { slotCount, slotOfKey } from '#protocol/slots/crc16.ts'
import { RecordReader } from '#protocol/sync/record.ts'
import { originOfCluster, StampClock } from '#protocol/sync/stamp.ts'
import { ByteWriter } from '#runtime/bytes/byteWriter.ts'
import { Keyspace } from '#server/store/keyspace.ts'
import { packedElementsMax } from '#server/store/packedValue.ts'
import { Transaction } from '#server/store/transaction.ts'
import { SeededRandom, seedFromEnv } from '#test/seed.ts'

const startMs = Date.UTC(2026, 0, 1)
const slot = slotOfKey('z')

class Database {
  readonly db: Keyspace
  readonly records: Uint8Array[] = []
  readonly #transaction: Transaction

  constructor(cluster = 1) {
    const origin = originOfCluster(cluster)
    this.db = new Keyspace({ origin, ranges: [{ first: 0, last: slotCount - 1 }] })
    this.#transaction = new Transaction(this.db, new StampClock(origin))
  }

  write<T>(intent: (transaction: Transaction) => T): T {
    this.#transaction.begin(startMs)
    const result = intent(this.#transaction)
    const writer = new ByteWriter()
    if (this.#transaction.finish(writer)) this.records.push(writer.take())
    return result
  }

  add(member: string, score: number, tag?: 'GT' | 'LT'): void {
    this.write((transaction) => transaction.zsetAdd('z', member, score, tag))
  }

  increment(member: string, by: number): number {
    return this.write((transaction) => transaction.zsetIncrement('z', member, by))
  }

  remove(...members: string[]): number {
    return this.write((transaction) => transaction.zsetRemove('z', members))
  }

  score(member: string): number | undefined {
    return this.db.sortedSet('z')?.score(member)
  }

  get isPacked(): boolean {
    const { tables } = this.db
    return tables.isPacked(tables.findText('z'))
  }

  /** What `other` has written since `from`. */
  receive(other: Database, from = 0): void {
    const reader = new RecordReader()
    for (const record of other.records.slice(from)) {
      reader.read(record, 0, record.length)
      for (let at = 0; at < reader.partCount; at++) {
        const part = reader.parts[at]
        if (part !== undefined && part.last > this.db.vectors.get(part.slot, part.origin))
          this.db.apply(part, record)
      }
    }
  }

  /** A copy that has come by a slot state. */
  copy(cluster: number): Database {
    const copy = new Database(cluster)
    const writer = new ByteWriter()
    this.db.encodeSlot(slot, writer)
    copy.db.mergeSlot(slot, this.db.vectors.of(slot).slice(), writer.bytes, 0, writer.length)
    return copy
  }

  /** Every look says what the model says. */
  check(model: ReadonlyMap<string, number>, random: SeededRandom): void {
    const view = this.db.sortedSet('z')
    const sorted = [...model].sort((a, b) => a[1] - b[1] || (a[0] < b[0] ? -1 : 1))
    expect(view?.size ?? 0).toBe(sorted.length)
    if (view === undefined) return
    expect([...view.range(0, sorted.length)]).toEqual(sorted)
    const start = random.below(sorted.length)
    const end = start + random.below(sorted.length + 3)
    expect([...view.range(start, end)]).toEqual(sorted.slice(start, end))
    expect([...view.rangeReversed(start, end)]).toEqual(sorted.slice(start, end).reverse())
    sorted.forEach(([member, score], at) => {
      expect([view.has(member), view.score(member), view.rank(member)]).toEqual([true, score, at])
    })
    expect([view.has('absent'), view.score('absent'), view.rank('absent')]).toEqual([
      false,
      undefined,
      undefined,
    ])
    const bound = random.pick(sorted)[1] + random.pick([-0.5, 0, 0.5])
    expect(view.countBelow(bound, false)).toBe(sorted.filter(([, score]) => score < bound).length)
    expect(view.countBelow(bound, true)).toBe(sorted.filter(([, score]) => score <= bound).length)
    expect(model.has(view.randomMember(random))).toBe(true)
    const scanned = new Map<string, number>()
    let at = 0
    do at = view.scan(at, 10, (member, score) => scanned.set(member, score))
    while (at !== 0)
    expect(scanned).toEqual(model)
  }
}

interface Mix {
  name: string
  counting: number
  longNames?: boolean
  timed?: boolean
}

const mixes: Mix[] = [
  { name: 'writes only', counting: 0 },
  { name: 'writes only, with a TTL', counting: 0, timed: true },
  { name: 'writes and a few increments', counting: 0.05 },
  { name: 'mostly increments', counting: 0.8, timed: true },
  { name: 'long names', counting: 0.1, longNames: true },
]

describe('a sorted set is like a map in order', () => {
  test.each(mixes)('$name', ({ counting, longNames, timed }) => {
    const random = new SeededRandom(seedFromEnv())
    const database = new Database()
    const model = new Map<string, number>()
    let [packed, full] = [0, 0]
    for (let step = 0; step < 4_000; step++) {
      const prefix = longNames ? 'n'.repeat(random.below(random.chance(0.01) ? 1_500 : 30)) : ''
      const member = prefix + random.below(packedElementsMax * 3)
      const growing = Math.floor(step / 700) % 2 === 0
      if (random.chance(growing ? 0.75 : 0.2)) {
        const score = random.pick([random.below(5), random.below(1000) / 4, -random.below(9), 1e300])
        if (random.chance(counting)) {
          const sum = (model.get(member) ?? -0) + score
          expect(database.increment(member, score)).toBe(sum)
          model.set(member, sum)
        } else {
          database.add(member, score, random.pick([undefined, 'GT', 'LT']))
          model.set(member, score)
        }
      } else {
        // One that is there, mostly: small ones are to come again.
        const members = [
          random.pick([...model.keys(), member]),
          String(random.below(packedElementsMax)),
          member,
        ]
        const there = [...new Set(members)].filter((name) => model.delete(name)).length
        expect(database.remove(...members)).toBe(there)
      }
      if (timed && random.chance(0.05))
        database.write((transaction) => transaction.expire('z', startMs + 99_000))
      if (random.chance(0.001)) {
        database.write((transaction) => transaction.delete('z'))
        model.clear()
      }
      if (model.size > 0) database.isPacked ? packed++ : full++
      if (step % 40 === 0) database.check(model, random)
    }
    expect(full).toBeGreaterThan(5)
    if (counting < 0.1) expect(packed).toBeGreaterThan(5)
    database.check(model, random)
    const copy = database.copy(2)
    copy.check(model, random)
    expect(copy.db.slotDigest(slot)).toBe(database.db.slotDigest(slot))
    const later = new Database(2)
    later.receive(database)
    later.check(model, random)
    expect(later.db.slotDigest(slot)).toBe(database.db.slotDigest(slot))
    database.write((transaction) => transaction.delete('z'))
    database.db.dropResidues({
      changes: 1,
      inSlot: () => ({ members: [database.db.origin], stamp: () => Number.MAX_SAFE_INTEGER }),
    })
    const { size, expiring, residues, usedBytes } = database.db
    expect([size, expiring, residues, usedBytes]).toEqual([0, 0, 0, 0])
  })
})

describe('scores', () => {
  test('negative zero stays, and is equal to zero', () => {
    const database = new Database()
    for (const member of ['b', 'a', 'c']) database.add(member, member === 'b' ? -0 : 0)
    expect(database.score('b')).toBe(-0)
    expect(database.db.sortedSet('z')?.rank('b')).toBe(1)
    expect(database.db.sortedSet('z')?.countBelow(0, true)).toBe(3)
    expect([database.increment('b', -0), database.increment('d', -0)]).toEqual([-0, -0])
    expect(database.copy(2).score('d')).toBe(-0)
    expect(database.increment('d', 0)).toBe(0)
    expect(database.score('b')).toBe(-0)
  })

  test('an increment shows what a client computes, rounding and all', () => {
    const random = new SeededRandom(seedFromEnv())
    const database = new Database()
    let differing = 0
    for (let step = 0; step < 2_000; step++) {
      if (random.chance(0.1)) database.add('m', random.fraction() * 10 ** random.below(10))
      const before = database.score('m') ?? 0
      const by = (random.fraction() - 0.5) * 10 ** random.below(10)
      if (database.increment('m', by) !== before + by) differing++
    }
    expect(differing).toBe(0)
    const copy = database.copy(2)
    expect(copy.score('m')).toBe(database.score('m'))
    expect(copy.db.slotDigest(slot)).toBe(database.db.slotDigest(slot))
  })

  test('the greatest of concurrent scores with GT shows, the least of those with LT, else the last', () => {
    const cases: [
      first: [number, 'GT' | 'LT' | undefined],
      second: [number, 'GT' | 'LT' | undefined],
      shown: number,
    ][] = [
      [[5, 'GT'], [3, 'GT'], 5],
      [[3, 'LT'], [5, 'LT'], 3],
      [[5, 'GT'], [3, 'LT'], 3],
      [[5, 'GT'], [3, undefined], 3],
      [[5, undefined], [3, undefined], 3],
      [[5, undefined], [3, 'GT'], 3],
    ]
    for (const [[x, xTag], [y, yTag], shown] of cases) {
      // The smaller cluster id is the later on an equal time.
      const [a, b] = [new Database(2), new Database(1)]
      a.add('m', x, xTag)
      b.add('m', y, yTag)
      a.receive(b)
      b.receive(a)
      expect([a.score('m'), b.score('m')]).toEqual([shown, shown])
      expect([...(a.db.sortedSet('z')?.range(0, 1) ?? [])]).toEqual([['m', shown]])
    }
  })

  test('ZADD concurrent with ZINCRBY: the increment is on top; a reset takes what it saw', () => {
    const [a, b] = [new Database(1), new Database(2)]
    a.add('m', 1)
    b.receive(a)
    a.add('m', 10)
    expect(b.increment('m', 2)).toBe(3)
    a.receive(b)
    b.receive(a)
    expect([a.score('m'), b.score('m')]).toEqual([12, 12])
    a.remove('m')
    b.increment('m', 5)
    a.receive(b)
    b.receive(a)
    expect([a.score('m'), b.score('m')]).toEqual([5, 5])
  })
})

describe('infinities', () => {
  const infinity = Number.POSITIVE_INFINITY

  test('of opposite signs, concurrently: the later one shows, everywhere', () => {
    const [a, b, c] = [new Database(1), new Database(2), new Database(3)]
    b.increment('m', infinity)
    a.increment('m', -infinity)
    for (const to of [a, b, c]) for (const from of [b, a]) if (to !== from) to.receive(from)
    expect([a, b, c].map((database) => database.score('m'))).toEqual([-infinity, -infinity, -infinity])
    // Adding to it changes nothing.
    expect(b.increment('m', 1)).toBe(-infinity)
    a.receive(b)
    expect([a.score('m'), b.score('m')]).toEqual([-infinity, -infinity])
    expect(a.db.slotDigest(slot)).toBe(b.db.slotDigest(slot))
    expect(a.copy(4).score('m')).toBe(-infinity)
    expect([...(a.db.sortedSet('z')?.range(0, 9) ?? [])]).toEqual([['m', -infinity]])
  })

  test('a base and a part', () => {
    const [a, b] = [new Database(1), new Database(2)]
    b.add('m', infinity)
    a.increment('m', -infinity)
    a.receive(b)
    b.receive(a)
    expect([a.score('m'), b.score('m')]).toEqual([-infinity, -infinity])
    expect(b.copy(3).score('m')).toBe(-infinity)
    a.add('m', 3)
    b.receive(a)
    expect([a.score('m'), b.score('m')]).toEqual([3, 3])
  })

  test('what was infinite has been reset: nothing is left, whatever came after', () => {
    const [a, b] = [new Database(1), new Database(2)]
    a.increment('m', infinity)
    b.receive(a)
    b.remove('m')
    a.increment('m', 5)
    a.receive(b)
    b.receive(a)
    expect([a.score('m'), b.score('m')]).toEqual([0, 0])
    expect(a.db.slotDigest(slot)).toBe(b.db.slotDigest(slot))
    expect(a.increment('m', 2)).toBe(2)
  })

  test("a part's own infinity turns round", () => {
    const [a, b] = [new Database(1), new Database(2)]
    b.add('m', -infinity)
    a.increment('m', infinity)
    b.receive(a)
    a.receive(b)
    const shown = a.score('m') as number
    const other = a.increment('m', shown)
    expect(other).toBe(shown)
    b.receive(a)
    expect(b.score('m')).toBe(shown)
  })
})

test('a scan meets what stays, while members come and go', () => {
  const random = new SeededRandom(seedFromEnv())
  const database = new Database()
  for (let at = 0; at < 2_000; at++) database.add(`stays${at}`, random.below(99))
  const met = new Set<string>()
  let position = 0
  do {
    const view = database.db.sortedSet('z')
    position = view?.scan(position, 10, (member) => met.add(member)) ?? 0
    database.add(`new${random.below(1e6)}`, 1)
    database.increment(`stays${random.below(2_000)}`, 1)
    database.remove(`new${random.below(1e6)}`)
  } while (position !== 0)
  for (let at = 0; at < 2_000; at++) expect(met.has(`stays${at}`)).toBe(true)
})

test('replicas have the same bits, whatever was rounded or infinite, and no score is NaN', () => {
  const seed = seedFromEnv()
  const infinities = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]
  for (let run = 0; run < 40; run++) {
    const random = new SeededRandom(seed + run)
    const databases = [1, 2, 3].map((cluster) => new Database(cluster))
    const double = (): number =>
      random.chance(0.03) ? random.pick(infinities) : (random.fraction() - 0.5) * 10 ** random.below(12)
    const change = (database: Database): void => {
      const member = random.pick(['a', 'b', 'c'])
      if (random.chance(0.15)) database.remove(member)
      else if (random.chance(0.25)) database.add(member, double(), random.pick([undefined, 'GT', 'LT']))
      else {
        const by = double()
        if (!Number.isNaN((database.score(member) ?? 0) + by)) database.increment(member, by)
      }
    }
    for (let round = 0; round < 30; round++) {
      for (const database of databases) for (let count = random.below(4); count > 0; count--) change(database)
      for (const to of databases) for (const from of databases) if (to !== from) to.receive(from)
      const [first, ...others] = databases as [Database, ...Database[]]
      const shown = [...(first.db.sortedSet('z')?.range(0, 9) ?? [])]
      for (const other of [...others, first.copy(4)]) {
        expect([...(other.db.sortedSet('z')?.range(0, 9) ?? [])], `seed ${seed + run}`).toEqual(shown)
        expect(other.db.slotDigest(slot)).toBe(first.db.slotDigest(slot))
      }
      for (const [, score] of shown) expect(score).not.toBeNaN()
    }
  }
})

test('DEL takes what its cluster saw, and leaves what it did not', () => {
  for (const unseen of [3, 90]) {
    const [a, b] = [new Database(1), new Database(2)]
    for (let at = 0; at < 100; at++) at % 5 === 0 ? a.increment(`seen${at}`, at) : a.add(`seen${at}`, at)
    b.receive(a)
    for (let at = 0; at < unseen; at++) b.add(`unseen${at}`, at)
    b.add('seen1', 1000)
    b.increment('seen2', 7)
    b.increment('seen5', 9)
    a.write((transaction) => transaction.delete('z'))
    a.receive(b)
    b.receive(a)
    const model = new Map<string, number>([
      ['seen1', 1000],
      ['seen2', 7],
      ['seen5', 9],
    ])
    for (let at = 0; at < unseen; at++) model.set(`unseen${at}`, at)
    for (const database of [a, b]) database.check(model, new SeededRandom(unseen))
    expect(a.db.slotDigest(slot)).toBe(b.db.slotDigest(slot))
  }
})

describe('what it costs', () => {
  test('a large one takes little memory, counted or not, and goes in one step', () => {
    const count = 100_000
    for (const counted of [false, true]) {
      const database = new Database()
      for (let at = 0; at < count; at++) {
        const member = `member:${String(at).padStart(9, '0')}`
        database.write((transaction) => {
          if (counted) transaction.zsetIncrement('z', member, (at * 7919) % count)
          else transaction.zsetAdd('z', member, (at * 7919) % count)
        })
      }
      expect(database.db.usedBytes / count).toBeLessThan(counted ? 85 : 75)
      expect([...(database.db.sortedSet('z')?.range(0, 3) ?? [])].map(([, score]) => score)).toEqual([
        0, 1, 2,
      ])
      if (counted) continue
      const started = performance.now()
      database.write((transaction) => transaction.delete('z'))
      expect(performance.now() - started).toBeLessThan(20)
      expect(database.db.usedBytes).toBe(0)
    }
  })

  test('many small ones take little memory', () => {
    const database = new Database()
    const count = 2_000
    for (let at = 0; at < count; at++)
      database.write((transaction) =>
        transaction.zsetAdd(`zset:${String(at).padStart(11, '0')}`, 'member', at),
      )
    expect(database.db.usedBytes / count).toBeLessThan(90)
  })
})

test('names of the encodings', () => {
  const database = new Database()
  for (let at = 0; at < 128; at++) database.add(String(at), at)
  expect(database.db.encoding('z')).toBe('listpack')
  database.add('x', 1)
  expect(database.db.encoding('z')).toBe('skiplist')
  database.remove('x')
  expect(database.db.encoding('z')).toBe('listpack')
  database.remove('1')
  database.add('n'.repeat(65), 1)
  expect(database.db.encoding('z')).toBe('skiplist')
})
