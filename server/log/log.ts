/**
 * The one log of a shard: every operation, own and remote, in the order in which it was applied. It is the durability of
 * the shard and the stream that its peers are served from.
 *
 *     append ──▶ backlog (memory) ──flush, once a turn──▶ segments (page cache) ──sync──▶ disk
 *                     end                                     written                     synced
 *
 * Replies may leave when their operation is `written` (none, everysec) or `synced` (always). Peers are sent nothing beyond
 * `synced`: a crash must never forget what another cluster knows, or stamps would be given twice and chains would break.
 * That is why, while a peer listens, everysec syncs much more often than each second; the policy only says what
 * clients wait for. Without persistence nothing is ever durable and all three positions move together.
 *
 * Syncs are grouped: one is under way, the next covers everything that was written meanwhile.
 *
 * What lies before a snapshot is not part of the log any more; see `snapshots.ts`.
 *
 * When an append fails (disk full) the records stay in memory, `failure` says why, and the append is repeated until it
 * works; the owner refuses writes meanwhile. When a sync fails the process must end: see `segments.ts`.
 */

import type { Origin, Stamp } from '#protocol/sync/stamp.ts'
import type { VersionVector } from '#protocol/sync/versionVector.ts'
import type { ByteWriter } from '#runtime/bytes/byteWriter.ts'
import { invariant } from '#runtime/invariant.ts'
import { type Clock, type Disk, DiskError, type Logger, type Timers } from '#runtime/ports.ts'
import { Backlog } from './backlog.ts'
import { type BacklogSetting, backlogBytesOf } from './backlogSize.ts'
import { chooseChain, type LogChain } from './chain.ts'
import { discardLog, removeDiscarded } from './discarding.ts'
import { type RecoveredLog, recoverLog, type TakeRecord } from './recovery.ts'
import { Segments } from './segments.ts'
import type { TakePart } from './snapshotFormat.ts'
import { loadSnapshot } from './snapshotReading.ts'

export type Persistence = 'none' | 'everysec' | 'always'

export const segmentBytesMaxDefault = 64 * 1024 * 1024
const everySecondMs = 1000
/** While peers wait for durable operations, at most this much and about half of the time is spent without syncing. */
const shippingDelayMsMax = 10
const diskRetryMs = 500

export interface LogOptions {
  persistence: Persistence
  clusterId: number
  backlogBytesMax: BacklogSetting
  segmentBytesMax: number
}

export interface LogPorts {
  disk: Disk
  clock: Clock
  timers: Timers
  logger: Logger
  /** The process can't go on. */
  fatal(error: Error): void
}

export class Log {
  readonly backlog: Backlog
  readonly persistence: Persistence
  /** Why nothing can be written at the moment. */
  failure: DiskError | null = null
  /** `synced` has moved. */
  onSynced: () => void = () => {}
  /** A sync has taken so long. */
  onSyncTook: (durationMs: number) => void = () => {}
  /** `failure` has been set or cleared. */
  onFailureChange: () => void = () => {}
  /** Records appended since the start, those that were replayed included. */
  recordCount = 0
  /** Of those, the ones that this shard has made since the start. */
  ownRecords = 0
  #recovered: RecoveredLog = { found: false, closed: false, end: 0, segments: [], tear: null }
  #chain: LogChain = { snapshot: null, start: 0, segments: [], witness: null, leftOver: [] }
  #backlogSetting: BacklogSetting
  #isShared = true
  #shardBytes = 0
  #shipping = false
  #written = 0
  #synced = 0
  readonly #options: LogOptions
  readonly #ports: LogPorts
  readonly #segments: Segments
  #syncing = false
  #syncStartedMs = Number.NEGATIVE_INFINITY
  #syncEndedMs = Number.NEGATIVE_INFINITY
  #cancelTimer: (() => void) | null = null
  #timerDueMs = 0
  /** To be called when the next sync that begins has ended. */
  #waiting: (() => void)[] = []
  #drained: (() => void) | null = null
  #marked = false
  #stopped = false

  constructor(options: LogOptions, ports: LogPorts) {
    this.persistence = options.persistence
    this.#backlogSetting = options.backlogBytesMax
    this.backlog = new Backlog(backlogBytesOf(options.backlogBytesMax, 0, true))
    this.#options = options
    this.#ports = ports
    this.#segments = new Segments(ports.disk, options.clusterId, options.segmentBytesMax)
  }

  /** Behind the last record appended. */
  get end(): number {
    return this.backlog.end
  }

