/** What members learn of each other that can't reach each other: who has their operations by way of a third. */
import { beforeEach, describe, expect, test } from 'vitest'
import type { SlotRange } from '#protocol/slots/slotMap.ts'
import { writePlan, writeSubscribe } from '#protocol/sync/message.ts'
import { writeAppliedAt, writeAskRelayed } from '#protocol/sync/relayMessage.ts'
import { clusterOfOrigin } from '#protocol/sync/stamp.ts'
import { ByteWriter } from '#runtime/bytes/byteWriter.ts'
import { type ToyLink, ToyNet, type ToyNode, timings } from './toyNet.ts'

let net: ToyNet

const nodesOf = (...members: number[]): ToyNode[] => members.map((id) => net.node(id, { members }))

/** Each reads the other. */
function join(a: ToyNode, b: ToyNode, ranges?: readonly SlotRange[]): [ToyLink, ToyLink] {
  return [net.link(a, b, ranges), net.link(b, a, ranges)]
}

const hasAll = (node: ToyNode, of: ToyNode): boolean =>
  of.replication.appliedAt(node.origin) >= of.shard.lastStamp

/** Somebody waits for all that it has written; everything that can be delivered is. */
function ask(source: ToyNode): void {
  source.replication.wantApplied()
  net.settle()
}

/** Who hears nothing of a member for so long takes its operations from the others. */
const noticeCut = () => net.advance(timings.linkDownMs + 100)

beforeEach(() => {
  net = new ToyNet()
})

describe('A and C cut off from each other, B between them', () => {
  let [a, b, c]: ToyNode[] = []
  let links: { ab: [ToyLink, ToyLink]; bc: [ToyLink, ToyLink] }
  const of = () => ({ a: a as ToyNode, b: b as ToyNode, c: c as ToyNode })
  beforeEach(() => {
    ;[a, b, c] = nodesOf(1, 2, 3)
    const nodes = of()
    links = { ab: join(nodes.a, nodes.b), bc: join(nodes.b, nodes.c) }
    noticeCut()
  })

  test('A learns that C has what B has brought there, without time passing', () => {
    const { a, b, c } = of()
    a.shard.write({ slot: 1, token: 'x' })
    expect(hasAll(c, a)).toBe(false)
    ask(a)
    expect(c.shard.applied).toEqual(['x'])
    expect([hasAll(b, a), hasAll(c, a)]).toEqual([true, true])
    expect(a.replication.lag(c.origin)).toEqual({ operations: 0, ageMs: 0 })
    c.shard.write({ slot: 1 })
    ask(c)
    expect(hasAll(a, c)).toBe(true)
  })

  test('only when it is durable at C', () => {
    const { a, c } = of()
    c.shard.log.heldAt = c.shard.log.end
    a.shard.write({ slot: 1, token: 'x' })
    ask(a)
    expect(c.shard.applied).toEqual(['x'])
    expect(hasAll(c, a)).toBe(false)
    c.shard.log.heldAt = undefined
    net.settle()
    expect(hasAll(c, a)).toBe(true)
  })

  test('only when it is applied there, not when it is held', () => {
    const { a, b, c } = of()
    const d = net.node(4, { members: [1, 2, 3, 4] })
    net.link(d, a)
    d.shard.write({ slot: 1, token: 'cause' })
    net.settle()
    // C lacks what A's operation depends on, and B passes it on only when it has that itself.
    b.shard.vectors.set(1, d.origin, d.shard.lastStamp)
    a.shard.write({ slot: 1, token: 'effect' })
    ask(a)
    expect([...c.replication.intakes].map(({ held }) => held.count)).toEqual([1])
    expect([hasAll(b, a), hasAll(c, a)]).toEqual([true, false])
    net.link(d, c)
    net.settle()
    expect(c.shard.applied).toEqual(['cause', 'effect'])
    expect(hasAll(c, a)).toBe(true)
  })

  test('what was confirmed to B before C was cut off from A is asked for when C turns to B', () => {
    net = new ToyNet()
    const [a, b, c] = nodesOf(1, 2, 3) as [ToyNode, ToyNode, ToyNode]
    join(a, b)
    join(b, c)
    a.shard.write({ slot: 1 })
    ask(a)
    expect([hasAll(b, a), hasAll(c, a)]).toEqual([true, false])
    noticeCut()
    expect(hasAll(c, a)).toBe(true)
  })

  test('what B knows is told on a new link to A, too', () => {
    const { a, b, c } = of()
    const [toB, toA] = links.ab
    a.shard.write({ slot: 1 })
    a.replication.wantApplied()
    // It comes to C, and the answer finds no way back.
    const others = net.links.filter((link) => link !== toB)
    a.replication.pump()
    while (toB.deliver('intake'));
    b.replication.pump()
    while (toB.deliver('feed'));
    net.settle(others)
    expect([hasAll(b, a), hasAll(c, a)]).toEqual([true, false])
    toB.end()
    toA.end()
    join(a, b)
    ask(a)
    expect(hasAll(c, a)).toBe(true)
  })

  test('a member that has lost its data has nothing that others have told of it', () => {
    const { a, b, c } = of()
    a.shard.write({ slot: 1 })
    ask(a)
    expect(hasAll(c, a)).toBe(true)
    for (const link of links.bc) link.end()
    const lost = net.node(3, { members: [1, 2, 3], stale: true })
    net.link(b, lost)
    net.link(a, lost)
    const again = net.node(1, { members: [1, 2, 3], shard: a.shard })
    for (const link of links.ab) link.end()
    join(again, b)
    ask(again)
    expect(hasAll(b, again)).toBe(true)
    expect(again.replication.appliedAt(lost.origin)).toBe(0)
  })

  test('a slot state that brings it counts with it', () => {
    net = new ToyNet()
    const [a, b, c] = nodesOf(1, 2, 3) as [ToyNode, ToyNode, ToyNode]
    join(a, b)
    a.shard.write({ slot: 1 })
    ask(a)
    b.shard.log.backlog.raiseFloor(1, a.origin, a.shard.lastStamp)
    join(b, c)
    noticeCut()
    expect(c.shard.merges).toBe(1)
    expect(hasAll(c, a)).toBe(true)
  })

  test('what has come to B as a slot state goes on to C as one, and counts when it is there', () => {
    net = new ToyNet()
    const [a, b, c] = nodesOf(1, 2, 3) as [ToyNode, ToyNode, ToyNode]
    join(b, c)
    noticeCut()
    b.shard.write({ slot: 1 })
    ask(b)
    a.shard.write({ slot: 1 })
    a.shard.log.backlog.raiseFloor(1, a.origin, a.shard.lastStamp)
    join(a, b)
    ask(a)
    expect([b.shard.merges, c.shard.merges]).toEqual([1, 1])
    expect(c.shard.vectors.covers(1, a.shard.lastStamp)).toBe(true)
    expect(hasAll(c, a)).toBe(true)
    // Nobody sends it back.
    expect(a.shard.merges).toBe(0)
  })

  test('a member that is being forced out is not counted by what others say', () => {
    const { a, c } = of()
    const membership = { members: [1, 2, 3], blocked: [3], removed: [], leaving: false }
    a.replication.setMembership(membership)
    a.shard.write({ slot: 1 })
    ask(a)
    expect(c.shard.applied.length).toBe(1)
    expect(hasAll(c, a)).toBe(false)
  })
})

