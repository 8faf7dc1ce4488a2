/**
 * Ways to build the system wrongly, planted from outside: by a subclass, a replaced method, or a disk that forgets. The
 * simulation must find each of them within a bounded number of seeds; a check that can't fail is none.
 */

import { readMessage } from '#protocol/sync/message.ts'
import {
  beginPart,
  beginRecord,
  endRecord,
  RecordKind,
  type RecordPart,
  RecordReader,
} from '#protocol/sync/record.ts'
import type { VersionVector } from '#protocol/sync/versionVector.ts'
import { raiseTo } from '#protocol/sync/versionVector.ts'
import { ListState } from '#server/crdt/list.ts'
import { pushedId } from '#server/crdt/listId.ts'
import { Strnum } from '#server/crdt/strnum.ts'
import { leaseFile } from '#server/log/lease.ts'
import { Log } from '#server/log/log.ts'
import { SnapshotWriter } from '#server/log/snapshotWriter.ts'
import { SlotStaging } from '#server/slotStaging.ts'
import { Absences } from '#server/store/absences.ts'
import { Drafts } from '#server/store/drafts.ts'
import { Keyspace } from '#server/store/keyspace.ts'
import { PackedList } from '#server/store/packedList.ts'
import { SlotTables } from '#server/store/slotTables.ts'
import { FeedQuestions } from '#server/sync/appliedQuestions.ts'
import { Confirmations } from '#server/sync/confirmations.ts'
import { Intake } from '#server/sync/intake.ts'
import type { LocalShard } from '#server/sync/localShard.ts'
import { Relays } from '#server/sync/relays.ts'
import { Replication } from '#server/sync/replication.ts'
import { unlimitedMemory } from '#test/unlimitedMemory.ts'
import type { RunOptions } from './simulation.ts'

export interface Fault {
  name: string
  what: string
  options?: Partial<RunOptions>
  /** Replaces a method; returns what puts it back. */
  plant?: () => () => void
}

/** Takes parts in whatever order the gate lets through; the real one would stop the process. */
class TrustingKeyspace extends Keyspace {
  protected override requireDeliverable(): void {}
}

/** A key that is looked at for eviction is gone, and nobody is told. */
class DroppingKeyspace extends Keyspace {
  override sampleKeys(...[random, count, volatileOnly]: Parameters<Keyspace['sampleKeys']>): void {
    super.sampleKeys(random, count, volatileOnly, (name) => {
      const { tables } = this
      const ref = tables.findText(name)
      if (ref === 0) return
      if (tables.dueMs(ref) !== Number.POSITIVE_INFINITY) tables.expiring--
      tables.size--
      tables.remove()
    })
  }
}

/** What a patch lacks isn't looked for: it is left out, and counts as applied. */
class SkippingKeyspace extends Keyspace {
  override lacksBase(): boolean {
    return false
  }
}

class ForgetfulKeyspace extends Keyspace {
  protected override mayForgetBaseline(): boolean {
    return true
  }
}

/** Raises the vector when a slot state begins, and joins the state when it has come whole. */
class HastyIntake extends Intake {
  readonly #state: LocalShard
  readonly #before = new Map<number, VersionVector>()

  constructor(...of: ConstructorParameters<typeof Intake>) {
    super(...of)
    this.#state = of[2]
  }

  override receive(bytes: Uint8Array, start: number, end: number): void {
    const message = readMessage(bytes, start, end)
    if (message.kind === 'cutBegin') this.#raise(message.slot, message.label)
    else if (message.kind === 'cutEnd') this.#takeBack(message.slot)
    else if (message.kind === 'slotState') {
      const { slot, label, last } = message
      if (label !== null && !last) this.#raise(slot, label)
      if (last) this.#takeBack(slot)
    }
    super.receive(bytes, start, end)
  }

  #raise(slot: number, label: VersionVector): void {
    const vector = this.#state.vectors.of(slot)
    this.#before.set(slot, vector.slice())
    raiseTo(vector, label)
  }

  #takeBack(slot: number): void {
    const before = this.#before.get(slot)
    if (before !== undefined) this.#state.vectors.of(slot).set(before)
    this.#before.delete(slot)
  }
}

