/** Answers questions about the inside of the shard; see `protocol/frames/admin.ts`. */

import type {
  AdminAnswer,
  AdminQuestion,
  AdminRefusal,
  CommandFigures,
  MemberFigures,
  MemoryFigures,
  ShardInfo,
} from '#protocol/frames/admin.ts'
import { isClusterId } from '#protocol/frames/hello.ts'
import type { LatencyLog } from '#protocol/frames/latency.ts'
import { readShardSettings } from '#protocol/frames/shardSettings.ts'
import {
  clusterOfOrigin,
  type Origin,
  originOfCluster,
  originsMax,
  stampWallMs,
} from '#protocol/sync/stamp.ts'
import { areTexts, isJsonObject, type JsonObject } from '#runtime/jsonObject.ts'
import type { Clock } from '#runtime/ports.ts'
import type { ClockLease } from '#server/log/lease.ts'
import type { Log } from '#server/log/log.ts'
import type { Snapshots } from '#server/log/snapshots.ts'
import type { Replication } from '#server/sync/replication.ts'
import { rangesCover } from '#server/sync/slotSet.ts'
import type { BlockedRequests } from './blockedRequests.ts'
import type { ClusterWaits } from './clusterWaits.ts'
import type { Execution } from './execution.ts'
import type { Expiry } from './expiry.ts'
import type { WriteGates } from './gates.ts'
import type { LocalState } from './localState.ts'
import type { Memory } from './memory.ts'
import type { Requests } from './requests.ts'
import type { SettingsInForce } from './settingsInForce.ts'
import type { ShardMember, ShardProcessFacts } from './shardOptions.ts'
import type { Subscribers } from './subscribers.ts'
import type { Tracking } from './tracking.ts'
import type { Watches } from './watches.ts'

/** A digest looks at everything: it is cut at so much a turn. */
const digestSliceMs = 5
/** Between looks at a snapshot that somebody waits for. */
const snapshotWaitMs = 10
/** The same at the list of libraries, which the agent sends, and for how long. */
const librariesWaitMs = 5
const librariesWaitMsMax = 2_000

export interface AdminParts {
  index: number
  ranges: readonly { first: number; last: number }[]
  state: LocalState
  log: Log
  snapshots: Snapshots
  lease: ClockLease
  gates: WriteGates
  execution: Execution
  latency: LatencyLog
  requests: Requests
  watches: Watches
  blocked: BlockedRequests
  waits: ClusterWaits
  subscribers: Subscribers
  settings: SettingsInForce
  tracking: Tracking
  expiry: Expiry
  memory: Memory
  /** RSS of the process before it had data. */
  baseBytes: number
  replication: Replication
  clock: Clock
  linkCount(): number
  members(): readonly ShardMember[]
  processFacts(): ShardProcessFacts
  loopLateMs(): number
}

export class Admin {
  readonly #parts: AdminParts
  readonly #startedMs: number
  #rateFrom = { atMs: 0, commands: 0, perSecond: 0 }

  constructor(parts: AdminParts) {
    this.#parts = parts
    this.#startedMs = parts.clock.monotonicMs()
  }

