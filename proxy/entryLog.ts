/** What one worker has to tell of lately, the latest first. Ids of workers of one port differ. */
export abstract class EntryLog<Entry> {
  protected latest: Entry[] = []
  #entriesMax: number
  #nextId: number
  readonly #idStep: number

  constructor(worker: number, workerCount: number, entriesMax: number) {
    this.#nextId = worker
    this.#idStep = Math.max(1, workerCount)
    this.#entriesMax = entriesMax
  }

  get entries(): readonly Entry[] {
    return this.latest
  }

  /** More are forgotten. */
  get entriesMax(): number {
    return this.#entriesMax
  }

  set entriesMax(entriesMax: number) {
    this.#entriesMax = entriesMax
    this.#trim()
  }

  reset(): void {
    this.latest = []
  }

  protected takeId(): number {
    const id = this.#nextId
    this.#nextId += this.#idStep
    return id
  }

  protected addFirst(entry: Entry): void {
    this.latest.unshift(entry)
    this.#trim()
  }

  #trim(): void {
    if (this.latest.length > this.#entriesMax) this.latest.length = this.#entriesMax
  }
}
