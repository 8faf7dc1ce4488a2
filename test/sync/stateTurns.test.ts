/** Whose slot states are taken, and when: the nearest first, the others only for what it has not brought. */
import { beforeEach, describe, expect, test } from 'vitest'
import { answersAwaitedMs, type StateSource, StateTurns } from '#server/sync/stateTurns.ts'
import { type ToyLink, ToyNet, type ToyNode } from './toyNet.ts'

describe('of channels that have states to come', () => {
  const host = { nowMs: 0, stale: false, allAnswered: true, joinedStates: 0 }
  let turns: StateTurns
  let said: string[]
  const source = (name: string, roundTripMs: number): StateSource => ({
    roundTripMs,
    joinedBefore: 0,
    sendStates: () => void said.push(`${name} sends`),
    subscribe: () => void said.push(`${name} is asked anew`),
  })
  beforeEach(() => {
    Object.assign(host, { nowMs: 0, stale: false, allAnswered: true, joinedStates: 0 })
    turns = new StateTurns(host)
    said = []
  })

  test('one at a time sends, the nearest of those that wait', () => {
    const [far, near, middle] = [source('far', 90), source('near', 1), source('middle', 40)]
    turns.due(far)
    turns.due(middle)
    turns.due(near)
    expect(said).toEqual(['far sends'])
    turns.end(far)
    expect(said.at(-1)).toBe('near sends')
    turns.end(near)
    turns.end(middle)
    expect(said).toEqual(['far sends', 'near sends', 'middle sends'])
  })

  test('that are all there is, the nearest is waited for', () => {
    Object.assign(host, { stale: true, allAnswered: false })
    turns.due(source('far', 90))
    turns.due(source('near', 1))
    expect(said).toEqual([])
    host.allAnswered = true
    turns.next()
    expect(said).toEqual(['near sends'])
  })

  test('but not for long', () => {
    Object.assign(host, { stale: true, allAnswered: false })
    turns.due(source('far', 90))
    host.nowMs = answersAwaitedMs - 1
    turns.next()
    expect(said).toEqual([])
    host.nowMs = answersAwaitedMs
    turns.next()
    expect(said).toEqual(['far sends'])
  })

  test('the next is asked anew for what the nearest has not brought, and sends when that one failed', () => {
    host.stale = true
    const [far, near] = [source('far', 90), source('near', 1)]
    turns.due(near)
    turns.due(far)
    host.joinedStates = 5
    turns.end(near)
    expect(said).toEqual(['near sends', 'far is asked anew'])
    turns.end(far)
    turns.due({ ...far, joinedBefore: 5 })
    expect(said.at(-1)).toBe('far sends')
  })

  test('one whose channel ends before its turn is forgotten', () => {
    const [one, other] = [source('one', 1), source('other', 2)]
    turns.due(one)
    turns.due(other)
    turns.end(other)
    turns.end(one)
    expect(said).toEqual(['one sends'])
  })
})

describe('a cluster that joins', () => {
  const slots = 20
  let net: ToyNet
  let near: ToyNode
  let far: ToyNode
  let joiner: ToyNode
  beforeEach(() => {
    net = new ToyNet()
    const members = [1, 2, 3]
    far = net.node(1, { members })
    near = net.node(2, { members })
    joiner = net.node(3, { members, stale: true })
    for (const [from, to] of [
      [far, near],
      [near, far],
    ] as const)
      net.link(from, to)
    // More than the window of the log has, so that it comes as states.
    for (let slot = 0; slot < slots; slot++) far.shard.write({ slot, token: `s${slot}` })
    net.settle()
    for (const { shard } of [near, far])
      for (let slot = 0; slot < slots; slot++)
        shard.log.backlog.raiseFloor(slot, far.origin, far.shard.lastStamp)
  })

  const statesOf = (link: ToyLink) => {
    const kinds = link.pending.map(({ kind }) => kind)
    return kinds.filter((kind) => kind === 'slotState').length
  }

  /** The plan of the far one comes 80 ms later, though its link was up first. */
  function join(): { toFar: ToyLink; toNear: ToyLink; sent: Map<ToyLink, number> } {
    const toFar = net.link(far, joiner)
    const toNear = net.link(near, joiner)
    const sent = new Map<ToyLink, number>()
    net.advance(50, [toNear])
    net.world.advance(50)
    return { toFar, toNear, sent }
  }

  /** All that is sent, counted. */
  function settle(links: readonly ToyLink[], sent: Map<ToyLink, number>): void {
    for (let round = 0; round < 400; round++) {
      for (const { replication } of net.nodes) replication.tick()
      for (const link of links) {
        while (link.deliver('feed'));
        link.from.replication.pump()
        sent.set(link, (sent.get(link) ?? 0) + statesOf(link))
        while (link.deliver('intake'));
        link.to.replication.pump()
      }
      net.world.advance(5)
    }
  }

  test('gets its data from the nearest member, and nothing twice', () => {
    const { toFar, toNear, sent } = join()
    settle([toFar, toNear], sent)
    expect(joiner.recovered).toBe(1)
    for (let slot = 0; slot < slots; slot++) expect(joiner.shard.tokens(slot)).toEqual([`s${slot}`])
    expect([sent.get(toNear), sent.get(toFar)]).toEqual([slots, 0])
  })

  test('and from the other when the nearest fails in the middle, what is missing only', () => {
    const { toFar, toNear, sent } = join()
    far.replication.tick()
    while (toFar.deliver('feed'));
    far.replication.pump()
    while (toFar.deliver('intake'));
    while (toNear.deliver('feed'));
    near.replication.pump()
    for (let i = 0; i < 8; i++) toNear.deliver('intake')
    joiner.replication.pump()
    net.world.advance(1)
    const had = joiner.shard.merges
    expect(had).toBeGreaterThan(0)
    expect(had).toBeLessThan(slots)
    toNear.end()
    settle([toFar], sent)
    for (let slot = 0; slot < slots; slot++) expect(joiner.shard.tokens(slot)).toEqual([`s${slot}`])
    expect(sent.get(toFar)).toBe(slots - had)
    // It is done when the other has answered, too.
    expect(joiner.recovered).toBe(0)
    const again = net.link(near, joiner)
    settle([toFar, again], sent)
    expect(joiner.recovered).toBe(1)
  })
})
