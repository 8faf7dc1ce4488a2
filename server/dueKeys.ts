/** Keys by the time at which something is to be done about them: a binary heap. */

interface Due {
  readonly key: string
  readonly atMs: number
}

export class DueKeys {
  #heap: Due[] = []

  get size(): number {
    return this.#heap.length
  }

  add(key: string, atMs: number): void {
    const heap = this.#heap
    const due = { key, atMs }
    let at = heap.length
    heap.push(due)
    while (at > 0) {
      const parent = (at - 1) >> 1
      if ((heap[parent] as Due).atMs <= atMs) break
      heap[at] = heap[parent] as Due
      at = parent
    }
    heap[at] = due
  }

  /** One whose time is before `nowMs`; undefined: there is none. */
  takeBefore(nowMs: number): Due | undefined {
    const heap = this.#heap
    const first = heap[0]
    if (first === undefined || first.atMs >= nowMs) return undefined
    const last = heap.pop() as Due
    if (heap.length > 0) this.#sink(last)
    return first
  }

  clear(): void {
    this.#heap = []
  }

  #sink(due: Due): void {
    const heap = this.#heap
    let at = 0
    for (;;) {
      let child = 2 * at + 1
      if (child >= heap.length) break
      if (child + 1 < heap.length && (heap[child + 1] as Due).atMs < (heap[child] as Due).atMs) child++
      if ((heap[child] as Due).atMs >= due.atMs) break
      heap[at] = heap[child] as Due
      at = child
    }
    heap[at] = due
  }
}
