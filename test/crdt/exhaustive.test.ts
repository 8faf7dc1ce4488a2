/**
 * Every history of a few operations, instead of random ones: each step is a command at some replica, before which it may or
 * may not have received what another has. For each pair of kinds of commands, from an empty key. At the end the replicas
 * exchange operations or slot states, and are judged by the history; then residues are forgotten, and nothing may change.
 *
 * Each history has a key of its own in one long-lived set of replicas, which costs less than a set a history.
 */
import { describe, expect, test } from 'vitest'
import { slotOfKey } from '#protocol/slots/crc16.ts'
import { originOfCluster, stampEpochMs } from '#protocol/sync/stamp.ts'
import { contextAt, History, type KeyView } from './history.ts'
import { type Intent, Meanings, run } from './intents.ts'
import { production, Replica, type Shipment } from './replica.ts'
import { madeAt, must, productionView } from './shown.ts'
import { giveLacking } from './strings.ts'

/** Commands in a history of two replicas; of three, one less. 4 takes a minute, 5 half an hour. */
const depth = Number(process.env['DEPTH'] ?? 3)
const nowMs = stampEpochMs + 1_000_000
/** Replicas grow with the histories they have seen. */
const historiesPerReplicas = 4_000

type Make = (key: string) => Intent

const menu = {
  set: (key) => ({ command: 'set', key, text: '5' }),
  setText: (key) => ({ command: 'set', key, text: 'x' }),
  setKeepTtl: (key) => ({ command: 'setKeepTtl', key, text: '7' }),
  setExpiring: (key) => ({ command: 'setExpiring', key, text: '6', expireAtMs: nowMs + 50_000 }),
  append: (key) => ({ command: 'patch', key, offset: undefined, text: '1' }),
  patchMiddle: (key) => ({ command: 'patch', key, offset: 1, text: '2' }),
  increment: (key) => ({ command: 'increment', key, amount: 1 }),
  delete: (key) => ({ command: 'delete', key }),
  expire: (key) => ({ command: 'expire', key, expireAtMs: nowMs + 90_000 }),
  persist: (key) => ({ command: 'expire', key, expireAtMs: Number.POSITIVE_INFINITY }),
  flush: (key) => ({ command: 'flush', key }),
  hashSet: (key) => ({ command: 'hashSet', key, field: 'f', text: '3' }),
  hashIncrement: (key) => ({ command: 'hashIncrement', key, field: 'f', amount: 2 }),
  hashDelete: (key) => ({ command: 'hashDelete', key, fields: ['f'] }),
  hashExpire: (key) => ({ command: 'hashExpire', key, fields: ['f'], expireAtMs: nowMs + 90_000 }),
  hashExpireSooner: (key) => ({ command: 'hashExpire', key, fields: ['f'], expireAtMs: nowMs + 50_000 }),
  hashPersist: (key) => ({
    command: 'hashExpire',
    key,
    fields: ['f'],
    expireAtMs: Number.POSITIVE_INFINITY,
  }),
  setAdd: (key) => ({ command: 'setAdd', key, members: ['m'] }),
  setRemove: (key) => ({ command: 'setRemove', key, members: ['m'] }),
  zsetAdd: (key) => ({ command: 'zsetAdd', key, member: 'm', score: 3, tag: undefined }),
  zsetAddGreater: (key) => ({ command: 'zsetAdd', key, member: 'm', score: 4, tag: 'GT' }),
  zsetAddGreatest: (key) => ({ command: 'zsetAdd', key, member: 'm', score: 6, tag: 'GT' }),
  zsetAddLess: (key) => ({ command: 'zsetAdd', key, member: 'm', score: 2, tag: 'LT' }),
  zsetAddLeast: (key) => ({ command: 'zsetAdd', key, member: 'm', score: -1, tag: 'LT' }),
  zsetIncrement: (key) => ({ command: 'zsetIncrement', key, member: 'm', amount: 20 }),
  zsetRemove: (key) => ({ command: 'zsetRemove', key, members: ['m'] }),
  zsetRemoveRange: (key) => ({ command: 'zsetRemoveRange', key }),
  listPush: (key) => ({ command: 'listPush', key, side: 'right', values: ['a', 'b'] }),
  listPushLeft: (key) => ({ command: 'listPush', key, side: 'left', values: ['c'] }),
  listPop: (key) => ({ command: 'listPop', key, side: 'left', count: 1 }),
  listPopRight: (key) => ({ command: 'listPop', key, side: 'right', count: 2 }),
  listSet: (key) => ({ command: 'listSet', key, index: 0, text: 's' }),
  listInsert: (key) => ({ command: 'listInsert', key, index: 1, text: 'i' }),
  listRemove: (key) => ({ command: 'listRemove', key, indexes: [1] }),
  listTrim: (key) => ({ command: 'listTrim', key, start: 1, end: 2 }),
  hllMake: (key) => ({ command: 'hllAdd', key, values: [] }),
  hllAdd: (key) => ({ command: 'hllAdd', key, values: [[7, 3]] }),
  hllSet: (key) => ({ command: 'hllSet', key, values: [[9, 2]], keep: false }),
  hllSetKeepTtl: (key) => ({ command: 'hllSet', key, values: [[9, 2]], keep: true }),
  hllAddMore: (key) => ({
    command: 'hllAdd',
    key,
    values: [
      [7, 4],
      [9, 1],
    ],
  }),
  streamAdd: (key) => ({ command: 'streamAdd', key, gap: 1, texts: ['a'] }),
  streamAddLater: (key) => ({ command: 'streamAdd', key, gap: 2, texts: ['b', 'c'] }),
  streamDelete: (key) => ({ command: 'streamDelete', key, indexes: [0] }),
  streamTrim: (key) => ({ command: 'streamTrim', key, keep: 1 }),
  streamSetId: (key) => ({ command: 'streamSetId', key, gap: 1, added: 9 }),
  streamCreateGroup: (key) => ({ command: 'streamCreateGroup', key, group: 'g', start: 1 }),
  streamCreateGroupAtEnd: (key) => ({ command: 'streamCreateGroup', key, group: 'g', start: 'end' }),
  streamDestroyGroup: (key) => ({ command: 'streamDestroyGroup', key, group: 'g' }),
  streamAcknowledge: (key) => ({
    command: 'streamAcknowledge',
    key,
    group: 'g',
    of: originOfCluster(1),
    back: 0,
    count: 2,
  }),
} satisfies Record<string, Make>

