import { beforeEach, describe, expect, test } from 'vitest'
import { slotCount, slotOfKey } from '#protocol/slots/crc16.ts'
import { originOfCluster, StampClock } from '#protocol/sync/stamp.ts'
import { ByteWriter } from '#runtime/bytes/byteWriter.ts'
import { KeyName } from '#server/store/keyName.ts'
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

const setFor = (name: string, ttlMs: number): void =>
  write.setString(name, 'v', { kind: 'at', atMs: nowMs + ttlMs })

function at(ms: number): void {
  nowMs = ms
  db.nowMs = ms
}

/** As the keyspace here hashes names: without a seed. */
function hashOf(name: string): number {
  const keyName = new KeyName(0)
  keyName.aimAtText(name)
  return keyName.hash
}

/** What comes until there is no more; nothing is deleted. */
function allDue(limit = 64): string[] {
  const names: string[] = []
  do names.push(...db.dueExpiries(limit))
  while (db.hasDueExpiries)
  return names
}

beforeEach(() => {
  db = new Keyspace({ origin, ranges: [{ first: 0, last: slotCount - 1 }] })
  write = new Transaction(db, new StampClock(origin))
  at(startMs)
})

describe('due keys', () => {
  test('come slot by slot, each once, though it has had several TTLs', () => {
    commit(() => {
      for (let key = 0; key < 3_000; key++) {
        setFor(`{${key % 100}}${key}`, 5_000)
        setFor(`{${key % 100}}${key}`, 4_000 + (key % 7) * 250)
      }
    })
    at(startMs + 10_000)
    const names = allDue()
    expect(new Set(names).size).toBe(3_000)
    const slots = names.map(slotOfKey).filter((slot, index, all) => slot !== all[index - 1])
    expect(slots.length).toBe(new Set(names.map(slotOfKey)).size)
  })

  test('are due by what they are joined with, though their slot is not joined yet', () => {
    commit(() => setFor('k', 2_000))
    const peer = new Keyspace({ origin: originOfCluster(2), ranges: [{ first: 0, last: slotCount - 1 }] })
    write = new Transaction(peer, new StampClock(originOfCluster(2)))
    commit(() => setFor('k', 60_000))
    const slot = slotOfKey('k')
    const state = new ByteWriter()
    peer.encodeSlotPart(slot, 0, 1_000, state)
    const staged = new Keyspace({ origin, ranges: [{ first: slot, last: slot }] })
    const label = peer.vectors.of(slot)
    staged.loadSlotPart(slot, label, state.bytes, 0, state.length, true)
    db.joinStaged(staged, slot, label)
    at(startMs + 10_000)
    expect(allDue()).toEqual([])
    at(startMs + 60_000 + 30_250)
    expect(allDue()).toEqual(['k'])
  })

  test('in one batch are given once, whatever entries they have', () => {
    commit(() => {
      setFor('k', 3_000)
      setFor('k', 4_000)
    })
    at(startMs + 10_000)
    expect(db.dueExpiries(10)).toEqual(['k'])
  })

  test('whose names have the same hash are told apart', () => {
    const byHash = new Map<number, string>()
    const twins: string[] = []
    for (let key = 0; twins.length === 0; key++) {
      const name = `{t}${key}`
      const other = byHash.get(hashOf(name))
      if (other === undefined) byHash.set(hashOf(name), name)
      else twins.push(other, name)
    }
    const [first = '', second = ''] = twins
    commit(() => {
      setFor(first, 1_000)
      setFor(second, 20_000)
    })
    at(startMs + 3_000)
    expect(allDue()).toEqual([first])
    commit(() => {
      write.delete(first)
    })
    at(startMs + 30_000)
    expect(allDue()).toEqual([second])
  })

  test('are not lost in a large slot', () => {
    commit(() => {
      for (let key = 0; key < 5_000; key++) setFor(`{t}${key}`, 1_000)
    })
    at(startMs + 3_000)
    expect(new Set(allDue()).size).toBe(5_000)
  })

  test('that are not due any more, the clock being set back, come when they are', () => {
    const keys = Array.from({ length: 20 }, (_, key) => `k${key}`)
    commit(() => {
      for (const key of keys) setFor(key, 60_000)
    })
    at(startMs + 100_000)
    // All are raised, a few are looked at.
    const early = db.dueExpiries(3)
    expect(early.length).toBe(3)
    at(startMs + 5_000)
    expect(allDue()).toEqual([])
    at(startMs + 60_900)
    expect(allDue()).toEqual([])
    at(startMs + 61_250)
    expect(allDue().sort()).toEqual(keys.sort())
  })

  test('come a bounded number at a time, though nearly all entries are of deleted keys', () => {
    commit(() => {
      for (let key = 0; key < 20_000; key++) setFor(`k${key}`, 1_000)
      for (let key = 1; key < 20_000; key++) write.delete(`k${key}`)
    })
    at(startMs + 10_000)
    let calls = 0
    const names: string[] = []
    do {
      const sizeBefore = db.tables.wheel.size
      names.push(...db.dueExpiries(64))
      expect(sizeBefore - db.tables.wheel.size).toBeLessThanOrEqual(4_096)
      calls++
    } while (db.hasDueExpiries)
    expect(names).toEqual(['k0'])
    // 256 keys are looked at in a call.
    expect(calls).toBeGreaterThan(20_000 / 256)
  })
})

