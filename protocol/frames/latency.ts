/** How long things took: samples of events as LATENCY shows them, kept by each process, and joined by whoever is asked. */
import { isJsonObject } from '#runtime/jsonObject.ts'

/** Samples of one event. Beyond, the oldest is forgotten. As many as Redis keeps. */
export const latencySamplesMax = 160

/** Everything within one second is one sample, the greatest. */
export type LatencySample = readonly [wallSeconds: number, durationMs: number]

export interface LatencyEvent {
  /** The oldest first. */
  readonly samples: readonly LatencySample[]
  readonly greatestMs: number
}

export type LatencyEvents = Readonly<Record<string, LatencyEvent>>

export type LatencyEventName =
  | 'command'
  | 'fast-command'
  | 'expire-cycle'
  | 'eviction-cycle'
  | 'aof-write'
  | 'aof-fsync-always'
  /** A turn of the event loop began late. */
  | 'loop'

export class LatencyLog {
  /** 0: nothing is kept. */
  thresholdMs = 0
  #events = new Map<string, LatencyEvent>()

  get all(): LatencyEvents {
    return Object.fromEntries(this.#events)
  }

  note(event: LatencyEventName, durationMs: number, wallMs: number): void {
    if (this.thresholdMs === 0 || durationMs < this.thresholdMs) return
    const sample = [Math.floor(wallMs / 1000), Math.round(durationMs)] as const
    const before = this.#events.get(event) ?? { samples: [], greatestMs: 0 }
    this.#events.set(event, withSamples(before, [sample]))
  }

  /** Those that are named, or all; returns the names of those that there were. */
  reset(names: readonly string[]): string[] {
    const there = [...this.#events.keys()].filter((name) => names.length === 0 || names.includes(name))
    for (const name of there) this.#events.delete(name)
    return there
  }
}

function withSamples(event: LatencyEvent, added: readonly LatencySample[]): LatencyEvent {
  const samples: LatencySample[] = []
  for (const sample of [...event.samples, ...added].sort(([a], [b]) => a - b)) {
    const last = samples.at(-1)
    if (last === undefined || last[0] !== sample[0]) samples.push(sample)
    else samples[samples.length - 1] = [last[0], Math.max(last[1], sample[1])]
  }
  return {
    samples: samples.slice(-latencySamplesMax),
    greatestMs: Math.max(event.greatestMs, ...added.map(([, durationMs]) => durationMs)),
  }
}

/** Of several processes. */
export function joinedEvents(all: readonly LatencyEvents[]): LatencyEvents {
  const joined: Record<string, LatencyEvent> = {}
  for (const events of all) {
    for (const [name, { samples, greatestMs }] of Object.entries(events)) {
      const event = withSamples(joined[name] ?? { samples: [], greatestMs: 0 }, samples)
      joined[name] = { ...event, greatestMs: Math.max(event.greatestMs, greatestMs) }
    }
  }
  return joined
}

/** How one process answers when it is asked about latency. */
export interface LatencyAnswer {
  events: LatencyEvents
  /** By lower-case name of the command. */
  histograms: Readonly<Record<string, readonly number[]>>
}

/** Nothing when it is none. */
export function readLatency(answer: unknown): LatencyAnswer {
  if (!isJsonObject(answer) || !isJsonObject(answer['events']) || !isJsonObject(answer['histograms']))
    return { events: {}, histograms: {} }
  return answer as unknown as LatencyAnswer
}
