/**
 * Every short order of what matters where deletes win: adds, deletes, deliveries, slot states that are cut and come later,
 * acknowledgements and forgetting. Each step must do something; after each, every replica shows what the history means, and
 * at the end all are equal and nothing is left to be forgotten.
 */
import { describe, expect, test } from 'vitest'
import { slotOfKey } from '#protocol/slots/crc16.ts'
import { originOfCluster, stampEpochMs } from '#protocol/sync/stamp.ts'
import { includes } from '#protocol/sync/versionVector.ts'
import { ForgetsDeletes, TakesOldStates } from './deleteWinsFaults.ts'
import { contextAt, History } from './history.ts'
import { type Intent, Meanings, run } from './intents.ts'
import { type Production, production, Replica, type Shipment, type SlotCut } from './replica.ts'
import { must, productionView, textOf } from './shown.ts'

/** Steps of a history of two replicas; of three, one less. 6 takes minutes. */
const depth = Number(process.env['DEPTH'] ?? 5)
const nowMs = stampEpochMs + 1_000_000
/** Replicas know of every slot they have written to. */
const historiesPerReplicas = 200

type Step =
  | { kind: 'add' | 'delete' | 'cut' | 'merge' | 'forget'; at: number }
  | { kind: 'give'; at: number; from: number }

/** What is added to and deleted. */
interface Subject {
  /** Steps less: its histories branch more. */
  shorter: number
  /** The add of this number. */
  add(key: string, number: number): Intent
  delete(key: string): Intent
}

const subjects = {
  registers: {
    shorter: 0,
    add: (key, number) => ({ command: 'hllAdd', key, values: [[number, 1]] }),
    delete: (key) => ({ command: 'delete', key }),
  },
  'a group': {
    shorter: 0,
    add: (key, number) => ({ command: 'streamCreateGroup', key, group: 'g', start: 9 - number }),
    delete: (key) => ({ command: 'streamDestroyGroup', key, group: 'g' }),
  },
  'groups of a key': {
    shorter: 1,
    add: (key, number) => ({
      command: 'streamCreateGroup',
      key,
      group: number % 2 === 0 ? 'g' : 'h',
      start: 5,
    }),
    delete: (key) => ({ command: 'delete', key }),
  },
} satisfies Record<string, Subject>

let keyCount = 0

class World {
  readonly replicas: Replica[]
  #key = ''
  #history = new History()
  #sent: Shipment[] = []
  #cut: SlotCut | undefined = undefined
  #adds = 0
  readonly #subject: Subject

  constructor(count: number, subject: Subject, made: Production) {
    this.#subject = subject
    const origins = Array.from({ length: count }, (_, at) => originOfCluster(at + 1))
    this.replicas = origins.map((origin) => new made.Replica(origin, origins, made))
  }

  get #slot(): number {
    return slotOfKey(this.#key)
  }

  /** On a key, and in a slot, of its own. False: the last step did nothing. */
  play(steps: readonly Step[]): boolean {
    this.#key = `key ${keyCount++}`
    this.#history = new History()
    this.#sent = []
    this.#cut = undefined
    this.#adds = 0
    let done = false
    for (const step of steps) {
      done = this.#do(step)
      this.#check()
    }
    this.#end()
    return done
  }