describe('what is remembered', () => {
  test('is one entry a TTL: other writes leave none', () => {
    commit(() => {
      write.hashSet('h', 'f', 'v')
      write.expire('h', nowMs + 60_000)
      for (let field = 0; field < 100; field++) write.hashSet('h', `f${field}`, 'v')
      write.expire('h', nowMs + 60_000)
    })
    expect(db.tables.wheel.size).toBe(1)
    commit(() => {
      write.expire('h', Infinity)
      write.expire('h', nowMs + 60_000)
    })
    expect(db.tables.wheel.size).toBe(2)
    at(startMs + 61_250)
    expect(allDue()).toEqual(['h'])
  })

  test('is in proportion to the keys, however often their TTLs are written', () => {
    let most = 0
    for (let round = 0; round < 300; round++) {
      commit(() => {
        for (let key = 0; key < 1_000; key++) setFor(`k${key}`, 3_600_000 + round * 250)
      })
      while (db.tidyExpiries());
      most = Math.max(most, db.tables.wheel.size)
    }
    expect(most).toBeLessThan(2 * 1_000 + 250 + 65_536 + 1_001)
    expect(db.tables.wheel.size).toBeLessThan(most)
    at(nowMs + 2 * 3_600_000)
    expect(new Set(allDue()).size).toBe(1_000)
  })

  test('goes when all keys go', () => {
    commit(() => {
      for (let key = 0; key < 100_000; key++) setFor(`{${key & 15}}${key}`, 3_600_000)
      for (let slot = 0; slot < 16; slot++) write.flushSlot(slotOfKey(`{${slot}}`))
    })
    expect([db.size, db.tables.wheel.size]).toEqual([0, 100_000])
    while (db.tidyExpiries());
    expect(db.tables.wheel.size).toBe(0)
    expect(db.tables.wheel.usedBytes).toBe(0)
  })
})

test('a rebuild among writes and deletes loses no TTL', () => {
  const random = new SeededRandom(seedFromEnv())
  const due = new Map<string, number>()
  const writeSome = (count: number): void =>
    commit(() => {
      for (let n = 0; n < count; n++) {
        const name = `{${random.below(2_000)}}${random.below(20)}`
        if (random.chance(0.2)) {
          write.delete(name)
          due.delete(name)
          continue
        }
        const ttlMs = 1_000 + random.below(100_000)
        setFor(name, ttlMs)
        due.set(name, nowMs + ttlMs + 1_000)
      }
    })
  const take = (): void => {
    const names = allDue()
    for (const name of names) if ((due.get(name) ?? Infinity) > nowMs) expect({ name }).toBeUndefined()
    commit(() => {
      for (const name of names) {
        write.delete(name)
        due.delete(name)
      }
    })
  }
  const checkNoneMissed = (): void => {
    for (const [name, dueMs] of due) if (dueMs < nowMs - 250) expect({ name, dueMs, nowMs }).toBeUndefined()
  }
  let rebuilds = 0
  for (let round = 0; round < 900; round++) {
    writeSome(500)
    const wasRebuilding = db.tables.wheel.isRebuilding
    db.tidyExpiries()
    if (!wasRebuilding && db.tables.wheel.isRebuilding) rebuilds++
    at(nowMs + random.below(50))
    take()
    if (round % 20 === 0) checkNoneMissed()
  }
  expect(rebuilds).toBeGreaterThan(1)
  at(nowMs + 200_000)
  take()
  expect([due.size, db.size]).toEqual([0, 0])
})
