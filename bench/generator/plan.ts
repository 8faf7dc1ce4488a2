/** What a load generator is told (one line of JSON on its standard input) and what it tells (on its standard output). */
import type { Percentiles } from '#bench/figures/histogram.ts'

export interface WeightedRequest {
  weight: number
  /** Each with `{n}` where the number of the key goes. */
  args: readonly string[]
}

export interface Plan {
  port: number
  connections: number
  /** Chosen among by weight for each request. */
  mix: readonly WeightedRequest[]
  /** Numbers of keys: drawn at random, or each in turn, beginning again behind the last. */
  keys: { first: number; count: number; order: 'random' | 'inTurn' }
  /**
   * `closed`: each connection sends `pipeline` requests and waits for their replies, as redis-benchmark does. `open`: so many
   * requests a second are due, whatever the replies do, and a request's latency counts from when it was due.
   */
  pace: { type: 'closed'; pipeline: number } | { type: 'open'; perSecond: number }
  /** It ends so many seconds after warming up, after so many requests, or when its input ends. */
  until: { seconds: number } | { requests: number }
  /** The first seconds don't count: there the generator's own code is compiled. 0 if left out. */
  warmUpSeconds?: number
  /** Length of the windows that `Outcome.windows` tells of. */
  windowSeconds?: number
}

export interface LatencyWindow extends Percentiles {
  /** From the end of the warming up to its own. */
  seconds: number
}

export interface Outcome {
  /** All, those of the warming up too. */
  requests: number
  /** Without the warming up, and so are the latencies. */
  perSecond: number
  latency: Percentiles
  windows: LatencyWindow[]
}
