/**
 * Whether a figure that was sampled through a run has stayed where it was: the median of the last quarter of the run
 * against that of the second. The first quarter doesn't count: there code is compiled, buffers take their size, and the
 * mixture of keys settles.
 */
import { median } from './median.ts'

export interface Sample {
  seconds: number
  value: number
}

export interface Flatness {
  secondQuarter: number
  lastQuarter: number
  /** Of the second quarter's; negative when it fell. */
  growth: number
  isFlat: boolean
}

/** What memory may grow by and still counts as flat. */
export const flatGrowthMax = 0.05

/** Throws when a quarter that counts has no sample. */
export function flatness(samples: readonly Sample[]): Flatness {
  const endSeconds = Math.max(...samples.map(({ seconds }) => seconds))
  const quarter = (number: number): number => {
    const [from, to] = [((number - 1) * endSeconds) / 4, (number * endSeconds) / 4]
    const values = samples.filter(({ seconds }) => seconds > from && seconds <= to).map(({ value }) => value)
    if (values.length === 0) throw new Error(`no sample in quarter ${number} of ${endSeconds} seconds`)
    return median(values)
  }
  const [secondQuarter, lastQuarter] = [quarter(2), quarter(4)]
  const growth = lastQuarter / secondQuarter - 1
  return { secondQuarter, lastQuarter, growth, isFlat: growth <= flatGrowthMax }
}