/** Its end is written before the log is durable up to what it holds. */
class HastySnapshot extends SnapshotWriter {
  protected override whenLogged(_: number, then: () => void): void {
    then()
  }
}

/** Counts as durable at once, so that what it replaces is removed. */
class UnsyncedSnapshot extends SnapshotWriter {
  protected override syncFile(then: (() => void) | null): void {
    then?.()
  }
}

/** Snapshots all the time, and many power cuts. */
const snapshotRun: Partial<RunOptions> = {
  harms: ['power', 'killShard', 'cut'],
  world: { snapshotLogBytesMin: 300, persistence: 'everysec' },
}

const newTrusting = {
  newKeyspace: (...of: ConstructorParameters<typeof Keyspace>) => new TrustingKeyspace(...of),
}

function dropLosers(): () => void {
  const { write } = Strnum.prototype
  Strnum.prototype.write = function (this: Strnum, ...args: Parameters<Strnum['write']>) {
    write.apply(this, args)
    this.siblings = this.siblings.slice(-1)
  }
  return () => {
    Strnum.prototype.write = write
  }
}

/** Acknowledgements count also while something of their sender is held [A7]. */
function countHastily(): () => void {
  const { heard } = Replication.prototype
  Replication.prototype.heard = function (this: Replication, intake, heartbeat) {
    heard.call(this, intake, heartbeat, heartbeat.ranges.length > 0)
  }
  return () => {
    Replication.prototype.heard = heard
  }
}

/** Peers say that they have applied what they hold, or what a power cut can still take from them. */
function confirmHastily(what: 'held' | 'unsynced'): () => void {
  const { take } = Confirmations.prototype
  Confirmations.prototype.take = function (this: Confirmations, log, isApplied) {
    if (what === 'held') return take.call(this, log, () => true)
    return take.call(this, { ...log, end: log.end, shippable: log.end }, isApplied)
  }
  return () => {
    Confirmations.prototype.take = take
  }
}

/** What is applied at a member counts as applied at those behind it, which take it from there. */
function tellOfOthers(): () => void {
  const { appliedHere } = Relays.prototype
  Relays.prototype.appliedHere = function (this: Relays, intake, applied) {
    appliedHere.call(this, intake, applied)
    for (let member = 1; member <= 3; member++) intake.relay({ kind: 'appliedAt', member, ...applied })
  }
  return () => {
    Relays.prototype.appliedHere = appliedHere
  }
}

/** Peers that take others' operations are asked about them before these have been sent. */
function askTooSoon(): () => void {
  const { ask } = FeedQuestions.prototype
  FeedQuestions.prototype.ask = function (this: FeedQuestions, origins) {
    ask.call(this, origins, Number.POSITIVE_INFINITY)
  }
  return () => {
    FeedQuestions.prototype.ask = ask
  }
}

/** What is written counts as durable. */
function trustThePageCache(): () => void {
  const synced = Object.getOwnPropertyDescriptor(Log.prototype, 'synced') as PropertyDescriptor
  Object.defineProperty(Log.prototype, 'synced', {
    configurable: true,
    get(this: Log) {
      return this.written
    },
  })
  return () => Object.defineProperty(Log.prototype, 'synced', synced)
}

/** Small lists take the same way: none is packed. */
function reversePushes(): () => void {
  const { push } = ListState.prototype
  const { push: pushPacked } = PackedList.prototype
  ListState.prototype.push = function (this: ListState, context, stamp, side, values) {
    for (const [number, value] of values.entries()) {
      const [, key, offset] = pushedId(side, stamp, number) as [number, number, number]
      this.write(context, stamp, [side, -key, offset], value)
    }
  }
  PackedList.prototype.push = () => false
  return () => {
    ListState.prototype.push = push
    PackedList.prototype.push = pushPacked
  }
}

