/** What peers say that they have applied: who may be believed, how soon, and what is made of it. */
import { beforeEach, describe, expect, test } from 'vitest'
import { writeApplied, writeSubscribe } from '#protocol/sync/message.ts'
import { beginRecord, endRecord, RecordKind, writeVector } from '#protocol/sync/record.ts'
import { emptyVector } from '#protocol/sync/versionVector.ts'
import { ByteWriter } from '#runtime/bytes/byteWriter.ts'
import { Confirmations } from '#server/sync/confirmations.ts'
import { type ToyLink, ToyNet, type ToyNode, timings } from './toyNet.ts'

let net: ToyNet
let source: ToyNode
let reader: ToyNode
let third: ToyNode
beforeEach(() => {
  net = new ToyNet()
  const members = [1, 2, 3]
  source = net.node(1, { members })
  reader = net.node(2, { members })
  third = net.node(3, { members })
})

const isApplied = (by: ToyNode = reader): boolean =>
  source.replication.appliedAt(by.origin) >= source.shard.lastStamp

/** Somebody waits for all that the source has written; everything that can be delivered is. */
function ask(): boolean {
  source.replication.wantApplied()
  net.settle()
  return isApplied()
}

const inject = (link: ToyLink, write: (writer: ByteWriter) => void) => {
  const writer = new ByteWriter()
  write(writer)
  link.toFeed.unshift(writer.take())
  link.deliver('feed')
}

