/**
 * What several clusters give of one group while their operations travel: each gives every entry once, of whatever cluster and
 * however late it arrives, unless somebody has acknowledged it somewhere; and never a second time.
 */
import { expect, test } from 'vitest'
import { slotOfKey } from '#protocol/slots/crc16.ts'
import { RecordKind, type RecordPart, RecordReader } from '#protocol/sync/record.ts'
import { originOfCluster } from '#protocol/sync/stamp.ts'
import { ByteWriter } from '#runtime/bytes/byteWriter.ts'
import { Keyspace } from '#server/store/keyspace.ts'
import { HandlerDatabase } from '#test/commands/handlerDatabase.ts'
import { decodeReply, type Reply } from '#test/compat/reply.ts'
import { SeededRandom, seedFromEnv } from '#test/seed.ts'

const slot = slotOfKey('s')
const clusters = [1, 2, 3]
const ranges = [{ first: 0, last: 16383 }]
const startMs = Date.UTC(2026, 0, 1)

interface Operation {
  bytes: Uint8Array
  part: RecordPart
}

class Cluster {
  readonly id: number
  /** Everything it has logged: operations, its own and others', and what its groups did. */
  readonly log: Uint8Array[] = []
  readonly own: Operation[] = []
  /** How many of each other's operations it has got. */
  readonly got = new Map<Cluster, number>()
  readonly given: string[] = []
  readonly acked = new Set<string>()
  /** Somebody has put its group elsewhere. */
  wasMoved = false
  readonly #skewMs: number
  #database: HandlerDatabase

  constructor(id: number, random: SeededRandom) {
    this.id = id
    this.#skewMs = random.below(30)
    this.#database = this.#start()
  }

  get db(): Keyspace {
    return this.#database.keyspace
  }

  #start(): HandlerDatabase {
    const keyspace = new Keyspace({ origin: originOfCluster(this.id), ranges })
    return new HandlerDatabase({ keyspace, clusterId: this.id, streamIdMode: 'strict' })
  }

  run(nowMs: number, ...request: string[]): Reply {
    const [reply] = this.#database.execute([request], nowMs + this.#skewMs)
    const { logged } = this.#database
    const reader = new RecordReader()
    for (let at = 0; at < logged.length; ) {
      const end = reader.read(logged, at, logged.length)
      const bytes = logged.slice(at, end)
      this.log.push(bytes)
      if (reader.kind === RecordKind.operations) this.own.push(operationOf(bytes))
      at = end
    }
    return decodeReply(reply as Uint8Array)
  }

  /** The next operation of the other, if its time has come. */
  receive(from: Cluster): boolean {
    const count = this.got.get(from) ?? 0
    const next = from.own[count]
    if (next === undefined || !this.#mayApply(next)) return false
    this.got.set(from, count + 1)
    if (this.db.vectors.covers(slot, next.part.last)) return true
    this.db.apply(next.part, next.bytes)
    this.log.push(next.bytes)
    return true
  }

  #mayApply({ part }: Operation): boolean {
    return part.context.every((stamp, origin) => stamp <= this.db.vectors.get(slot, origin))
  }

  merge(from: Cluster): void {
    const writer = new ByteWriter()
    from.db.encodeSlot(slot, writer)
    const bytes = writer.take()
    this.db.mergeSlot(slot, from.db.vectors.of(slot).slice(), bytes, 0, bytes.length)
    // A start must find it, too: it isn't in the log of this test.
    this.#mergedAt = this.log.length
  }

  #mergedAt = -1

  /** A disk without data: the others have the rest. */
  lose(): void {
    this.#database = this.#start()
    this.log.length = 0
  }

  /** By its log, if that has all of it. */
  restart(): void {
    if (this.#mergedAt >= 0) return
    this.#database = this.#start()
    const reader = new RecordReader()
    for (const bytes of this.log) {
      reader.read(bytes, 0, bytes.length)
      if (reader.kind === RecordKind.group)
        this.db.applyGroupChanges(reader.slot, bytes, reader.stateStart, reader.stateEnd)
      else this.db.apply(reader.parts[0] as RecordPart, bytes)
    }
  }

  read(nowMs: number, count: number): number {
    const consumer = `c${this.given.length % 2}`
    const reply = this.run(
      nowMs,
      'XREADGROUP',
      'GROUP',
      'g',
      consumer,
      'COUNT',
      String(count),
      'STREAMS',
      's',
      '>',
    )
    const entries = reply.items[0]?.items[1]?.items ?? []
    for (const entry of entries) this.given.push(entry.items[0]?.text ?? '')
    return entries.length
  }

  acknowledge(nowMs: number, random: SeededRandom): void {
    const pending = this.run(nowMs, 'XPENDING', 's', 'g', '-', '+', '30').items.map(
      ({ items }) => items[0]?.text ?? '',
    )
    // Mostly from the first on: that is what others are told of.
    const inOrder = random.chance(0.6)
    const ids = pending.filter((_, i) => (inOrder ? i < 4 : random.chance(0.3)))
    if (ids.length === 0) return
    this.run(nowMs, 'XACK', 's', 'g', ...ids)
    for (const id of ids) this.acked.add(id)
  }

  move(nowMs: number, random: SeededRandom): void {
    this.run(nowMs, 'XGROUP', 'SETID', 's', 'g', random.pick(['0', '$']))
    this.wasMoved = true
  }
}

