/** Three clusters of which two can't reach each other, by a clock of their own: how long it takes, and that nothing counts twice. */
import { describe, expect, test } from 'vitest'
import { ToyNet, type ToyNode, timings } from './toyNet.ts'

const members = [1, 2, 3]
const withinMs = 1_000
/** Of `ToyNet.advance`. */
const tickMs = 50

describe.each([
  { name: 'asked for', causalConsistency: false, effectMs: 300, aloneMs: 800 },
  { name: 'offered', causalConsistency: true, effectMs: 200, aloneMs: 200 },
])('with the link between A and C cut, operations $name', ({ causalConsistency, effectMs, aloneMs }) => {
  const threeNodes = () => {
    const net = new ToyNet()
    const [a, b, c] = members.map((id) => net.node(id, { members, causalConsistency })) as [
      ToyNode,
      ToyNode,
      ToyNode,
    ]
    const pairs: [ToyNode, ToyNode][] = [
      [a, b],
      [b, a],
      [b, c],
      [c, b],
    ]
    for (const [from, to] of pairs) net.link(from, to)
    const between = [net.link(a, c), net.link(c, a)]
    net.advance(timings.linkDownMs)
    return { net, a, b, c, between }
  }

  const msUntil = (net: ToyNet, isThere: () => boolean): number => {
    for (let passedMs = 0; passedMs <= 10 * withinMs; passedMs += tickMs) {
      if (isThere()) return passedMs
      net.advance(tickMs)
    }
    throw new Error('it does not come')
  }

  test('that another depends on come over B at once, others within a second', () => {
    for (const waitMs of [0, 100, 200, 300]) {
      const { net, a, b, c, between } = threeNodes()
      net.advance(waitMs)
      for (const link of between) link.end()
      a.shard.write({ slot: 1, token: 'cause' })
      net.settle()
      b.shard.write({ slot: 1, token: 'effect' })
      expect(msUntil(net, () => c.shard.applied.includes('effect'))).toBeLessThanOrEqual(effectMs)
      expect(c.shard.applied).toEqual(['cause', 'effect'])
      expect(c.shard.merges).toBe(0)
    }
    for (const waitMs of [0, 100, 200, 300]) {
      const { net, a, b, c, between } = threeNodes()
      net.advance(waitMs)
      for (const link of between) link.end()
      a.shard.write({ slot: 2, token: 'from a' })
      c.shard.write({ slot: 3, token: 'from c' })
      const isEqual = () =>
        [a, b, c].every(({ shard }) => shard.tokens(2).length === 1 && shard.tokens(3).length === 1)
      const ms = msUntil(net, isEqual)
      expect(ms).toBeLessThanOrEqual(aloneMs)
      expect(ms).toBeLessThan(withinMs)
    }
  })

  test('are applied once, also when the link is mended', () => {
    const { net, a, b, c, between } = threeNodes()
    for (const link of between) link.end()
    for (let i = 0; i < 40; i++) {
      const node = [a, b, c][i % 3] as ToyNode
      node.shard.write({ slot: i % 2, token: `t${i}` })
      net.advance(tickMs)
      if (i === 25) {
        net.link(a, c)
        net.link(c, a)
      }
    }
    net.advance(2 * withinMs)
    for (const { shard, replication } of [a, b, c]) {
      expect(shard.applied.length).toBe(40)
      expect(new Set(shard.applied).size).toBe(40)
      expect(replication.gate.heldCount).toBe(0)
    }
  })
})