  #do(step: Step): boolean {
    const replica = this.replicas[step.at] as Replica
    switch (step.kind) {
      case 'add':
        return this.#give(replica, this.#subject.add(this.#key, this.#adds++))
      case 'delete':
        return this.#give(replica, this.#subject.delete(this.#key))
      case 'give':
        return this.#deliver(this.replicas[step.from] as Replica, replica)
      case 'cut':
        this.#cut = replica.cut(this.#slot)
        return this.#cut.label.some((stamp) => stamp > 0)
      case 'merge': {
        const cut = this.#cut
        if (cut === undefined) return false
        // What is known already can still do harm.
        replica.merge(cut, [])
        return true
      }
      case 'forget': {
        const before = replica.keyspace.residues
        this.#acknowledge()
        replica.forget()
        return replica.keyspace.residues < before
      }
    }
  }

  #give(replica: Replica, intent: Intent): boolean {
    const seen = replica.seen(this.#slot)
    const meaning = new Meanings(this.#history, [this.#key]).of(intent, seen, nowMs, replica.origin)
    if (meaning === undefined) return false
    const shipment = replica.commit(nowMs, () => run(replica.keyspace, replica.write, intent))
    if (shipment === undefined) throw new Error('nothing is written')
    this.#sent.push(shipment)
    const stamp = replica.clock.last
    this.#history.tell({ stamp, context: contextAt(seen, stamp), adds: meaning.adds, kills: meaning.kills })
    return true
  }

  /** What `from` has applied, as far as `to` may apply it. */
  #deliver(from: Replica, to: Replica): boolean {
    let done = false
    for (const shipment of this.#sent) {
      if (!from.isKnown(shipment) || to.isKnown(shipment) || !to.isReady(shipment)) continue
      to.receive(shipment)
      done = true
    }
    return done
  }

  #acknowledge(): void {
    for (let round = 0; round < 2; round++) {
      const heartbeats = this.replicas.map((replica) => replica.heartbeat())
      for (const replica of this.replicas)
        for (const heartbeat of heartbeats)
          if (heartbeat.origin !== replica.origin) replica.receiveHeartbeat(heartbeat)
    }
  }

  #check(): void {
    for (const replica of this.replicas) {
      const shown = textOf(productionView(replica, this.#key))
      const told = textOf(this.#history.view(this.#key, replica.seen(this.#slot)))
      must(shown === told, () => `origin ${replica.origin} shows ${shown}, told ${told}`)
    }
  }

  #end(): void {
    for (let round = 0; round < 2; round++)
      for (const a of this.replicas) for (const b of this.replicas) if (a !== b) this.#deliver(a, b)
    this.#check()
    const [first, ...others] = this.replicas as [Replica, ...Replica[]]
    const vector = first.seen(this.#slot)
    must(
      others.every((other) => includes(other.seen(this.#slot), vector)),
      () => 'not everything has arrived',
    )
    this.#acknowledge()
    for (const replica of this.replicas) replica.forget()
    this.#check()
    const digests = this.replicas.map((replica) => replica.keyspace.slotDigest(this.#slot))
    must(new Set(digests).size === 1, () => 'hidden state differs')
    must(
      this.replicas.every((replica) => replica.keyspace.residues === 0),
      () => 'residues are left',
    )
    for (const replica of this.replicas) replica.log.length = 0
  }
}

/** Both have an add to begin with; the rest is every order of `length` steps. */
function playAll(subject: Subject, replicas: number, length: number, made: Production = production): number {
  const choices: Step[] = []
  for (let at = 0; at < replicas; at++) {
    for (const kind of ['add', 'delete', 'cut', 'merge', 'forget'] as const) choices.push({ kind, at })
    for (let from = 0; from < replicas; from++) if (from !== at) choices.push({ kind: 'give', at, from })
  }
  const steps: Step[] = [{ kind: 'add', at: 0 }]
  for (let at = 1; at < replicas; at++) steps.push({ kind: 'give', at, from: 0 })
  let world = new World(replicas, subject, made)
  let count = 0
  function extend(left: number): void {
    for (const choice of left === 0 ? [] : choices) {
      steps.push(choice)
      if (++count % historiesPerReplicas === 0) world = new World(replicas, subject, made)
      if (playOne(world, steps)) extend(left - 1)
      steps.pop()
    }
  }
  extend(length)
  return count
}

function playOne(world: World, steps: readonly Step[]): boolean {
  try {
    return world.play(steps)
  } catch (error) {
    const told = steps.map((step) => `${step.at} ${step.kind}${'from' in step ? ` ${step.from}` : ''}`)
    throw new Error(`${told.join(', ')}: ${error instanceof Error ? error.message : error}`, { cause: error })
  }
}

describe.each(Object.entries(subjects))('all short orders, of %s', (_name, subject) => {
  test('at two replicas', { timeout: 3_600_000 }, () => {
    expect(playAll(subject, 2, depth - subject.shorter)).toBeGreaterThan(1_000)
  })

  test('at three replicas', { timeout: 3_600_000 }, () => {
    expect(playAll(subject, 3, depth - 1 - subject.shorter)).toBeGreaterThan(500)
  })
})

class Hasty extends Replica {
  protected override mayCount(): boolean {
    return true
  }
}

describe.each(Object.entries(subjects))('they find, of %s', (_name, subject) => {
  test.each([
    ['that states older than a forgotten delete are merged', { Keyspace: TakesOldStates }],
    ['that delete stamps are forgotten at once', { Keyspace: ForgetsDeletes }],
    ['that an acknowledgement counts before what it stands behind', { Replica: Hasty }],
  ])('%s', (_, made) => {
    expect(() => playAll(subject, 2, 5, { ...production, ...made })).toThrow(/shows|differs|residues/)
  })
})
