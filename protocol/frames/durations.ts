/**
 * A histogram of durations, in buckets of a sixteenth of a power of two from 1024 ns to about one second: a percentile is right
 * within seven percent. What is shorter or longer is in the first and in the last bucket.
 */

const leastNs = 1024
const octaves = 20
const bucketsPerOctave = 16
const buckets = octaves * bucketsPerOctave + 1

/** What bucket `index` holds is no longer. */
const topNs = (index: number): number => leastNs * 2 ** (index / bucketsPerOctave)

export class Durations {
  /** Most commands are never called. */
  #counts: Float64Array | null = null

  /** `count` of them, each so long. */
  add(durationMs: number, count: number): void {
    const ratio = (durationMs * 1e6) / leastNs
    const index = ratio <= 1 ? 0 : Math.min(buckets - 1, Math.ceil(Math.log2(ratio) * bucketsPerOctave))
    this.#counts ??= new Float64Array(buckets)
    this.#counts[index] = (this.#counts[index] as number) + count
  }

  /** Of as many buckets as are in use. */
  get counts(): readonly number[] {
    if (this.#counts === null) return []
    return [...this.#counts.subarray(0, this.#counts.findLastIndex((count) => count > 0) + 1)]
  }

  clear(): void {
    this.#counts = null
  }
}

function joinedCounts(a: readonly number[], b: readonly number[]): number[] {
  return Array.from({ length: Math.max(a.length, b.length) }, (_, i) => (a[i] ?? 0) + (b[i] ?? 0))
}

/** By the names of commands. */
export function joinedHistograms(
  all: readonly Readonly<Record<string, readonly number[]>>[],
): Map<string, readonly number[]> {
  const joined = new Map<string, readonly number[]>()
  for (const histograms of all)
    for (const [name, counts] of Object.entries(histograms))
      joined.set(name, joinedCounts(joined.get(name) ?? [], counts))
  return joined
}

export const totalOf = (counts: readonly number[]): number => counts.reduce((sum, count) => sum + count, 0)

/** In microseconds; 0 when there is nothing. */
export function percentileUs(counts: readonly number[], percent: number): number {
  const wanted = Math.max(1, Math.ceil((totalOf(counts) * percent) / 100))
  let passed = 0
  for (const [i, count] of counts.entries()) {
    passed += count
    if (passed >= wanted) return topNs(i) / 1000
  }
  return 0
}

/**
 * By powers of two, as LATENCY HISTOGRAM shows them: up to how many microseconds, and how many calls took no longer, for each
 * that has more than the one before. The names of the powers are those of Redis, whose buckets reach a 128th further.
 */
export function cumulative(counts: readonly number[]): (readonly [upToUs: number, count: number])[] {
  const steps: (readonly [number, number])[] = []
  let passed = 0
  let told = 0
  for (let octave = 0, i = 0; i < counts.length; octave++) {
    for (const end = octave * bucketsPerOctave; i <= end; i++) passed += counts[i] ?? 0
    if (passed > told) steps.push([Math.floor((leastNs * 2 ** octave * (1 + 1 / 128)) / 1000), passed])
    told = passed
  }
  return steps
}
