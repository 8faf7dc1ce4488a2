/**
 * When snapshots are taken, and what they make superfluous. One is taken when the log has grown by as much as the last one is
 * large (and by a least size), or when somebody asks. When it is durable the log before it and older snapshots are removed.
 */
import { DiskError, type Logger } from '#runtime/ports.ts'
import { isSegmentName } from './blockFormat.ts'
import { positionOf } from './fileHeader.ts'
import type { Log } from './log.ts'
import { isSnapshotName } from './snapshotFormat.ts'
import type { SnapshotFile } from './snapshotReading.ts'
import {
  type SnapshotPorts,
  type SnapshotSizes,
  type SnapshotSource,
  SnapshotWriter,
  snapshotSizes,
} from './snapshotWriter.ts'

export interface SnapshotLimits {
  /** Log since the last snapshot began, below which none is taken unasked. */
  snapshotLogBytesMin: number
  /** The same as a part of the size of the last snapshot; 0: none is taken unasked. */
  snapshotLogPercent: number
}

/** What the simulation varies: sizes, and a writer that it replaces by a wrong one to see that it notices. */
export interface SnapshotVariations {
  sizes?: SnapshotSizes
  newWriter?: (...of: ConstructorParameters<typeof SnapshotWriter>) => SnapshotWriter
}

/** After one that failed. */
const retryMs = 5000
/** Between the removals of two files: each is a rename that the system may take milliseconds for. */
const removalPauseMs = 20

const newSoundWriter = (...of: ConstructorParameters<typeof SnapshotWriter>) => new SnapshotWriter(...of)

export type SnapshotRequested = 'started' | 'running' | 'scheduled' | 'unchanged'

export class Snapshots {
  limits: SnapshotLimits
  readonly #log: Log
  readonly #clusterId: number
  readonly #source: SnapshotSource
  readonly #ports: SnapshotPorts & { logger: Logger }
  readonly #variations: SnapshotVariations
  #last: SnapshotFile | null = null
  #writer: SnapshotWriter | null = null
  #scheduled = false
  #startedMs = 0
  /** Of the log, when the last snapshot and the running one began. */
  #lastRecordCount = 0
  #startRecordCount = 0
  #retryAtMs = Number.NEGATIVE_INFINITY
  #completed = 0
  #failed = 0
  #lastFailed = false
  #lastTookMs = -1
  #lastSavedMs = 0
  #stopped = false

  constructor(
    log: Log,
    clusterId: number,
    source: SnapshotSource,
    limits: SnapshotLimits,
    ports: SnapshotPorts & { logger: Logger },
    variations: SnapshotVariations = {},
  ) {
    this.#log = log
    this.#clusterId = clusterId
    this.#source = source
    this.limits = limits
    this.#ports = ports
    this.#variations = variations
  }

  /** When the log has been recovered. */
  start(): void {
    const { chain, persistence } = this.#log
    this.#lastSavedMs = chain.snapshot?.takenAtMs ?? this.#ports.clock.wallMs()
    if (persistence === 'none') return
    this.#last = chain.snapshot
    if (chain.leftOver.length === 0) return
    if (chain.snapshot === null) this.#removeSoon()
    else this.#syncFound(chain.snapshot)
  }

  isCutting(slot: number): boolean {
    return this.#writer?.isCutting(slot) === true
  }

