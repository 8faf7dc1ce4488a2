/** Those who wait for a version of a list that the agent sends. */
export class VersionWaits {
  version = 0
  readonly #waiting = new Set<{ version: number; run: () => void }>()

  /** The version is in force. */
  tell(): void {
    for (const waiting of this.#waiting) {
      if (this.version < waiting.version) continue
      this.#waiting.delete(waiting)
      waiting.run()
    }
  }

  /** Calls `run` when the version is in force; returns how to give up. */
  when(version: number, run: () => void): () => void {
    if (this.version >= version) {
      run()
      return () => {}
    }
    const waiting = { version, run }
    this.#waiting.add(waiting)
    return () => void this.#waiting.delete(waiting)
  }
}
