import type { Clock } from '#runtime/ports.ts'

/** Both clocks at the same instant. */
export interface ClockReading {
  wallMs: number
  monotonicMs: number
}

const triesMax = 3
const tightMs = 0.5

/** A pause between the two would look like a step of the wall clock: the tightest of a few readings counts. */
export function readClocks(clock: Clock): ClockReading {
  let tightest: ClockReading = { wallMs: 0, monotonicMs: 0 }
  let spanMs = Number.POSITIVE_INFINITY
  for (let i = 0; i < triesMax && spanMs > tightMs; i++) {
    const beforeMs = clock.monotonicMs()
    const wallMs = clock.wallMs()
    const monotonicMs = clock.monotonicMs()
    if (monotonicMs - beforeMs >= spanMs) continue
    spanMs = monotonicMs - beforeMs
    tightest = { wallMs, monotonicMs }
  }
  return tightest
}
