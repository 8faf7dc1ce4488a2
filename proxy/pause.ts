/**
 * CLIENT PAUSE: until when which commands of all clients wait. All workers of the node keep the same pause, and each ends
 * it by itself when its time is over.
 */
import type { SharedPause } from '#protocol/frames/worker.ts'
import type { Clock, Timers } from '#runtime/ports.ts'
import type { Clients } from './clients.ts'
import type { VersionClock } from './siblings/versionClock.ts'
import type { Flushable, Turn } from './turn.ts'

export type PauseMode = SharedPause['mode']

export class Pause implements Flushable {
  mode: PauseMode = 'none'
  readonly #clock: Clock
  readonly #timers: Timers
  readonly #clients: Clients
  readonly #turn: Turn
  readonly #versions: VersionClock
  #shared: SharedPause = { count: 0, worker: 0, mode: 'none', untilWallMs: 0 }
  /** Monotonic. */
  #untilMs = 0
  #cancel: () => void = () => {}

  constructor(clock: Clock, timers: Timers, clients: Clients, turn: Turn, versions: VersionClock) {
    this.#clock = clock
    this.#timers = timers
    this.#clients = clients
    this.#turn = turn
    this.#versions = versions
  }

  /** For the other workers. */
  get shared(): SharedPause {
    return this.#shared
  }

  /** Like Redis, a second pause replaces the mode of the first and never shortens it. */
  start(mode: 'write' | 'all', durationMs: number): void {
    const nowWallMs = this.#clock.wallMs()
    const untilWallMs = Math.max(this.#shared.untilWallMs, nowWallMs + durationMs)
    this.#follow({ ...this.#versions.next(), mode, untilWallMs }, nowWallMs)
  }

  end(): void {
    this.#follow({ ...this.#versions.next(), mode: 'none', untilWallMs: 0 }, 0)
  }

  /**
   * What another worker follows; returns whether that starts or changes a pause here. Of two pauses that did not know of each
   * other both hold, because both clients were told so.
   */
  take(heard: SharedPause): boolean {
    this.#versions.saw(heard)
    const own = this.#shared
    if (heard.count < own.count) return false
    const next = heard.count > own.count ? heard : joined(own, heard)
    if (next.mode === own.mode && next.untilWallMs === own.untilWallMs && next.count === own.count)
      return false
    this.#follow(next, this.#clock.wallMs())
    return this.mode !== 'none'
  }

  /** Who waited goes on. */
  flush(): void {
    for (const client of this.#clients.list()) client.onPauseEnd()
  }

  blocks(isWrite: boolean): boolean {
    return this.mode === 'all' || (this.mode === 'write' && isWrite)
  }

  #follow(shared: SharedPause, nowWallMs: number): void {
    this.#cancel()
    this.#shared = shared
    const leftMs = shared.untilWallMs - nowWallMs
    if (shared.mode === 'none' || leftMs <= 0) {
      this.#finish()
      return
    }
    // One of writes that replaces one of everything lets others go.
    if (this.mode !== 'none') this.#turn.add(this)
    this.mode = shared.mode
    this.#untilMs = this.#clock.monotonicMs() + leftMs
    this.#arm()
  }

  #finish(): void {
    this.#cancel()
    this.mode = 'none'
    this.#untilMs = 0
    // Of the same version: it ends at every worker by itself.
    this.#shared = { ...this.#shared, mode: 'none', untilWallMs: 0 }
    this.#turn.add(this)
  }

  #arm(): void {
    const restMs = this.#untilMs - this.#clock.monotonicMs()
    this.#cancel = this.#timers.after(Math.min(Math.max(0, restMs), timerMaxMs), () => {
      if (this.#clock.monotonicMs() < this.#untilMs) this.#arm()
      else this.#finish()
    })
  }
}

/** Timers count in 31 bits. */
const timerMaxMs = 2 ** 31 - 1

const strength: Readonly<Record<PauseMode, number>> = { none: 0, write: 1, all: 2 }

const joined = (one: SharedPause, other: SharedPause): SharedPause => ({
  count: one.count,
  worker: Math.max(one.worker, other.worker),
  mode: strength[one.mode] >= strength[other.mode] ? one.mode : other.mode,
  untilWallMs: Math.max(one.untilWallMs, other.untilWallMs),
})
