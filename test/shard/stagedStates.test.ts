/** Slot states that came in parts, in log and keyspace: what counts after a start, and what shows while a slot is being joined. */
import { describe, expect, test } from 'vitest'
import { slotCount, slotOfKey } from '#protocol/slots/crc16.ts'
import { originOfCluster, StampClock } from '#protocol/sync/stamp.ts'
import type { VersionVector } from '#protocol/sync/versionVector.ts'
import { FormatError } from '#runtime/bytes/byteReader.ts'
import { ByteWriter } from '#runtime/bytes/byteWriter.ts'
import { LocalState } from '#server/localState.ts'
import { Keyspace, type KeyspaceOptions } from '#server/store/keyspace.ts'
import type { SlotPosition } from '#server/store/slotCutting.ts'
import { Transaction } from '#server/store/transaction.ts'
import { SeededRandom } from '#test/seed.ts'
import { PartwiseKeyspace } from '#test/store/partwiseKeyspace.ts'
import { stateOf } from './stateOf.ts'
import { TestShard } from './testShard.ts'

const slot = slotOfKey('{k}0')
const keyCount = 40
const variations = { newKeyspace: (options: KeyspaceOptions) => new PartwiseKeyspace(options) }

class Peer {
  readonly clock = new StampClock(originOfCluster(2))
  readonly db = new PartwiseKeyspace({
    origin: originOfCluster(2),
    ranges: [{ first: 0, last: slotCount - 1 }],
  })
  readonly write = new Transaction(this.db, this.clock)

  set(name: string, text: string): void {
    this.write.begin(Date.UTC(2026, 0, 1))
    this.write.setString(name, text, { kind: 'clear' })
    this.write.finish(new ByteWriter())
  }

  get label(): VersionVector {
    return this.db.vectors.of(slot).slice()
  }
}

function filledPeer(): Peer {
  const peer = new Peer()
  for (let i = 0; i < keyCount; i++) peer.set(`{k}${i}`, `theirs ${i}`)
  return peer
}

function stagedFrom(peer: Peer, state: LocalState) {
  const staged = state.stage(slot, peer.label)
  for (let position: SlotPosition = 0, isFirst = true; isFirst || position !== 0; isFirst = false) {
    const part = new ByteWriter()
    position = peer.db.encodeSlotPartForPeer(slot, position, 1, part)
    staged.load(part.bytes, 0, part.length)
  }
  return staged
}

/** From what the first has written until now. */
function startedFrom(one: TestShard): TestShard {
  one.shard.log.flush()
  return new TestShard({ disk: one.disk.afterKill(), initialised: true, variations })
}

describe('a slot state that came in parts', () => {
  test('counts with its last part, also after a start', () => {
    const one = new TestShard({ variations })
    const peer = filledPeer()
    const state = stateOf(one)
    const staged = stagedFrom(peer, state)
    for (let i = 1; i < keyCount; i++) expect(staged.advance()).toBe('more')
    expect(state.isLoggingState).toBe(true)
    expect(state.vectors.greatest(slot)).toBe(0)
    const half = startedFrom(one)
    expect(half.shard.db.size).toBe(0)
    expect(half.shard.db.vectors.greatest(slot)).toBe(0)

    expect(staged.advance()).toBe('joined')
    expect(state.isLoggingState).toBe(false)
    expect([...one.shard.db.vectors.of(slot)]).toEqual([...peer.label])
    const whole = startedFrom(one)
    expect([...whole.shard.db.vectors.of(slot)]).toEqual([...peer.label])
    expect(whole.shard.db.size).toBe(keyCount)
    expect(whole.shard.db.string('{k}7')).toBe('theirs 7')
  })

  test('shows key by key from the moment in which the vector names it', () => {
    const one = new TestShard({ variations })
    const { db } = one.shard
    const peer = filledPeer()
    const state = stateOf(one)
    const staged = stagedFrom(peer, state)
    expect(db.string('{k}3')).toBeUndefined()
    expect(db.usedBytes).toBeGreaterThan(0)
    while (staged.advance() === 'more');
    expect(db.size).toBe(0)
    expect(state.isJoining(slot)).toBe(true)
    expect(db.string('{k}3')).toBe('theirs 3')
    expect(db.size).toBe(1)
    while (state.joinMore());
    expect(db.size).toBe(keyCount)
    expect(state.isJoining(slot)).toBe(false)
    staged.drop()
    expect(db.stagedBytes).toBe(0)
    expect(db.slotDigest(slot)).toBe(peer.db.slotDigest(slot))
  })

  test('is whole for what takes the slot as a whole', () => {
    const one = new TestShard({ variations })
    const peer = filledPeer()
    const staged = stagedFrom(peer, stateOf(one))
    while (staged.advance() === 'more');
    expect([...one.shard.db.occupiedSlots()]).toEqual([slot])
    expect(one.shard.db.size).toBe(keyCount)
  })

  test('has large keys in pieces, each a slice of the log', () => {
    const one = new TestShard()
    const peer = new Peer()
    const members = Array.from({ length: 5_000 }, (_, i) => `member ${i}`)
    peer.write.begin(Date.UTC(2026, 0, 1))
    peer.write.setAdd('{k}set', members)
    peer.write.finish(new ByteWriter())
    // In pieces there, too, and with the usual limits.
    const clock = new StampClock(originOfCluster(1))
    const newStaged = (of: number) =>
      new Keyspace({ origin: clock.origin, ranges: [{ first: of, last: of }], hashSeed: 7 })
    const { db, log } = one.shard
    const state = new LocalState(
      db,
      clock,
      log,
      newStaged,
      () => {},
      () => false,
      new SeededRandom(1),
    )
    const staged = stagedFrom(peer, state)
    let slices = 1
    while (staged.advance() === 'more') slices++
    expect(slices).toBeGreaterThan(3)
    while (state.joinMore());
    expect(db.slotDigest(slot)).toBe(peer.db.slotDigest(slot))
    one.shard.log.flush()
    const whole = new TestShard({ disk: one.disk.afterKill(), initialised: true })
    expect(whole.run('SCARD', '{k}set')).toBe(':5000\r\n')
    expect(whole.shard.db.slotDigest(slot)).toBe(peer.db.slotDigest(slot))
  })

  test('is refused where it is not of the slot, or not only of that', () => {
    const one = new TestShard({ variations })
    const peer = filledPeer()
    const other = new Peer()
    other.set('elsewhere', 'x')
    const part = new ByteWriter()
    other.db.encodeSlotPartForPeer(slotOfKey('elsewhere'), 0, 1000, part)
    const staged = stateOf(one).stage(slot, peer.label)
    expect(() => staged.load(part.bytes, 0, part.length)).toThrow(FormatError)
    const garbage = new Uint8Array(20).fill(255)
    expect(() => staged.load(garbage, 0, garbage.length)).toThrow(FormatError)
  })
})