  /** Answers, or yields how many milliseconds later it wants to go on. */
  *answer(question: unknown): Generator<number, AdminAnswer<AdminQuestion['what']> | AdminRefusal, void> {
    if (!isJsonObject(question)) return { error: 'a question that is no JSON object' }
    switch (question['what']) {
      case 'info':
        return { ...this.info(), histograms: question['histograms'] === true ? this.#histograms() : {} }
      case 'digest':
        return yield* this.#digest()
      case 'vectors':
        return this.#vectors()
      case 'unblock':
        return this.#unblock(question['session'], question['error'])
      case 'latency':
        return { events: this.#parts.latency.all, histograms: this.#histograms() }
      case 'resetLatency':
        return this.#resetLatency(question['events'])
      case 'resetStats':
        return this.#resetStats()
      case 'memberReport':
        return this.#memberReport(question['clusterId'])
      case 'memberReached':
        return this.#memberReached(question['clusterId'], question['slots'])
      case 'snapshot':
        return yield* this.#snapshot(question['schedule'] === true, question['wait'] === true)
      case 'examineLibraries':
        return this.#examineLibraries(question['codes'])
      case 'librariesInForce':
        return yield* this.#librariesInForce(Number(question['version']))
      case 'configure':
        return this.#configure(question)
      default:
        return { error: `unknown question ${String(question['what']).slice(0, 64)}` }
    }
  }

  info(): ShardInfo {
    const { index, state, gates, execution, watches, expiry, replication, clock, subscribers } = this.#parts
    const { db } = state
    const { blocking } = this.#parts.blocked
    const facts = this.#parts.processFacts()
    return {
      index,
      runId: replication.runId,
      uptimeMs: Math.floor(clock.monotonicMs() - this.#startedMs),
      settings: this.#parts.settings.current,
      writesRefused: gates.refusal,
      stale: replication.stale,
      keys: db.size,
      expiringKeys: db.expiring,
      averageTtlMs: Math.round(expiry.averageTtlMs),
      expiredKeys: expiry.expiredKeys,
      residues: db.residues,
      residuesJudged: db.tables.residues.judged,
      residuesForgotten: db.tables.residues.forgotten,
      watchedKeys: watches.count,
      ...this.#parts.tracking.figures,
      blockedClients: blocking.count,
      blockedForEver: blocking.countForEver,
      blockingKeys: blocking.keyCount,
      channels: subscribers.count('channel'),
      patterns: subscribers.count('pattern'),
      shardChannels: subscribers.count('shardChannel'),
      commandsProcessed: execution.commandsProcessed,
      errors: execution.errorCounts.all,
      histograms: {},
      commandsPerSecond: this.#rateFrom.perSecond,
      links: this.#parts.linkCount(),
      ...facts,
      memory: this.#memoryFigures(),
      loopLateMs: this.#parts.loopLateMs(),
      log: this.#logFigures(),
      clock: this.#clockFigures(),
      sync: this.#syncFigures(),
      commands: this.#commandFigures(),
    }
  }

  /** To be called every now and then: what happened since the last call makes the rate. */
  measureRate(): void {
    const atMs = this.#parts.clock.monotonicMs()
    const commands = this.#parts.execution.commandsProcessed
    const elapsedMs = atMs - this.#rateFrom.atMs
    if (elapsedMs <= 0) return
    const perSecond = Math.round(((commands - this.#rateFrom.commands) * 1000) / elapsedMs)
    this.#rateFrom = { atMs, commands, perSecond }
  }

  *#digest(): Generator<number, AdminAnswer<'digest'>, void> {
    const { state, clock } = this.#parts
    const slots: Record<number, string> = {}
    let endMs = clock.monotonicMs() + digestSliceMs
    for (const slot of [...state.db.occupiedSlots()]) {
      slots[slot] = state.db.slotDigest(slot)
      if (clock.monotonicMs() < endMs) continue
      yield 0
      endMs = clock.monotonicMs() + digestSliceMs
    }
    return { slots }
  }

  #vectors(): AdminAnswer<'vectors'> {
    const { ranges, state } = this.#parts
    const slots: Record<number, Record<number, number>> = {}
    for (const { first, last } of ranges) {
      for (let slot = first; slot <= last; slot++) {
        if (state.vectors.greatest(slot) > 0) slots[slot] = byCluster((o) => state.vectors.get(slot, o))
      }
    }
    return { slots }
  }

  #unblock(session: unknown, error: unknown): AdminAnswer<'unblock'> | AdminRefusal {
    if (typeof session !== 'number' || typeof error !== 'string')
      return { error: 'a session and an error text are needed' }
    const { blocked, waits } = this.#parts
    return { unblocked: blocked.unblockSession(session, error) || waits.unblockSession(session, error) }
  }

  #examineLibraries(codes: unknown): AdminAnswer<'examineLibraries'> | AdminRefusal {
    if (!areTexts(codes)) return { error: 'the codes of libraries are needed' }
    const { functions } = this.#parts.execution
    return { libraries: codes.map((code) => functions.examine(code)) }
  }

  *#librariesInForce(version: number): Generator<number, AdminAnswer<'librariesInForce'>, void> {
    const { execution, clock } = this.#parts
    const endMs = clock.monotonicMs() + librariesWaitMsMax
    while (execution.functions.version < version && clock.monotonicMs() < endMs) yield librariesWaitMs
    return { isInForce: execution.functions.version >= version }
  }

  #memberReport(clusterId: unknown): AdminAnswer<'memberReport'> | AdminRefusal {
    if (!isClusterId(clusterId)) return { error: 'a cluster id is needed' }
    const { replication } = this.#parts
    const slots = replication.report(clusterId)
    return { runId: replication.runId, slots: slots === null ? null : Object.fromEntries(slots) }
  }

