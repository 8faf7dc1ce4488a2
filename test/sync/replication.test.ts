/** What takes more than one channel: relays, acknowledgements, getting lost data back. */
import { beforeEach, describe, expect, test } from 'vitest'
import { stampStep } from '#protocol/sync/stamp.ts'
import { emptyVector } from '#protocol/sync/versionVector.ts'
import { Acknowledgements } from '#server/sync/acknowledgements.ts'
import { rangesCover } from '#server/sync/slotSet.ts'
import { SeededRandom, seedFromEnv } from '#test/seed.ts'
import { type ToyLink, ToyNet, type ToyNode, timings } from './toyNet.ts'

const members = [1, 2, 3]

describe('a member that is cut off from one of the others', () => {
  test('is relayed by the third when it has been silent for some heartbeats, for as long as it lasts', () => {
    const net = new ToyNet()
    const [a, b, c] = members.map((id) => net.node(id, { members })) as [ToyNode, ToyNode, ToyNode]
    for (const [from, to] of [
      [a, b],
      [b, a],
      [b, c],
      [c, b],
    ] as const)
      net.link(from, to)
    const direct = net.link(a, c)
    net.advance(timings.linkDownMs)
    direct.end()
    net.advance(500)
    a.shard.write({ slot: 1, token: 'over b' })
    net.settle()
    expect(c.shard.applied).toEqual([])
    net.advance(500)
    expect(c.shard.applied).toEqual(['over b'])
    net.link(a, c)
    net.advance(1000)
    const [fromB] = [...c.replication.intakes].filter((intake) => intake.peer === b.origin)
    expect(fromB?.origins).toBe(1 << b.origin)
    a.shard.write({ slot: 1, token: 'direct' })
    net.settle()
    expect(c.shard.applied).toEqual(['over b', 'direct'])
    expect(c.replication.gate.duplicates).toBe(0)
  })

  test('is not relayed while links come up', () => {
    const net = new ToyNet()
    const [, b, c] = members.map((id) => net.node(id, { members })) as [ToyNode, ToyNode, ToyNode]
    net.link(b, c)
    net.advance(timings.linkDownMs / 2)
    expect([...c.replication.intakes][0]?.origins).toBe(1 << b.origin)
  })
})

