/**
 * The file `data.lost` says that this shard's data was lost and has not come back whole. Without it a crash in the middle of
 * the recovery would leave a log that looks like any other, and the shard would go on writing from the part it has: in
 * chains whose ends it doesn't know. It is written before anything is taken in, and removed when everything is durable.
 */
import { bytesOf } from '#runtime/bytes/bytes.ts'
import { type Disk, DiskError, type Logger } from '#runtime/ports.ts'

export const lossMarkFile = 'data.lost'

export class LossMark {
  readonly #disk: Disk
  readonly #logger: Logger
  /** Everything has come back and lies in the log before this position. */
  #recoveredAt: number | null = null

  constructor(disk: Disk, logger: Logger) {
    this.#disk = disk
    this.#logger = logger
  }

  get isSet(): boolean {
    return this.#disk.list().includes(lossMarkFile)
  }

  /** Durable when it returns. Throws a `DiskError`. */
  set(): void {
    if (!this.isSet) this.#disk.replace(lossMarkFile, bytesOf('The other clusters still have to be asked.\n'))
  }

  /** What was lost is back; the log ends at `position`. */
  recovered(position: number): void {
    this.#recoveredAt = position
  }

  /** To be called when the log is durable up to `position`, and every now and then. */
  durable(position: number): void {
    if (this.#recoveredAt === null || position < this.#recoveredAt) return
    try {
      if (this.isSet) this.#disk.remove(lossMarkFile)
      this.#recoveredAt = null
    } catch (error) {
      if (!(error instanceof DiskError)) throw error
      // A restart would get the data back once more, which does no harm.
      this.#logger.warn({ code: error.code }, `${lossMarkFile} can't be removed`)
    }
  }
}
