/**
 * A member is forced out, and its id is used again: every order of a few steps, with the real replication on both sides.
 * Cluster 3 goes. What it sent arrives, or waits, or never arrives, before and after each survivor blocks it and reports.
 * However it falls out, the survivors must end with the same, and nothing of the member may change any more.
 *
 * Each fault below breaks one of the rules; the same orders must find it.
 */
import { describe, expect, test } from 'vitest'
import { Departure } from '#control/plan/departure.ts'
import type { ClusterId } from '#protocol/sync/stamp.ts'
import { Intake } from '#server/sync/intake.ts'
import { finalStamps } from '#server/sync/membership.ts'
import type { ReplicationVariations } from '#server/sync/syncOptions.ts'
import { interleavings } from './interleavings.ts'
import { type ToyLink, ToyNet, type ToyNode } from './toyNet.ts'

const ranges = [{ first: 0, last: 2 }]
const members: ClusterId[] = [1, 2, 3]
const dead = 3
const blocking = { members, blocked: [dead], removed: [], leaving: false }
const without = { members: [1, 2], blocked: [], removed: [dead], leaving: false }

interface Fault {
  /** Reports before it blocks. */
  lateBlock?: boolean
  /** F is what reported first. */
  firstFinal?: boolean
  /** Doesn't wait until all have F. */
  impatient?: boolean
  /** Reports of an earlier run count. */
  trustsOldRuns?: boolean
  variations?: ReplicationVariations
}

/** Its holds stay when it is refused. */
class KeepingIntake extends Intake {
  override refuse(): void {}
}

class TrustingDeparture extends Departure {
  protected override hasRestarted(): boolean {
    return false
  }
}

class Scene {
  readonly net = new ToyNet()
  readonly fault: Fault
  readonly departure: Departure
  readonly a: ToyNode
  b: ToyNode
  readonly x: ToyNode
  readonly fromX = new Map<ToyNode, ToyLink>()
  survivorLinks: ToyLink[]
  #first: ReadonlyMap<number, number> | null = null