/** Each slot that a transaction writes to gets a record of its own. */
function logSlotsApart(): () => void {
  const { finish } = Drafts.prototype
  const reader = new RecordReader()
  Drafts.prototype.finish = function (this: Drafts, writer) {
    const start = writer.length
    if (!finish.call(this, writer)) return false
    const bytes = writer.bytes.slice(start, writer.length)
    reader.read(bytes, 0, bytes.length)
    writer.length = start
    for (const part of reader.parts.slice(0, reader.partCount)) {
      const { slot, first, last, previous, context, effectsStart, effectsEnd } = part
      const record = beginRecord(writer, RecordKind.operations)
      beginPart(writer, slot, first, last, previous, context, effectsEnd - effectsStart)
      writer.raw(bytes, effectsStart, effectsEnd)
      endRecord(writer, record)
    }
    return true
  }
  return () => {
    Drafts.prototype.finish = finish
  }
}

/** Of the operations behind a slot state only the vector is taken. */
function leaveTailOut(): () => void {
  const { apply } = SlotStaging.prototype
  SlotStaging.prototype.apply = function (this: SlotStaging, part) {
    this.reached[part.origin] = Math.max(this.reached[part.origin] as number, part.last)
  }
  return () => {
    SlotStaging.prototype.apply = apply
  }
}

/** Keys are used as they were before a state, under the vector of after. */
function useUnjoined(): () => void {
  const tables = SlotTables.prototype as unknown as { joinAimed(): void }
  const { joinAimed } = tables
  tables.joinAimed = () => {}
  return () => {
    tables.joinAimed = joinAimed
  }
}

/** A replay joins what was logged of a state that never came whole. */
function replayUnfinished(): () => void {
  const { read } = RecordReader.prototype
  RecordReader.prototype.read = function (this: RecordReader, ...of) {
    const end = read.apply(this, of)
    if (this.kind === RecordKind.slotPart && this.isFirst) this.isLast = true
    return end
  }
  return () => {
    RecordReader.prototype.read = read
  }
}

const slowReplication = { cutBytes: 1, workSteps: 1, workPauseMs: 20 }

/** Slots are cut key by key, and kept half sent and half joined for long. */
const slowStates: Partial<RunOptions> = {
  world: { backlogBytesMax: 1 << 10 },
  variations: { replication: slowReplication, stagedSliceBytes: 1, comparedKeysMin: 256 },
}

/** The same, and they are compared before. */
const slowComparisons: Partial<RunOptions> = {
  world: { backlogBytesMax: 1 << 10 },
  variations: {
    replication: slowReplication,
    stagedSliceBytes: 1,
    comparedKeysMin: 1,
    keysPerPortion: 1,
    comparedStepBytes: 1,
  },
}

/** What the other side of a comparison does not have counts as equal. */
function ignoreAbsent(): () => void {
  const { includes } = Absences.prototype
  Absences.prototype.includes = () => false
  return () => {
    Absences.prototype.includes = includes
  }
}

const withoutChain = ({ origin, context }: RecordPart, vector: VersionVector): boolean =>
  context.every((stamp, o) => o === origin || stamp <= (vector[o] as number))