/** One step of a history. */
interface Step {
  at: number
  /** Received from before, -1: from nobody. */
  from: number
  make: Make
}

let keyCount = 0

class World {
  readonly replicas: Replica[]

  constructor(count: number) {
    const origins = Array.from({ length: count }, (_, at) => originOfCluster(at + 1))
    this.replicas = origins.map((origin) => new Replica(origin, origins, production))
  }

  /** Runs the history on a key of its own; `byState` says how the replicas exchange at the end. */
  play(steps: readonly Step[], byState: boolean): void {
    const key = `{x}${keyCount++}`
    const slot = slotOfKey(key)
    const history = new History()
    const meanings = new Meanings(history, [key])
    const sent: Shipment[] = []
    for (const { at, from, make } of steps) {
      const replica = this.replicas[at] as Replica
      const source = this.replicas[from]
      if (source !== undefined) this.#give(source, replica, sent)
      const seen = replica.seen(slot)
      const intent = make(key)
      const meaning = meanings.of(intent, seen, nowMs, replica.origin)
      if (meaning === undefined) continue
      const shipment = replica.commit(nowMs, () => run(replica.keyspace, replica.write, intent))
      if (shipment === undefined) continue
      sent.push(shipment)
      const stamp = replica.clock.last
      meanings.name(meaning, key, stamp, (index) => madeAt(replica, key, index))
      history.tell({ stamp, context: contextAt(seen, stamp), adds: meaning.adds, kills: meaning.kills })
      this.#expect(replica, key, history.view(key, replica.seen(slot)))
    }
    this.#exchange(slot, sent, byState)
    this.#expectAll(key, history.view(key))
    this.#forgetAll()
    this.#expectAll(key, history.view(key))
    for (const replica of this.replicas) must(replica.keyspace.residues === 0, () => 'residues are left')
    // The next history starts from what this one leaves in the slot: nothing.
    const [first] = this.replicas as [Replica]
    const last = first.commit(nowMs, () => first.write.flushSlot(slot))
    if (last !== undefined) for (const replica of this.replicas) replica.receive(last)
    this.#forgetAll()
    for (const replica of this.replicas) replica.log.length = 0
  }