describe('acknowledgements', () => {
  const low = { first: 0, last: 99 }
  const high = { first: 100, last: 16383 }
  const vector = (stamp: number) => emptyVector().fill(stamp)
  const said = (range: { first: number; last: number }, stamp: number) => [
    { ...range, applied: vector(stamp) },
  ]

  test('hold for the slots for which they were given', () => {
    const known = new Acknowledgements(7, [low, high], [7, 6])
    expect(known.inSlot(5).stamp(6, 7)).toBe(0)
    known.record(6, 0, said(low, 80))
    expect([known.inSlot(5).stamp(6, 7), known.inSlot(100).stamp(6, 7), known.least(6, 7)]).toEqual([
      80, 0, 0,
    ])
    known.record(6, 1, said(high, 40))
    expect([known.inSlot(5).stamp(6, 7), known.inSlot(100).stamp(6, 7), known.least(6, 7)]).toEqual([
      80, 40, 40,
    ])
    known.record(6, 1, said(high, 90))
    expect(known.least(6, 7)).toBe(80)
    known.forget(6)
    expect(known.least(6, 7)).toBe(0)
  })

  test('of two shards that speak for a slot the lesser counts', () => {
    const known = new Acknowledgements(7, [low, high], [7, 6])
    known.record(6, 0, said(low, 80))
    known.record(6, 1, said({ first: 50, last: 16383 }, 30))
    expect([49, 50, 99, 100].map((slot) => known.inSlot(slot).stamp(6, 7))).toEqual([80, 30, 30, 30])
  })

  test('of a member that left are forgotten; one that joins has acknowledged nothing', () => {
    const known = new Acknowledgements(7, [low], [7, 6])
    known.record(6, 0, said(low, 80))
    const { changes } = known
    known.setMembers([7, 5])
    expect(known.changes).toBeGreaterThan(changes)
    expect(known.inSlot(5).members).toEqual([7, 5])
    expect([known.least(6, 7), known.least(5, 7)]).toEqual([0, 0])
  })

  test('what this shard acknowledges are the watermarks of the others and its own clock', () => {
    const known = new Acknowledgements(7, [low, high], [7, 6, 5])
    known.record(6, 0, said({ first: 0, last: 16383 }, 86))
    known.record(5, 0, said(low, 45))
    const [inLow, inHigh] = [emptyVector(), emptyVector()]
    inLow[6] = inHigh[6] = 86
    inLow[5] = 45
    inLow[7] = inHigh[7] = 1007
    expect(known.applied([{ first: 50, last: 200 }], 1007)).toEqual([
      { first: 50, last: 99, applied: inLow },
      { first: 100, last: 200, applied: inHigh },
    ])
  })

  test('reach everybody, and only when they are durable', () => {
    const net = new ToyNet()
    const a = net.node(1, { members: [1, 2] })
    const b = net.node(2, { members: [1, 2] })
    net.link(a, b)
    net.link(b, a)
    b.shard.log.heldAt = 0
    const stamp = () => a.shard.vectors.get(1, a.origin)
    a.shard.write({ slot: 1 })
    net.advance(1000)
    expect(b.shard.vectors.get(1, a.origin)).toBe(stamp())
    expect(a.replication.acknowledgements.least(b.origin, a.origin)).toBeLessThan(stamp())
    b.shard.log.heldAt = undefined
    net.advance(1000)
    expect(a.replication.acknowledgements.least(b.origin, a.origin)).toBeGreaterThanOrEqual(stamp())
  })
})

test('ranges cover only without a gap', () => {
  const range = (first: number, last: number) => ({ first, last })
  expect(rangesCover([range(0, 9)], [])).toBe(false)
  expect(rangesCover([range(0, 9)], [[range(5, 9)], [range(0, 4)]])).toBe(true)
  expect(rangesCover([range(0, 9)], [[range(6, 9)], [range(0, 4)]])).toBe(false)
  expect(rangesCover([range(0, 9)], [[range(0, 8)]])).toBe(false)
  expect(rangesCover([range(3, 4), range(8, 9)], [[range(0, 5)], [range(7, 20)]])).toBe(true)
  expect(rangesCover([], [])).toBe(true)
})

