/** Operations that come late or not at all by their own way: what they are asked for, and how that is answered. */
import { beforeEach, describe, expect, test } from 'vitest'
import { needAgainMs } from '#server/sync/needs.ts'
import { type ToyLink, ToyNet, type ToyNode, timings } from './toyNet.ts'

describe('missing operations', () => {
  let net: ToyNet
  let source: ToyNode
  let reader: ToyNode
  beforeEach(() => {
    net = new ToyNet()
    source = net.node(1, { members: [1, 2], backlogBytesMax: 4096 })
    reader = net.node(2, { members: [1, 2] })
  })

  const kinds = (link: ToyLink) => link.pending.map((message) => message.kind)

  describe('an operation that waits too long', () => {
    /** The source has what it depends on from a third cluster, and `more` records behind. */
    const seeAndAnswer = (more: number) => {
      const third = net.node(3, { members: [1, 2, 3] })
      for (const token of ['far', 'seen']) source.shard.logRecord(third.shard.write({ slot: 1, token }))
      source.shard.write({ slot: 1, token: 'answer' })
      for (let i = 0; i < more; i++) source.shard.write({ slot: 2, token: `${i}`.padStart(50, '.') })
    }

    test('is answered with what it depends on, from the log', () => {
      seeAndAnswer(0)
      net.link(source, reader)
      net.settle()
      expect(reader.shard.applied).toEqual([])
      net.advance(timings.holdMs)
      expect(reader.shard.applied).toEqual(['far', 'seen', 'answer'])
      expect(reader.replication.operationsAsked).toBe(1)
      expect(reader.replication.slotStatesAsked).toBe(0)
      expect(reader.shard.merges).toBe(0)
      expect(reader.replication.gate.heldCount).toBe(0)
    })

    test('is answered with the state of its slot when the log does not reach back', () => {
      net.link(source, reader)
      net.settle()
      seeAndAnswer(0)
      net.settle()
      expect(reader.replication.gate.heldCount).toBe(1)
      for (let i = 0; i < 80; i++) {
        source.shard.write({ slot: 2, token: `${i}`.padStart(50, '.') })
        net.settle()
      }
      expect(source.shard.log.floor(1, 5)).toBeGreaterThan(0)
      net.advance(timings.holdMs)
      expect(reader.shard.tokens(1)).toEqual(['answer', 'far', 'seen'])
      expect(reader.shard.merges).toBe(1)
      expect(reader.replication.gate.heldCount).toBe(0)
    })

    test('is answered with the state when what came from the log was not enough', () => {
      const link = net.link(source, reader)
      net.settle()
      seeAndAnswer(0)
      net.settle()
      // The answer is lost on its way.
      net.world.advance(timings.holdMs)
      reader.replication.tick()
      while (link.deliver('feed'));
      source.replication.pump()
      expect(kinds(link)).toContain('operations')
      link.toIntake.length = 0
      net.advance(needAgainMs + 100)
      expect(reader.shard.tokens(1)).toEqual(['answer', 'far', 'seen'])
      expect(reader.replication.slotStatesAsked).toBe(1)
    })

    test('gets a transaction over several slots whole', () => {
      const third = net.node(3, { members: [1, 2, 3] })
      source.shard.logRecord(third.shard.write({ slot: 1, token: 'one' }, { slot: 2, token: 'two' }))
      source.shard.write({ slot: 1, token: 'answer' })
      net.link(source, reader)
      net.advance(timings.holdMs + 100)
      expect(reader.shard.applied).toEqual(['one', 'two', 'answer'])
    })
  })

  describe('with causal consistency', () => {
    let third: ToyNode
    beforeEach(() => {
      source = net.node(6, { members: [6, 2, 3], causalConsistency: true })
      third = net.node(3, { members: [6, 2, 3] })
    })

    test('operations of others are offered, and those asked for that did not come by another way', () => {
      const link = net.link(source, reader)
      net.settle()
      const [direct, missing] = [
        third.shard.write({ slot: 1, token: 'direct' }),
        third.shard.write({ slot: 1, token: 'missing' }),
      ]
      source.shard.logRecord(direct)
      source.shard.logRecord(missing)
      net.advance(100)
      expect(reader.shard.applied).toEqual(['direct', 'missing'])
      const there = third.shard.write({ slot: 2, token: 'there' })
      source.shard.logRecord(there)
      reader.shard.logRecord(there)
      net.world.advance(60)
      expect(kinds(link)).toEqual(['offer'])
      net.advance(200)
      expect(reader.shard.applied).toEqual(['direct', 'missing', 'there'])
      expect(reader.replication.gate.duplicates).toBe(0)
      expect(reader.replication.operationsAsked).toBe(1)
    })

    test('not its own operations, nor those that it follows, nor any when it is switched off', () => {
      const link = net.link(source, reader)
      net.settle()
      source.shard.write({ slot: 1, token: 'own' })
      source.shard.logRecord(reader.shard.write({ slot: 2, token: "the peer's" }))
      source.replication.pump()
      net.world.advance(100)
      expect(kinds(link)).toEqual(['operations'])
      source.replication.setCausalConsistency(false)
      source.shard.logRecord(third.shard.write({ slot: 1, token: 'other' }))
      net.world.advance(100)
      expect(kinds(link)).toEqual(['operations'])
      source.replication.setCausalConsistency(true)
      source.shard.logRecord(third.shard.write({ slot: 3, token: 'again' }))
      net.world.advance(100)
      // With what came meanwhile.
      const offered = link.pending.flatMap((message) => (message.kind === 'offer' ? message.offered : []))
      expect(offered.map(({ slot }) => slot)).toEqual([1, 3])
    })

    test('what is not in the log any more is left to those who follow it', () => {
      const small = net.node(7, { members: [7, 2, 3], causalConsistency: true, backlogBytesMax: 4096 })
      const link = net.link(small, reader)
      net.settle()
      small.shard.logRecord(third.shard.write({ slot: 1, token: 'old' }))
      net.world.advance(60)
      while (link.deliver('intake'));
      reader.replication.tick()
      for (let i = 0; i < 100; i++) small.shard.write({ slot: 2, token: `${i}`.padStart(50, '.') })
      net.settle()
      expect(reader.replication.operationsAsked).toBe(1)
      expect(reader.shard.tokens(1)).toEqual([])
    })
  })
})
