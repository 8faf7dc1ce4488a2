/** Start times of the requests that are not answered yet, first in first out; grows as needed. */
export class TimeQueue {
  #ring = new Float64Array(64)
  #head = 0
  #length = 0

  get length(): number {
    return this.#length
  }

  push(timeMs: number): void {
    if (this.#length === this.#ring.length) this.#grow()
    this.#ring[(this.#head + this.#length) % this.#ring.length] = timeMs
    this.#length++
  }

  /** The oldest; there must be one. */
  shift(): number {
    const timeMs = this.#ring[this.#head] as number
    this.#head = (this.#head + 1) % this.#ring.length
    this.#length--
    return timeMs
  }

  #grow(): void {
    const ring = new Float64Array(this.#ring.length * 2)
    for (let i = 0; i < this.#length; i++)
      ring[i] = this.#ring[(this.#head + i) % this.#ring.length] as number
    this.#ring = ring
    this.#head = 0
  }
}