export const faults: readonly Fault[] = [
  {
    name: 'tailLeftOut',
    what: 'what came to a slot while it was cut is not replayed on it',
    options: slowStates,
    plant: leaveTailOut,
  },
  {
    name: 'usedUnjoined',
    what: 'a key is read and written before the state that the vector names is joined with it',
    options: slowStates,
    plant: useUnjoined,
  },
  {
    name: 'unfinishedReplayed',
    what: 'the first part of a slot state in the log counts as all of it',
    options: slowStates,
    plant: replayUnfinished,
  },
  {
    name: 'absentIgnored',
    what: 'of a slot that was compared, keys that the source has not are kept',
    options: slowComparisons,
    plant: ignoreAbsent,
  },
  {
    name: 'relayWithoutChain',
    what: "operations that another cluster was asked for don't wait for the one before",
    options: {
      world: { causalConsistency: true },
      variations: { ...newTrusting, replication: { delivery: withoutChain } },
    },
  },
  {
    name: 'slotsApart',
    what: 'a transaction over several slots is a record for each',
    options: { world: { sharding: false, shards: [1, 1, 1] } },
    plant: logSlotsApart,
  },
  {
    name: 'snapshotBeforeLog',
    what: 'a snapshot counts before the log is durable up to what it holds',
    options: {
      ...snapshotRun,
      variations: { snapshots: { newWriter: (...of) => new HastySnapshot(...of) } },
    },
  },
  {
    name: 'snapshotNotDurable',
    what: 'the log before a snapshot is removed before the snapshot is durable',
    options: {
      ...snapshotRun,
      variations: { snapshots: { newWriter: (...of) => new UnsyncedSnapshot(...of) } },
    },
  },
  { name: 'loserNow', what: 'a write that loses is dropped on arrival', plant: dropLosers },
  {
    name: 'pushesInReverse',
    what: 'what is pushed later lies before, in one order everywhere',
    plant: reversePushes,
  },
  {
    name: 'fifoOnly',
    what: 'operations are delivered in the order of their origin only',
    options: {
      variations: {
        ...newTrusting,
        replication: {
          delivery: ({ origin, previous }: RecordPart, vector: VersionVector) =>
            previous <= (vector[origin] as number),
        },
      },
    },
  },
  {
    name: 'noChain',
    what: "the origin's previous operation isn't waited for",
    options: {
      variations: {
        ...newTrusting,
        replication: { delivery: withoutChain },
      },
    },
  },
  {
    name: 'baselineNow',
    what: 'counter baselines are dropped at once',
    options: { variations: { newKeyspace: (...of) => new ForgetfulKeyspace(...of) } },
  },
  {
    name: 'patchSkipped',
    what: 'a patch of what has been overwritten is left out',
    // Only clusters that don't hear each other overwrite what the other patches.
    options: {
      durationMs: 4000,
      faultEveryMs: 400,
      harms: ['cut'],
      variations: {
        newKeyspace: (options) => new SkippingKeyspace({ ...options, patchedBytesMin: 0 }),
      },
    },
  },
  {
    name: 'vectorBeforeEnd',
    what: 'the vector of a slot is raised before the last part of its state',
    options: { variations: { replication: { newIntake: (...of) => new HastyIntake(...of) } } },
  },
  {
    name: 'leaseLost',
    what: 'stamps are given again after a crash',
    // What is given again are stamps ahead of the wall clock whose operations were not durable.
    options: { beforeStart: (disk) => disk.lose(leaseFile), harms: ['step', 'power'] },
  },
  {
    name: 'hastyAcknowledgements',
    what: 'a heartbeat counts while an operation of its sender is held',
    plant: countHastily,
  },
  {
    name: 'confirmHeld',
    what: 'a peer says that it has applied what it holds',
    plant: () => confirmHastily('held'),
  },
  {
    name: 'confirmUnsynced',
    what: 'a peer says that it has applied what is not durable there',
    options: {
      harms: ['power', 'powerShard'],
      faultEveryMs: 300,
      world: { persistence: 'everysec', memory: unlimitedMemory },
    },
    plant: () => confirmHastily('unsynced'),
  },
  {
    name: 'toldOfOthers',
    what: 'who has told of its own that it is applied has told of those behind it, too',
    options: { harms: ['cut'], faultEveryMs: 400 },
    plant: tellOfOthers,
  },
  {
    name: 'askedTooSoon',
    what: 'a peer is asked whether it has applied what has not been sent',
    plant: askTooSoon,
  },
  {
    name: 'evictAlone',
    what: 'an evicted key is dropped here instead of deleted everywhere',
    options: {
      world: { memory: { memorySizeBytes: 5_000, evictionPolicy: 'allkeys-random', evictionSamples: 5 } },
      variations: { newKeyspace: (...of) => new DroppingKeyspace(...of) },
    },
  },
  {
    name: 'shipUnsynced',
    what: 'peers are sent what is not durable',
    plant: trustThePageCache,
  },
]
