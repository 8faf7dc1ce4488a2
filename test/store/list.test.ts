/** Lists as handlers write and read them, beside plain arrays, in the entry of their key and on the heap. */
import { describe, expect, test } from 'vitest'
import { errors, ReplyError } from '#protocol/resp/errors.ts'
import { slotCount, slotOfKey } from '#protocol/slots/crc16.ts'
import { RecordReader } from '#protocol/sync/record.ts'
import { originOfCluster, StampClock } from '#protocol/sync/stamp.ts'
import { ByteReader, FormatError } from '#runtime/bytes/byteReader.ts'
import { ByteWriter } from '#runtime/bytes/byteWriter.ts'
import { ListState } from '#server/crdt/list.ts'
import { listDepthMax } from '#server/crdt/listId.ts'
import { Keyspace } from '#server/store/keyspace.ts'
import { packedElementsMax } from '#server/store/packedValue.ts'
import { Transaction } from '#server/store/transaction.ts'
import { SeededRandom, seedFromEnv } from '#test/seed.ts'

const startMs = Date.UTC(2026, 0, 1)

class Database {
  readonly db: Keyspace
  nowMs = startMs
  /** Of the last write. */
  readonly record = new ByteWriter()
  readonly #transaction: Transaction

  constructor(clusterId = 1) {
    const origin = originOfCluster(clusterId)
    this.db = new Keyspace({ origin, ranges: [{ first: 0, last: slotCount - 1 }] })
    this.#transaction = new Transaction(this.db, new StampClock(origin))
  }

