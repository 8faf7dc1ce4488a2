/**
 * Durations counted in buckets, each at most 1/128 (0.8 %) wide of its own value: constant memory for any number of them,
 * and percentiles without sorting. The largest is kept exactly.
 */
const mantissaBits = 7
const mantissaSize = 1 << mantissaBits
/** Microseconds; an hour and more is counted as this. */
const microsMax = 2 ** 32 - 1
const bucketCount = (32 - mantissaBits + 1) * mantissaSize

export interface Percentiles {
  count: number
  p50Ms: number
  p99Ms: number
  p999Ms: number
  maxMs: number
}

export class Histogram {
  readonly #counts = new Uint32Array(bucketCount)
  #count = 0
  #maxMs = 0

  record(durationMs: number): void {
    const micros = Math.min(microsMax, Math.max(0, Math.round(durationMs * 1000)))
    const bucket = bucketOf(micros)
    this.#counts[bucket] = (this.#counts[bucket] as number) + 1
    this.#count++
    if (durationMs > this.#maxMs) this.#maxMs = durationMs
  }

  /** Counts what the other has counted. */
  add(other: Histogram): void {
    for (let i = 0; i < bucketCount; i++)
      this.#counts[i] = (this.#counts[i] as number) + (other.#counts[i] as number)
    this.#count += other.#count
    this.#maxMs = Math.max(this.#maxMs, other.#maxMs)
  }

  clear(): void {
    this.#counts.fill(0)
    this.#count = 0
    this.#maxMs = 0
  }

  /** The smallest bucket's upper end below which `part` (0 to 1) of the durations are; 0 when there are none. */
  percentileMs(part: number): number {
    const rank = Math.max(1, Math.ceil(this.#count * part))
    let seen = 0
    for (let bucket = 0; bucket < bucketCount; bucket++) {
      seen += this.#counts[bucket] as number
      if (seen >= rank) return Math.min(this.#maxMs, upperMicros(bucket) / 1000)
    }
    return 0
  }

  percentiles(): Percentiles {
    return {
      count: this.#count,
      p50Ms: this.percentileMs(0.5),
      p99Ms: this.percentileMs(0.99),
      p999Ms: this.percentileMs(0.999),
      maxMs: this.#maxMs,
    }
  }
}

/** Below 256 microseconds every one has its own bucket; from there on the leading eight bits say which. */
function bucketOf(micros: number): number {
  const shift = Math.max(0, 31 - Math.clz32(micros) - mantissaBits)
  return shift * mantissaSize + (micros >>> shift)
}

function upperMicros(bucket: number): number {
  const shift = Math.max(0, Math.floor(bucket / mantissaSize) - 1)
  return (bucket - shift * mantissaSize + 1) * 2 ** shift - 1
}
