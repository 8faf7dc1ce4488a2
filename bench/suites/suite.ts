/** What a suite is given and what it gives. */
import type { Findings } from '#bench/report/result.ts'
import type { Stage } from '#bench/servers/stage.ts'

export interface SuiteOptions {
  /** A tenth of everything: to see that it works. */
  isQuick: boolean
  /** Of the churn; undefined: the suite's own. */
  minutes?: number
  keys?: number
  perSecond?: number
  /** Progress, for people. */
  say: (line: string) => void
}

export interface Suite {
  /** On the command line, in one word. */
  name: string
  title: string
  /** What is done and how: a paragraph of the page. */
  description: string
  run(stage: Stage, options: SuiteOptions): Promise<Findings>
}

/** Rounds and seconds of each measurement of a rate. */
export const roundsOf = ({ isQuick }: SuiteOptions): { rounds: number; seconds: number } =>
  isQuick ? { rounds: 1, seconds: 0.1 } : { rounds: 3, seconds: 0.8 }

export const keySpace = 100_000
