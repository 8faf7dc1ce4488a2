/** Streams as handlers write and read them, in one cluster and in several; the vectors are those of Active-Active's documents. */
import { describe, expect, test } from 'vitest'
import { errors, ReplyError } from '#protocol/resp/errors.ts'
import { slotCount, slotOfKey } from '#protocol/slots/crc16.ts'
import { RecordReader } from '#protocol/sync/record.ts'
import { originOfCluster, StampClock } from '#protocol/sync/stamp.ts'
import { formatId, idOf, maxId, minId, type StreamId } from '#protocol/sync/streamId.ts'
import { ByteReader, FormatError } from '#runtime/bytes/byteReader.ts'
import { ByteWriter } from '#runtime/bytes/byteWriter.ts'
import { StreamState } from '#server/crdt/stream.ts'
import { Keyspace } from '#server/store/keyspace.ts'
import { Transaction } from '#server/store/transaction.ts'

const startMs = Date.UTC(2026, 0, 1)
const one = originOfCluster(1)

class Cluster {
  readonly db: Keyspace
  nowMs = startMs
  readonly records: Uint8Array[] = []
  readonly #transaction: Transaction
  readonly #received: Map<Cluster, number> = new Map()

  constructor(id = 1) {
    const origin = originOfCluster(id)
    this.db = new Keyspace({ origin, ranges: [{ first: 0, last: slotCount - 1 }] })
    this.#transaction = new Transaction(this.db, new StampClock(origin))
  }