  write<T>(intent: (transaction: Transaction) => T): T {
    this.#transaction.begin(this.nowMs)
    const result = intent(this.#transaction)
    this.record.clear()
    this.#transaction.finish(this.record)
    return result
  }

  /** What another has written last. */
  receive(from: Database): void {
    const reader = new RecordReader()
    reader.read(from.record.bytes, 0, from.record.length)
    for (const part of reader.parts.slice(0, reader.partCount)) this.db.apply(part, from.record.bytes)
  }

  isPacked(key: string): boolean {
    const { tables } = this.db
    return tables.packedList(tables.findText(key)) !== undefined
  }

  /** Every look at the list says the same. */
  values(key: string): string[] {
    const list = this.db.list(key)
    if (list === undefined) return []
    const values = [...list.range(0, list.size)]
    expect(values.length).toBe(list.size)
    expect([...list.rangeReversed(0, list.size)].reverse()).toEqual(values)
    expect(values.map((_, index) => list.at(index))).toEqual(values)
    expect([list.at(-1), list.at(list.size)]).toEqual([undefined, undefined])
    expect([...list.range(1, Math.max(1, list.size - 1))]).toEqual(values.slice(1, -1))
    return values
  }
}

/** One random command on the list and on the array. */
function step(random: SeededRandom, database: Database, model: string[], growing: boolean): void {
  const text = 'v'.repeat(random.below(random.chance(0.01) ? 1_500 : 9)) + random.below(1_000)
  const side = random.pick(['left', 'right'] as const)
  const index = random.below(model.length + 1)
  const act = random.fraction()
  if (act < (growing ? 0.5 : 0.2)) {
    const values = Array.from({ length: 1 + random.below(3) }, (_, at) => text + at)
    for (const value of values) side === 'left' ? model.unshift(value) : model.push(value)
    expect(database.write((write) => write.listPush('l', side, values))).toBe(model.length)
  } else if (act < 0.7) {
    const count = 1 + random.below(growing ? 2 : 6)
    const popped = side === 'left' ? model.splice(0, count) : model.splice(-count).reverse()
    expect(database.write((write) => write.listPop('l', side, count))).toEqual(popped)
  } else if (act < 0.8 && index < model.length) {
    model[index] = text
    database.write((write) => write.listSet('l', index, text))
  } else if (act < 0.9) {
    model.splice(index, 0, text)
    expect(database.write((write) => write.listInsert('l', index, text))).toBe(model.length)
  } else if (act < 0.97) {
    const indexes = [...model.keys()].filter(() => random.chance(0.1))
    for (const gone of [...indexes].reverse()) model.splice(gone, 1)
    database.write((write) => write.listRemove('l', indexes))
  } else {
    const start = random.below(3)
    const end = Math.max(0, model.length - random.below(random.chance(0.1) ? 200 : 3))
    model.splice(0, model.length, ...(start < end ? model.slice(start, end) : []))
    database.write((write) => write.listTrim('l', start, end))
  }
}

describe('a list', () => {
  test.each([false, true])(
    'is like an array while it grows, shrinks and crosses the limits; TTL %s',
    (timed) => {
      const random = new SeededRandom(seedFromEnv())
      const [database, peer] = [new Database(1), new Database(2)]
      const model: string[] = []
      let [packed, unpacked] = [0, 0]
      for (let number = 0; number < 4_000; number++) {
        step(random, database, model, Math.floor(number / 500) % 2 === 0)
        if (database.record.length > 0) peer.receive(database)
        if (timed && model.length > 0 && random.chance(0.05)) {
          database.write((write) => write.expire('l', startMs + 99_000))
          peer.receive(database)
        }
        if (model.length > 0) database.isPacked('l') ? packed++ : unpacked++
        expect(database.db.type('l')).toBe(model.length === 0 ? 'none' : 'list')
        if (number % 50 !== 0) continue
        expect(database.values('l')).toEqual(model)
        expect(peer.values('l')).toEqual(model)
        expect(peer.db.slotDigest(slotOfKey('l'))).toBe(database.db.slotDigest(slotOfKey('l')))
      }
      expect(Math.min(packed, unpacked)).toBeGreaterThan(100)
      database.write((write) => write.listPush('l', 'left', ['x']))
      database.write((write) => write.delete('l'))
      expect([database.db.size, database.db.expiring]).toEqual([0, 0])
      if (!timed) expect(database.db.usedBytes).toBe(0)
    },
  )

  test('lies in its entry while it is as pushes and LSET made it', () => {
    const database = new Database()
    for (let number = 0; number < packedElementsMax; number++)
      database.write((write) => write.listPush('l', number % 3 === 0 ? 'left' : 'right', [`${number}`]))
    database.write((write) => write.listSet('l', 5, 'set'))
    expect(database.isPacked('l')).toBe(true)
    database.write((write) => write.listInsert('l', 5, 'between'))
    expect(database.isPacked('l')).toBe(false)
    expect(database.values('l')[5]).toBe('between')
    database.write((write) => write.listRemove('l', [5]))
    database.write((write) => write.listTrim('l', 0, packedElementsMax / 2))
    expect(database.isPacked('l')).toBe(true)
    expect(database.values('l')).toHaveLength(packedElementsMax / 2)
  })

  test('takes any bytes', () => {
    const database = new Database()
    const bytes = Array.from({ length: 256 }, (_, code) => String.fromCharCode(code)).join('')
    const values = ['', bytes, '', 'a', bytes.repeat(300)]
    database.write((write) => write.listPush('l', 'right', values))
    expect(database.values('l')).toEqual(values)
    database.write((write) => write.listSet('l', 4, ''))
    database.write((write) => write.listSet('l', 0, bytes))
    expect(database.values('l')).toEqual([bytes, bytes, '', 'a', ''])
  })

  test('that would need too deep an id refuses it, and nothing is written', () => {
    const database = new Database()
    database.write((write) => write.listPush('l', 'right', ['a', 'b']))
    let index = 1
    const insert = (): number => database.write((write) => write.listInsert('l', index, 'x'))
    expect(() => {
      for (let number = 0; number < 3 * listDepthMax; number++) {
        insert()
        index += number % 2
      }
    }).toThrow(new ReplyError(errors.listTooDeep))
    const size = database.db.list('l')?.size ?? 0
    expect(size).toBeGreaterThan(listDepthMax)
    const before = database.db.slotDigest(slotOfKey('l'))
    database.write((write) => {
      expect(() => write.listInsert('l', index, 'x')).toThrow(ReplyError)
      expect(write.written).toBe(false)
    })
    expect(database.db.slotDigest(slotOfKey('l'))).toBe(before)
    // Elsewhere there is room, and the state goes over whole.
    database.write((write) => write.listInsert('l', 1, 'y'))
    const writer = new ByteWriter()
    const slot = slotOfKey('l')
    database.db.encodeSlot(slot, writer)
    const peer = new Database(2)
    peer.db.mergeSlot(slot, database.db.vectors.of(slot).slice(), writer.bytes, 0, writer.length)
    expect(peer.values('l')).toEqual(database.values('l'))
  })

  test('goes on where the last was inserted, as long as it is one of the thousand inserted into last', () => {
    const database = new Database()
    const stepsAt = (index: number): number => {
      const { tables } = database.db
      return (tables.listElements(tables.findText('l0'))?.idAt(index).length ?? 0) / 3
    }
    const begin = (key: string): void => {
      database.write((write) => write.listPush(key, 'right', ['a', 'z']))
      database.write((write) => write.listInsert(key, 1, 'b'))
    }
    begin('l0')
    for (let number = 1; number < 1_000; number++) begin(`l${number}`)
    database.write((write) => write.listInsert('l0', 2, 'c'))
    expect(stepsAt(2)).toBe(2)
    for (let number = 1_000; number < 2_000; number++) begin(`l${number}`)
    database.write((write) => write.listInsert('l0', 3, 'd'))
    expect(stepsAt(3)).toBe(3)
    expect(database.values('l0')).toEqual(['a', 'b', 'c', 'd', 'z'])
  })

  test('that is trimmed beyond its end is gone', () => {
    const database = new Database()
    for (const count of [3, 300]) {
      const values = Array.from({ length: count }, (_, number) => `${number}`)
      database.write((write) => write.listPush('l', 'right', values))
      expect([...(database.db.list('l')?.range(1, 1_000) ?? [])]).toEqual(values.slice(1))
      expect([...(database.db.list('l')?.rangeReversed(1, 1_000) ?? [])].reverse()).toEqual(values.slice(1))
      database.write((write) => write.listTrim('l', 500, 600))
      expect(database.db.type('l')).toBe('none')
    }
  })

  test('that has expired is made anew', () => {
    const database = new Database()
    database.write((write) => {
      write.listPush('l', 'right', ['old'])
      write.expire('l', startMs + 10)
    })
    database.nowMs = startMs + 20
    expect(database.write((write) => write.listPop('l', 'left', 1))).toEqual([])
    expect(database.write((write) => write.listInsert('l', 0, 'new'))).toBe(1)
    expect(database.values('l')).toEqual(['new'])
    expect(database.db.expireAtMs('l')).toBe(Number.POSITIVE_INFINITY)
  })

  test('is shipped small: a trim is two ids however much it takes, neighbours are one range', () => {
    const database = new Database()
    database.write((write) =>
      write.listPush(
        'l',
        'right',
        Array.from({ length: 5_000 }, (_, number) => `${number}`),
      ),
    )
    database.write((write) => write.listTrim('l', 1_000, 3_000))
    expect(database.record.length).toBeLessThan(100)
    database.write((write) => write.listPop('l', 'left', 500))
    expect(database.record.length).toBeLessThan(70)
    database.write((write) => write.listRemove('l', [...Array(100).keys(), 200]))
    expect(database.record.length).toBeLessThan(80)
    expect(database.db.list('l')?.size).toBe(1_399)
  })

  test('of one value costs little', () => {
    const database = new Database()
    const count = 2_000
    for (let number = 0; number < count; number++)
      database.write((write) =>
        write.listPush(`list:${String(number).padStart(11, '0')}`, 'right', ['value']),
      )
    expect(database.db.usedBytes / count).toBeLessThan(90)
  })

  test('has the names of encodings that Redis 7.2 gives', () => {
    const database = new Database()
    database.write((write) => write.listPush('l', 'right', ['1', '-5000', 'text', 'x'.repeat(3_000)]))
    expect(database.db.encoding('l')).toBe('listpack')
    // 8192 bytes with a frame of 7: entries of 62 + 1 + 1 bytes.
    database.write((write) => write.listTrim('l', 0, 0))
    database.write((write) => write.listPush('l', 'right', Array<string>(127).fill('v'.repeat(62))))
    expect(database.db.encoding('l')).toBe('listpack')
    database.write((write) => write.listPush('l', 'left', ['v'.repeat(55)]))
    expect(database.db.encoding('l')).toBe('listpack')
    database.write((write) => write.listPush('l', 'left', ['1']))
    expect(database.db.encoding('l')).toBe('quicklist')
  })
})

describe('bytes that are no list', () => {
  const read = (bytes: readonly number[]): ListState =>
    ListState.decode(new ByteReader(Uint8Array.from(bytes)))
  const stamp = [0, 0, 0, 0, 0, 0, 0x20, 0x40]
  const id = (key: number): number[] => [1, 1, key, 0]

  test('a state as it should be', () => {
    expect(read([2, 1, 0, ...stamp, 0, 2, ...id(0x7f), ...stamp, 1, 65]).size).toBe(2)
  })

  test.each([
    ['out of order', [2, 2, ...id(9), ...stamp, 0, 2, ...id(8), ...stamp, 0]],
    ['with an id twice', [2, 2, ...id(9), ...stamp, 0, 2, ...id(9), ...stamp, 0]],
    ['with an unknown form', [1, 4, ...id(9), ...stamp, 0]],
    ['with an element without a write', [1, 3, ...id(9), 0]],
    ['with writes out of order', [1, 3, ...id(9), 2, ...stamp, 0, ...stamp, 0]],
    ['with an id without steps', [1, 2, 0, ...stamp, 0]],
    ['with a stamp that is none', [1, 2, ...id(9), 0, 0, 0, 0, 0, 0, 0, 0, 0]],
    ['cut short', [1, 2, ...id(9), ...stamp, 5, 65]],
    ['with a count that the bytes do not hold', [0xff, 0xff, 0xff, 0x7f, 2, ...id(9), ...stamp, 0]],
  ])('%s', (_, bytes) => {
    expect(() => read(bytes)).toThrow(FormatError)
  })
})
