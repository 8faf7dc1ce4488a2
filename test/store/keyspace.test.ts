import { beforeEach, describe, expect, test } from 'vitest'
import { errors } from '#protocol/resp/errors.ts'
import { slotCount, slotOfKey } from '#protocol/slots/crc16.ts'
import { originOfCluster, StampClock } from '#protocol/sync/stamp.ts'
import { FormatError } from '#runtime/bytes/byteReader.ts'
import { ByteWriter } from '#runtime/bytes/byteWriter.ts'
import { Keyspace } from '#server/store/keyspace.ts'
import { Transaction } from '#server/store/transaction.ts'
import { SeededRandom, seedFromEnv } from '#test/seed.ts'

const startMs = Date.UTC(2026, 0, 1)
const origin = originOfCluster(1)

let db: Keyspace
let write: Transaction
let nowMs = startMs

function commit(intents: () => void): void {
  write.begin(nowMs)
  intents()
  write.finish(new ByteWriter())
}

function pass(ms: number): void {
  nowMs += ms
  db.nowMs = nowMs
}

beforeEach(() => {
  nowMs = startMs
  db = new Keyspace({ origin, ranges: [{ first: 0, last: slotCount - 1 }] })
  write = new Transaction(db, new StampClock(origin))
  db.nowMs = nowMs
})

describe('what a key shows', () => {
  test('each type, and WRONGTYPE for the others', () => {
    commit(() => {
      write.setString('s', 'text', { kind: 'clear' })
      write.hashSet('h', 'f', 'v')
      write.setAdd('m', ['x', 'y'])
      write.listPush('l', 'left', ['x', 'y'])
    })
    expect(['s', 'h', 'm', 'l', 'none'].map((name) => db.type(name))).toEqual([
      'string',
      'hash',
      'set',
      'list',
      'none',
    ])
    expect(db.string('s')).toBe('text')
    expect([...(db.hash('h')?.entries() ?? [])]).toEqual([['f', 'v']])
    expect([...(db.set('m')?.members() ?? [])]).toEqual(['x', 'y'])
    expect([...(db.list('l')?.range(0, 2) ?? [])]).toEqual(['y', 'x'])
    for (const none of [db.string('none'), db.hash('none'), db.set('none'), db.list('none')])
      expect(none).toBe(undefined)
    for (const read of [
      () => db.string('h'),
      () => db.hash('m'),
      () => db.set('s'),
      () => db.hash('s'),
      () => db.list('m'),
      () => db.set('l'),
    ]) {
      expect(read).toThrow(errors.wrongType)
    }
    expect(db.size).toBe(4)
  })

  test('an expired key is gone for readers, and still counted until it is deleted', () => {
    commit(() => {
      write.setString('k', 'v', { kind: 'at', atMs: nowMs + 1_000 })
    })
    expect(db.expireAtMs('k')).toBe(startMs + 1_000)
    pass(1_000)
    expect(db.string('k')).toBe('v')
    pass(1)
    expect([db.string('k'), db.type('k'), db.expireAtMs('k'), db.touch('k')]).toEqual([
      undefined,
      'none',
      undefined,
      false,
    ])
    expect([...db.keysInSlot(slotOfKey('k'))]).toEqual([])
    expect([db.size, db.expiring]).toEqual([1, 1])
    commit(() => {
      expect(write.delete('k')).toBe(false)
    })
    expect([db.size, db.expiring]).toEqual([0, 0])
  })

  test('a write to an expired key starts from nothing', () => {
    commit(() => {
      write.increment('c', 5)
      write.hashSet('h', 'old', '1')
      write.expire('c', nowMs + 1_000)
      write.expire('h', nowMs + 1_000)
    })
    pass(1_001)
    commit(() => {
      expect(write.increment('c', 2)).toBe('2')
      expect(write.hashSet('h', 'new', '2')).toBe(true)
    })
    expect([...(db.hash('h')?.fields() ?? [])]).toEqual(['new'])
    expect([db.expireAtMs('c'), db.expireAtMs('h')]).toEqual([Infinity, Infinity])
  })

  test('idle time counts from the last access; not for those who do not touch', () => {
    commit(() => {
      write.setString('k', 'v', { kind: 'clear' })
    })
    pass(10_000)
    expect(db.idleSeconds('k')).toBe(10)
    db.touching = false
    db.string('k')
    db.touching = true
    expect(db.idleSeconds('k')).toBe(10)
    db.string('k')
    expect(db.idleSeconds('k')).toBe(0)
    pass(5_000)
    expect(db.touch('k')).toBe(true)
    expect([db.idleSeconds('k'), db.idleSeconds('none')]).toEqual([0, undefined])
  })

  test.each([
    ['123', 'int'],
    ['-9223372036854775808', 'int'],
    ['9223372036854775808', 'embstr'],
    ['x'.repeat(44), 'embstr'],
    ['x'.repeat(45), 'raw'],
  ])('encoding of %s', (text, encoding) => {
    commit(() => {
      write.setString('k', text, { kind: 'clear' })
    })
    expect(db.encoding('k')).toBe(encoding)
  })

  test('encodings of hashes and sets', () => {
    const numbers = Array.from({ length: 512 }, (_, at) => String(at))
    const words = Array.from({ length: 128 }, (_, at) => `w${at}`)
    commit(() => {
      for (const word of words) write.hashSet('h', word, 'v')
      write.setAdd('numbers', numbers)
      write.setAdd('words', words)
    })
    expect([db.encoding('h'), db.encoding('numbers'), db.encoding('words')]).toEqual([
      'listpack',
      'intset',
      'listpack',
    ])
    commit(() => {
      write.hashSet('h', 'w0', 'v'.repeat(65))
      write.setAdd('numbers', ['512'])
      write.setAdd('words', ['w128'])
    })
    expect([db.encoding('h'), db.encoding('numbers'), db.encoding('words')]).toEqual([
      'hashtable',
      'hashtable',
      'hashtable',
    ])
  })
})