  #memberReached(clusterId: unknown, slots: unknown): AdminAnswer<'memberReached'> | AdminRefusal {
    if (!isClusterId(clusterId) || !isJsonObject(slots)) return { error: 'a cluster id and slots are needed' }
    const { replication } = this.#parts
    const final = new Map(Object.entries(slots).map(([slot, stamp]) => [Number(slot), Number(stamp)]))
    return { runId: replication.runId, reached: replication.hasReached(clusterId, final) }
  }

  /** What Redis's CONFIG RESETSTAT begins anew, as far as a shard counts it. */
  #resetStats(): AdminAnswer<'resetStats'> {
    const { execution, expiry, memory } = this.#parts
    execution.resetStats()
    expiry.expiredKeys = 0
    memory.resetStats()
    this.#rateFrom = { ...this.#rateFrom, commands: 0 }
    return {}
  }

  #resetLatency(events: unknown): AdminAnswer<'resetLatency'> | AdminRefusal {
    if (!Array.isArray(events)) return { error: 'names of events are needed' }
    return { reset: this.#parts.latency.reset(events.map(String)) }
  }

  #histograms(): Record<string, readonly number[]> {
    const histograms: Record<string, readonly number[]> = {}
    for (const { spec, durations } of this.#parts.execution.runnables) {
      const { counts } = durations
      if (counts.length > 0) histograms[spec.lowerName] = counts
    }
    return histograms
  }

  *#snapshot(
    schedule: boolean,
    wait: boolean,
  ): Generator<number, AdminAnswer<'snapshot'> | AdminRefusal, void> {
    const { snapshots, log } = this.#parts
    if (log.persistence === 'none')
      return { error: 'nothing is kept: the persistence of the database is none' }
    if (log.failure !== null) return { error: `the log can not be written: ${log.failure.message}` }
    const snapshot = snapshots.request(schedule)
    if (!wait || snapshot !== 'started') return { snapshot }
    while (snapshots.running) yield snapshotWaitMs
    return snapshots.figures.lastFailed
      ? { error: 'the snapshot failed; see the log of the shard' }
      : { snapshot: 'completed' }
  }

  #configure(question: JsonObject): AdminAnswer<'configure'> | AdminRefusal {
    const { requests, execution, blocked } = this.#parts
    const { limits = {} } = question
    if (!isJsonObject(limits)) return { error: 'limits is no JSON object' }
    const settings = readShardSettings(question['settings'] ?? {})
    if (typeof settings === 'string') return { error: settings }
    for (const [name, value] of Object.entries(limits)) {
      if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 1)
        return { error: `limit ${name} is no positive integer` }
      if (name === 'watchedKeysMax') requests.watchedKeysMax = value
      else if (name === 'blockedClientsMax') blocked.blocking.clientsMax = value
      else if (name === 'transactionCommandsMax') execution.transactionCommandsMax = value
      else return { error: `limit ${name} is none that can be changed while the shard runs` }
    }
    this.#parts.settings.change(settings)
    return {}
  }

  #memoryFigures(): MemoryFigures {
    const { memory, state, baseBytes } = this.#parts
    const { totalBytes, peakBytes, evictedKeys, intakePaused } = memory
    return {
      usedBytes: state.db.usedBytes,
      totalBytes,
      peakBytes: Math.max(peakBytes, totalBytes),
      baseBytes,
      evictedKeys,
      intakePaused,
    }
  }

  #logFigures(): ShardInfo['log'] {
    const { log, snapshots } = this.#parts
    return {
      persistence: log.persistence,
      startPosition: log.backlog.start,
      endPosition: log.end,
      writtenPosition: log.written,
      syncedPosition: log.synced,
      backlogBytes: log.backlog.sizeBytes,
      backlogBytesMax: log.backlog.bytesMax,
      failure: log.failure?.message ?? null,
      snapshot: snapshots.figures,
    }
  }

  #clockFigures(): ShardInfo['clock'] {
    const { gates, state, lease, clock } = this.#parts
    const nowMs = clock.wallMs()
    const { state: verdict, offsetMs, source, degradedMs, gateMs } = gates.clock
    return {
      state: verdict,
      offsetMs,
      source,
      degradedMs,
      gateMs,
      lastStamp: state.lastStamp,
      aheadMs: Math.max(0, stampWallMs(state.lastStamp) - nowMs),
      leaseLeftMs: Math.max(0, lease.endMs - nowMs),
    }
  }

  #syncFigures(): ShardInfo['sync'] {
    const { replication, state, clock } = this.#parts
    const { gate } = replication
    return {
      appliedRecords: gate.applied,
      duplicateRecords: gate.duplicates,
      mergedSlotStates: state.mergedSlotStates,
      comparedSlotStates: state.comparedSlotStates,
      heldRecords: gate.heldCount,
      heldBytes: gate.heldBytes,
      holdOverflows: gate.overflows,
      observed: byCluster((o) => state.vectors.greatestStamps[o] as number),
      leastApplied: byCluster((o) => leastAt(replication, o)),
      recoveredWithStates: replication.recoveredWithStates,
      members: this.#memberFigures(),
      feeds: [...replication.feeds].map(({ peer, caughtUp, behindBytes, inflightBytes, slotStatesOwed }) => ({
        peer: clusterOfOrigin(peer),
        caughtUp,
        behindBytes,
        inflightBytes,
        slotStatesOwed,
      })),
      intakes: [...replication.intakes].map((intake) => ({
        peer: clusterOfOrigin(intake.peer),
        sourceShard: intake.sourceShard,
        caughtUp: intake.caughtUp,
        stale: intake.sourceStale,
        refusing: intake.sourceRefusing,
        heardAgoMs: Math.floor(clock.monotonicMs() - intake.heardMs),
        slotStatesPlanned: intake.slotStatesPlanned,
        slotStatesTaken: intake.slotStatesTaken,
        heldCount: intake.held.count,
      })),
    }
  }

  #memberFigures(): MemberFigures[] {
    const { replication, members, ranges, state } = this.#parts
    const figures: MemberFigures[] = []
    for (const { clusterId, name, state: memberState } of members()) {
      const member = originOfCluster(clusterId)
      if (member === state.clock.origin || memberState === 'removed') continue
      const intakes = [...replication.intakes].filter((intake) => intake.peer === member)
      const caughtUp = intakes.filter((intake) => intake.caughtUp)
      const stamp = (o: Origin) => replication.acknowledgements.least(member, o)
      const { receivedBytes, fullSyncs, partialSyncs, failedPartialSyncs } = replication.syncsOf(member)
      const lag = replication.lag(member)
      figures.push({
        clusterId,
        name,
        connected: rangesCover(
          ranges,
          intakes.map((intake) => intake.ranges),
        ),
        caughtUp: rangesCover(
          ranges,
          caughtUp.map((intake) => intake.ranges),
        ),
        stale: intakes.some(({ sourceStale }) => sourceStale),
        lagOperations: lag.operations,
        lagMs: lag.ageMs,
        behindMs: replication.behindMs(member),
        heldRecords: intakes.reduce((count, { held }) => count + held.count, 0),
        heldMs: Math.max(0, ...intakes.map(({ heldMs }) => Math.floor(heldMs))),
        receivedBytes,
        fullSyncs,
        partialSyncs,
        failedPartialSyncs,
        acknowledgedMs: byCluster((o) => (stamp(o) === 0 ? 0 : stampWallMs(stamp(o)))),
      })
    }
    return figures
  }

  #commandFigures(): Record<string, CommandFigures> {
    const figures: Record<string, CommandFigures> = {}
    for (const { spec, calls, microseconds, rejectedCalls, failedCalls } of this.#parts.execution.runnables) {
      if (calls + rejectedCalls === 0) continue
      figures[spec.lowerName] = { calls, microseconds: Math.round(microseconds), rejectedCalls, failedCalls }
    }
    return figures
  }
}

/** What every other member has applied of an origin. */
function leastAt({ peers, acknowledgements }: Replication, origin: Origin): number {
  return peers.length === 0 ? 0 : Math.min(...peers.map((peer) => acknowledgements.least(peer, origin)))
}
function byCluster(figureOf: (origin: Origin) => number): Record<number, number> {
  const values: Record<number, number> = {}
  for (let origin = originsMax - 1; origin >= 0; origin--) {
    const value = figureOf(origin)
    if (value > 0) values[clusterOfOrigin(origin)] = value
  }
  return values
}