test('over several members in a row', () => {
  const nodes = nodesOf(1, 2, 3, 4) as [ToyNode, ToyNode, ToyNode, ToyNode]
  for (const [i, node] of nodes.slice(1).entries()) join(nodes[i] as ToyNode, node)
  noticeCut()
  const [first, , , last] = nodes
  for (const [source, reader] of [
    [first, last],
    [last, first],
  ] as const) {
    source.shard.write({ slot: 7 })
    ask(source)
    for (const node of nodes) if (node !== source) expect(hasAll(node, source)).toBe(true)
    expect(reader.shard.tokens(7).length).toBeGreaterThan(0)
  }
})

test('slot by slot: all shards of the way must have said so', () => {
  const low = [{ first: 0, last: 99 }]
  const high = [{ first: 100, last: 16383 }]
  const [a, b, c] = nodesOf(1, 2, 3) as [ToyNode, ToyNode, ToyNode]
  join(a, b, low)
  join(a, b, high)
  join(b, c, [{ first: 0, last: 49 }])
  noticeCut()
  a.shard.write({ slot: 1 })
  ask(a)
  expect([hasAll(b, a), hasAll(c, a)]).toEqual([true, false])
  join(b, c, [{ first: 50, last: 16383 }])
  noticeCut()
  ask(a)
  expect(hasAll(c, a)).toBe(true)
})

describe('its cost', () => {
  /** Sent until it settles, by kind. */
  const sent = (of: ToyNode): Map<string, number> => {
    const kinds = new Map<string, number>()
    const count = (kind: string) => kinds.set(kind, (kinds.get(kind) ?? 0) + 1)
    of.shard.write({ slot: 1 })
    of.replication.wantApplied()
    const kindOf = (message: Uint8Array) =>
      ({ 18: 'askApplied', 19: 'applied', 28: 'askRelayed', 29: 'appliedAt' })[message[0] as number]
    for (let quiet = false; !quiet; ) {
      quiet = true
      for (const { replication } of net.nodes) replication.pump()
      for (const link of net.links) {
        for (const queue of [link.toIntake, link.toFeed]) {
          for (const message of queue.slice()) {
            quiet = false
            const kind = kindOf(message)
            if (kind !== undefined) count(kind)
            link.deliver(queue === link.toIntake ? 'intake' : 'feed')
          }
        }
      }
    }
    return kinds
  }

  test('none while all hear each other, and one question and answer a relay when one link is cut', () => {
    const nodes = nodesOf(1, 2, 3, 4, 5)
    const [a, , , , e] = nodes as [ToyNode, ToyNode, ToyNode, ToyNode, ToyNode]
    const between: ToyLink[] = []
    for (const [i, one] of nodes.entries())
      for (const other of nodes.slice(i + 1)) {
        const both = join(one, other)
        if (one === a && other === e) between.push(...both)
      }
    noticeCut()
    expect(Object.fromEntries(sent(a))).toEqual({ askApplied: 4, applied: 4 })
    for (const link of between) link.end()
    noticeCut()
    // Each of the three between asks E and tells A.
    expect(Object.fromEntries(sent(a))).toEqual({ askApplied: 3, applied: 3, askRelayed: 3, appliedAt: 6 })
    expect(hasAll(e, a)).toBe(true)
  })
})

