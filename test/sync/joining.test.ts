/**
 * A cluster joins, under an id that one before it had: every order of a few steps. It counts from the first moment and
 * acknowledges nothing before it has all that any member had when that began to count it (rules A9, D14).
 */
import { describe, expect, test } from 'vitest'
import type { ClusterId } from '#protocol/sync/stamp.ts'
import { includes, type VersionVector } from '#protocol/sync/versionVector.ts'
import { interleavings } from './interleavings.ts'
import { type ToyLink, ToyNet, type ToyNode } from './toyNet.ts'

const ranges = [{ first: 0, last: 2 }]
const three: ClusterId[] = [1, 2, 3]
const before = { members: [1, 2], blocked: [], removed: [3], leaving: false }
const after = { members: three, blocked: [], removed: [], leaving: false }
/** Of what the former cluster 3 has left behind. */
const formerStamp = 8_000_005

interface Fault {
  /** It takes itself for one that has everything. */
  knowsNothing?: boolean
  /** It serves when the first member has answered. */
  hasty?: boolean
}

class Scene {
  readonly net = new ToyNet()
  readonly a: ToyNode
  readonly b: ToyNode
  readonly j: ToyNode
  readonly links: Record<string, ToyLink> = {}
  /** What each member had when it began to count the joiner. */
  readonly confirmed = new Map<ToyNode, VersionVector>()

  constructor(fault: Fault) {
    this.a = this.net.node(1, { members: [1, 2], ranges })
    this.b = this.net.node(2, { members: [1, 2], ranges })
    this.links['ab'] = this.net.link(this.a, this.b, ranges)
    this.links['ba'] = this.net.link(this.b, this.a, ranges)
    for (const node of [this.a, this.b]) {
      node.replication.setMembership(before)
      node.shard.vectors.set(1, 5, formerStamp)
      node.shard.slotOf(1).set(formerStamp, 'former')
      node.shard.log.backlog.raiseFloor(1, 5, formerStamp)
    }
    this.net.settle()
    const members = fault.hasty === true ? [1, 3] : three
    this.j = this.net.node(3, { members, ranges, stale: fault.knowsNothing !== true })
  }

  write(at: ToyNode, token: string): void {
    at.shard.write({ slot: 1, token })
    at.replication.pump()
  }

  /** A member learns of the joiner, and lets it read. */
  count(node: ToyNode, name: string): void {
    node.replication.setMembership(after)
    this.confirmed.set(node, node.shard.vectors.of(1).slice())
    this.links[`${name}j`] = this.net.link(node, this.j, ranges)
    this.links[`j${name}`] = this.net.link(this.j, node, ranges)
  }

  deliver(name: string): void {
    const link = this.links[name]
    if (link !== undefined) this.net.settle([link])
  }

  /** As syncers do when a channel was refused. */
  reopen(): void {
    for (const [name, link] of Object.entries(this.links))
      if (link.closed) this.links[name] = this.net.link(link.from, link.to, ranges)
  }

  heartbeat(): void {
    this.reopen()
    this.net.world.advance(300)
    for (const node of this.net.nodes) node.replication.tick()
  }

  /** At any moment. */
  check(): void {
    const { j } = this
    const hasAll =
      this.confirmed.size === 2 &&
      [...this.confirmed.values()].every((vector) => includes(j.shard.vectors.of(1), vector))
    if (!hasAll) expect(j.replication.stale, 'it does not serve yet').toBe(true)
    for (const { replication } of this.confirmed.keys()) {
      const acknowledged = [7, 6, 5].some((origin) => replication.acknowledgements.least(5, origin) > 0)
      if (!hasAll) expect(acknowledged, 'it has acknowledged nothing').toBe(false)
    }
  }
}

const threads: ((scene: Scene) => void)[][] = [
  [(scene) => scene.count(scene.a, 'a'), (scene) => scene.deliver('aj')],
  [(scene) => scene.count(scene.b, 'b'), (scene) => scene.deliver('bj')],
  [(scene) => scene.write(scene.a, 'a1'), (scene) => scene.deliver('ab')],
  [
    (scene) => {
      scene.heartbeat()
      for (const name of ['ja', 'jb']) scene.deliver(name)
    },
  ],
]

function runAll(fault: Fault): string | null {
  for (const order of interleavings(threads)) {
    const scene = new Scene(fault)
    try {
      for (const step of order) {
        step(scene)
        scene.check()
      }
      scene.net.advance(1000)
      scene.reopen()
      scene.check()
      expect(scene.j.recovered).toBe(1)
      scene.write(scene.j, 'j1')
      expect(scene.j.shard.vectors.get(1, 5)).toBeGreaterThan(formerStamp)
      scene.net.advance(1000)
      for (const { shard, replication } of [scene.a, scene.b, scene.j]) {
        expect(shard.tokens(1)).toEqual(['a1', 'former', 'j1'])
        expect(replication.gate.heldCount).toBe(0)
      }
      // All have acknowledged all: nothing is waited for in vain.
      expect(scene.a.replication.acknowledgements.least(5, 5)).toBe(scene.j.shard.vectors.get(1, 5))
    } catch (error) {
      return error instanceof Error ? error.message : String(error)
    }
  }
  return null
}

describe('a cluster joins', () => {
  test('in every order of who learns of it and of what arrives', () => {
    expect(runAll({})).toBeNull()
  })

  test.each<[string, Fault]>([
    ['serves and acknowledges from the start', { knowsNothing: true }],
    ['is content with one member', { hasty: true }],
  ])('found: %s', (_, fault) => {
    expect(runAll(fault)).not.toBeNull()
  })
})
