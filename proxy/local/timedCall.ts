/** How long a command of the proxy takes by itself, while others are asked excluded. */
import type { CommandSpec } from '#protocol/commands/index.ts'
import { cutArguments } from '#protocol/frames/slowlog.ts'
import type { ReplyWriter } from '#protocol/resp/replyWriter.ts'
import type { RequestScanner } from '#protocol/resp/requestScanner.ts'
import type { LocalCalls } from '#proxy/counters.ts'
import { redactedRequest } from '#proxy/redaction.ts'
import type { SessionHost } from '#proxy/session/host.ts'
import type { Session } from '#proxy/session/session.ts'
import { latin1 } from '#runtime/bytes/bytes.ts'

/** A reply that is an error begins with it. */
const errorMark = 0x2d
/** Enough to see its code. */
const errorTextBytes = 100

export class TimedCall {
  readonly #host: SessionHost
  readonly #session: Session
  readonly #calls: LocalCalls
  /** What always takes constant time is not worth a look at the clock. */
  readonly #isTimed: boolean
  /** The request is gone when it is answered later. */
  readonly #arguments: readonly string[]
  #elapsedMs = 0

  constructor(host: SessionHost, session: Session, spec: CommandSpec, args: RequestScanner) {
    this.#host = host
    this.#session = session
    this.#calls = host.counters.callsOf(spec)
    this.#calls.count++
    this.#isTimed = host.observation.isClose || !spec.row.flags.includes('fast')
    this.#arguments = this.#isTimed ? cutArguments(redactedRequest(spec, args)) : []
  }

  time<T>(run: () => T): T {
    if (!this.#isTimed) return run()
    const { clock } = this.#host
    const startMs = clock.monotonicMs()
    const result = run()
    this.#elapsedMs += clock.monotonicMs() - startMs
    return result
  }

  /** It is answered. */
  end({ bytes, length }: ReplyWriter): void {
    const { observation, counters, clock } = this.#host
    if (bytes[0] === errorMark && length > 0) {
      this.#calls.failed++
      counters.errors.count(latin1(bytes, 1, Math.min(length, errorTextBytes)))
    }
    if (!this.#isTimed) return
    const durationUs = Math.round(this.#elapsedMs * 1000)
    this.#calls.microseconds += durationUs
    if (observation.isTracking) this.#calls.durations.add(this.#elapsedMs, 1)
    observation.latency.note('command', this.#elapsedMs, clock.wallMs())
    if (!observation.isSlow(durationUs)) return
    observation.slowlog.add({ wallMs: clock.wallMs(), durationUs, arguments: this.#arguments }, this.#session)
  }
}
