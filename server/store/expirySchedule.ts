/**
 * When to look at a key because its TTL may have passed. One bucket a second; entries are hints and never removed: the
 * key's state says, when the bucket's time comes, whether it is due, was prolonged, or is gone. A key has one valid entry,
 * however often its TTL is written: a later time waits for the earlier entry to come up.
 */
export class ExpirySchedule {
  readonly #buckets: Map<number, string[]> = new Map()
  /** The second that each key's valid entry lies in. */
  readonly #seconds: Map<string, number> = new Map()
  /** Everything up to this second has been taken. */
  #passed = 0
  /** Names taken from buckets and not given out yet. */
  #ready: string[] = []

  get size(): number {
    return this.#seconds.size
  }

  add(name: string, dueMs: number): void {
    const second = Math.max(Math.ceil(dueMs / 1000), this.#passed + 1)
    const known = this.#seconds.get(name)
    if (known !== undefined && known <= second) return
    this.#seconds.set(name, second)
    const bucket = this.#buckets.get(second)
    if (bucket === undefined) this.#buckets.set(second, [name])
    else bucket.push(name)
  }

  /** The next key to look at, which then has no entry any more; undefined when none is due. */
  take(nowMs: number): string | undefined {
    for (;;) {
      const name = this.#ready.pop()
      if (name !== undefined) return name
      if (!this.#fill(Math.floor(nowMs / 1000))) return undefined
    }
  }

  /** Takes the next due bucket; false: there is none. */
  #fill(now: number): boolean {
    // The clock was set back: buckets made since then begin at its new time.
    if (now < this.#passed) this.#passed = now
    if (now - this.#passed > this.#buckets.size) return this.#fillEarliest(now)
    while (this.#passed < now) {
      this.#passed++
      if (this.#empty(this.#passed)) return true
    }
    return false
  }

  /** After a long time, or at the start: fewer buckets than seconds to go through. */
  #fillEarliest(now: number): boolean {
    let earliest = Number.POSITIVE_INFINITY
    for (const second of this.#buckets.keys()) if (second < earliest) earliest = second
    if (earliest > now) {
      this.#passed = now
      return false
    }
    this.#passed = Math.max(this.#passed, earliest)
    return this.#empty(earliest)
  }

  #empty(second: number): boolean {
    const bucket = this.#buckets.get(second)
    if (bucket === undefined) return false
    this.#buckets.delete(second)
    for (const name of bucket) {
      if (this.#seconds.get(name) !== second) continue
      this.#seconds.delete(name)
      this.#ready.push(name)
    }
    return true
  }
}