describe('what is asked for is confirmed', () => {
  test('after a round trip, without waiting for a heartbeat', () => {
    net.link(source, reader)
    net.settle()
    source.shard.write({ slot: 1 })
    expect(isApplied()).toBe(false)
    expect(ask()).toBe(true)
    expect(isApplied(third)).toBe(false)
  })

  test('and nobody asks while nobody wants to know', () => {
    const link = net.link(source, reader)
    net.settle()
    for (let i = 0; i < 10; i++) {
      source.shard.write({ slot: 1 })
      source.replication.pump()
      expect(link.pending.map(({ kind }) => kind)).toEqual(['operations'])
      net.settle()
    }
    expect(ask()).toBe(true)
    source.replication.pump()
    expect(link.pending).toEqual([])
  })

  test('only when it has left, durable', () => {
    const link = net.link(source, reader)
    net.settle()
    source.shard.log.heldAt = source.shard.log.end
    source.shard.write({ slot: 1 })
    expect(ask()).toBe(false)
    expect(link.pending).toEqual([])
    source.shard.log.heldAt = undefined
    expect(ask()).toBe(true)
  })

  test('only when it is durable at the peer, who hurries for that', () => {
    net.link(source, reader)
    net.settle()
    expect(reader.shard.log.shipping).toBe(false)
    reader.shard.log.heldAt = reader.shard.log.end
    source.shard.write({ slot: 1 })
    expect(ask()).toBe(false)
    expect(reader.shard.applied.length).toBe(1)
    expect(reader.shard.log.shipping).toBe(true)
    reader.shard.log.heldAt = undefined
    net.settle()
    expect(isApplied()).toBe(true)
    expect(reader.shard.log.shipping).toBe(false)
  })

  test('only when it is applied, not when it has arrived and is held', () => {
    net.link(source, reader)
    net.link(third, source)
    net.settle()
    third.shard.write({ slot: 1, token: 'cause' })
    net.settle()
    source.shard.write({ slot: 1, token: 'effect' })
    expect(ask()).toBe(false)
    expect([...reader.replication.intakes][0]?.held.count).toBe(1)
    net.link(third, reader)
    net.settle()
    expect(reader.shard.applied).toEqual(['cause', 'effect'])
    expect(isApplied()).toBe(true)
  })

  test('however much comes behind it and is held', () => {
    const held = new Confirmations()
    const log = { end: 10, shippable: 10 } as Parameters<Confirmations['take']>[0]
    for (const stamp of [8, 16, 24, 32]) held.ask(stamp)
    expect(held.take(log, (stamp) => stamp <= 8)).toBe(8)
    expect(held.take(log, () => false)).toBe(0)
    expect(held.take({ ...log, end: 11 }, () => true)).toBe(0)
    expect(held.awaitsLog).toBe(true)
    expect(held.take({ ...log, end: 99, shippable: 11 }, () => true)).toBe(32)
    expect(held.awaitsLog).toBe(false)
  })

  test('what a slot state brings counts with it', () => {
    for (let i = 0; i < 3; i++) source.shard.write({ slot: i })
    source.shard.log.backlog.raiseFloor(1, source.origin, source.shard.lastStamp)
    net.link(source, reader)
    expect(ask()).toBe(true)
    expect(reader.shard.merges).toBe(1)
  })

  test('not by a peer that is getting lost data back', () => {
    const lost = net.node(3, { members: [1, 2, 3], stale: true })
    source.shard.write({ slot: 1 })
    net.link(source, lost)
    ask()
    expect(isApplied(lost)).toBe(false)
    net.link(reader, lost)
    net.advance(100)
    expect(lost.recovered).toBe(1)
    net.settle()
    expect(isApplied(lost)).toBe(true)
  })

  test('for every slot: all shards of the peer must have said so', () => {
    const low = [{ first: 0, last: 99 }]
    const high = [{ first: 100, last: 16383 }]
    net.link(source, reader, low)
    net.settle()
    source.shard.write({ slot: 1 })
    expect(ask()).toBe(false)
    net.link(source, third, high)
    const other = net.link(source, reader, high)
    net.settle()
    expect(isApplied()).toBe(true)
    other.end()
    source.shard.write({ slot: 1 })
    expect(ask()).toBe(false)
  })

  test('and remembered when the link breaks, until the member loses its data or leaves', () => {
    const link = net.link(source, reader)
    net.settle()
    source.shard.write({ slot: 1 })
    expect(ask()).toBe(true)
    link.end()
    expect(isApplied()).toBe(true)
    const lost = net.node(2, { members: [1, 2, 3], stale: true })
    net.link(source, lost)
    net.settle()
    expect(isApplied()).toBe(false)
  })

  test('a member that leaves has applied nothing when it comes again', () => {
    const membership = { blocked: [], removed: [], leaving: false }
    net.link(source, reader)
    net.settle()
    source.shard.write({ slot: 1 })
    expect(ask()).toBe(true)
    source.replication.setMembership({ ...membership, members: [1, 3] })
    expect(source.replication.peers).toEqual([third.origin])
    source.replication.setMembership({ ...membership, members: [1, 2, 3] })
    expect(isApplied()).toBe(false)
  })

  test('a peer that can not answer is not asked', () => {
    const link = net.link(source, reader)
    net.settle()
    const before = { round: 9, stale: false, takesPublished: false, relays: false, compares: false }
    const all = { answers: false, runId: 'old', staleRuns: [], origins: 255, vectors: new Map() }
    inject(link, (writer) => writeSubscribe(writer, { ...before, ...all }))
    source.shard.write({ slot: 1 })
    source.replication.wantApplied()
    source.replication.pump()
    expect(link.pending.map(({ kind }) => kind)).toEqual(['plan', 'operations', 'caughtUp'])
  })

  test('heartbeats tell it, too, later', () => {
    net.link(source, reader)
    net.link(reader, source)
    net.settle()
    source.shard.write({ slot: 1 })
    net.settle()
    expect(isApplied()).toBe(false)
    net.advance(3 * timings.heartbeatMs)
    expect(isApplied()).toBe(true)
    expect(source.replication.progress.stamp(reader.origin)).toBe(0)
  })

  test('nobody may confirm what was not asked', () => {
    const link = net.link(source, reader)
    net.settle()
    source.shard.write({ slot: 1 })
    inject(link, (writer) => writeApplied(writer, source.shard.lastStamp))
    expect(link.closed).toBe(true)
    expect(isApplied()).toBe(false)
    expect(source.reasons.join()).toContain('was not asked')
  })

  test('a question from before a new subscribe is not answered, the next one is', () => {
    const link = net.link(source, reader)
    net.settle()
    source.shard.write({ slot: 1 })
    source.replication.wantApplied()
    source.replication.pump()
    const intake = [...reader.replication.intakes][0]
    intake?.subscribe()
    while (link.deliver('intake'));
    reader.replication.pump()
    expect(isApplied()).toBe(false)
    net.settle()
    expect(isApplied()).toBe(true)
    expect(link.closed).toBe(false)
  })
})

