/** CLIENT PAUSE: until when which commands of all clients of this process wait. */
import type { Clock, Timers } from '#runtime/ports.ts'
import type { Clients } from './clients.ts'
import type { Flushable, Turn } from './turn.ts'

export type PauseMode = 'none' | 'write' | 'all'

export class Pause implements Flushable {
  mode: PauseMode = 'none'
  readonly #clock: Clock
  readonly #timers: Timers
  readonly #clients: Clients
  readonly #turn: Turn
  #untilMs = 0
  #cancel: () => void = () => {}

  constructor(clock: Clock, timers: Timers, clients: Clients, turn: Turn) {
    this.#clock = clock
    this.#timers = timers
    this.#clients = clients
    this.#turn = turn
  }

  /** Like Redis, a second pause replaces the mode of the first and never shortens it. */
  start(mode: 'write' | 'all', durationMs: number): void {
    this.mode = mode
    this.#untilMs = Math.max(this.#untilMs, this.#clock.monotonicMs() + durationMs)
    this.#arm()
  }

  end(): void {
    this.#cancel()
    this.mode = 'none'
    this.#untilMs = 0
    this.#turn.add(this)
  }

  /** Who waited goes on. */
  flush(): void {
    for (const client of this.#clients.list()) client.onPauseEnd()
  }

  blocks(isWrite: boolean): boolean {
    return this.mode === 'all' || (this.mode === 'write' && isWrite)
  }

  #arm(): void {
    this.#cancel()
    const restMs = this.#untilMs - this.#clock.monotonicMs()
    this.#cancel = this.#timers.after(Math.min(Math.max(0, restMs), timerMaxMs), () => {
      if (this.#clock.monotonicMs() < this.#untilMs) this.#arm()
      else this.end()
    })
  }
}

/** Timers count in 31 bits. */
const timerMaxMs = 2 ** 31 - 1
