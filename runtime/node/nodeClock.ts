import type { Clock } from '#runtime/ports.ts'

export const nodeClock: Clock = {
  wallMs: () => Date.now(),
  // Does not follow a step of the wall clock, unlike what its name's origin suggests.
  monotonicMs: () => performance.now(),
}