function operationOf(bytes: Uint8Array): Operation {
  const reader = new RecordReader()
  reader.read(bytes, 0, bytes.length)
  return { bytes, part: reader.parts[0] as RecordPart }
}

class World {
  readonly random: SeededRandom
  readonly clusters: readonly Cluster[]
  readonly added: string[] = []
  nowMs = startMs

  constructor(random: SeededRandom) {
    this.random = random
    this.clusters = clusters.map((id) => new Cluster(id, random))
    const [first] = this.clusters
    first?.run(this.nowMs, 'XGROUP', 'CREATE', 's', 'g', '0', 'MKSTREAM')
    this.heal()
  }

  /** `quiet`: nobody loses what is pending, or moves the group. */
  step(quiet: boolean): void {
    const { random, nowMs } = this
    this.nowMs += random.below(10)
    const cluster = random.pick(this.clusters)
    const other = random.pick(this.clusters)
    const roll = random.below(100)
    if (roll < 25) this.added.push(cluster.run(nowMs, 'XADD', 's', '*', 'f', 'v').text)
    else if (roll < 55) cluster.receive(other)
    else if (roll < 75) cluster.read(nowMs, 1 + random.below(4))
    else if (roll < 94) cluster.acknowledge(nowMs, random)
    else if (roll < 96) cluster.restart()
    else if (roll < 97) {
      if (cluster !== other) cluster.merge(other)
    } else if (!quiet && roll < 98) cluster.run(nowMs, 'XGROUP', 'DELCONSUMER', 's', 'g', 'c0')
    else if (!quiet && roll < 99) cluster.move(nowMs, random)
  }

  heal(): void {
    for (let moved = true; moved; ) {
      moved = false
      for (const to of this.clusters) for (const from of this.clusters) while (to.receive(from)) moved = true
    }
  }

  check(): void {
    this.heal()
    for (const cluster of this.clusters) while (cluster.read(this.nowMs, 10) > 0);
    const acked = new Set(this.clusters.flatMap((cluster) => [...cluster.acked]))
    const digests = this.clusters.map(({ db }) => db.slotDigest(slot))
    for (const { given, wasMoved, log } of this.clusters) {
      if (wasMoved) continue
      expect(this.added.filter((id) => !given.includes(id) && !acked.has(id))).toEqual([])
      expect(given).toHaveLength(new Set(given).size)
      expect(log.length).toBeGreaterThan(0)
    }
    this.heal()
    expect(new Set(digests).size).toBe(1)
  }

  /** Entries that a cluster has not given, as somebody had acknowledged them elsewhere. */
  get spared(): number {
    return this.clusters.reduce(
      (sum, { given }) => sum + this.added.filter((id) => !given.includes(id)).length,
      0,
    )
  }
}

for (const [what, quiet] of [
  ['reads and acknowledges', true],
  ['loses consumers and moves the group as well', false],
] as const) {
  test(`of a group that ${what}, no entry is passed over`, () => {
    const random = new SeededRandom(seedFromEnv())
    let spared = 0
    for (let run = 0; run < 150; run++) {
      const world = new World(random)
      for (let step = 0; step < 120; step++) world.step(quiet)
      world.check()
      spared += world.spared
    }
    expect(spared).toBeGreaterThan(150)
  })
}

test('what a cluster has acknowledged stays so when it loses its data and goes on', () => {
  const [one, other, third] = clusters.map((id) => new Cluster(id, new SeededRandom(1)))
  if (one === undefined || other === undefined || third === undefined) throw new Error('three clusters')
  const use = (nowMs: number): void => {
    one.run(nowMs, 'XADD', 's', '*', 'f', 'v')
    expect(one.read(nowMs, 10)).toBe(1)
    one.acknowledge(nowMs, new SeededRandom(3))
  }
  one.run(startMs, 'XGROUP', 'CREATE', 's', 'g', '0', 'MKSTREAM')
  for (const later of [1, 2, 3]) use(startMs + later)
  expect(one.acked.size).toBe(3)
  other.merge(one)
  one.lose()
  one.merge(other)
  for (const later of [1000, 2000]) use(startMs + later)
  expect(one.acked.size).toBe(5)
  third.merge(one)
  expect(third.read(startMs, 10)).toBe(0)
  expect(one.run(startMs, 'XPENDING', 's', 'g').items[0]?.text).toBe('0')
})
