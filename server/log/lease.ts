/**
 * The clock lease: a promise on disk never to give a stamp at or beyond a time, renewed ahead of time. After a restart with
 * an intact log the log's own greatest stamp is enough. When the log is lost, torn, or never was (persistence none), and
 * when the wall clock was set back meanwhile, the clock starts at the lease's end: no stamp is ever given twice, or after
 * a greater one. Two operations of one stamp would silently be one at the peers.
 *
 * Which of these it is can't be seen from a log: a power cut may take its end and leave it looking whole. But a process that
 * dies while the machine goes on leaves all it has written in the page cache. So the lease also names the boot of the machine.
 * And it says where the clock was started, as the next process may find a log that is whole and has no stamp from there yet.
 *
 * The file `clock.lease`: magic 'antclock' | version u32 | boot 40 bytes | start f64 | crc u32 | entry*, where
 * entry := end f64 (milliseconds since 1970, as start) | crc u32.
 * The greatest entry holds; a torn one at the end was never relied on. Renewals are appended and synced in the background,
 * well before they are needed; only after a step of the wall clock (or a long turn) must a turn wait for one.
 *
 * The lease is short: a restart without a log runs ahead of the wall clock by at most its length, and so wins conflicts it
 * should lose for that long. Where the clock is ahead already the lease reaches even less beyond it, lest every one of
 * many restarts puts it further ahead.
 */

import { type Stamp, stampAt, stampWallMs } from '#protocol/sync/stamp.ts'
import { ByteReader } from '#runtime/bytes/byteReader.ts'
import { bytesOf, crc32, latin1 } from '#runtime/bytes/bytes.ts'
import { ByteWriter } from '#runtime/bytes/byteWriter.ts'
import { type Disk, DiskError, type Logger } from '#runtime/ports.ts'

export const leaseFile = 'clock.lease'
export const leaseVersion = 1
/** How far ahead it is taken. */
export const leaseAheadMs = 5000
/** With less than this left it is renewed in the background. */
const renewBelowMs = 3000
/** With less than this left a turn that may write waits: no turn uses up more time than this. */
const waitBelowMs = 500
/** How far the lease reaches beyond stamps that are ahead of the wall clock; below the second figure it is renewed. */
export const stampsAheadMs = 1000
const stampsBelowMs = 750
/** Then the file is written anew, with one entry. */
const leaseFileBytesMax = 64 * 1024

const magic = 'antclock'
/** An identifier of the boot, filled up with zeros. */
const bootBytes = 40
const headerBytes = 12 + bootBytes + 8 + 4
const entryBytes = 12

/** What the process before left. */
export interface FormerLease {
  /** 0: there was none. */
  endMs: number
  /** Where the clock was started; 0: where its log ended. */
  startMs: number
  /** The machine has not been started again since: what was written is there. */
  sameBoot: boolean
}

export class ClockLease {
  readonly #disk: Disk
  readonly #logger: Logger
  readonly #bootId: string
  /** Durable. */
  #endMs = 0
  /** Where this clock was started; set before the first renewal. */
  startMs = 0
  /** Stamps below it are well within the lease. */
  #sufficesFor: Stamp = 0
  /** The greatest ever written to the file, durable or not. */
  #writtenMs = 0
  #fileBytes = 0
  #renewing = false
  /** Something behind the last good entry can't be relied on: append no more. */
  #damaged = true

  /** `bootId`: empty when it is not known. */
  constructor(disk: Disk, logger: Logger, bootId: string) {
    this.#disk = disk
    this.#logger = logger
    this.#bootId = bootId.slice(0, bootBytes)
  }

  get endMs(): number {
    return this.#endMs
  }