  /** What `source` has applied, as far as `to` may apply it. */
  #give(source: Replica, to: Replica, sent: readonly Shipment[]): void {
    for (const shipment of sent) if (source.isKnown(shipment) && to.isReady(shipment)) to.receive(shipment)
  }

  #exchange(slot: number, sent: readonly Shipment[], byState: boolean): void {
    for (let round = 0; round < 2; round++) {
      for (const a of this.replicas) {
        for (const b of this.replicas) {
          if (a === b) continue
          if (byState) b.merge(a.cut(slot), [])
          else for (const shipment of sent) b.receive(shipment)
          giveLacking(this.replicas, b)
        }
      }
    }
  }

  #forgetAll(): void {
    if (this.replicas.every((replica) => replica.keyspace.residues === 0)) return
    for (let round = 0; round < 2; round++) {
      const heartbeats = this.replicas.map((replica) => replica.heartbeat())
      for (const replica of this.replicas) {
        for (const heartbeat of heartbeats) {
          if (heartbeat.origin !== replica.origin) replica.receiveHeartbeat(heartbeat)
        }
      }
    }
    for (const replica of this.replicas) replica.forget()
  }

  #expectAll(key: string, told: KeyView): void {
    for (const replica of this.replicas) this.#expect(replica, key, told)
    const digests = this.replicas.map((replica) => replica.keyspace.slotDigest(slotOfKey(key)))
    must(new Set(digests).size === 1, () => 'hidden state differs')
  }

  #expect(replica: Replica, key: string, told: KeyView): void {
    const shown = productionView(replica, key)
    must(
      shown.type === told.type &&
        shown.expireAtMs === told.expireAtMs &&
        shown.string === told.string &&
        shown.hash['f'] === told.hash['f'] &&
        shown.fieldExpiry['f'] === told.fieldExpiry['f'] &&
        shown.set.length === told.set.length &&
        shown.zset[0]?.[1] === told.zset[0]?.[1] &&
        shown.zset.length === told.zset.length &&
        JSON.stringify(shown.list) === JSON.stringify(told.list) &&
        JSON.stringify(shown.stream) === JSON.stringify(told.stream) &&
        JSON.stringify(shown.hll) === JSON.stringify(told.hll),
      () => `origin ${replica.origin} shows ${JSON.stringify(shown)}, told ${JSON.stringify(told)}`,
    )
  }
}

/** All histories of `length` steps, the first by replica 0 without a source: the others are the same, renamed. */
function* histories(makes: readonly Make[], replicas: number, length: number): IterableIterator<Step[]> {
  const choices: Step[] = []
  for (let at = 0; at < replicas; at++) {
    for (let from = -1; from < replicas; from++) {
      if (from !== at) for (const make of makes) choices.push({ at, from, make })
    }
  }
  const steps: Step[] = []
  function* extend(left: number): IterableIterator<Step[]> {
    if (left === 0) {
      yield steps
      return
    }
    for (const choice of choices) {
      if (steps.length === 0 && (choice.at !== 0 || choice.from !== -1)) continue
      steps.push(choice)
      yield* extend(left - 1)
      steps.pop()
    }
  }
  yield* extend(length)
}

function playAll(names: readonly (keyof typeof menu)[], replicas: number, length: number): number {
  const nameOf = new Map<Make, string>(names.map((name) => [menu[name], name]))
  let world = new World(replicas)
  let count = 0
  for (const steps of histories([...nameOf.keys()], replicas, length)) {
    if (count % historiesPerReplicas === historiesPerReplicas - 1) world = new World(replicas)
    try {
      world.play(steps, count % 2 === 0)
    } catch (error) {
      const told = steps.map(({ at, from, make }) => `${at}<${from} ${nameOf.get(make)}`).join(', ')
      throw new Error(`history ${told}: ${error instanceof Error ? error.message : error}`, { cause: error })
    }
    count++
  }
  return count
}