describe('all keys', () => {
  const fill = (count: number, slotTag = ''): void =>
    commit(() => {
      for (let at = 0; at < count; at++) write.setString(`${slotTag}k${at}`, 'v', { kind: 'clear' })
    })

  test('a scan of slot after slot meets each', () => {
    fill(3_000)
    const met = new Set<string>()
    for (const slot of db.occupiedSlots()) {
      let position = 0
      do position = db.scan(slot, position, 10, (key) => met.add(key))
      while (position !== 0)
    }
    expect(met.size).toBe(3_000)
  })

  test('a huge slot is scanned in bounded steps', () => {
    fill(5_000, '{tag}')
    const met = new Set<string>()
    let position = 0
    do {
      let visited = 0
      position = db.scan(slotOfKey('{tag}'), position, 10, (key) => {
        met.add(key)
        visited++
      })
      expect(visited).toBeLessThan(600)
    } while (position !== 0)
    expect(met.size).toBe(5_000)
  })

  test('random keys are of all slots, and visible', () => {
    const random = new SeededRandom(seedFromEnv())
    expect(db.randomKey(random)).toBeUndefined()
    fill(20)
    fill(20, '{tag}')
    commit(() => {
      for (let at = 0; at < 20; at++) write.setString(`gone${at}`, 'v', { kind: 'at', atMs: nowMs + 1 })
    })
    pass(2)
    const met = new Set<string>()
    for (let draw = 0; draw < 2_000; draw++) met.add(db.randomKey(random) ?? '')
    expect(met.size).toBe(40)
    expect([...met].some((key) => key.startsWith('gone'))).toBe(false)
  })

  test('the last visible key is found among many that have expired', () => {
    commit(() => {
      for (let at = 0; at < 5_000; at++) write.setString(`gone${at}`, 'v', { kind: 'at', atMs: nowMs + 1 })
      write.setString('here', 'v', { kind: 'clear' })
    })
    pass(2)
    const random = new SeededRandom(seedFromEnv())
    expect(db.randomKey(random)).toBe('here')
  })
})

describe('expiry', () => {
  test('is sent one second after the time, once, and again only if the DEL was not sent', () => {
    commit(() => {
      write.setString('k', 'v', { kind: 'at', atMs: nowMs + 5_000 })
    })
    pass(5_999)
    expect(db.dueExpiries(10)).toEqual([])
    pass(2_000)
    expect(db.dueExpiries(10)).toEqual(['k'])
    expect(db.dueExpiries(10)).toEqual([])
    pass(2_000)
    expect(db.dueExpiries(10)).toEqual(['k'])
    commit(() => {
      write.delete('k')
    })
    pass(10_000)
    expect(db.dueExpiries(10)).toEqual([])
  })

  test('is not sent when the TTL was prolonged or ended meanwhile', () => {
    commit(() => {
      for (const key of ['a', 'b', 'c']) write.setString(key, 'v', { kind: 'at', atMs: nowMs + 5_000 })
      write.expire('a', nowMs + 60_000)
      write.expire('b', Infinity)
      write.setString('c', 'v', { kind: 'clear' })
    })
    expect(db.expiring).toBe(1)
    pass(10_000)
    expect(db.dueExpiries(10)).toEqual([])
    pass(60_000)
    expect(db.dueExpiries(10)).toEqual(['a'])
  })

  test('is given out up to a limit', () => {
    commit(() => {
      for (let at = 0; at < 25; at++) write.setString(`k${at}`, 'v', { kind: 'at', atMs: nowMs + 1_000 })
    })
    pass(60_000)
    expect([db.dueExpiries(10).length, db.dueExpiries(10).length, db.dueExpiries(10).length]).toEqual([
      10, 10, 5,
    ])
  })

  test("another cluster's is sent after half a minute", () => {
    const peer = new Keyspace({ origin: originOfCluster(2), ranges: [{ first: 0, last: slotCount - 1 }] })
    commit(() => {
      write.setString('k', 'v', { kind: 'at', atMs: nowMs + 5_000 })
    })
    const state = new ByteWriter()
    db.encodeSlot(slotOfKey('k'), state)
    peer.nowMs = nowMs
    peer.mergeSlot(slotOfKey('k'), db.vectors.of(slotOfKey('k')).slice(), state.bytes, 0, state.length)
    peer.nowMs = nowMs + 34_000
    expect(peer.dueExpiries(10)).toEqual([])
    peer.nowMs = nowMs + 36_000
    expect(peer.dueExpiries(10)).toEqual(['k'])
  })
})