  constructor(fault: Fault) {
    this.fault = fault
    this.departure = new (fault.trustsOldRuns === true ? TrustingDeparture : Departure)([1, 2], [1, 2])
    const { variations = {} } = fault
    const node = (id: ClusterId) => this.net.node(id, { members, ranges, variations })
    this.a = node(1)
    this.b = node(2)
    this.x = node(dead)
    this.survivorLinks = [this.#link(this.a, this.b), this.#link(this.b, this.a)]
    for (const node of [this.a, this.b]) this.fromX.set(node, this.#link(this.x, node))
    const back = this.#link(this.b, this.x)
    this.#flow([...this.survivorLinks, ...this.fromX.values(), back])
    // X's second operation depends on one of B that A lacks.
    this.x.shard.write({ slot: 1, token: 'x1' })
    this.x.replication.pump()
    this.b.shard.write({ slot: 1, token: 'b1' })
    this.#flow([back])
    this.x.shard.write({ slot: 1, token: 'x2' })
    this.x.replication.pump()
    this.b.replication.pump()
  }

  /** What X has sent to the node: the next message. */
  deliver(to: ToyNode): void {
    this.fromX.get(to)?.deliver('intake')
  }

  deliverBetween(from: ToyNode): void {
    this.survivorLinks.find((link) => link.from === from && !link.closed)?.deliver('intake')
  }

  /** In two steps, so that something may come between them. */
  block(node: ToyNode, step: 'first' | 'second'): void {
    const blocks = (step === 'first') !== (this.fault.lateBlock === true)
    if (blocks) node.replication.setMembership(blocking)
    else this.report(node)
  }

  /** The survivors ask each other until the coordinator is content. */
  finish(): void {
    for (let round = 0; ; round++) {
      const { step } = this.departure
      if (step.ask === 'nothing') break
      if (round > 60) throw new Error(`still ${step.ask} of ${step.of.join()}`)
      for (const id of step.of) {
        const { replication } = id === 1 ? this.a : this.b
        if (step.ask === 'report') this.report(id === 1 ? this.a : this.b)
        else {
          const reached = this.fault.impatient === true || replication.hasReached(dead, this.#final())
          this.departure.takeReached(id, { runs: replication.runId, reached })
        }
      }
      if (this.departure.step.ask !== 'nothing') this.net.advance(100, this.survivorLinks)
    }
    this.check()
    for (const node of [this.a, this.b]) node.replication.setMembership(without)
    this.net.advance(500, this.survivorLinks)
  }

  /** What survivors have of X is F. */
  check(): void {
    const final = this.#final()
    for (const node of [this.a, this.b]) {
      expect(Object.fromEntries(finalStamps(node.shard.vectors, ranges, 8 - dead))).toEqual(
        Object.fromEntries(final),
      )
    }
  }

  checkEqual(): void {
    this.check()
    for (const node of [this.a, this.b]) expect(node.replication.gate.heldCount).toBe(0)
    expect(this.a.shard.tokens(1)).toEqual(this.b.shard.tokens(1))
  }

  /** B loses everything, and starts again as its agent would start it. */
  lose(): void {
    const lost = this.b
    const other = this.a
    for (const link of [...this.survivorLinks, ...this.fromX.values()])
      if (link.from === lost || link.to === lost) link.end()
    this.net.nodes.splice(this.net.nodes.indexOf(lost), 1)
    const again = this.net.node(lost.shard.clusterId, { members, ranges, stale: true })
    again.replication.setMembership(blocking)
    this.survivorLinks = [this.#link(again, other), this.#link(other, again)]
    this.b = again
    this.#flow(this.survivorLinks)
  }

  #final() {
    const { final } = this.departure
    if (final === null) throw new Error('not everybody has reported')
    return final
  }

  report(node: ToyNode): void {
    const { replication, shard } = node
    const late = this.fault.lateBlock === true
    const slots = late ? finalStamps(shard.vectors, ranges, 8 - dead) : replication.report(dead)
    if (slots === null || this.departure.final !== null) return
    const least = this.fault.firstFinal === true && this.#first !== null ? this.#first : slots
    this.#first ??= new Map(slots)
    this.departure.takeReport(shard.clusterId, { runs: replication.runId, slots: least })
  }

  #link(from: ToyNode, to: ToyNode): ToyLink {
    return this.net.link(from, to, ranges)
  }

  #flow(links: readonly ToyLink[]): void {
    this.net.settle(links)
  }
}

const threads: ((scene: Scene) => void)[][] = [
  [(scene) => scene.deliver(scene.a), (scene) => scene.deliver(scene.a)],
  [
    (scene) => {
      scene.deliver(scene.b)
      scene.deliver(scene.b)
    },
  ],
  [(scene) => scene.deliverBetween(scene.b)],
  [(scene) => scene.block(scene.a, 'first'), (scene) => scene.block(scene.a, 'second')],
  [
    (scene) => {
      scene.block(scene.b, 'first')
      scene.block(scene.b, 'second')
    },
  ],
]

/** Runs all orders; returns the first failure. */
function runAll(fault: Fault, more: (scene: Scene) => void = () => {}): string | null {
  for (const order of interleavings(threads)) {
    const scene = new Scene(fault)
    try {
      for (const step of order) step(scene)
      more(scene)
      scene.finish()
      // What X had sent before arrives now, if there is anybody to take it.
      for (let i = 0; i < 4; i++) for (const node of [scene.a, scene.b]) scene.deliver(node)
      scene.net.advance(200, scene.survivorLinks)
      scene.checkEqual()
    } catch (error) {
      return error instanceof Error ? error.message : String(error)
    }
  }
  return null
}

describe('a member is forced out', () => {
  test('in every order of what arrives and of who blocks it first', () => {
    expect(runAll({})).toBeNull()
  })

  test('while a survivor loses its data after its report', () => {
    const loses = (scene: Scene) => scene.lose()
    expect(runAll({}, loses)).toBeNull()
    expect(runAll({ trustsOldRuns: true }, loses)).not.toBeNull()
  })

  test.each<[string, Fault]>([
    ['reports before it blocks', { lateBlock: true }],
    ['keeps what is held of it', { variations: { newIntake: (...of) => new KeepingIntake(...of) } }],
    ['takes the first report for all', { firstFinal: true }],
    ['does not wait until all have it', { impatient: true }],
  ])('found: %s', (_, fault) => {
    expect(runAll(fault)).not.toBeNull()
  })
})