  write<T>(intent: (transaction: Transaction) => T): T {
    this.#transaction.begin(this.nowMs)
    const result = intent(this.#transaction)
    const record = new ByteWriter()
    if (this.#transaction.finish(record)) this.records.push(record.take())
    return result
  }

  add(...ids: number[]): void {
    for (const ms of ids)
      this.write((write) => write.streamAdd('x', [{ id: idOf(ms, 0), fields: ['f', 'v'] }]))
  }

  receive(from: Cluster): void {
    const reader = new RecordReader()
    for (const bytes of from.records.slice(this.#received.get(from) ?? 0)) {
      reader.read(bytes, 0, bytes.length)
      for (const part of reader.parts.slice(0, reader.partCount)) this.db.apply(part, bytes)
    }
    this.#received.set(from, from.records.length)
  }

  get ids(): string[] {
    return [...(this.db.stream('x')?.range(minId, maxId) ?? [])].map(({ id }) => formatId(id))
  }

  get groups(): string[] {
    return [...(this.db.stream('x')?.groups() ?? [])].map(({ name }) => name)
  }

  create(group: string, start: StreamId | 'end' = minId): void {
    this.write((write) => write.streamCreateGroup('x', group, start))
  }
}

/** Everything gets everywhere. */
function exchange(...clusters: Cluster[]): void {
  for (const a of clusters) for (const b of clusters) if (a !== b) b.receive(a)
}

describe('one cluster', () => {
  test('a stream tells what has happened to it, and stays when its entries are gone', () => {
    const { db, write, add } = bound(new Cluster())
    add(5, 6, 7)
    const stream = db.stream('x')
    expect([stream?.size, stream?.entriesAdded, formatId(stream?.lastId ?? minId)]).toEqual([3, 3, '7-0'])
    expect(write((w) => w.streamDelete('x', [idOf(6, 0), idOf(6, 0), idOf(9, 0)]))).toBe(1)
    expect(write((w) => w.streamTrim('x', idOf(7, 0)))).toBe(2)
    expect(write((w) => w.streamTrim('x', maxId))).toBe(0)
    expect([db.type('x'), db.size, db.stream('x')?.size]).toEqual(['stream', 1, 0])
    expect(db.stream('x')?.entriesAdded).toBe(3)
    expect(formatId(db.stream('x')?.maxDeletedId ?? minId)).toBe('6-0')
    expect(write((w) => w.delete('x'))).toBe(true)
    expect([db.type('x'), db.size]).toEqual(['none', 0])
    add(1)
    expect(db.stream('x')?.entriesAdded).toBe(1)
  })

  test('a group makes a stream, and takes it along', () => {
    const cluster = new Cluster()
    const { db, write } = bound(cluster)
    cluster.create('g')
    expect([db.type('x'), db.stream('x')?.size]).toEqual(['stream', 0])
    expect(write((w) => w.streamDestroyGroup('x', 'h'))).toBe(false)
    expect(write((w) => w.streamDestroyGroup('x', 'g'))).toBe(true)
    expect([db.type('x'), db.size]).toEqual(['none', 0])
  })

  test('other types are refused, a SET takes its place', () => {
    const { db, write, add } = bound(new Cluster())
    add(1)
    expect(() => db.list('x')).toThrow(new ReplyError(errors.wrongType))
    write((w) => w.setString('x', 'text', { kind: 'clear' }))
    expect([db.type('x'), db.string('x')]).toEqual(['string', 'text'])
    expect(() => db.stream('x')).toThrow(new ReplyError(errors.wrongType))
  })

  test('a TTL stays with the stream, and a new one has none', () => {
    const cluster = new Cluster()
    const { db, write, add } = bound(cluster)
    add(1)
    write((w) => w.expire('x', startMs + 1_000))
    add(2)
    expect(db.expireAtMs('x')).toBe(startMs + 1_000)
    cluster.nowMs += 1_001
    db.nowMs = cluster.nowMs
    expect(db.stream('x')).toBeUndefined()
    add(1)
    expect([cluster.ids, db.expireAtMs('x')]).toEqual([['1-0'], Number.POSITIVE_INFINITY])
  })

  test('memory is counted as it comes and goes', () => {
    const { db, write } = bound(new Cluster())
    const before = db.usedBytes
    const entries = Array.from({ length: 10_000 }, (_, at) => ({
      id: idOf(at + 1, 0),
      fields: ['field', `${at}`],
    }))
    write((w) => w.streamAdd('x', entries))
    const full = db.usedBytes - before
    expect(full).toBeGreaterThan(10_000 * 8)
    expect(full).toBeLessThan(10_000 * 25)
    expect(db.memoryUsage('x')).toBeGreaterThan(full - 200)
    write((w) => w.streamTrim('x', idOf(9_000, 0)))
    expect(db.usedBytes - before).toBeLessThan(full / 5)
    write((w) => w.delete('x'))
    // What is left says that groups which come late are not to be.
    expect(db.usedBytes - before).toBeLessThan(2_000)
  })

  test('entries of several clusters are found by position', () => {
    const clusters = [new Cluster(1), new Cluster(2), new Cluster(3)]
    for (let round = 0; round < 2_000; round++) clusters[(round * 7) % 3]?.add(round * 2 + 1)
    exchange(...clusters)
    const stream = clusters[0]?.db.stream('x')
    const ids = clusters[0]?.ids ?? []
    expect(ids.length).toBe(2_000)
    for (const position of [0, 1, 127, 128, 1_000, 1_999])
      expect(formatId(stream?.idAt(position) ?? minId)).toBe(ids[position])
    expect([stream?.idAt(-1), stream?.idAt(2_000)]).toEqual([undefined, undefined])
    for (const ms of [0, 1, 2, 1_999, 3_999, 4_000])
      expect(stream?.countBelow(idOf(ms, 0))).toBe(Math.floor(ms / 2))
  })

  test('XTRIM and DEL of many entries are short records', () => {
    const cluster = new Cluster()
    cluster.add(...Array.from({ length: 1_000 }, (_, at) => at + 1))
    cluster.write((w) => w.streamTrim('x', idOf(900, 0)))
    expect(cluster.records.at(-1)?.length).toBeLessThan(60)
    cluster.write((w) => w.delete('x'))
    expect(cluster.records.at(-1)?.length).toBeLessThan(60)
  })
})

describe('several clusters', () => {
  const two = (): [Cluster, Cluster] => [new Cluster(1), new Cluster(2)]

  test('X-1, X-3: concurrent entries all stay, those with one id too, the earlier first', () => {
    const [a, b] = two()
    a.nowMs--
    a.write((w) => w.streamAdd('x', [{ id: idOf(100, 1), fields: ['f1', 'a'] }]))
    b.write((w) => w.streamAdd('x', [{ id: idOf(100, 1), fields: ['f1', 'b'] }]))
    exchange(a, b)
    for (const { db } of [a, b]) {
      expect([...(db.stream('x')?.range(minId, maxId) ?? [])].map(({ fields }) => fields[1])).toEqual([
        'a',
        'b',
      ])
      expect(db.stream('x')?.entriesAdded).toBe(2)
    }
    expect(a.write((w) => w.streamDelete('x', [idOf(100, 1)]))).toBe(2)
  })

  test('X-2: DEL ends what it has seen', () => {
    const [a, b] = two()
    a.add(828)
    exchange(a, b)
    a.write((w) => w.delete('x'))
    b.add(954)
    exchange(a, b)
    for (const cluster of [a, b]) {
      expect(cluster.ids).toEqual(['954-0'])
      expect(cluster.db.stream('x')?.entriesAdded).toBe(1)
    }
  })

  test('X-5: groups are joined; of the same one the lesser start counts', () => {
    const [a, b] = two()
    a.create('group1', idOf(5, 0))
    b.create('group1', idOf(3, 0))
    b.create('group2')
    exchange(a, b)
    for (const { db } of [a, b]) {
      expect([...(db.stream('x')?.groups() ?? [])].map(({ name }) => name)).toEqual(['group1', 'group2'])
      expect(formatId(db.stream('x')?.group('group1')?.start(one) ?? minId)).toBe('3-0')
      expect(db.stream('x')?.group('group1')?.created.length).toBe(2)
    }
  })

  test('X-6: DEL ends groups that it has not seen', () => {
    const [a, b] = two()
    a.create('group1')
    exchange(a, b)
    a.write((w) => w.delete('x'))
    b.create('group2')
    exchange(a, b)
    expect([a.db.type('x'), b.db.type('x')]).toEqual(['none', 'none'])
    b.create('group3')
    exchange(a, b)
    expect([a.groups, b.groups]).toEqual([['group3'], ['group3']])
  })

  test('DEL of entries alone ends groups that it has not seen, too; other types are no concern of theirs', () => {
    const [a, b] = two()
    a.add(1)
    exchange(a, b)
    a.write((w) => w.delete('x'))
    b.create('g')
    exchange(a, b)
    expect([a.groups, b.groups]).toEqual([[], []])
    a.write((w) => w.setString('x', 'text', { kind: 'clear' }))
    a.write((w) => w.delete('x'))
    b.create('g')
    exchange(a, b)
    expect([a.groups, b.groups]).toEqual([['g'], ['g']])
  })

  test('X-7: DESTROY ends a group that is created meanwhile, and with it the stream', () => {
    const [a, b, c] = [new Cluster(1), new Cluster(2), new Cluster(3)]
    a.create('group1')
    exchange(a, b)
    expect([a.groups, b.groups, c.groups]).toEqual([['group1'], ['group1'], []])
    b.write((w) => w.streamDestroyGroup('x', 'group1'))
    c.create('group1')
    exchange(a, b, c)
    expect([a, b, c].map(({ db }) => db.type('x'))).toEqual(['none', 'none', 'none'])
  })

  test("'$' is behind what has been seen of each cluster: what comes late is new", () => {
    const [a, b] = two()
    a.add(130)
    b.add(115)
    a.create('g', 'end')
    exchange(a, b)
    for (const { db } of [a, b]) {
      const group = db.stream('x')?.group('g')
      expect([one, originOfCluster(2)].map((origin) => formatId(group?.start(origin) ?? maxId))).toEqual([
        '130-0',
        '0-0',
      ])
    }
  })

  test('X-9: what is acknowledged counts as far as there is no gap, whoever has said it', () => {
    const [a, b] = two()
    a.add(110, 120, 130, 140)
    a.create('g')
    exchange(a, b)
    const acked = ({ db }: Cluster): string => formatId(db.stream('x')?.group('g')?.ackedUpto(one) ?? maxId)
    const tell = (cluster: Cluster, from: number, upto: number): void => {
      cluster.write((w) => w.streamAcknowledge('x', 'g', one, idOf(from, 0), idOf(upto, 0)))
      exchange(a, b)
    }
    tell(a, 0, 110)
    expect([acked(a), acked(b)]).toEqual(['110-0', '110-0'])
    tell(b, 120, 130)
    expect([acked(a), acked(b)]).toEqual(['110-0', '110-0'])
    tell(a, 0, 120)
    expect([acked(a), acked(b)]).toEqual(['130-0', '130-0'])
    // Another group of that name begins anew.
    a.write((w) => w.streamDestroyGroup('x', 'g'))
    a.create('g')
    exchange(a, b)
    expect([acked(a), acked(b)]).toEqual(['0-0', '0-0'])
  })
})

describe('a delete of a group that is forgotten', () => {
  const slot = slotOfKey('x')
  const everybody = { members: [one, originOfCluster(2)], stamp: () => Number.MAX_SAFE_INTEGER }

  /** B has a group that A has destroyed meanwhile; A knows that of all members, and not that B has lost something. */
  function destroyed(): { a: Cluster; b: Cluster; merge: (from: Cluster, to: Cluster) => boolean } {
    const [a, b] = [new Cluster(1), new Cluster(2)]
    a.create('g')
    exchange(a, b)
    a.write((w) => w.streamDestroyGroup('x', 'g'))
    expect(a.db.dropResidues({ changes: 1, inSlot: () => everybody })).toBe(0)
    const merge = (from: Cluster, to: Cluster): boolean => {
      const writer = new ByteWriter()
      from.db.encodeSlot(slot, writer)
      return to.db.mergeSlot(slot, from.db.vectors.of(slot).slice(), writer.bytes, 0, writer.length)
    }
    return { a, b, merge }
  }

  test('an old state does not bring the group back', () => {
    const { a, b, merge } = destroyed()
    expect(merge(b, a)).toBe(false)
    expect(a.groups).toEqual([])
  })

  test('who has the group loses it to the state that has forgotten the delete', () => {
    const { a, b, merge } = destroyed()
    expect(b.groups).toEqual(['g'])
    expect(merge(a, b)).toBe(true)
    expect([b.groups, b.db.type('x')]).toEqual([[], 'none'])
  })
})

describe('bytes that are no stream', () => {
  const read = (bytes: readonly number[]): StreamState =>
    StreamState.decode(new ByteReader(Uint8Array.from(bytes)))
  /** Of origin 0, and of origin 1. */
  const stamp = [0, 0, 0, 0, 0, 0, 0x20, 0x40]
  const stamp1 = [0, 0, 0, 0, 0, 0, 0x22, 0x40]
  const register = [1, ...stamp, 9, 0, 5, 0, 0]
  const entry = (ms: number): number[] => [ms, 0, ...stamp, 2, 1, 65, 0]
  const noGroups = [0, 0]
  const group = [1, 103, 1, 1, ...stamp, 0, 0, 0]

  test('a state as it should be', () => {
    const stream = read([...register, 1, 2, ...entry(8), ...entry(9), ...noGroups])
    expect([stream.size, stream.entriesAdded]).toEqual([2, 5])
    expect([...read([0, 0, 0, 1, ...group]).groups()].length).toBe(1)
  })

  test.each([
    ['entries out of order', [...register, 1, 2, ...entry(9), ...entry(8), ...noGroups]],
    ['an id twice', [...register, 1, 2, ...entry(9), ...entry(9), ...noGroups]],
    ['a log without entries', [...register, 1, 0, ...noGroups]],
    ['an entry of another origin', [...register, 2, 1, ...entry(9), ...noGroups]],
    ['a register of another origin', [2, ...register.slice(1), 0, ...noGroups]],
    ['an entry without fields', [...register, 1, 1, 9, 0, ...stamp, 0, ...noGroups]],
    ['an entry with a name alone', [...register, 1, 1, 9, 0, ...stamp, 1, 1, 65, ...noGroups]],
    ['a stamp that is none', [1, 0, 0, 0, 0, 0, 0, 0, 0, 9, 0, 5, 0, 0, 0, ...noGroups]],
    ['cut short', [...register, 1, 2, ...entry(8)]],
    ['a group twice', [0, 0, 0, 2, ...group, ...group]],
    ['a group that nobody has created', [0, 0, 0, 1, 1, 103, 1, 0, 0, 0, 0]],
    ['creations out of order', [0, 0, 0, 1, 1, 103, 1, 2, ...stamp1, ...stamp, 0, 0, 0]],
    ['nothing of a group', [0, 0, 0, 1, 1, 103, 0, 0]],
    ['two deletes of one origin', [0, 0, 2, ...stamp, ...stamp, 0]],
    [
      'what an unknown origin has acknowledged',
      [0, 0, 0, 1, 1, 103, 1, 1, ...stamp, 0, 1, 8, ...stamp, 0, 0, 1, 0, 0],
    ],
  ])('%s', (_, bytes) => {
    expect(() => read(bytes)).toThrow(FormatError)
  })

  test('a slot state with a stream in it is read as it was written', () => {
    const [a, b] = [new Cluster(1), new Cluster(2)]
    a.add(1, 2, 3)
    a.create('g', 'end')
    a.write((w) => w.streamAcknowledge('x', 'g', one, idOf(3, 0), idOf(4, 0)))
    a.write((w) => w.streamDestroyGroup('x', 'h'))
    const slot = slotOfKey('x')
    const writer = new ByteWriter()
    a.db.encodeSlot(slot, writer)
    expect(b.db.mergeSlot(slot, a.db.vectors.of(slot).slice(), writer.bytes, 0, writer.length)).toBe(true)
    expect(b.db.slotDigest(slot)).toBe(a.db.slotDigest(slot))
    expect(formatId(b.db.stream('x')?.group('g')?.ackedUpto(one) ?? minId)).toBe('4-0')
  })
})

/** Without `this`, for tests that need one cluster only. */
function bound(cluster: Cluster) {
  return {
    db: cluster.db,
    write: <T>(intent: (transaction: Transaction) => T): T => cluster.write(intent),
    add: (...ids: number[]): void => cluster.add(...ids),
  }
}
