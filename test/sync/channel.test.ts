/** One feed and one intake, message by message. */
import { beforeEach, describe, expect, test } from 'vitest'
import {
  beginOperations,
  writeAcknowledge,
  writeCaughtUp,
  writeHeartbeat,
  writeNeed,
  writePlan,
} from '#protocol/sync/message.ts'
import { beginRecord, endRecord, RecordKind } from '#protocol/sync/record.ts'
import { slotStatePartBytesMax, writeSlotStatePart } from '#protocol/sync/stateMessage.ts'
import { emptyVector } from '#protocol/sync/versionVector.ts'
import { ByteWriter } from '#runtime/bytes/byteWriter.ts'
import { scanBytesMax } from '#server/sync/feed.ts'
import { Intake } from '#server/sync/intake.ts'
import { needAgainMs } from '#server/sync/needs.ts'
import { limits, type ToyLink, ToyNet, type ToyNode, timings } from './toyNet.ts'

const need = (slot: number) => (writer: ByteWriter) =>
  writeNeed(writer, { slot, answer: 'state', have: emptyVector(), wanted: emptyVector() })

describe('a channel', () => {
  let net: ToyNet
  let source: ToyNode
  let reader: ToyNode
  beforeEach(() => {
    net = new ToyNet()
    source = net.node(1, { members: [1, 2], backlogBytesMax: 4096 })
    reader = net.node(2, { members: [1, 2] })
  })

  const ends = (node: ToyNode) => node.shard.tokens(1).map((token) => token.slice(-3))
  const kinds = (link: ToyLink) => link.pending.map((message) => message.kind)
  const intakeOf = (node: ToyNode) => [...node.replication.intakes][0]
  const feedOf = (node: ToyNode) => [...node.replication.feeds][0]
  /** As if the other side had sent it. */
  const inject = (link: ToyLink, side: 'intake' | 'feed', write: (writer: ByteWriter) => void) => {
    const writer = new ByteWriter()
    write(writer)
    const queue = side === 'intake' ? link.toIntake : link.toFeed
    queue.unshift(writer.take())
    link.deliver(side)
  }

  test('brings what was there, says so, and goes on with what comes', () => {
    source.shard.write({ slot: 1, token: 'old' })
    const link = net.link(source, reader)
    net.settle()
    expect(reader.shard.applied).toEqual(['old'])
    expect(intakeOf(reader)?.caughtUp).toBe(true)
    expect(feedOf(source)?.caughtUp).toBe(true)
    source.shard.write({ slot: 1, token: 'new' }, { slot: 2, token: 'too' })
    source.replication.pump()
    expect(kinds(link)).toEqual(['operations'])
    net.settle()
    expect(reader.shard.applied).toEqual(['old', 'new', 'too'])
    expect(feedOf(source)?.inflightBytes).toBe(0)
  })

  test('after a reconnect only what is missing is sent', () => {
    source.shard.write({ slot: 1, token: 'a' })
    net.link(source, reader)
    net.settle()
    net.links[0]?.end()
    source.shard.write({ slot: 1, token: 'b' })
    source.shard.write({ slot: 2, token: 'c' })
    const link = net.link(source, reader)
    link.deliver('feed')
    source.replication.pump()
    const bytes = link.pending.reduce(
      (sum, one) => sum + (one.kind === 'operations' ? one.end - one.start : 0),
      0,
    )
    const [b, c] = [source.shard.vectors.of(1), source.shard.vectors.of(2)]
    net.settle()
    expect(reader.shard.applied).toEqual(['a', 'b', 'c'])
    expect(reader.shard.vectors.of(1)).toEqual(b)
    expect(reader.shard.vectors.of(2)).toEqual(c)
    expect(bytes).toBeLessThan(source.shard.log.end)
    expect(reader.replication.gate.duplicates).toBe(0)
  })

  test('slots that the log no longer reaches are sent as states, the others from the log', () => {
    source.shard.write({ slot: 1, token: 'evicted' })
    for (let i = 0; i < 100; i++) source.shard.write({ slot: 2, token: `${i}`.padStart(50, '.') })
    source.shard.write({ slot: 3, token: 'recent' })
    expect(source.shard.log.start).toBeGreaterThan(0)
    net.link(source, reader)
    net.settle()
    expect(reader.shard.merges).toBe(2)
    expect(reader.shard.tokens(1)).toEqual(['evicted'])
    expect(reader.shard.tokens(2)).toEqual(source.shard.tokens(2))
    expect(reader.shard.applied).toEqual(['recent'])
  })

  test('nothing leaves before it is durable, neither operations nor states', () => {
    for (let i = 0; i < 100; i++) source.shard.write({ slot: 2, token: `${i}`.padStart(50, '.') })
    source.shard.log.heldAt = source.shard.log.end
    source.shard.write({ slot: 2, token: 'not durable' })
    source.shard.write({ slot: 3, token: 'nor this' })
    const link = net.link(source, reader)
    net.settle()
    source.replication.tick()
    expect(kinds(link).filter((kind) => kind !== 'heartbeat')).toEqual([])
    expect(reader.shard.merges).toBe(0)
    source.shard.log.heldAt = undefined
    net.settle()
    expect(reader.shard.tokens(2)).toEqual(source.shard.tokens(2))
    expect(reader.shard.tokens(3)).toEqual(['nor this'])
  })

  test('a heartbeat proves nothing that is not on its way before it', () => {
    const link = net.link(source, reader)
    net.settle()
    source.shard.log.heldAt = source.shard.log.end
    source.shard.write({ slot: 1 })
    net.world.advance(timings.heartbeatMs)
    source.replication.tick()
    expect(link.pending).toMatchObject([{ kind: 'heartbeat', ranges: [] }])
    source.shard.log.heldAt = undefined
    source.replication.pump()
    expect(kinds(link)).toEqual(['heartbeat', 'operations', 'heartbeat'])
    expect(link.pending[2]).toMatchObject({
      ranges: [{ applied: { [source.origin]: source.shard.lastStamp } }],
    })
    net.settle()
    expect(reader.replication.acknowledgements.least(source.origin, source.origin)).toBe(
      source.shard.lastStamp,
    )
  })

  test('what is in flight is bounded, and goes on with the acknowledgements', () => {
    const small = net.node(3, {
      members: [3, 2],
      limits: { ...limits, linkInflightBytesMax: 1000 },
    })
    for (let i = 0; i < 200; i++) small.shard.write({ slot: i, token: 'x'.repeat(1000) })
    const link = net.link(small, reader)
    link.deliver('feed')
    small.replication.pump()
    small.replication.pump()
    const sent = link.toIntake.reduce((sum, message) => sum + message.length, 0)
    expect(sent).toBeLessThan(80_000)
    expect(feedOf(small)?.behindBytes).toBeGreaterThan(100_000)
    reader.shard.refusing = true
    while (link.deliver('intake'));
    reader.replication.pump()
    expect(link.toFeed).toEqual([])
    reader.shard.refusing = false
    net.settle()
    expect(reader.shard.applied).toHaveLength(200)
  })

  test('a reader too slow for the window of the log is told and subscribes again', () => {
    const link = net.link(source, reader)
    net.settle()
    for (let i = 0; i < 200; i++) source.shard.write({ slot: 1, token: `${i}`.padStart(50, '.') })
    source.replication.pump()
    expect(kinds(link)).toEqual(['behind'])
    net.settle()
    expect(reader.shard.tokens(1)).toEqual(source.shard.tokens(1))
    expect(intakeOf(reader)?.caughtUp).toBe(true)
  })

  test('transactions are cut to the slots of the channel', () => {
    const low = [{ first: 0, last: 99 }]
    const record = source.shard.write({ slot: 1, token: 'low' }, { slot: 100, token: 'high' })
    net.link(source, reader, low)
    net.settle()
    expect(reader.shard.applied).toEqual(['low'])
    expect(reader.shard.log.end).toBeLessThan(record.length)
    source.shard.write({ slot: 100, token: 'high' })
    net.settle()
    expect(reader.shard.applied).toEqual(['low'])
  })

  /** The reader has said that it takes states, and there are as many messages as one turn sends. */
  const beginStates = (link: ToyLink) => {
    link.deliver('feed')
    source.replication.pump()
    expect(kinds(link)).toEqual(['plan', 'statesDue'])
    while (link.deliver('intake'));
    while (link.deliver('feed'));
    source.replication.pump()
  }

  test('a state larger than one part is merged in one step, its vector not before', () => {
    const once = net.node(5, {
      members: [5, 2],
      backlogBytesMax: 4096,
      variations: { cutBytes: 1 << 20, slotStatePartBytes: 9000 },
    })
    source = once
    for (let i = 0; i < 4; i++) source.shard.write({ slot: 1, token: `${i}`.padStart(10_000, '.') })
    source.shard.write({ slot: 2, token: '.'.repeat(5000) })
    const link = net.link(source, reader)
    beginStates(link)
    expect(kinds(link).filter((kind) => kind === 'slotState').length).toBeGreaterThan(4)
    while (link.pending.filter((message) => message.kind === 'slotState').length > 2) link.deliver('intake')
    reader.replication.pump()
    net.world.advance(0)
    expect(reader.shard.vectors.greatest(1)).toBe(0)
    expect(reader.replication.inTransfer(1)).toBe(true)
    net.settle()
    expect(ends(reader)).toEqual(ends(source))
    expect(reader.shard.vectors.of(1)).toEqual(source.shard.vectors.of(1))
    expect(reader.replication.inTransfer(1)).toBe(false)
  })

  test('all states of a transfer wait for the log once, not each of them', () => {
    for (let slot = 1; slot <= 50; slot++) {
      for (let i = 0; i < 5; i++) source.shard.write({ slot, token: `${i}`.padStart(50, '.') })
    }
    expect(source.shard.log.floor(1, source.origin)).toBeGreaterThan(0)
    const link = net.link(source, reader)
    source.shard.log.heldAt = 0
    beginStates(link)
    const position = source.shard.log.end
    // More is written while it waits, and made durable only up to where the states were cut.
    source.shard.write({ slot: 1, token: 'later' })
    source.shard.log.heldAt = position
    net.settle()
    expect(reader.shard.merges).toBeGreaterThan(20)
    expect(reader.shard.tokens(1)).toHaveLength(5)
    source.shard.log.heldAt = undefined
    net.settle()
    expect(reader.shard.tokens(1)).toEqual(source.shard.tokens(1))
    expect(intakeOf(reader)?.caughtUp).toBe(true)
  })

  test('a state that is too large closes the channel', () => {
    const small = net.node(3, { members: [1, 3], variations: { slotStateBytesMax: 1000 } })
    for (let i = 0; i < 100; i++) source.shard.write({ slot: 1, token: `${i}`.padStart(50, '.') })
    net.link(source, small)
    net.settle()
    expect(small.reasons.at(-1)).toContain('state of slot 1 is larger than 1000 bytes')
    expect(small.shard.merges).toBe(0)
  })

  test('a long log is looked through in several turns', () => {
    const large = net.node(3, { members: [1, 2, 3], backlogBytesMax: 1 << 24 })
    const third = net.node(4)
    const token = 'x'.repeat(1 << 20)
    // Nothing of it is wanted: it is of another cluster.
    large.shard.write({ slot: 2, token: 'first' })
    for (let i = 0; i < 6; i++) large.shard.logRecord(third.shard.write({ slot: 1, token }))
    large.shard.write({ slot: 2, token: 'last' })
    const link = net.link(large, reader)
    link.deliver('feed')
    large.replication.pump()
    expect(feedOf(large)?.behindBytes).toBeGreaterThan(0)
    expect(large.shard.log.end - (feedOf(large)?.behindBytes ?? 0)).toBeGreaterThanOrEqual(scanBytesMax)
    net.world.advance(1)
    expect(feedOf(large)?.behindBytes).toBe(0)
    net.settle()
    expect(reader.shard.applied).toEqual(['first', 'last'])
  })

  test('a transfer that breaks off leaves nothing behind', () => {
    for (let i = 0; i < 20; i++)
      source.shard.write({ slot: 1, token: `${i}`.padStart(slotStatePartBytesMax / 4, '.') })
    const link = net.link(source, reader)
    link.deliver('feed')
    source.replication.pump()
    for (let i = 0; i < 4; i++) link.deliver('intake')
    link.end()
    expect(reader.shard.vectors.greatest(1)).toBe(0)
    expect(reader.replication.inTransfer(1)).toBe(false)
    net.link(source, reader)
    net.settle()
    expect(ends(reader)).toEqual(ends(source))
  })

  test('what was dropped for want of memory is asked for', () => {
    const tight = net.node(3, { members: [1, 3], limits: { ...limits, holdQueueBytesMax: 2000 } })
    const third = net.node(4, { members: [1, 2, 3, 4] })
    source.shard.logRecord(third.shard.write({ slot: 1, token: 'seen' }))
    for (let i = 0; i < 10; i++) source.shard.write({ slot: 1, token: `${i}`.padStart(200, '.') })
    net.link(source, tight)
    net.settle()
    expect(tight.replication.gate.overflows).toBeGreaterThan(0)
    expect(tight.replication.gate.heldBytes).toBeLessThanOrEqual(2000)
    expect(tight.shard.tokens(1)).toEqual(source.shard.tokens(1))
  })

  test('acknowledgements do not count while anything of the sender is held', () => {
    const third = net.node(3, { members: [1, 2, 3] })
    source.shard.logRecord(third.shard.write({ slot: 1 }))
    source.shard.write({ slot: 1 })
    const link = net.link(source, reader)
    net.settle()
    inject(link, 'intake', (writer) => {
      const applied = emptyVector()
      applied[source.origin] = source.shard.lastStamp
      writeHeartbeat(writer, false, [{ first: 0, last: 16383, applied }])
    })
    const { acknowledgements } = reader.replication
    expect(acknowledgements.least(source.origin, source.origin)).toBe(0)
    net.advance(1000)
    expect(acknowledgements.least(source.origin, source.origin)).toBe(source.shard.lastStamp)
  })

  test('a state from a clock far ahead is not merged, and is asked for until it may be', () => {
    source.shard.wallMs = net.world.wallMs() + 62_000
    for (let i = 0; i < 100; i++) source.shard.write({ slot: 1, token: `${i}`.padStart(50, '.') })
    net.link(source, reader)
    net.advance(1500)
    expect(reader.shard.merges).toBe(0)
    expect(intakeOf(reader)?.caughtUp).toBe(false)
    net.advance(needAgainMs + 1500)
    expect(reader.shard.tokens(1)).toEqual(source.shard.tokens(1))
    expect(intakeOf(reader)?.caughtUp).toBe(true)
  })

  test('a state that is too old is asked for until there is a newer one', () => {
    reader.shard.findsStatesTooOld = true
    for (let i = 0; i < 100; i++) source.shard.write({ slot: 1, token: `${i}`.padStart(50, '.') })
    net.link(source, reader)
    net.advance(1500)
    expect(reader.shard.merges).toBe(0)
    expect(intakeOf(reader)?.caughtUp).toBe(false)
    expect(reader.shard.vectors.greatest(1)).toBe(0)
    reader.shard.findsStatesTooOld = false
    net.advance(needAgainMs + 1500)
    expect(reader.shard.tokens(1)).toEqual(source.shard.tokens(1))
    expect(intakeOf(reader)?.caughtUp).toBe(true)
  })

  describe('is closed with a reason, and nothing is applied, when the feed sends', () => {
    const plan = { round: 1, stale: false, runId: 'r', relays: true, slotStates: 0 }
    const operations = (record: Uint8Array) => (writer: ByteWriter) => {
      beginOperations(writer)
      writer.raw(record)
    }
    const state = new Uint8Array(3)
    const cases: [string, string, (writer: ByteWriter) => void][] = [
      ['garbage', 'sync message of kind 77', (writer) => writer.u8(77)],
      ['a message of the other side', 'need message', need(1)],
      ['half a record', 'record header wanted', operations(new Uint8Array([9]))],
      [
        'a record longer than the message',
        'record of 104 bytes',
        operations(new Uint8Array([100, 0, 0, 0, 1, 2])),
      ],
      [
        'a slot state as a record',
        'record of kind 2',
        (writer) => {
          beginOperations(writer)
          const start = beginRecord(writer, RecordKind.slotState)
          writer.u16(1)
          writer.u8(0)
          endRecord(writer, start)
        },
      ],
      [
        "what a group is in the feed's own cluster",
        'record of kind 3',
        (writer) => {
          beginOperations(writer)
          const start = beginRecord(writer, RecordKind.group)
          writer.u16(1)
          endRecord(writer, start)
        },
      ],
      [
        'parts of a state out of order',
        'out of order',
        (writer) => writeSlotStatePart(writer, 1, 1, true, emptyVector(), state, 0, 3),
      ],
    ]
    test.each(cases)('%s', (_what, reason, write) => {
      const link = net.link(source, reader)
      link.toFeed.length = 0
      inject(link, 'intake', (writer) => writePlan(writer, plan))
      inject(link, 'intake', write)
      expect(link.closed).toBe(true)
      expect(reader.reasons.at(-1)).toContain(reason)
      expect(reader.shard.log.end).toBe(0)
      expect([...reader.replication.intakes]).toEqual([])
    })

    test('operations before a plan', () => {
      const link = net.link(source, reader)
      inject(link, 'intake', operations(source.shard.record({ slot: 1 })))
      expect(link.closed).toBe(true)
      expect(reader.reasons.at(-1)).toContain('operations before a plan')
    })

    test('operations of a cluster that it was not asked for', () => {
      const third = net.node(3)
      const link = net.link(source, reader)
      inject(link, 'intake', (writer) => writePlan(writer, plan))
      inject(link, 'intake', operations(third.shard.record({ slot: 1 })))
      expect(reader.reasons.at(-1)).toContain('operations of cluster 3 were not asked for')
    })

    test('operations in slots that are not of the channel', () => {
      const link = net.link(source, reader, [{ first: 5, last: 9 }])
      inject(link, 'intake', (writer) => writePlan(writer, plan))
      inject(link, 'intake', operations(source.shard.record({ slot: 1 })))
      expect(reader.reasons.at(-1)).toContain('slot 1 is not of this channel')
    })

    test('effects that can not be decoded, at whatever place of the record', () => {
      const link = net.link(source, reader)
      inject(link, 'intake', (writer) => writePlan(writer, plan))
      inject(link, 'intake', operations(source.shard.record({ slot: 1 }, { slot: 2, token: '!' })))
      expect(reader.reasons.at(-1)).toContain('an effect that nobody understands')
      expect(reader.shard.applied).toEqual([])
    })

    test('an acknowledgement for slots that are not of the channel', () => {
      const link = net.link(source, reader, [{ first: 5, last: 9 }])
      inject(link, 'intake', (writer) => writePlan(writer, plan))
      inject(link, 'intake', (writer) =>
        writeHeartbeat(writer, false, [{ first: 5, last: 10, applied: emptyVector() }]),
      )
      expect(reader.reasons.at(-1)).toContain('slots 5 to 10 are not of this channel')
    })

    test('another run id within a channel', () => {
      const link = net.link(source, reader)
      inject(link, 'intake', (writer) => writePlan(writer, plan))
      inject(link, 'intake', (writer) => writePlan(writer, { ...plan, runId: 'other' }))
      expect(link.closed).toBe(true)
    })
  })

  describe('is closed with a reason when the intake sends', () => {
    const cases: [string, string, (writer: ByteWriter) => void][] = [
      ['garbage', 'sync message of kind 0', (writer) => writer.u8(0)],
      ['a message of the other side', 'caughtUp message', (writer) => writeCaughtUp(writer, 1)],
      ['an acknowledgement of more than was sent', 'acknowledges', (writer) => writeAcknowledge(writer, 1e9)],
      ['a need of another slot', 'slot 9 is not', need(9)],
    ]
    test.each(cases)('%s', (_what, reason, write) => {
      const link = net.link(source, reader, [{ first: 0, last: 5 }])
      inject(link, 'feed', write)
      expect(link.closed).toBe(true)
      expect(source.reasons.at(-1)).toContain(reason)
      expect([...source.replication.feeds]).toEqual([])
      expect(source.shard.log.shipping).toBe(false)
    })
  })

  test('messages that come after the end do nothing', () => {
    const link = net.link(source, reader)
    net.settle()
    const intake = intakeOf(reader)
    if (!(intake instanceof Intake)) throw new Error('no intake')
    link.end()
    const writer = new ByteWriter()
    writer.u8(77)
    intake.receive(writer.view(), 0, 1)
    expect(reader.reasons).toEqual([])
  })
})
