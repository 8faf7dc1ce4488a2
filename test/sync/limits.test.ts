/** What waits has a bound, and the memory that it takes stays below, whatever a peer sends. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { RecordReader } from '#protocol/sync/record.ts'
import { Gate } from '#server/sync/gate.ts'
import { HoldQueues } from '#server/sync/holdQueues.ts'
import { memoryInUseBytes } from '#test/memoryInUse.ts'
import { ToyNet, timings, limits as usual } from './toyNet.ts'
import { ToyShard } from './toyShard.ts'

const mebibyte = 1024 * 1024

describe('hold_queue_bytes_max', () => {
  const holdQueueBytesMax = 8 * mebibyte

  /** Operations of cluster 2 whose predecessors have not come. */
  function waiting(tokenBytes: number): Uint8Array[] {
    const far = new ToyShard(2)
    for (let slot = 0; slot < 1000; slot++) far.write({ slot })
    const records: Uint8Array[] = []
    const token = 'x'.repeat(tokenBytes)
    for (let bytes = 0; bytes < holdQueueBytesMax * 2; bytes += 300 + tokenBytes)
      records.push(far.write({ slot: records.length % 1000, token }))
    return records
  }

  test.each([1, 200, 100_000])('operations of %i bytes that wait', async (tokenBytes) => {
    const gate = new Gate(new ToyShard(1), { holdQueueBytesMax, holdMs: 200, futureHoldMs: 60_000 })
    gate.tick(0, Date.UTC(2026, 0, 1))
    const needs = new Set<number>()
    const source = { held: new HoldQueues(), need: (slot: number) => void needs.add(slot) }
    gate.open(source)
    const records = waiting(tokenBytes)
    const reader = new RecordReader()
    const offer = (record: Uint8Array) => {
      reader.read(record, 0, record.length)
      gate.offer(source, reader, record, 0, record.length, 0)
    }
    const before = await memoryInUseBytes()
    let next = 0
    while (gate.heldBytes < holdQueueBytesMax * 0.95) offer(records[next++] as Uint8Array)
    expect(gate.overflows).toBe(0)
    // What is counted is what it takes.
    const takenBytes = (await memoryInUseBytes()) - before
    expect(takenBytes).toBeLessThan(holdQueueBytesMax)
    expect(takenBytes).toBeGreaterThan(holdQueueBytesMax * 0.6)
    // Beyond, all of it goes, and is asked for.
    for (let most = 0; gate.overflows === 0; ) {
      offer(records[next++] as Uint8Array)
      expect(gate.heldBytes).toBeLessThanOrEqual(holdQueueBytesMax)
      most = Math.max(most, gate.heldBytes)
    }
    expect(needs.size).toBe(Math.min(next, 1000))
    expect((await memoryInUseBytes()) - before).toBeLessThan(mebibyte)
  })
})

describe('link_inflight_bytes_max', () => {
  const linkInflightBytesMax = 4 * mebibyte
  let net: ToyNet
  beforeEach(() => {
    net = new ToyNet()
  })
  afterEach(() => {
    for (const link of net.links) link.end()
  })

  test('a peer that takes nothing costs that much, however much is written', async () => {
    const source = net.node(1, {
      members: [1, 2],
      backlogBytesMax: 64 * mebibyte,
      limits: { ...usual, linkInflightBytesMax },
    })
    const reader = net.node(2, { members: [1, 2] })
    const link = net.link(source, reader)
    net.settle()
    reader.shard.refusing = true
    const token = 'x'.repeat(10_000)
    const inflight = () => link.toIntake.reduce((sum, message) => sum + message.length, 0)
    for (let i = 0; i < 2000; i++) {
      source.shard.write({ slot: i % 100, token })
      source.replication.pump()
      // One message more at most.
      expect(inflight()).toBeLessThan(linkInflightBytesMax + 80_000)
    }
    expect(inflight()).toBeGreaterThan(linkInflightBytesMax * 0.95)
    // Also when all of it has come and is not acknowledged.
    while (link.deliver('intake'));
    source.replication.pump()
    expect(link.toIntake).toEqual([])
    reader.shard.refusing = false
    net.settle()
    expect(reader.shard.tokens(0)).toEqual(source.shard.tokens(0))
  })

  test('is changed while the link is open', () => {
    const source = net.node(1, { members: [1, 2], backlogBytesMax: 64 * mebibyte })
    const reader = net.node(2, { members: [1, 2] })
    const link = net.link(source, reader)
    net.settle()
    source.replication.configure({ ...usual, linkInflightBytesMax: 100_000 }, timings)
    for (let i = 0; i < 1000; i++) source.shard.write({ slot: 1, token: 'x'.repeat(10_000) })
    source.replication.pump()
    const sent = link.toIntake.reduce((sum, message) => sum + message.length, 0)
    expect(sent).toBeGreaterThan(100_000)
    expect(sent).toBeLessThan(200_000)
  })
})
