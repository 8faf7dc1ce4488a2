/** The clock monitor at work: asks the time servers, hears of the peers, watches for steps, tells every new state. */
import type { ClockState } from '#config/process.ts'
import { nodeClock } from '#runtime/node/nodeClock.ts'
import { NodeTimers } from '#runtime/node/nodeTimers.ts'
import type { Clock, Logger, Timers } from '#runtime/ports.ts'
import { type ClockReading, readClocks } from './clockReading.ts'
import { ClockMonitor, type ClockThresholds } from './monitor.ts'
import { type SntpQuery, type SntpResult, sntpQuery, timeServerOf } from './sntpClient.ts'

export interface ClockSettings extends ClockThresholds {
  /** `HOST` or `HOST:PORT`. */
  servers: readonly string[]
  pollMs: number
  timeoutMs: number
}

export interface ClockServicePorts {
  clock: Clock
  timers: Timers
  logger: Logger
  query: SntpQuery
}

/** A step of the wall clock is seen within this. */
export const tickMs = 250
/** A changed offset is told at most so often; a changed state at once. */
export const offsetReportMs = 1000
/** At the start and after a step a server is asked so many times in a row: the best answer counts. */
export const burstQueries = 4
export const burstPauseMs = 100
/** Answers stay valid for so many polls. */
const pollsRemembered = 4
/** A peer whose link is cut goes on voting: its clock runs on as ours does. */
export const peerAgeMaxMs = 600_000
/** A server that says we ask too often is asked so many times less, each time it says so. */
const ratePollFactor = 4
export const ratedPollMaxMs = 3600 * 1000

interface Polling {
  name: string
  pollMs: number
  burst: number
  /** Names what is wrong with it, to tell it once. */
  fault: string
  cancel: () => void
  stopped: boolean
}

export class ClockService {
  readonly #ports: ClockServicePorts
  readonly #onState: (state: ClockState) => void
  readonly #monitor: ClockMonitor
  #settings: ClockSettings
  #pollings: Polling[] = []
  #state: ClockState
  /** What `onState` heard last. */
  #told: ClockState
  #toldMs = Number.NEGATIVE_INFINITY
  #cancelTick: () => void = () => {}
  #stopped = false

  constructor(settings: ClockSettings, ports: ClockServicePorts, onState: (state: ClockState) => void) {
    this.#settings = settings
    this.#ports = ports
    this.#onState = onState
    this.#monitor = new ClockMonitor(settings, serverAgeMaxMs(settings), peerAgeMaxMs)
    this.#state = this.#monitor.judge(this.#read())
    this.#told = this.#state
    this.#startPolling()
    this.#monitor.read(this.#read())
    this.#tickLater()
  }

  get state(): ClockState {
    return this.#state
  }

  /** A peer's clock minus ours. */
  peerOffset(peer: number, offsetMs: number, delayMs: number): void {
    this.#monitor.peerSample(`cluster ${peer}`, { offsetMs, delayMs, errorMs: delayMs / 2 }, this.#read())
    this.#judge()
  }

  reconfigure(settings: ClockSettings): void {
    this.#settings = settings
    this.#monitor.thresholds = settings
    this.#monitor.serverAgeMaxMs = serverAgeMaxMs(settings)
    this.#stopPolling()
    this.#startPolling()
    this.#judge()
  }

  stop(): void {
    this.#stopped = true
    this.#cancelTick()
    this.#stopPolling()
  }

  #startPolling(): void {
    const { servers, pollMs } = this.#settings
    this.#monitor.expectServers(servers, this.#read())
    this.#pollings = servers.map((name) => ({
      name,
      pollMs,
      burst: burstQueries,
      fault: '',
      cancel: () => {},
      stopped: false,
    }))
    for (const polling of this.#pollings) this.#poll(polling)
  }

  #stopPolling(): void {
    for (const polling of this.#pollings) {
      polling.stopped = true
      polling.cancel()
    }
  }

  #poll(polling: Polling): void {
    this.#ports.query(timeServerOf(polling.name), this.#settings.timeoutMs, (result) => {
      if (!polling.stopped) this.#onResult(polling, result)
    })
  }

  #onResult(polling: Polling, result: SntpResult): void {
    const { name } = polling
    if (result.kind === 'sample') {
      this.#monitor.serverSample(name, result.sample, result.reading)
      if (polling.fault !== '') this.#ports.logger.info({ server: name }, 'the time server answers')
      polling.fault = ''
      this.#judge()
    } else this.#onFailure(polling, result.fault, result.detail)
    if (polling.stopped) return
    polling.burst = Math.max(0, polling.burst - 1)
    const pauseMs = polling.burst > 0 ? Math.min(burstPauseMs, polling.pollMs) : polling.pollMs
    polling.cancel = this.#ports.timers.after(pauseMs, () => this.#poll(polling))
  }

  #onFailure(polling: Polling, fault: string, detail: string): void {
    const { name: server } = polling
    if (polling.fault !== fault)
      this.#ports.logger.warn({ server, fault, detail }, 'no time from this server')
    polling.fault = fault
    polling.burst = 0
    if (fault !== 'kissOfDeath') return
    if (detail === 'RATE') polling.pollMs = Math.min(ratedPollMaxMs, polling.pollMs * ratePollFactor)
    else polling.stopped = true
  }

  #tick(): void {
    if (this.#stopped) return
    const stepMs = this.#monitor.read(this.#read())
    if (stepMs !== 0) {
      this.#ports.logger.warn({ stepMs: Math.round(stepMs) }, 'the wall clock has stepped')
      this.#stopPolling()
      this.#startPolling()
    }
    this.#judge()
    this.#tickLater()
  }

  #tickLater(): void {
    this.#cancelTick = this.#ports.timers.after(tickMs, () => this.#tick())
  }

  #judge(): void {
    const reading = this.#read()
    const state = this.#monitor.judge(reading)
    this.#state = state
    const told = this.#told
    if (isSame(state, told)) return
    if (state.state === told.state && reading.monotonicMs - this.#toldMs < offsetReportMs) return
    this.#toldMs = reading.monotonicMs
    this.#told = state
    if (state.state !== told.state) {
      const { offsetMs, source } = state
      const level = state.state === 'ok' ? 'info' : 'warn'
      this.#ports.logger[level]({ offsetMs, source, was: told.state, is: state.state }, 'clock state changed')
    }
    this.#onState(state)
  }

  #read(): ClockReading {
    return readClocks(this.#ports.clock)
  }
}

const serverAgeMaxMs = ({ pollMs, timeoutMs }: ClockSettings): number => pollMs * pollsRemembered + timeoutMs

const isSame = (a: ClockState, b: ClockState): boolean =>
  a.state === b.state &&
  a.offsetMs === b.offsetMs &&
  a.source === b.source &&
  a.degradedMs === b.degradedMs &&
  a.gateMs === b.gateMs

/** On this machine's clocks and network. */
export const startNodeClock =
  (logger: Logger) =>
  (settings: ClockSettings, onState: (state: ClockState) => void): ClockService =>
    new ClockService(
      settings,
      { clock: nodeClock, timers: new NodeTimers(), logger, query: sntpQuery(nodeClock) },
      onState,
    )