describe('lag', () => {
  const lag = () => source.replication.lag(reader.origin)

  test('rises while the link is cut, with the age of the oldest operation, and falls', () => {
    const link = net.link(source, reader)
    source.shard.wallMs = net.world.wallMs()
    source.shard.write({ slot: 1 })
    ask()
    expect(lag()).toEqual({ operations: 0, ageMs: 0 })
    link.end()
    source.shard.wallMs = net.world.wallMs()
    source.shard.write({ slot: 1 })
    net.advance(3000)
    source.shard.wallMs = net.world.wallMs()
    source.shard.write({ slot: 2 })
    expect(lag()).toEqual({ operations: 2, ageMs: 3000 })
    net.link(source, reader)
    ask()
    expect(lag()).toEqual({ operations: 0, ageMs: 0 })
  })

  test('of what the window of the log has lost is still told', () => {
    source = net.node(1, { members: [1, 2, 3], backlogBytesMax: 4096 })
    const link = net.link(source, reader)
    net.settle()
    ask()
    link.end()
    source.shard.wallMs = net.world.wallMs()
    source.shard.write({ slot: 1 })
    net.advance(timings.heartbeatMs)
    source.shard.wallMs = net.world.wallMs() + 1000
    for (let i = 0; i < 100; i++) source.shard.write({ slot: 2, token: 'x'.repeat(50) })
    expect(source.shard.log.start).toBeGreaterThan(0)
    net.advance(1750)
    expect(lag()).toEqual({ operations: 101, ageMs: 2000 })
  })

  test('is that of each member, whatever else the log holds', () => {
    const writer = new ByteWriter()
    const start = beginRecord(writer, RecordKind.slotState)
    writer.u16(1)
    writeVector(writer, emptyVector())
    endRecord(writer, start)
    source.shard.log.backlog.append(writer.bytes, 0, writer.length, emptyVector())
    const link = net.link(source, reader)
    net.settle()
    source.shard.wallMs = net.world.wallMs() - 1000
    source.shard.write({ slot: 1 })
    ask()
    link.end()
    source.shard.wallMs = net.world.wallMs() - 100
    source.shard.write({ slot: 1 })
    expect(lag()).toEqual({ operations: 1, ageMs: 100 })
    expect(source.replication.lag(third.origin)).toEqual({ operations: 2, ageMs: 1000 })
  })

  test('after a start counts from there, and from what the peer lacks once it has said so', () => {
    source.shard.wallMs = net.world.wallMs()
    source.shard.write({ slot: 1 })
    net.advance(1000)
    const restarted = net.node(1, { members: [1, 2, 3] })
    restarted.shard.wallMs = net.world.wallMs() - 1000
    const record = restarted.shard.record({ slot: 1 })
    restarted.shard.logRecord(record)
    source = net.node(1, { members: [1, 2, 3], shard: restarted.shard })
    expect(lag()).toEqual({ operations: 0, ageMs: 0 })
    source.shard.log.heldAt = 0
    const link = net.link(source, reader)
    while (link.deliver('feed'));
    expect(lag()).toEqual({ operations: 1, ageMs: 1000 })
    source.shard.log.heldAt = undefined
    expect(ask()).toBe(true)
    expect(lag()).toEqual({ operations: 0, ageMs: 0 })
  })

  test('inbound is the time since heartbeats last proved that nothing is missing', () => {
    const behindMs = () => reader.replication.behindMs(source.origin)
    const link = net.link(source, reader)
    net.advance(1000)
    expect(behindMs()).toBe(0)
    link.end()
    // A heartbeat is overdue: what it counts from is the last that came.
    net.advance(1.5 * timings.heartbeatMs + 50)
    const later = behindMs()
    expect(later).toBeGreaterThan(1.5 * timings.heartbeatMs)
    net.advance(1000)
    expect(behindMs()).toBeGreaterThanOrEqual(1000 + later)
    net.link(source, reader)
    net.advance(2 * timings.heartbeatMs)
    expect(behindMs()).toBe(0)
  })
})
