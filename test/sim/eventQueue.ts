/** Simulated time: one queue of events for the whole world. Events of one moment run in the order in which they were made. */

interface Event {
  atMs: number
  order: number
  run: (() => void) | null
}

const before = (a: Event, b: Event): boolean => a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order)

export class EventQueue {
  /** Time since the world began. */
  nowMs = 0
  /** Events run so far. */
  count = 0
  #order = 0
  readonly #heap: Event[] = []

  /** Runs it at `atMs`, or now when that has passed. The returned function cancels it. */
  at(atMs: number, run: () => void): () => void {
    const event: Event = { atMs: Math.max(atMs, this.nowMs), order: this.#order++, run }
    this.#add(event)
    return () => {
      event.run = null
    }
  }

  after(delayMs: number, run: () => void): () => void {
    return this.at(this.nowMs + delayMs, run)
  }

  /** Runs the next event; false: there is none until `untilMs`, and it is that time. */
  step(untilMs: number): boolean {
    for (;;) {
      const next = this.#heap[0]
      if (next === undefined || next.atMs > untilMs) {
        this.nowMs = Math.max(this.nowMs, untilMs)
        return false
      }
      this.#removeFirst()
      if (next.run === null) continue
      this.nowMs = next.atMs
      this.count++
      next.run()
      return true
    }
  }

  /** Time of the next event; Infinity: none. */
  get nextMs(): number {
    return this.#heap[0]?.atMs ?? Number.POSITIVE_INFINITY
  }

  #add(event: Event): void {
    const heap = this.#heap
    let at = heap.length
    heap.push(event)
    while (at > 0) {
      const parent = (at - 1) >> 1
      if (!before(event, heap[parent] as Event)) break
      heap[at] = heap[parent] as Event
      at = parent
    }
    heap[at] = event
  }

  #removeFirst(): void {
    const heap = this.#heap
    const last = heap.pop() as Event
    if (heap.length === 0) return
    let at = 0
    for (;;) {
      let child = at * 2 + 1
      if (child >= heap.length) break
      if (child + 1 < heap.length && before(heap[child + 1] as Event, heap[child] as Event)) child++
      if (!before(heap[child] as Event, last)) break
      heap[at] = heap[child] as Event
      at = child
    }
    heap[at] = last
  }
}
