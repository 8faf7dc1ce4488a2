/** The slow requests of this worker's clients, the latest first: shards tell of those that they have run. */
import type { SlowlogEntry, SlowRequest } from '#protocol/frames/slowlog.ts'

/** Who has asked for something. */
export interface Asker {
  readonly remoteAddress: string
  readonly name: string
}

export class Slowlog {
  /** More are forgotten. */
  entriesMax: number
  #entries: SlowlogEntry[] = []
  #nextId: number
  readonly #idStep: number

  /** Ids of workers of one port differ. */
  constructor(worker: number, workerCount: number, entriesMax: number) {
    this.#nextId = worker
    this.#idStep = Math.max(1, workerCount)
    this.entriesMax = entriesMax
  }

  get entries(): readonly SlowlogEntry[] {
    return this.#entries
  }

  add({ wallMs, durationUs, arguments: texts }: SlowRequest, { remoteAddress, name }: Asker): void {
    const id = this.#nextId
    this.#nextId += this.#idStep
    this.#entries.unshift({
      id,
      wallMs,
      durationUs,
      arguments: texts,
      client: remoteAddress,
      clientName: name,
    })
    this.trim()
  }

  trim(): void {
    if (this.#entries.length > this.entriesMax) this.#entries.length = this.entriesMax
  }

  reset(): void {
    this.#entries = []
  }
}

/** Of several workers, the latest first; what one worker has of one millisecond stays in its order. */
export const joinedSlowlogs = (logs: readonly (readonly SlowlogEntry[])[]): SlowlogEntry[] =>
  logs.flat().sort((a, b) => b.wallMs - a.wallMs)