describe('a shard that lost its data', () => {
  let net: ToyNet
  let a: ToyNode
  let b: ToyNode
  let c: ToyNode
  beforeEach(() => {
    net = new ToyNet()
    ;[a, b, c] = members.map((id) => net.node(id, { members })) as [ToyNode, ToyNode, ToyNode]
    for (const from of [a, b, c]) for (const to of [a, b, c]) if (from !== to) net.link(from, to)
    net.advance(500)
  })

  const lose = (node: ToyNode): ToyNode => {
    for (const link of net.links) if (link.from === node || link.to === node) link.end()
    net.nodes.splice(net.nodes.indexOf(node), 1)
    return net.node(node.shard.clusterId, { members, stale: true })
  }
  const last = (node: ToyNode, origin: number) => node.shard.vectors.get(1, origin)

  test('gets everything back from everybody, its own operations too, before it takes writes', () => {
    a.shard.write({ slot: 1, token: 'own' })
    net.settle()
    b.shard.write({ slot: 1, token: 'of b' })
    const reborn = lose(a)
    expect(reborn.replication.stale).toBe(true)
    net.link(b, reborn)
    net.advance(500)
    expect(reborn.shard.tokens(1)).toEqual(['of b', 'own'])
    expect(reborn.replication.stale).toBe(true)
    net.link(c, reborn)
    net.advance(500)
    expect(reborn.recovered).toBe(1)
    expect(reborn.replication.stale).toBe(false)
    expect(last(reborn, a.origin)).toBe(last(c, a.origin))
    const origins = [...reborn.replication.intakes].map((intake) => intake.origins)
    expect(origins).toEqual([1 << b.origin, 1 << c.origin])
  })

  test('acknowledges nothing while it is stale, and what it acknowledged before is forgotten', () => {
    b.shard.write({ slot: 1 })
    net.advance(500)
    expect(b.replication.acknowledgements.least(a.origin, b.origin)).toBe(b.shard.lastStamp)
    const reborn = lose(a)
    net.link(b, reborn)
    net.advance(100)
    net.link(reborn, b)
    net.advance(1000)
    expect(b.replication.acknowledgements.least(a.origin, b.origin)).toBe(0)
    net.link(c, reborn)
    net.advance(1000)
    expect(b.replication.acknowledgements.least(a.origin, b.origin)).toBeGreaterThanOrEqual(b.shard.lastStamp)
  })

  test('is answered only by those who take nothing of its former life any more (A11)', () => {
    const late = net.links.filter((link) => link.from === a && link.to === b)
    a.shard.write({ slot: 1, token: 'in flight' })
    a.replication.pump()
    expect(late[0]?.toIntake.length).toBe(1)
    // The process is gone, but bytes of it are still on their way to b.
    for (const link of net.links) if (link.to === a || (link.from === a && !late.includes(link))) link.end()
    net.nodes.splice(net.nodes.indexOf(a), 1)
    const reborn = net.node(1, { members, stale: true })
    const links = [net.link(b, reborn), net.link(c, reborn)]
    net.settle(links)
    expect(reborn.replication.stale).toBe(true)
    net.advance(50, links)
    expect(reborn.replication.stale).toBe(false)
    expect(late.every((link) => link.closed)).toBe(true)
    net.settle()
    expect(b.shard.applied).toEqual([])
  })

  test('drops what is held of it on other ways, and asks for it anew', () => {
    const hidden = c.shard.write({ slot: 1, token: 'hidden' })
    a.shard.logRecord(hidden)
    a.shard.write({ slot: 1, token: 'held' })
    const toB = net.links.filter((link) => link.from === a && link.to === b)
    for (const link of toB) {
      link.from.replication.pump()
      while (link.deliver('intake'));
    }
    expect(b.replication.gate.heldCount).toBe(1)
    const reborn = lose(a)
    expect(b.replication.gate.heldCount).toBe(0)
    net.link(b, reborn)
    net.link(c, reborn)
    net.advance(1000)
    expect(reborn.shard.tokens(1)).toEqual(['hidden'])
    expect(b.shard.tokens(1)).toEqual(['hidden'])
  })

  test('asks the others once more when one of them is stale itself (A15)', () => {
    const rebornA = lose(a)
    const fromC = net.link(c, rebornA)
    net.advance(200)
    expect([...rebornA.replication.intakes][0]?.caughtUp).toBe(true)
    const rebornB = lose(b)
    const fromB = net.link(rebornB, rebornA)
    fromB.deliver('feed')
    fromB.deliver('intake')
    expect([...rebornA.replication.intakes].map((intake) => intake.caughtUp)).toEqual([false, false])
    expect(fromC.toFeed.length).toBe(1)
    net.link(rebornA, rebornB)
    net.link(c, rebornB)
    net.advance(500)
    expect([rebornA.replication.stale, rebornB.replication.stale]).toEqual([false, false])
  })

  test('with that question the loss of the other is made known, and its former life fenced', () => {
    const late = net.links.filter((link) => link.from === b && link.to === c)
    b.shard.write({ slot: 1, token: 'in flight' })
    for (const link of late) link.from.replication.pump()
    const rebornA = lose(a)
    net.link(c, rebornA)
    // b is lost too, and bytes of its former life are on their way to c.
    for (const link of net.links) if ((link.from === b || link.to === b) && !late.includes(link)) link.end()
    net.nodes.splice(net.nodes.indexOf(b), 1)
    const rebornB = net.node(2, { members, stale: true })
    const ways = net.links.filter((link) => link.to === rebornA)
    ways.push(net.link(rebornB, rebornA))
    net.settle(ways)
    expect(late.every((link) => link.closed)).toBe(true)
    net.settle()
    expect(c.shard.applied).toEqual([])
  })

  test('has nobody to ask when there are no other members', () => {
    const lonely = net.node(5, { members: [5], stale: true })
    expect([lonely.replication.stale, lonely.recovered]).toEqual([false, 1])
  })
})