  /** Every now and then. */
  tick(): void {
    if (this.#writer !== null || this.#log.persistence === 'none' || this.#log.failure !== null) return
    if (this.#ports.clock.monotonicMs() < this.#retryAtMs) return
    if (this.#scheduled || this.#isDue()) this.#begin()
  }

  /** `schedule`: one that is running is followed by another. */
  request(schedule: boolean): SnapshotRequested {
    if (this.#writer !== null) {
      this.#scheduled ||= schedule
      return schedule ? 'scheduled' : 'running'
    }
    return this.#begin()
  }

  /** Nothing more is done. */
  stop(): void {
    this.#stopped = true
    this.#writer?.stop()
  }

  get running(): boolean {
    return this.#writer !== null
  }

  get figures() {
    const writer = this.#writer
    return {
      running: this.running,
      scheduled: this.#scheduled,
      writtenBytes: writer?.sizeBytes ?? 0,
      runningMs: writer === null ? 0 : Math.floor(this.#ports.clock.monotonicMs() - this.#startedMs),
      completed: this.#completed,
      failed: this.#failed,
      lastFailed: this.#lastFailed,
      lastTookMs: this.#lastTookMs,
      lastSavedMs: this.#lastSavedMs,
      sizeBytes: this.#last?.sizeBytes ?? 0,
      logBytes: this.#logBytes,
      changes: this.#log.recordCount - this.#lastRecordCount,
    }
  }

  get #logBytes(): number {
    return this.#log.end - (this.#last?.position ?? 0)
  }

  #isDue(): boolean {
    const { snapshotLogBytesMin, snapshotLogPercent } = this.limits
    if (snapshotLogPercent === 0) return false
    const wanted = Math.max(snapshotLogBytesMin, ((this.#last?.sizeBytes ?? 0) * snapshotLogPercent) / 100)
    return this.#logBytes >= wanted
  }

  #begin(): SnapshotRequested {
    this.#scheduled = false
    const { clock, logger } = this.#ports
    // What there is says it all.
    if (this.#logBytes === 0) {
      this.#lastSavedMs = clock.wallMs()
      return 'unchanged'
    }
    this.#startedMs = clock.monotonicMs()
    this.#startRecordCount = this.#log.recordCount
    logger.info({ logBytes: this.#logBytes, position: this.#log.end }, 'snapshot begins')
    const { newWriter = newSoundWriter, sizes = snapshotSizes } = this.#variations
    const onEnd = (result: SnapshotFile | Error): void => this.#ended(result)
    const writer = newWriter(this.#log, this.#clusterId, this.#source, this.#ports, sizes, onEnd)
    this.#writer = writer
    writer.start()
    return 'started'
  }

  #ended(result: SnapshotFile | Error): void {
    const { clock, logger } = this.#ports
    const tookMs = Math.round(clock.monotonicMs() - this.#startedMs)
    this.#writer = null
    this.#lastTookMs = tookMs
    this.#lastFailed = result instanceof Error
    if (result instanceof Error) {
      this.#failed++
      this.#retryAtMs = clock.monotonicMs() + retryMs
      const code = result instanceof DiskError ? result.code : ''
      logger.warn({ code, error: result.message, tookMs }, 'snapshot failed, the log is kept')
      return
    }
    this.#completed++
    this.#last = result
    this.#lastSavedMs = result.takenAtMs
    this.#lastRecordCount = this.#startRecordCount
    const { position, sizeBytes } = result
    logger.info({ position, sizeBytes, tookMs }, 'snapshot is complete')
    this.#removeSoon()
  }

  /** The process before may have left it in the page cache only; what it replaces is needed until it is durable. */
  #syncFound({ name }: SnapshotFile): void {
    const warn = (error: DiskError): void =>
      this.#ports.logger.warn(
        { code: error.code, file: name },
        'snapshot found at the start can not be synced',
      )
    try {
      this.#ports.disk.sync(name, (error) => {
        if (error === null) this.#removeSoon()
        else warn(error)
      })
    } catch (error) {
      if (!(error instanceof DiskError)) throw error
      warn(error)
    }
  }

  /** One file a turn. What can't be removed is tried again after the next snapshot. */
  #removeSoon(): void {
    if (this.#stopped) return
    try {
      const { disk, timers } = this.#ports
      const name = disk.list().find((one) => this.#isSuperfluous(one))
      if (name === undefined) return
      disk.remove(name)
      timers.after(removalPauseMs, () => this.#removeSoon())
    } catch (error) {
      if (!(error instanceof DiskError)) throw error
      this.#ports.logger.warn(
        { code: error.code },
        `a file that nothing needs can't be removed: ${error.message}`,
      )
    }
  }

  #isSuperfluous(name: string): boolean {
    if (isSegmentName(name)) return positionOf(name) < (this.#last?.position ?? 0)
    if (!isSnapshotName(name)) return false
    return name !== this.#last?.name && positionOf(name) !== this.#writer?.position
  }
}
