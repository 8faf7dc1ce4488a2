/**
 * The clock lease: a promise on disk never to give a stamp at or beyond a time, renewed ahead of time. After a restart with
 * an intact log the log's own greatest stamp is enough. When the log is lost, torn, or never was (persistence none), and
 * when the wall clock was set back meanwhile, the clock starts at the lease's end: no stamp is ever given twice, or after
 * a greater one. Two operations of one stamp would silently be one at the peers.
 *
 * The file `clock.lease`: magic 'antclock' | version u32 | entry*, entry := end f64 (milliseconds since 1970) | crc u32.
 * The greatest entry holds; a torn one at the end was never relied on. Renewals are appended and synced in the background,
 * well before they are needed; only after a step of the wall clock (or a long turn) must a turn wait for one.
 *
 * The lease is short: a restart without a log runs ahead of the wall clock by at most its length, and so wins conflicts it
 * should lose for that long.
 */

import { type Stamp, stampWallMs } from '#protocol/sync/stamp.ts'
import { ByteReader } from '#runtime/bytes/byteReader.ts'
import { crc32, latin1 } from '#runtime/bytes/bytes.ts'
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
/** Then the file is written anew, with one entry. */
const leaseFileBytesMax = 64 * 1024

const magic = 'antclock'
const headerBytes = 12
const entryBytes = 12

export class ClockLease {
  readonly #disk: Disk
  readonly #logger: Logger
  /** Durable. */
  #endMs = 0
  /** The greatest ever written to the file, durable or not. */
  #writtenMs = 0
  #fileBytes = 0
  #renewing = false
  /** Something behind the last good entry can't be relied on: append no more. */
  #damaged = true

  constructor(disk: Disk, logger: Logger) {
    this.#disk = disk
    this.#logger = logger
  }

  get endMs(): number {
    return this.#endMs
  }

  /** Reads the lease that the process before left; 0 when there is none. Throws when it can't be understood. */
  open(): number {
    if (!this.#disk.list().includes(leaseFile)) return 0
    const bytes = this.#disk.read(leaseFile, 0, this.#disk.sizeBytes(leaseFile))
    if (bytes.length < headerBytes || latin1(bytes, 0, magic.length) !== magic) {
      // Written whole or not at all: this is no accident of a crash.
      throw new Error(`file ${leaseFile} is damaged: ${leaseAdvice}`)
    }
    const reader = new ByteReader(bytes, magic.length)
    const version = reader.u32()
    if (version !== leaseVersion) {
      throw new Error(`file ${leaseFile} has format ${version}, this program reads format ${leaseVersion}`)
    }
    while (reader.end - reader.at >= entryBytes) {
      const start = reader.at
      const endMs = reader.f64()
      if (reader.u32() !== crc32(bytes, start, start + 8)) continue
      if (endMs > this.#endMs) this.#endMs = endMs
    }
    this.#writtenMs = this.#endMs
    if (this.#endMs === 0) throw new Error(`file ${leaseFile} has no intact entry: ${leaseAdvice}`)
    return this.#endMs
  }

  covers(stamp: Stamp): boolean {
    return stampWallMs(stamp) < this.#endMs
  }

  /** To be called before a turn that may give stamps: `nowMs` is the wall clock, `last` the last stamp given. Throws a `DiskError`. */
  renew(nowMs: number, last: Stamp): void {
    const timeMs = Math.max(nowMs, stampWallMs(last))
    const leftMs = this.#endMs - timeMs
    if (leftMs >= renewBelowMs) return
    if (leftMs < waitBelowMs) this.#replace(timeMs + leaseAheadMs)
    else if (!this.#renewing) this.#renewSoon(timeMs + leaseAheadMs)
  }

  /** Makes the lease cover stamps that were given already but have not left the shard. Throws a `DiskError`. */
  extendOver(last: Stamp): void {
    if (!this.covers(last)) this.#replace(stampWallMs(last) + leaseAheadMs)
  }

  #replace(wantedMs: number): void {
    // A renewal may be under way: its entry goes with the old file, and its success will still be told.
    const endMs = Math.max(wantedMs, this.#writtenMs)
    const writer = new ByteWriter(headerBytes + entryBytes)
    for (let i = 0; i < magic.length; i++) writer.u8(magic.charCodeAt(i))
    writer.u32(leaseVersion)
    writeEntry(writer, endMs)
    this.#disk.replace(leaseFile, writer.take())
    this.#endMs = endMs
    this.#writtenMs = endMs
    this.#fileBytes = writer.length
    this.#damaged = false
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
      this.#endMs = Math.max(this.#endMs, endMs)
      return
    }
    this.#damaged = true
    this.#logger.warn({ code: error.code }, 'clock lease could not be renewed, trying again')
  }
}

const leaseAdvice =
  'remove it only if the clock of this machine is right and the log is intact, then start again'

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
