/** How slot states are asked for, cut, sent and taken: whose turn it is, and what is sent again. */
import { beforeEach, describe, expect, test } from 'vitest'
import { writeSendStates } from '#protocol/sync/stateMessage.ts'
import { ByteWriter } from '#runtime/bytes/byteWriter.ts'
import { limits, type ToyLink, ToyNet, type ToyNode } from './toyNet.ts'

const members = [1, 2, 3]
const long = (i: number): string => `${i}`.padStart(50, '.')

describe('slot states', () => {
  let net: ToyNet
  let source: ToyNode
  let reader: ToyNode
  beforeEach(() => {
    net = new ToyNet()
    source = net.node(1, {
      members,
      backlogBytesMax: 4096,
      // So that there is something left to send when more is written.
      limits: { ...limits, linkInflightBytesMax: 400 },
      variations: { cutBytes: 300 },
    })
    reader = net.node(2, { members })
  })

  const fill = (node: ToyNode, slots: readonly number[], count = 3) => {
    for (const slot of slots)
      for (let i = 0; i < count; i++) node.shard.write({ slot, token: `${slot}${long(i)}` })
    for (let i = 0; i < 80; i++) node.shard.write({ slot: 99, token: long(i) })
  }
  const kinds = (link: ToyLink) => link.pending.map((message) => message.kind)
  /** Messages from the feed, one by one, until `until` is the next. */
  const deliverUntil = (link: ToyLink, until: string) => {
    for (let i = 0; i < 1000; i++) {
      if (kinds(link)[0] === until) return
      if (link.deliver('intake')) continue
      net.world.advance(0)
      link.to.replication.pump()
      while (link.deliver('feed'));
      link.from.replication.pump()
    }
    throw new Error(`no ${until}`)
  }

  test('a large slot is cut while it changes, with the operations that come meanwhile, of whatever origin', () => {
    fill(source, [1], 30)
    const link = net.link(source, reader)
    deliverUntil(link, 'cutKeys')
    const third = net.node(3, { members })
    source.shard.write({ slot: 1, token: 'meanwhile' })
    const seen = third.shard.write({ slot: 1, token: 'of a third' })
    source.shard.logRecord(seen)
    deliverUntil(link, 'cutTail')
    expect(source.replication.inTransfer(1)).toBe(true)
    deliverUntil(link, 'cutEnd')
    reader.replication.pump()
    net.world.advance(0)
    expect(reader.shard.vectors.greatest(1)).toBe(0)
    expect(reader.replication.inTransfer(1)).toBe(true)
    net.settle()
    expect(reader.shard.tokens(1)).toEqual(source.shard.tokens(1))
    expect(reader.shard.vectors.of(1)).toEqual(source.shard.vectors.of(1))
    expect(reader.replication.inTransfer(1)).toBe(false)
    expect(source.replication.inTransfer(1)).toBe(false)
    expect(reader.shard.applied).toEqual([])
  })

  test('a cut begins anew when the state of a third cluster is joined with its slot', () => {
    fill(source, [1], 30)
    const third = net.node(3, { members, backlogBytesMax: 4096, variations: { cutBytes: 1 << 20 } })
    fill(third, [1], 3)
    const link = net.link(source, reader)
    deliverUntil(link, 'cutKeys')
    net.settle([net.link(third, source)])
    expect(source.shard.merges).toBeGreaterThan(0)
    expect(kinds(link).filter((kind) => kind === 'cutBegin')).toEqual([])
    deliverUntil(link, 'cutBegin')
    net.settle()
    expect(reader.shard.tokens(1)).toEqual(source.shard.tokens(1))
    expect(reader.shard.vectors.of(1)).toEqual(source.shard.vectors.of(1))
  })

  test('what has been joined is not sent again when a transfer breaks off', () => {
    fill(source, [1, 2, 3, 4], 30)
    const link = net.link(source, reader)
    deliverUntil(link, 'cutEnd')
    link.deliver('intake')
    deliverUntil(link, 'cutEnd')
    reader.replication.pump()
    net.world.advance(0)
    const joined = reader.shard.merges
    expect(joined).toBeGreaterThan(0)
    link.end()
    net.link(source, reader)
    net.settle()
    expect(reader.shard.merges).toBe(5)
    const planned = [...reader.replication.intakes][0]?.slotStatesPlanned
    expect(planned).toBe(5 - joined)
    for (const slot of [1, 2, 3, 4, 99]) expect(reader.shard.tokens(slot)).toEqual(source.shard.tokens(slot))
  })

  test('come from one source at a time', () => {
    const other = net.node(3, { members, backlogBytesMax: 4096 })
    fill(source, [1, 2], 30)
    fill(other, [5, 6])
    const [first, second] = [net.link(source, reader), net.link(other, reader)]
    deliverUntil(first, 'cutKeys')
    for (let i = 0; i < 10; i++) {
      while (second.deliver('feed'));
      second.from.replication.pump()
      while (second.deliver('intake'));
    }
    expect(kinds(second)).toEqual([])
    expect(reader.shard.tokens(5)).toEqual([])
    first.end()
    net.settle()
    expect(reader.shard.tokens(5)).toEqual(other.shard.tokens(5))
  })

  test('an answer to an earlier question does not count', () => {
    fill(source, [1])
    const link = net.link(source, reader)
    deliverUntil(link, 'statesDue')
    const writer = new ByteWriter()
    writeSendStates(writer, 77)
    link.toFeed.unshift(writer.take())
    while (link.deliver('feed'));
    source.replication.pump()
    expect(kinds(link)).toEqual(['statesDue'])
    net.settle()
    expect(reader.shard.tokens(1)).toEqual(source.shard.tokens(1))
  })

  test('that are due again while the last ones are being taken are not forgotten', () => {
    fill(source, [1, 2])
    const link = net.link(source, reader)
    deliverUntil(link, 'statesSent')
    link.deliver('intake')
    const [intake] = [...reader.replication.intakes]
    expect(intake?.hasWork).toBe(true)
    intake?.need(99, null)
    while (link.deliver('feed'));
    source.shard.write({ slot: 99, token: 'more' })
    source.replication.pump()
    while (link.deliver('intake'));
    net.settle()
    net.advance(1100)
    expect(intake?.caughtUp).toBe(true)
    expect(reader.shard.tokens(99)).toEqual(source.shard.tokens(99))
  })

  test('are asked for again when an operation was dropped that came behind them', () => {
    const forgetful = net.node(3, { members, limits: { ...limits, holdQueueBytesMax: 1 } })
    const ample = net.node(1, { members, backlogBytesMax: 4096, variations: { cutBytes: 300 } })
    fill(ample, [1], 30)
    const link = net.link(ample, forgetful)
    deliverUntil(link, 'cutEnd')
    link.deliver('intake')
    ample.shard.write({ slot: 1, token: 'behind' })
    ample.replication.pump()
    while (link.deliver('intake'));
    expect(forgetful.replication.gate.overflows).toBe(1)
    const [intake] = forgetful.replication.intakes
    forgetful.replication.pump()
    net.world.advance(0)
    expect(forgetful.shard.tokens(1)).not.toContain('behind')
    expect(intake?.caughtUp).toBe(false)
    net.settle()
    expect(forgetful.shard.tokens(1)).toEqual(ample.shard.tokens(1))
  })

  test('are not asked for when the configuration changes', () => {
    const membership = { blocked: [], removed: [], leaving: false }
    fill(source, [1, 2])
    const link = net.link(source, reader)
    net.settle()
    const { merges } = reader.shard
    for (const node of [source, reader]) {
      node.replication.setMembership({ ...membership, members: [1, 2] })
      node.replication.setCausalConsistency(true)
      node.replication.setMembership({ ...membership, members })
      node.replication.setCausalConsistency(false)
    }
    net.advance(500)
    expect(kinds(link)).toEqual([])
    expect(reader.shard.merges).toBe(merges)
    expect(reader.replication.slotStatesAsked).toBe(0)
    expect(source.replication.slotStatesAsked).toBe(0)
  })
})