  /** Reads the lease that the process before left. Throws when it can't be understood. */
  open(): FormerLease {
    if (!this.#disk.list().includes(leaseFile)) return { endMs: 0, startMs: 0, sameBoot: false }
    const bytes = this.#disk.read(leaseFile, 0, this.#disk.sizeBytes(leaseFile))
    const reader = new ByteReader(bytes, magic.length)
    if (bytes.length < magic.length + 4 || latin1(bytes, 0, magic.length) !== magic) throw damagedLease()
    const version = reader.u32()
    if (version !== leaseVersion) {
      throw new Error(`file ${leaseFile} has format ${version}, this program reads format ${leaseVersion}`)
    }
    // Written whole or not at all: what is wrong here is no accident of a crash.
    if (bytes.length < headerBytes) throw damagedLease()
    const boot = latin1(reader.raw(bootBytes)).replace(/\0+$/, '')
    const startMs = reader.f64()
    if (reader.u32() !== crc32(bytes, 0, headerBytes - 4)) throw damagedLease()
    while (reader.end - reader.at >= entryBytes) {
      const start = reader.at
      const endMs = reader.f64()
      if (reader.u32() === crc32(bytes, start, start + 8) && endMs > this.#endMs) this.#endMs = endMs
    }
    if (this.#endMs === 0) throw damagedLease()
    this.#writtenMs = this.#endMs
    return { endMs: this.#endMs, startMs, sameBoot: boot !== '' && boot === this.#bootId }
  }

  covers(stamp: Stamp): boolean {
    return stampWallMs(stamp) < this.#endMs
  }

  /** Nothing needs to be done before stamps are given; cheap. */
  suffices(nowMs: number, last: Stamp): boolean {
    return nowMs + renewBelowMs <= this.#endMs && last < this.#sufficesFor
  }

  /** To be called before a turn that may give stamps: `nowMs` is the wall clock, `last` the last stamp given. Throws a `DiskError`. */
  renew(nowMs: number, last: Stamp): void {
    const lastMs = stampWallMs(last)
    const leftMs = Math.min(this.#endMs - nowMs, this.#endMs - lastMs)
    // The first time always: the file must name this boot before anything is written in it.
    const mustWait = this.#fileBytes === 0 || leftMs < waitBelowMs
    if (!mustWait && this.#endMs - nowMs >= renewBelowMs && this.#endMs - lastMs >= stampsBelowMs) return
    const wantedMs = Math.max(nowMs + leaseAheadMs, lastMs + stampsAheadMs)
    if (mustWait) this.#replace(wantedMs)
    else if (!this.#renewing) this.#renewSoon(wantedMs)
  }

  /** Makes the lease cover stamps that were given already but have not left the shard. Throws a `DiskError`. */
  extendOver(last: Stamp): void {
    if (!this.covers(last)) this.#replace(stampWallMs(last) + leaseAheadMs)
  }

  #replace(wantedMs: number): void {
    // A renewal may be under way: its entry goes with the old file, and its success will still be told.
    const endMs = Math.max(wantedMs, this.#writtenMs)
    const writer = new ByteWriter(headerBytes + entryBytes)
    writer.raw(bytesOf(magic))
    writer.u32(leaseVersion)
    writer.raw(bytesOf(this.#bootId.padEnd(bootBytes, '\0')))
    writer.f64(this.startMs)
    writer.u32(crc32(writer.view()))
    writeEntry(writer, endMs)
    this.#disk.replace(leaseFile, writer.take())
    this.#setEnd(endMs)
    this.#writtenMs = endMs
    this.#fileBytes = writer.length
    this.#damaged = false
  }

  #setEnd(endMs: number): void {
    this.#endMs = endMs
    this.#sufficesFor = stampAt(endMs - stampsBelowMs, 0)
  }

  #renewSoon(endMs: number): void {
    if (this.#damaged || this.#fileBytes >= leaseFileBytesMax) {
      this.#replace(endMs)
      return
    }
    const writer = new ByteWriter(entryBytes)
    writeEntry(writer, endMs)
    // Until it is known to be good.
    this.#damaged = true
    this.#disk.append(leaseFile, [writer.take()])
    this.#damaged = false
    this.#fileBytes += entryBytes
    this.#writtenMs = Math.max(this.#writtenMs, endMs)
    this.#renewing = true
    try {
      this.#disk.sync(leaseFile, (error) => this.#renewed(endMs, error))
    } catch (error) {
      this.#renewing = false
      this.#damaged = true
      throw error
    }
  }

  #renewed(endMs: number, error: DiskError | null): void {
    this.#renewing = false
    if (error === null) {
      this.#setEnd(Math.max(this.#endMs, endMs))
      return
    }
    this.#damaged = true
    this.#logger.warn({ code: error.code }, 'clock lease could not be renewed, trying again')
  }
}

const damagedLease = (): Error =>
  new Error(
    `file ${leaseFile} is damaged; remove it only if the clock of this machine is right and the log is intact, then start again`,
  )

function writeEntry(writer: ByteWriter, endMs: number): void {
  const start = writer.length
  writer.f64(endMs)
  writer.u32(crc32(writer.bytes, start, start + 8))
}

/** What a caller that only wants to know whether it worked needs. */
export function leaseRefusal(renew: () => void): DiskError | null {
  try {
    renew()
    return null
  } catch (error) {
    if (error instanceof DiskError) return error
    throw error
  }
}
