/** The middle one; of an even number of figures the mean of the two in the middle. NaN of none. */
export function median(figures: readonly number[]): number {
  const sorted = figures.toSorted((a, b) => a - b)
  const upper = sorted[Math.floor(sorted.length / 2)] ?? Number.NaN
  const lower = sorted[Math.ceil(sorted.length / 2) - 1] ?? Number.NaN
  return (lower + upper) / 2
}

/** Median of one figure of each of the runs. */
export const medianOf = <T>(runs: readonly T[], figure: (run: T) => number): number =>
  median(runs.map(figure))
