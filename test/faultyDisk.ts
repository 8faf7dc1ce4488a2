/**
 * A disk in memory that breaks its promises exactly as far as `Disk` allows: a call of the test's choice fails (an append
 * may leave a part behind), syncs finish when the test says so, and a power cut keeps what was synced and any part of the rest.
 */
import { type Disk, DiskError, type Random } from '#runtime/ports.ts'

interface File {
  bytes: Uint8Array
  /** This prefix survives a power cut; the directory entry counts as synced with it. */
  syncedBytes: number
}

export class FaultyDisk implements Disk {
  readonly files: Map<string, File>
  /** Calls made so far. */
  calls = 0
  /** The call with this number fails (and all later ones, when `failsOn`). */
  failAt = Number.POSITIVE_INFINITY
  failsOn = false
  code = 'ENOSPC'
  /** How much of a failing append reaches the file, 0..1. */
  tornFraction = 0
  /** True: syncs finish only with `finishSyncs`. */
  slow = false
  syncCount = 0
  readonly #pending: (() => void)[] = []

  constructor(files = new Map<string, File>()) {
    this.files = files
  }

  list(): string[] {
    this.#call('list')
    return [...this.files.keys()].sort()
  }

  sizeBytes(name: string): number {
    this.#call(`sizeBytes ${name}`)
    return this.#file(name).bytes.length
  }

  read(name: string, offsetBytes: number, lengthBytes: number): Uint8Array {
    this.#call(`read ${name}`)
    return this.#file(name).bytes.slice(offsetBytes, offsetBytes + lengthBytes)
  }

  append(name: string, parts: readonly Uint8Array[]): void {
    const whole = joined(parts)
    try {
      this.#call(`append ${name}`)
    } catch (error) {
      const left = Math.floor(whole.length * this.tornFraction)
      if (left > 0) this.#append(name, whole.slice(0, left))
      throw error
    }
    this.#append(name, whole)
  }

  truncate(name: string, sizeBytes: number): void {
    this.#call(`truncate ${name}`)
    const file = this.#file(name)
    file.bytes = file.bytes.slice(0, sizeBytes)
    file.syncedBytes = Math.min(file.syncedBytes, sizeBytes)
  }

  remove(name: string): void {
    this.#call(`remove ${name}`)
    this.#file(name)
    this.files.delete(name)
  }

  replace(name: string, content: Uint8Array): void {
    this.#call(`replace ${name}`)
    this.files.set(name, { bytes: joined([content]), syncedBytes: content.length })
  }

  sync(name: string, done: (error: DiskError | null) => void): void {
    let error: DiskError | null = null
    try {
      this.#call(`sync ${name}`)
    } catch (thrown) {
      error = thrown as DiskError
    }
    this.syncCount++
    const file = this.files.get(name)
    const size = file?.bytes.length ?? 0
    const finish = () => {
      if (error === null && file !== undefined) file.syncedBytes = Math.max(file.syncedBytes, size)
      done(error)
    }
    if (this.slow) this.#pending.push(finish)
    else finish()
  }

  finishSyncs(): void {
    for (const finish of this.#pending.splice(0)) finish()
  }

  /** What the next process finds after this one was killed: all that was written. */
  afterKill(): FaultyDisk {
    const files = [...this.files].map(([name, file]): [string, File] => [name, { ...file }])
    return new FaultyDisk(new Map(files))
  }

  /** What the next process finds after a power cut: what was synced, and of the rest any part, some of it zeros. */
  afterPowerCut(random: Random): FaultyDisk {
    const files = new Map<string, File>()
    for (const [name, file] of this.files) {
      const unsynced = file.bytes.length - file.syncedBytes
      const size = file.syncedBytes + (unsynced > 0 ? random.below(unsynced + 1) : 0)
      if (size === 0 && random.below(2) === 0) continue
      const bytes = file.bytes.slice(0, size)
      if (size > file.syncedBytes && random.below(3) === 0) {
        const from = file.syncedBytes + random.below(size - file.syncedBytes)
        bytes.fill(0, from, from + 1 + random.below(size - from))
      }
      files.set(name, { bytes, syncedBytes: size })
    }
    return new FaultyDisk(files)
  }

  #append(name: string, bytes: Uint8Array): void {
    const file = this.files.get(name) ?? { bytes: new Uint8Array(0), syncedBytes: 0 }
    file.bytes = joined([file.bytes, bytes])
    this.files.set(name, file)
  }

  #file(name: string): File {
    const file = this.files.get(name)
    if (file === undefined) throw new DiskError('ENOENT', `no such file: ${name}`)
    return file
  }

  #call(what: string): void {
    const number = this.calls++
    if (number === this.failAt || (this.failsOn && number > this.failAt)) {
      throw new DiskError(this.code, `${what} failed as planned`)
    }
  }
}

/** Plain arrays: `slice` of a Buffer would share its memory with the caller's. */
function joined(parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0))
  let at = 0
  for (const part of parts) {
    whole.set(part, at)
    at += part.length
  }
  return whole
}
