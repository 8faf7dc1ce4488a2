/**
 * Judges this node's wall clock. The order of concurrent writes depends on the clocks of all clusters, and a clock that is an
 * hour ahead would win every conflict for an hour; so a clock that is known to be wrong stops the writes.
 *
 * Time servers count more than peers. Of several servers the majority whose intervals (offset plus or minus error) have a
 * point in common is believed (Marzullo 1984, as in NTP's selection); if there is none, nobody is, and the state is
 * degraded. Without a server that answers, the peers' clocks and our own vote: the median is the reference. When as many
 * clocks are with us as against us nobody knows who is right, and ours counts as wrong: two clusters that disagree by an
 * hour both stop, three don't.
 *
 * An offset counts only as far as it exceeds its possible error. What was measured stays valid while the wall clock runs
 * with the monotonic clock; when it steps against it, all measured offsets move by as much at once, long before the next
 * measurement. When nothing answers, the last judgement stands.
 */
import type { ClockState } from '#config/process.ts'
import type { ClockReading } from './clockReading.ts'
import type { ClockSample } from './sntp.ts'

export interface ClockThresholds {
  degradedMs: number
  gateMs: number
  /** How far below a threshold the offset must fall for the state to change back. */
  hysteresisPercent: number
}

/** The wall clock may leave the monotonic clock by so much between two readings without it being a step. */
export const stepMs = 50
/** Latest samples of one source; the one with the smallest error counts. */
export const samplesKept = 4
/** The resolution of the clocks themselves. */
const resolutionMs = 1

interface Source {
  name: string
  samples: { sample: ClockSample; reading: ClockReading }[]
}

/** A source's offset as it is now. */
interface Estimate {
  name: string
  /** The source minus ours. */
  offsetMs: number
  errorMs: number
}

export class ClockMonitor {
  thresholds: ClockThresholds
  /** Older samples of a server, or of a peer, no longer count. */
  serverAgeMaxMs: number
  readonly peerAgeMaxMs: number
  readonly #servers = new Map<string, Source>()
  readonly #peers = new Map<string, Source>()
  #expectedMs = 0
  #reading: ClockReading | null = null
  #judged: { estimate: Estimate; base: number; disagreeing: boolean } | null = null
  #state: ClockState['state'] = 'ok'

  constructor(thresholds: ClockThresholds, serverAgeMaxMs: number, peerAgeMaxMs: number) {
    this.thresholds = thresholds
    this.serverAgeMaxMs = serverAgeMaxMs
    this.peerAgeMaxMs = peerAgeMaxMs
  }

  /** Servers that are no longer in the list are forgotten; those in it have the time of an age to answer first. */
  expectServers(names: readonly string[], reading: ClockReading): void {
    this.#expectedMs = reading.monotonicMs
    for (const name of this.#servers.keys()) if (!names.includes(name)) this.#servers.delete(name)
    for (const name of names) if (!this.#servers.has(name)) this.#servers.set(name, { name, samples: [] })
  }

  serverSample(name: string, sample: ClockSample, reading: ClockReading): void {
    const source = this.#servers.get(name)
    if (source !== undefined) remember(source, sample, reading)
  }

  peerSample(name: string, sample: ClockSample, reading: ClockReading): void {
    const source = this.#peers.get(name) ?? { name, samples: [] }
    this.#peers.set(name, source)
    remember(source, sample, reading)
  }

  /** By how much the wall clock has stepped since the last reading; 0 when it has not. */
  read(reading: ClockReading): number {
    const last = this.#reading
    this.#reading = reading
    if (last === null) return 0
    const movedMs = baseOf(reading) - baseOf(last)
    return Math.abs(movedMs) > stepMs ? movedMs : 0
  }

  judge(reading: ClockReading): ClockState {
    const servers = this.#estimates(this.#servers, this.serverAgeMaxMs, reading)
    const peers = this.#estimates(this.#peers, this.peerAgeMaxMs, reading)
    const waitedMs = reading.monotonicMs - this.#expectedMs
    const isDeaf =
      this.#servers.size > 0 && servers.length + peers.length === 0 && waitedMs > this.serverAgeMaxMs
    if (servers.length > 0) this.#judge(byMajority(servers), reading)
    else if (peers.length > 0) this.#judge({ estimate: byMedian(peers), disagreeing: false }, reading)
    const judged = this.#judged
    // Behind the reference by `offset`; what the clock stepped since the judgement counts too.
    const behindMs = judged === null ? 0 : judged.estimate.offsetMs - (baseOf(reading) - judged.base)
    const surelyMs = judged === null ? 0 : Math.max(0, Math.abs(behindMs) - judged.estimate.errorMs)
    this.#state = this.#next(surelyMs, isDeaf || judged?.disagreeing === true)
    const answering = servers.length > 0 || peers.length > 0
    return {
      state: this.#state,
      offsetMs: rounded(-behindMs),
      source: answering || this.#state === 'gated' ? (judged?.estimate.name ?? '') : '',
      degradedMs: this.thresholds.degradedMs,
      gateMs: this.thresholds.gateMs,
    }
  }

  #judge(
    { estimate, disagreeing }: { estimate: Estimate; disagreeing: boolean },
    reading: ClockReading,
  ): void {
    this.#judged = { estimate, disagreeing, base: baseOf(reading) }
  }

  #next(offsetMs: number, isDoubtful: boolean): ClockState['state'] {
    const { degradedMs, gateMs, hysteresisPercent } = this.thresholds
    const back = 1 - hysteresisPercent / 100
    const gate = this.#state === 'gated' ? gateMs * back : gateMs
    if (offsetMs > gate) return 'gated'
    const degraded = this.#state === 'ok' ? degradedMs : degradedMs * back
    return offsetMs > degraded || isDoubtful ? 'degraded' : 'ok'
  }