describe('is refused or left alone', () => {
  const inject = (link: ToyLink, side: 'intake' | 'feed', write: (writer: ByteWriter) => void) => {
    const writer = new ByteWriter()
    write(writer)
    const queue = side === 'feed' ? link.toFeed : link.toIntake
    queue.unshift(writer.take())
    link.deliver(side)
  }
  const everywhere = [{ first: 0, last: 16383 }]

  test.each([
    ['of the peer, and was not asked', 2, everywhere, 'was not asked'],
    ['of slots of another channel', 3, [{ first: 0, last: 300 }], 'not of this channel'],
    ['of operations that there are not', 3, [{ first: 5, last: 9 }], 'no operation of this shard'],
  ])('what is said %s', (_what, member, ranges, reason) => {
    const [a, b] = nodesOf(1, 2, 3) as [ToyNode, ToyNode]
    const link = net.link(a, b, member === 2 ? undefined : [{ first: 5, last: 9 }])
    net.settle()
    a.shard.write({ slot: 5 })
    const stamp = a.shard.lastStamp + 8 * 10
    inject(link, 'feed', (writer) => writeAppliedAt(writer, { member, stamp, ranges }))
    expect(link.closed).toBe(true)
    expect(a.reasons.join()).toContain(reason)
  })

  test('a question about operations that are not taken from there', () => {
    const [a, b, c] = nodesOf(1, 2, 3) as [ToyNode, ToyNode, ToyNode]
    const link = net.link(b, c)
    net.settle()
    a.shard.write({ slot: 1 })
    inject(link, 'intake', (writer) =>
      writeAskRelayed(writer, { stamp: a.shard.lastStamp, ranges: everywhere }),
    )
    c.replication.pump()
    expect([link.closed, link.toFeed.length]).toEqual([false, 0])
  })

  test('too many of them', () => {
    const [a, b] = nodesOf(1, 2, 3) as [ToyNode, ToyNode]
    const link = net.link(a, b)
    net.settle()
    b.shard.log.heldAt = 0
    for (let last = 0; last < 1024; last++)
      inject(link, 'intake', (w) => writeAskRelayed(w, { stamp: 8 + a.origin, ranges: [{ first: 0, last }] }))
    expect(link.closed).toBe(false)
    inject(link, 'intake', (w) => writeAskRelayed(w, { stamp: 8 + a.origin, ranges: everywhere }))
    expect(b.reasons.join()).toContain('too many questions')
  })

  test('peers that know nothing of it are neither asked nor told', () => {
    const [a, b, c] = nodesOf(1, 2, 3) as [ToyNode, ToyNode, ToyNode]
    const [toB] = join(a, b)
    const [toC] = join(b, c)
    noticeCut()
    const plan = { round: 1, stale: false, runId: 'run-1-1', relays: false, slotStates: 0 }
    inject(toB, 'intake', (writer) => writePlan(writer, plan))
    a.shard.write({ slot: 1 })
    ask(a)
    expect(c.shard.applied.length).toBe(1)
    expect([hasAll(b, a), hasAll(c, a)]).toEqual([true, false])
    const old = { compares: true, relays: false, takesPublished: false, runId: 'old' }
    const before = { round: 9, stale: false, answers: true, staleRuns: [], ...old }
    inject(toC, 'feed', (writer) => writeSubscribe(writer, { ...before, origins: 255, vectors: new Map() }))
    a.shard.write({ slot: 2 })
    a.replication.wantApplied()
    net.settle([toB])
    b.replication.pump()
    expect(toC.pending.map(({ kind }) => kind)).not.toContain('askRelayed')
  })

  test('what is said of nobody, or of oneself', () => {
    const [a, b] = nodesOf(1, 2, 3) as [ToyNode, ToyNode]
    const link = net.link(a, b)
    net.settle()
    a.shard.write({ slot: 1 })
    const stamp = a.shard.lastStamp
    for (const member of [7, 1]) {
      inject(link, 'feed', (writer) => writeAppliedAt(writer, { member, stamp, ranges: everywhere }))
      expect(link.closed).toBe(false)
    }
    expect(a.replication.peers.map(clusterOfOrigin)).toEqual([2, 3])
    expect(a.replication.peers.map((peer) => a.replication.appliedAt(peer))).toEqual([0, 0])
  })
})
