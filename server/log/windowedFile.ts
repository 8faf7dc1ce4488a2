/** Reading the files of log and snapshots, which are larger than the memory that reading them may take. */
import type { Disk } from '#runtime/ports.ts'

/** The log can't be used; the message says why and what to do. */
export class LogRefusal extends Error {
  readonly file: string
  readonly offsetBytes: number

  constructor(file: string, offsetBytes: number, problem: string, advice: string) {
    const title = file.endsWith('.snapshot') ? 'snapshot' : 'log'
    super(`${title} file ${file}, offset ${offsetBytes}: ${problem}; ${advice}`)
    this.name = 'LogRefusal'
    this.file = file
    this.offsetBytes = offsetBytes
  }
}

export const restoreAdvice =
  'restore the file from a copy, or move the whole directory away to take the data back from the other clusters'
export const versionAdvice =
  'start the program and configuration that wrote it, or move the whole directory away'

/** A file read through a window. */
export class WindowedFile {
  static readonly windowBytes = 4 * 1024 * 1024
  readonly name: string
  readonly sizeBytes: number
  readonly #disk: Disk
  #bytes: Uint8Array = new Uint8Array(0)
  #offset = 0

  constructor(disk: Disk, name: string) {
    this.#disk = disk
    this.name = name
    this.sizeBytes = disk.sizeBytes(name)
  }

  /**
   * Shows the file from `offset` on, `lengthBytes` of which must lie in it: they begin at `at` of `bytes`. These are good for
   * the call only, as the next look may be through another window.
   */
  look<T>(offset: number, lengthBytes: number, see: (bytes: Uint8Array, at: number) => T): T {
    const inside = offset >= this.#offset && offset + lengthBytes <= this.#offset + this.#bytes.length
    if (!inside) this.#open(offset, lengthBytes)
    return see(this.#bytes, offset - this.#offset)
  }

  #open(offset: number, lengthBytes: number): void {
    const wanted = Math.min(Math.max(lengthBytes, WindowedFile.windowBytes), this.sizeBytes - offset)
    this.#bytes = this.#disk.read(this.name, offset, wanted)
    this.#offset = offset
    if (this.#bytes.length < lengthBytes) {
      throw new LogRefusal(this.name, offset, 'the file became shorter while it was read', restoreAdvice)
    }
  }

  /** The first bytes, as many as there are of `lengthBytes`. */
  head(lengthBytes: number): Uint8Array {
    const length = Math.min(lengthBytes, this.sizeBytes)
    return this.look(0, length, (bytes, at) => bytes.subarray(at, at + length))
  }
}