  /** Whether there are other members, who may read the window later: without them it is kept small. */
  set isShared(isShared: boolean) {
    this.#isShared = isShared
    this.fitBacklog(this.#shardBytes)
  }

  /** How large the window is to be. */
  set backlogSetting(setting: BacklogSetting) {
    this.#backlogSetting = setting
    this.fitBacklog(this.#shardBytes)
  }

  /** The shard has become so large, or may. A smaller window is cut down to when the log moves on. */
  fitBacklog(shardBytes: number): void {
    this.#shardBytes = shardBytes
    this.backlog.bytesMax = backlogBytesOf(this.#backlogSetting, shardBytes, this.#isShared)
  }

  /** A peer waits for durable operations. */
  get shipping(): boolean {
    return this.#shipping
  }

  set shipping(shipping: boolean) {
    this.#shipping = shipping
    this.#scheduleSync()
  }

  /** Everything before it is with the operating system: it survives the end of the process. */
  get written(): number {
    return this.#written
  }

  /** Everything before it is on the disk: it survives a power cut. */
  get synced(): number {
    return this.#synced
  }

  /** What was recovered began with it. */
  get chain(): LogChain {
    return this.#chain
  }

  /**
   * Shows every slot of the newest snapshot and every record of the log behind it, oldest first; yields the bytes read. The
   * caller applies each record and puts it back into the backlog, or lets the backlog skip it when `keeps` says so. Throws
   * `LogRefusal` or `DiskError`.
   */
  *recover(take: TakeRecord, takePart: TakePart): Generator<number, RecoveredLog, void> {
    const { disk, logger } = this.#ports
    const { clusterId } = this.#options
    removeDiscarded(disk)
    const chain = yield* chooseChain(disk, clusterId, logger)
    this.#chain = chain
    const { snapshot, start } = chain
    if (snapshot !== null) {
      yield* loadSnapshot(disk, clusterId, snapshot, takePart)
      logger.info({ file: snapshot.name, sizeBytes: snapshot.sizeBytes }, 'snapshot was read')
    }
    this.backlog.skip(start)
    const recovered = yield* recoverLog(disk, clusterId, chain, (bytes, from, to, bytesLeft) => {
      const count = this.recordCount
      take(bytes, from, to, bytesLeft)
      // Whether the backlog keeps it or skips it.
      this.recordCount = count + 1
    })
    const { end, tear } = recovered
    if (tear !== null)
      logger.warn({ ...tear, position: end }, 'log ended in an unsynced tail, which was cut off')
    invariant(this.backlog.end === end, 'every record was kept or skipped', { end })
    this.#written = end
    this.#recovered = recovered
    return recovered
  }

  /** What was recovered is this log's own from now on. */
  start(): void {
    const { disk, logger } = this.#ports
    const { end, segments } = this.#recovered
    if (this.persistence === 'none') {
      // It would be out of date at the next start, and nobody could tell.
      discardLog(disk)
      if (end > 0)
        logger.warn({ position: end }, 'persistence is none: the log was read a last time and removed')
      this.#synced = end
      return
    }
    this.#segments.adopt(segments)
    // An empty block begins a log: if the file is gone at the next start, data was lost. What a killed process left in the
    // page cache is not durable yet.
    if (segments.length > 0 || this.#tryAppend([], 0, 0)) this.#startSync()
  }

  /** Whether a record with so many bytes of log behind it belongs into the backlog. */
  keeps(bytesLeft: number): boolean {
    return bytesLeft < this.backlog.bytesMax
  }

  /** A record whose stamps are of several origins, or that has none. */
  append(bytes: Uint8Array, start: number, end: number, stamps: VersionVector): void {
    this.recordCount++
    this.backlog.append(bytes, start, end, stamps)
  }

  /** A record whose stamps are all of one origin, the greatest being `stamp`. */
  appendOf(bytes: Uint8Array, start: number, end: number, origin: Origin, stamp: Stamp): void {
    this.recordCount++
    this.backlog.appendOf(bytes, start, end, origin, stamp)
  }

  /** Where a record of at most so many bytes is written in place; it counts when `commit` is called. */
  begin(bytesMax: number): ByteWriter {
    return this.backlog.begin(bytesMax)
  }

  /** The record written since `begin` is appended: its stamps are all this shard's own, the greatest being `stamp`. */
  commit(origin: Origin, stamp: Stamp): void {
    this.recordCount++
    this.ownRecords++
    this.backlog.commit(origin, stamp)
  }

  /** Hands what was appended to the operating system. False: the disk refuses it, see `failure`. */
  flush(): boolean {
    if (this.failure !== null) return false
    return this.#write()
  }

  /** `done` is called when everything written so far is durable, at once whatever the policy; not when the log stops first. */
  sync(done: () => void): void {
    this.#waiting.push(done)
    this.#scheduleSync()
  }

  /**
   * Begins a new file, and returns the position where: the log can be cut off before it. The file is there (and durable after
   * the next `sync`) even if nothing follows. Null: the disk refuses it. Something must have been synced before.
   */
  startSegment(): number | null {
    const position = this.#written
    invariant(this.#synced > 0, 'a log that is cut off was durable before', { position })
    if (this.failure !== null) return null
    // What says that all is synced up to its own position is the mark of a clean stop.
    const synced = Math.min(this.#synced, position - 1)
    if (this.#segments.startsAt(position) || this.#tryAppend([], 0, position, { synced, newFile: true }))
      return position
    return null
  }

  /** `done` is called once everything appended so far is durable (or can't be made so: then the log says why). */
  drain(done: () => void): void {
    this.#drained = done
    this.flush()
    this.#finishDrain()
  }

  /** No more timers, no more calls back. */
  stop(): void {
    this.#stopped = true
    this.#cancelTimer?.()
  }

  #write(): boolean {
    const { backlog } = this
    const from = this.#written
    const to = backlog.end
    if (from === to) return true
    if (this.persistence === 'none') {
      this.#written = to
      this.#synced = to
      backlog.trim(to)
      this.onSynced()
      return true
    }
    if (!this.#tryAppend(backlog.views(from, to), to - from, from)) return false
    this.#written = to
    backlog.trim(to)
    this.#scheduleSync()
    return true
  }

  #tryAppend(
    parts: readonly Uint8Array[],
    lengthBytes: number,
    position: number,
    { synced = this.#synced, newFile = false } = {},
  ): boolean {
    try {
      this.#segments.append(parts, lengthBytes, position, synced, newFile)
      return true
    } catch (error) {
      if (!(error instanceof DiskError)) throw error
      if (this.failure === null) {
        this.#ports.logger.error({ code: error.code, position }, `log can't be written: ${error.message}`)
      }
      this.failure = error
      this.#ports.timers.after(diskRetryMs, () => this.#retry())
      this.onFailureChange()
      return false
    }
  }

  #retry(): void {
    if (this.#stopped || !this.#write()) return
    this.failure = null
    this.#ports.logger.info({ position: this.#written }, 'log can be written again')
    this.onFailureChange()
    this.#finishDrain()
  }

  /** Starts the next sync, now or when it is due. */
  #scheduleSync(): void {
    if (this.#syncing || this.#stopped) return
    if (this.#synced === this.#written && this.#waiting.length === 0) return
    const nowMs = this.#ports.clock.monotonicMs()
    const dueMs = this.#nextSyncMs()
    if (dueMs <= nowMs) {
      this.#startSync()
      return
    }
    if (this.#cancelTimer !== null) {
      if (this.#timerDueMs <= dueMs) return
      this.#cancelTimer()
    }
    this.#timerDueMs = dueMs
    this.#cancelTimer = this.#ports.timers.after(dueMs - nowMs, () => {
      this.#cancelTimer = null
      this.#scheduleSync()
    })
  }

  #nextSyncMs(): number {
    const hurry = this.#drained !== null || this.#waiting.length > 0
    if (this.persistence === 'always' || hurry) return Number.NEGATIVE_INFINITY
    if (!this.#shipping) return this.#syncStartedMs + everySecondMs
    const lastTookMs = this.#syncEndedMs - this.#syncStartedMs
    // Before the first sync both are minus infinity and the difference is no number.
    return this.#syncEndedMs + (lastTookMs >= 0 ? Math.min(lastTookMs, shippingDelayMsMax) : 0)
  }

  #startSync(): void {
    const target = this.#written
    const waiting = this.#waiting
    this.#waiting = []
    this.#cancelTimer?.()
    this.#cancelTimer = null
    this.#syncing = true
    this.#syncStartedMs = this.#ports.clock.monotonicMs()
    this.#segments.sync((error) => {
      if (this.#stopped) return
      this.#syncing = false
      this.#syncEndedMs = this.#ports.clock.monotonicMs()
      if (error !== null) {
        this.#stopped = true
        this.#ports.fatal(new Error(`log can't be made durable (${error.code}: ${error.message}): ${lost}`))
        return
      }
      this.#synced = target
      this.onSyncTook(this.#syncEndedMs - this.#syncStartedMs)
      this.onSynced()
      for (const done of waiting) done()
      this.#scheduleSync()
      this.#finishDrain()
    })
  }

  /** A last, empty block says that all before it is durable: damage to it will be known as such. */
  #finishDrain(): void {
    const done = this.#drained
    if (done === null || this.#syncing || this.failure !== null) return
    if (this.#synced < this.#written) {
      this.#scheduleSync()
      return
    }
    if (!this.#marked && this.persistence !== 'none' && this.#synced > 0) {
      this.#marked = true
      if (this.#tryAppend([], 0, this.#synced)) this.#startSync()
      return
    }
    this.#drained = null
    done()
  }
}

const lost =
  'what was written since the last sync may be lost, so the process stops; check the disk, then start it again'
