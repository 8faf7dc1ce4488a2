/** What this worker counts for INFO. */
import type { CommandSpec } from '#protocol/commands/index.ts'
import { Durations } from '#protocol/frames/durations.ts'
import { ErrorCounts } from '#protocol/frames/errorCounts.ts'
import type { Clock } from '#runtime/ports.ts'

/** Rates are those of the last so many samples. */
const samplesMax = 16

/** Of one command. */
export interface LocalCalls {
  count: number
  failed: number
  microseconds: number
  readonly durations: Durations
}

export class Counters {
  connectionsReceived = 0
  connectionsRejected = 0
  tlsConnectionsReceived = 0
  tlsHandshakesFailed = 0
  commands = 0
  inputBytes = 0
  outputBytes = 0
  readonly errors = new ErrorCounts()
  /** Commands that the proxy answers itself, by spec. */
  readonly calls = new Map<CommandSpec, LocalCalls>()
  readonly rejectedCalls = new Map<CommandSpec, number>()
  readonly #clock: Clock
  #lastMs: number
  #lastCommands = 0
  #lastInputBytes = 0
  #lastOutputBytes = 0
  readonly #perSecond: { commands: number; inputBytes: number; outputBytes: number }[] = []

  constructor(clock: Clock) {
    this.#clock = clock
    this.#lastMs = clock.monotonicMs()
  }

  /** Call it about once a second. */
  sample(): void {
    const nowMs = this.#clock.monotonicMs()
    const seconds = (nowMs - this.#lastMs) / 1000
    if (seconds <= 0) return
    this.#perSecond.push({
      commands: (this.commands - this.#lastCommands) / seconds,
      inputBytes: (this.inputBytes - this.#lastInputBytes) / seconds,
      outputBytes: (this.outputBytes - this.#lastOutputBytes) / seconds,
    })
    if (this.#perSecond.length > samplesMax) this.#perSecond.shift()
    this.#lastMs = nowMs
    this.#lastCommands = this.commands
    this.#lastInputBytes = this.inputBytes
    this.#lastOutputBytes = this.outputBytes
  }

  perSecond(what: 'commands' | 'inputBytes' | 'outputBytes'): number {
    if (this.#perSecond.length === 0) return 0
    return this.#perSecond.reduce((sum, sample) => sum + sample[what], 0) / this.#perSecond.length
  }

  /** CONFIG RESETSTAT. */
  reset(): void {
    this.connectionsReceived = 0
    this.connectionsRejected = 0
    this.tlsConnectionsReceived = 0
    this.tlsHandshakesFailed = 0
    this.commands = 0
    this.inputBytes = 0
    this.outputBytes = 0
    this.errors.clear()
    this.calls.clear()
    this.rejectedCalls.clear()
    this.#lastCommands = 0
    this.#lastInputBytes = 0
    this.#lastOutputBytes = 0
    this.#perSecond.length = 0
  }

  /** A command that is being called. */
  callsOf(spec: CommandSpec): LocalCalls {
    let calls = this.calls.get(spec)
    if (calls === undefined) {
      calls = { count: 0, failed: 0, microseconds: 0, durations: new Durations() }
      this.calls.set(spec, calls)
    }
    return calls
  }

  countRejected(spec: CommandSpec): void {
    this.rejectedCalls.set(spec, (this.rejectedCalls.get(spec) ?? 0) + 1)
  }
}
