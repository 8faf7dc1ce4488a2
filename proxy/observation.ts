/** What this worker keeps for operators to look at: slow requests, samples of latency, and who monitors. */
import type { ProxyConfig } from '#config/process.ts'
import type { Watch } from '#protocol/frames/admin.ts'
import { LatencyLog } from '#protocol/frames/latency.ts'
import { timesEach } from '#protocol/frames/slowlog.ts'
import type { Clock } from '#runtime/ports.ts'
import { Monitors, type MonitorsOwner } from './monitors.ts'
import type { Settings } from './settings.ts'
import { Slowlog } from './slowlog.ts'
import type { Turn } from './turn.ts'

type Watched = Pick<Settings, 'slowlogSlowerThanUs' | 'slowlogMax' | 'latencyThresholdMs' | 'latencyTracking'>

export class Observation {
  readonly slowlog: Slowlog
  readonly latency = new LatencyLog()
  readonly monitors: Monitors
  #slowerThanUs = -1
  isTracking = true
  #told = ''

  constructor({ worker, workers, limits }: ProxyConfig, clock: Clock, turn: Turn, owner: MonitorsOwner) {
    this.slowlog = new Slowlog(worker, workers.length, limits.slowlogMax)
    this.monitors = new Monitors(clock, turn, owner)
  }

  configure(settings: Watched): void {
    const { slowlogSlowerThanUs, slowlogMax, latencyThresholdMs, latencyTracking } = settings
    this.#slowerThanUs = slowlogSlowerThanUs
    this.slowlog.entriesMax = slowlogMax
    this.latency.thresholdMs = latencyThresholdMs
    this.isTracking = latencyTracking === 1
  }

  /** Whether so long is slow. */
  isSlow(durationUs: number): boolean {
    return this.#slowerThanUs >= 0 && durationUs >= this.#slowerThanUs
  }

  /** Even what can't take long is timed. */
  get isClose(): boolean {
    return timesEach(this.#slowerThanUs)
  }

  /** Whether the shards are to be told something else than when this was asked last. */
  hasNews(): boolean {
    const told = JSON.stringify(this.question)
    const isOther = told !== this.#told
    this.#told = told
    return isOther
  }

  /** What shards are to tell. */
  get question(): { what: 'watch' } & Watch {
    return {
      what: 'watch',
      slowerThanUs: this.#slowerThanUs,
      latencyThresholdMs: this.latency.thresholdMs,
      isTracking: this.isTracking,
      monitors: this.monitors.count > 0,
    }
  }
}
