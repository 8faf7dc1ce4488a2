/**
 * The laws of the whole slot state, on states that random networks reach: merge is commutative, associative and idempotent,
 * decoding what was encoded gives the same, and applying what a state holds already changes nothing.
 */
import { expect, test } from 'vitest'
import { slotCount, slotOfKey } from '#protocol/slots/crc16.ts'
import { Keyspace } from '#server/store/keyspace.ts'
import { SeededRandom, seedFromEnv } from '#test/seed.ts'
import { Network } from './network.ts'
import { allCommands, presets } from './randomRuns.ts'
import { production, Replica, type SlotCut } from './replica.ts'
import { productionView } from './shown.ts'

const runs = Number(process.env['RUNS'] ?? 150)
const key = 'k'
const slot = slotOfKey(key)

/** The join of the states, in this order. */
function join(...cuts: SlotCut[]): Replica {
  const replica = new Replica(0, [0], production)
  for (const cut of cuts) replica.merge(cut, [])
  return replica
}

/** All that a state means, the vector included. */
function meaningOf(replica: Replica): unknown {
  return [
    [...replica.seen(slot)],
    replica.keyspace.slotDigest(slot),
    productionView(replica, key),
    replica.keyspace.size,
    replica.keyspace.residues,
  ]
}

function randomNetwork(seed: number): Network {
  const random = new SeededRandom(seed)
  const commands = random.chance(0.5) ? allCommands : random.pick(Object.values(presets))
  const network = new Network(random, { replicas: 3, commands, keys: [key], production })
  for (let steps = 10 + random.below(60); steps > 0; steps--) network.step()
  return network
}

test('merge is commutative, associative and idempotent; a state survives its bytes', () => {
  const seed = seedFromEnv()
  for (let run = 0; run < runs; run++) {
    const [a, b, c] = randomNetwork(seed + run).replicas.map((replica) => replica.cut(slot)) as [
      SlotCut,
      SlotCut,
      SlotCut,
    ]
    const why = `seed ${seed + run}`
    expect(meaningOf(join(a, b)), why).toEqual(meaningOf(join(b, a)))
    expect(meaningOf(join(a, join(b, c).cut(slot))), why).toEqual(meaningOf(join(join(a, b).cut(slot), c)))
    expect(meaningOf(join(a, a)), why).toEqual(meaningOf(join(a)))
    expect(meaningOf(join(a, b, a)), why).toEqual(meaningOf(join(a, b)))
    expect(meaningOf(join(join(a).cut(slot))), why).toEqual(meaningOf(join(a)))
  }
})

test('a merge of what is known changes nothing', () => {
  const seed = seedFromEnv()
  for (let run = 0; run < runs; run++) {
    const network = randomNetwork(seed + run)
    for (const replica of network.replicas) {
      const before = meaningOf(replica)
      replica.merge(replica.cut(slot), [])
      expect(meaningOf(replica), `seed ${seed + run}`).toEqual(before)
    }
  }
})

test('applying effects a second time changes nothing', () => {
  /** Lets a part through again. */
  class Unchecked extends Keyspace {
    protected override requireDeliverable(): void {}
  }
  const seed = seedFromEnv()
  for (let run = 0; run < runs; run++) {
    const network = randomNetwork(seed + run)
    const [source] = network.replicas as [Replica]
    const target = new Unchecked({ origin: 0, ranges: [{ first: 0, last: slotCount - 1 }] })
    for (const shipment of source.log) {
      for (const part of shipment.parts) {
        if (part.last <= target.vectors.get(part.slot, part.origin)) continue
        const context = part.context.slice()
        target.apply(part, shipment.bytes)
        const once = target.slotDigest(part.slot)
        expect([...part.context], 'the part is left as it was').toEqual([...context])
        target.apply(part, shipment.bytes)
        expect(target.slotDigest(part.slot), `seed ${seed + run}`).toBe(once)
      }
    }
  }
})
