/**
 * Tells a proxy which of its clients' requests was slow: by the tag of the request's frame, ahead of the reply, so that the proxy
 * still knows whose it is. Frames are remembered as long as a run of commands may reach back into them: this one and the one before.
 */
import { commandsStart, type Frame, FrameKind } from '#protocol/frames/frame.ts'
import { jsonFrame } from '#protocol/frames/hello.ts'
import { cutArguments, type SlowRequest } from '#protocol/frames/slowlog.ts'
import { defaultRequestLimits, RequestScanner } from '#protocol/resp/requestScanner.ts'
import type { Clock } from '#runtime/ports.ts'
import type { Link } from './link.ts'

interface Source {
  link: Link | null
  tag: number
  bytes: Uint8Array
  start: number
  end: number
}

const nowhere = (): Source => ({ link: null, tag: 0, bytes: new Uint8Array(0), start: 0, end: 0 })

export class SlowRequests {
  /** What runs belongs to no frame. */
  isSilent = false
  readonly #clock: Clock
  readonly #hasOutput: (link: Link) => void
  readonly #scanner = new RequestScanner(defaultRequestLimits)
  #current = nowhere()
  #before = nowhere()

  constructor(clock: Clock, hasOutput: (link: Link) => void) {
    this.#clock = clock
    this.#hasOutput = hasOutput
  }

  /** What runs next was asked for by this frame. */
  enter(link: Link, frame: Frame): void {
    const source = this.#before
    this.#before = this.#current
    this.#current = source
    source.link = link
    source.tag = frame.tag
    source.bytes = frame.bytes
    source.start = commandsStart(frame)
    source.end = frame.payloadEnd
  }

  /** What runs next belongs to no frame. */
  leave(): void {
    this.#current.link = null
    this.#before.link = null
  }

  /** The request that ends at `at` of the current frame, or the one before it, took so long. */
  tell(durationUs: number, at: number, isCurrent: boolean): void {
    if (this.isSilent) return
    const [source, start] = isCurrent ? [this.#current, this.#lastEndingAt(at)] : this.#precedingEndOf(at)
    const { link, tag, bytes, end } = source
    if (link === null || link.isClosed || start < 0) return
    this.#scanner.scan(bytes, start, end)
    const slow: SlowRequest = {
      wallMs: this.#clock.wallMs(),
      durationUs,
      arguments: cutArguments(this.#scanner),
    }
    this.#scanner.reset()
    link.outbox.addFrame(jsonFrame(FrameKind.slow, tag, slow))
    this.#hasOutput(link)
  }

  #lastEndingAt(at: number): number {
    return lastStart(this.#scanner, this.#current, (_, end) => end >= at)
  }

  #precedingEndOf(at: number): readonly [Source, number] {
    const current = this.#lastEndingAt(at)
    if (current > this.#current.start)
      return [this.#current, lastStart(this.#scanner, this.#current, (_, end) => end >= current)]
    return [this.#before, lastStart(this.#scanner, this.#before, () => false)]
  }
}

/** Where the first request begins that `isIt`, or else the last one; -1: there is none. */
function lastStart(
  scanner: RequestScanner,
  { bytes, start, end }: Source,
  isIt: (start: number, end: number) => boolean,
): number {
  let last = -1
  for (let at = start; at < end; ) {
    const next = scanner.scan(bytes, at, end)
    if (next <= 0) return last
    last = at
    if (isIt(at, next)) return last
    at = next
  }
  return last
}
