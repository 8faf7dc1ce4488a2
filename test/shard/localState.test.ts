import { expect, test } from 'vitest'
import { slotCount, slotOfKey } from '#protocol/slots/crc16.ts'
import { type RecordPart, RecordReader } from '#protocol/sync/record.ts'
import { originOfCluster, StampClock } from '#protocol/sync/stamp.ts'
import { FormatError } from '#runtime/bytes/byteReader.ts'
import { ByteWriter } from '#runtime/bytes/byteWriter.ts'
import { LocalState } from '#server/localState.ts'
import { Keyspace } from '#server/store/keyspace.ts'
import { Transaction } from '#server/store/transaction.ts'
import { SeededRandom } from '#test/seed.ts'
import { TestShard } from './testShard.ts'

test("a peer's record that names a key of another slot is refused", () => {
  const clock = new StampClock(originOfCluster(2))
  const peer = new Keyspace({ origin: clock.origin, ranges: [{ first: 0, last: slotCount - 1 }] })
  const write = new Transaction(peer, clock)
  const record = new ByteWriter()
  write.begin(Date.UTC(2026, 0, 1))
  write.setString('key', 'text', { kind: 'clear' })
  write.setAdd('key2', ['m'])
  write.finish(record)
  const reader = new RecordReader()
  reader.read(record.bytes, 0, record.length)
  const { shard } = new TestShard()
  const state = new LocalState(
    shard.db,
    clock,
    shard.log,
    () => peer,
    () => {},
    () => false,
    new SeededRandom(1),
  )
  expect(reader.partCount).toBe(2)
  for (let i = 0; i < 2; i++) {
    const part = reader.parts[i] as RecordPart
    state.check(part, record.bytes)
    const displaced = { ...part, slot: (part.slot + 1) % slotCount }
    expect(() => state.check(displaced, record.bytes)).toThrow(FormatError)
  }
  expect((reader.parts[0] as RecordPart).slot).toBe(slotOfKey('key'))
})