  #estimates(sources: ReadonlyMap<string, Source>, ageMaxMs: number, now: ClockReading): Estimate[] {
    const found: Estimate[] = []
    for (const { name, samples } of sources.values()) {
      let best: Estimate | null = null
      for (const { sample, reading } of samples) {
        if (now.monotonicMs - reading.monotonicMs > ageMaxMs) continue
        if (best !== null && best.errorMs <= sample.errorMs + resolutionMs) continue
        const offsetMs = sample.offsetMs - (baseOf(now) - baseOf(reading))
        best = { name, offsetMs, errorMs: sample.errorMs + resolutionMs }
      }
      if (best !== null) found.push(best)
    }
    return found
  }
}

/** What a step of the wall clock changes, and time does not. */
const baseOf = (reading: ClockReading): number => reading.wallMs - reading.monotonicMs

function remember(source: Source, sample: ClockSample, reading: ClockReading): void {
  source.samples.push({ sample, reading })
  if (source.samples.length > samplesKept) source.samples.shift()
}

const holds = ({ offsetMs, errorMs }: Estimate, pointMs: number): boolean =>
  Math.abs(offsetMs - pointMs) <= errorMs

/** The most exact of the largest set that has a point in common; of clocks that disagree, the nearest to ours. */
function byMajority(estimates: readonly Estimate[]): { estimate: Estimate; disagreeing: boolean } {
  let agreeing: Estimate[] = []
  for (const { offsetMs, errorMs } of estimates) {
    // The point that most intervals hold can always be found at the lower end of one.
    const set = estimates.filter((estimate) => holds(estimate, offsetMs - errorMs))
    if (set.length > agreeing.length) agreeing = set
  }
  const disagreeing = agreeing.length * 2 <= estimates.length
  const among = disagreeing ? estimates : agreeing
  const rank = (estimate: Estimate): number => (disagreeing ? Math.abs(estimate.offsetMs) : estimate.errorMs)
  return { estimate: among.reduce((best, next) => (rank(next) < rank(best) ? next : best)), disagreeing }
}

/** The median of the peers' clocks and ours; of two in the middle the one further from ours. */
function byMedian(peers: readonly Estimate[]): Estimate {
  const own: Estimate = { name: '', offsetMs: 0, errorMs: 0 }
  const all = [own, ...peers].sort((a, b) => a.offsetMs - b.offsetMs)
  const upper = all[Math.floor(all.length / 2)] as Estimate
  const lower = all[Math.ceil(all.length / 2) - 1] as Estimate
  const median = Math.abs(lower.offsetMs) > Math.abs(upper.offsetMs) ? lower : upper
  if (median !== own) return median
  // Most agree with us: say with whom best.
  const nearest = peers.reduce((best, next) =>
    Math.abs(next.offsetMs) < Math.abs(best.offsetMs) ? next : best,
  )
  return { ...nearest, offsetMs: 0 }
}

/** A tenth of a millisecond is more than anybody can know; no negative zero. */
const rounded = (offsetMs: number): number => Math.round(offsetMs * 10) / 10 + 0