/**
 * Random writes, deliveries, cuts and short logs among toy shards; after every step each vector must tell the truth (all
 * operations it covers are there and no other), and at the end all are equal.
 */
function randomRun(seed: number): void {
  const random = new SeededRandom(seed)
  const net = new ToyNet()
  const count = 2 + random.below(2)
  const ids = members.slice(0, count)
  const nodes = ids.map((id) =>
    net.node(id, { members: ids, backlogBytesMax: random.chance(0.5) ? 600 : 1 << 16 }),
  )
  const all = new Map<string, number>()
  const pairs = nodes.flatMap((from) => nodes.filter((to) => to !== from).map((to) => ({ from, to })))
  const links = new Map(pairs.map((pair) => [pair, net.link(pair.from, pair.to)]))
  const write = (node: ToyNode) => {
    const slots = random.chance(0.2) ? [1, 2] : [1 + random.below(2)]
    node.shard.write(...slots.map((slot) => ({ slot })))
    for (const slot of slots) all.set(`${slot}/${node.shard.vectors.get(slot, node.origin)}`, slot)
    node.replication.pump()
  }
  const check = () => {
    for (const { shard } of nodes) {
      for (const [name, slot] of all) {
        const stamp = Number(name.slice(name.indexOf('/') + 1))
        expect(shard.slotOf(slot).has(stamp), `${name} at ${shard.clusterId}`).toBe(
          shard.vectors.covers(slot, stamp),
        )
      }
    }
  }
  for (let step = 0; step < 150; step++) {
    const pair = random.pick(pairs)
    const link = links.get(pair) as ToyLink
    const x = random.fraction()
    if (x < 0.3) write(random.pick(nodes))
    else if (x < 0.7)
      for (let n = random.below(3); n >= 0; n--) link.deliver(random.chance(0.6) ? 'intake' : 'feed')
    else if (x < 0.75) link.end()
    else if (x < 0.8 && link.closed) links.set(pair, net.link(pair.from, pair.to))
    else if (x < 0.9) random.pick(nodes).replication.pump()
    else {
      net.world.advance(50 + random.below(200))
      random.pick(nodes).replication.tick()
    }
    check()
  }
  for (const pair of pairs)
    if ((links.get(pair) as ToyLink).closed) links.set(pair, net.link(pair.from, pair.to))
  net.advance(2000, [...links.values()])
  check()
  for (const { shard } of nodes) {
    for (const slot of [1, 2]) expect(shard.vectors.of(slot)).toEqual(nodes[0]?.shard.vectors.of(slot))
  }
  const known = nodes.map((node) =>
    nodes.map((m) => node.replication.acknowledgements.least(m.origin, m.origin)),
  )
  for (const [i, row] of known.entries()) {
    for (const [j, stamp] of row.entries()) {
      if (i !== j) expect(stamp).toBeGreaterThanOrEqual((nodes[j] as ToyNode).shard.lastStamp - stampStep)
    }
  }
}

test('random runs: vectors tell the truth at every step, and all become equal', () => {
  const seed = seedFromEnv()
  for (let run = 0; run < 60; run++) randomRun(seed + run)
})