const pairs: readonly (readonly (keyof typeof menu)[])[] = [
  ['set', 'increment', 'delete', 'setText'],
  ['increment', 'expire', 'delete', 'setKeepTtl'],
  ['set', 'setExpiring', 'setKeepTtl', 'expire'],
  ['set', 'persist', 'expire', 'delete'],
  ['increment', 'flush', 'set', 'expire'],
  ['set', 'append', 'patchMiddle', 'delete'],
  ['setText', 'append', 'expire', 'increment'],
  ['set', 'patchMiddle', 'setExpiring', 'setKeepTtl'],
  ['append', 'setAdd', 'persist', 'flush'],
  ['setText', 'append', 'expire', 'persist'],
  ['setExpiring', 'patchMiddle', 'persist', 'delete'],
  ['hashSet', 'hashIncrement', 'hashDelete', 'delete'],
  ['hashSet', 'hashExpire', 'hashPersist', 'hashDelete'],
  ['hashIncrement', 'hashExpire', 'hashExpireSooner', 'hashDelete'],
  ['hashIncrement', 'hashSet', 'hashExpire', 'delete'],
  ['hashIncrement', 'hashExpire', 'setAdd', 'flush'],
  ['setAdd', 'setRemove', 'delete', 'expire'],
  ['set', 'setAdd', 'delete', 'expire'],
  ['increment', 'hashIncrement', 'set', 'delete'],
  ['hashIncrement', 'setAdd', 'flush', 'expire'],
  ['zsetAdd', 'zsetIncrement', 'zsetRemove', 'delete'],
  ['zsetAddGreater', 'zsetAddGreatest', 'zsetAdd', 'zsetRemove'],
  ['zsetAddLess', 'zsetAddLeast', 'zsetAddGreater', 'zsetIncrement'],
  ['zsetIncrement', 'zsetAdd', 'zsetRemoveRange', 'expire'],
  ['zsetIncrement', 'flush', 'set', 'hashIncrement'],
  ['zsetAdd', 'setAdd', 'delete', 'expire'],
  ['listPush', 'listPop', 'listSet', 'listInsert'],
  ['listPush', 'listPushLeft', 'listTrim', 'listInsert'],
  ['listPush', 'listSet', 'listRemove', 'delete'],
  ['listPushLeft', 'listPopRight', 'listInsert', 'expire'],
  ['listPush', 'set', 'setAdd', 'flush'],
  ['streamAdd', 'streamAddLater', 'streamDelete', 'delete'],
  ['streamAdd', 'streamTrim', 'streamSetId', 'delete'],
  ['streamAdd', 'streamDelete', 'expire', 'flush'],
  ['streamAdd', 'listPush', 'set', 'streamCreateGroup'],
  ['streamCreateGroup', 'streamCreateGroupAtEnd', 'streamDestroyGroup', 'delete'],
  ['streamAdd', 'streamCreateGroupAtEnd', 'streamAcknowledge', 'delete'],
  ['streamCreateGroup', 'streamAcknowledge', 'streamDestroyGroup', 'flush'],
  ['hllAdd', 'hllAddMore', 'delete', 'expire'],
  ['hllMake', 'hllAdd', 'delete', 'flush'],
  ['hllSet', 'hllAdd', 'hllSetKeepTtl', 'expire'],
  ['hllSetKeepTtl', 'hllAdd', 'set', 'expire'],
  ['hllAdd', 'set', 'delete', 'setAdd'],
  ['hllAdd', 'hllAddMore', 'increment', 'flush'],
]

describe('all short histories mean what they say', () => {
  test.each(pairs)('%s %s %s %s, two replicas', { timeout: 3_600_000 }, (...names) => {
    expect(playAll(names, 2, depth)).toBeGreaterThan(100)
  })

  test.each(pairs)('%s %s %s %s, three replicas', { timeout: 3_600_000 }, (...names) => {
    expect(playAll(names, 3, depth - 1)).toBeGreaterThan(100)
  })
})