describe('slot states from elsewhere', () => {
  const slot = slotOfKey('k')
  const label = (): Float64Array => db.vectors.of(slot).slice()

  function stateOf(): Uint8Array {
    commit(() => {
      write.hashIncrement('k', 'f', 3)
      write.hashSet('k', 'g', 'text')
      write.expire('k', nowMs + 1_000)
      write.setAdd('{k}s', ['a', 'b'])
      for (const member of ['a', 'b']) write.zsetAdd('{k}z', member, 1, 'GT')
      write.zsetAdd('{k}y', 'a', -5.5)
      for (const member of ['a', 'b']) write.zsetIncrement('{k}y', member, 3)
      write.listPush('{k}l', 'left', ['a', 'b'])
      write.listInsert('{k}l', 1, 'c')
      write.listSet('{k}l', 0, 'd')
      write.setString('{k}t', 'x', { kind: 'clear' })
    })
    const writer = new ByteWriter()
    db.encodeSlot(slot, writer)
    return writer.take()
  }

  test('damaged ones are refused before anything changes, or are states', () => {
    const bytes = stateOf()
    const digest = db.slotDigest(slot)
    const random = new SeededRandom(seedFromEnv())
    for (let at = 0; at < bytes.length; at++) {
      expect(() => db.mergeSlot(slot, label(), bytes, 0, at), `cut at ${at}`).toThrow(FormatError)
      expect(db.slotDigest(slot)).toBe(digest)
      const damaged = Uint8Array.from(bytes)
      damaged[at] = random.below(256)
      const other = new Keyspace({ origin, ranges: [{ first: 0, last: slotCount - 1 }] })
      try {
        other.mergeSlot(slot, label(), damaged, 0, damaged.length)
      } catch (error) {
        expect(error).toBeInstanceOf(FormatError)
        expect(other.size).toBe(0)
      }
    }
  })

  const stamp = [...new Uint8Array(new Float64Array([8]).buffer)]
  const double = (value: number): number[] => [...new Uint8Array(new Float64Array([value]).buffer)]
  const member = (...content: number[]): number[] => [1, 0x6d, ...content]
  const sortedSet = (...content: number[]): number[] => [1, 1, 0x6b, 2, 16, ...content]

  test.each([
    ['a score', sortedSet(1, ...member(0, ...stamp, ...double(1))), true],
    ['a score that is not a number', sortedSet(1, ...member(0, ...stamp, ...double(Number.NaN))), false],
    [
      'a member twice',
      sortedSet(2, ...member(0, ...stamp, ...double(1)), ...member(1, ...stamp, ...double(2))),
      false,
    ],
    ['an unknown kind of score', sortedSet(1, ...member(4, ...stamp, ...double(1))), false],
    [
      'all of a score',
      sortedSet(1, ...member(3, 1, ...stamp, 2, ...double(1), 1, ...stamp, 0, ...double(2), 0)),
      true,
    ],
    ['an unknown tag', sortedSet(1, ...member(3, 1, ...stamp, 3, ...double(1), 0)), false],
    [
      'a sum that is not a number',
      sortedSet(1, ...member(3, 0, 1, ...stamp, 0, ...double(Number.NaN), 0)),
      false,
    ],
    ['a type that is none', [1, 1, 0x6b, 2, 64, 0], false],
  ])('sorted sets: %s', (_, bytes, good) => {
    const merge = (): void => {
      db.mergeSlot(slot, label(), Uint8Array.from(bytes), 0, bytes.length)
    }
    if (good) merge()
    else expect(merge).toThrow(FormatError)
    expect(db.sortedSet('k')?.size).toBe(good ? 1 : undefined)
  })

  test('with a key of another slot, or for a slot of another shard: refused', () => {
    const bytes = stateOf()
    expect(() => db.mergeSlot(slot + 1, label(), bytes, 0, bytes.length)).toThrow(FormatError)
    const narrow = new Keyspace({ origin, ranges: [{ first: slot + 1, last: slotCount - 1 }] })
    expect(() => narrow.mergeSlot(slot, label(), bytes, 0, bytes.length)).toThrow(FormatError)
  })
})
