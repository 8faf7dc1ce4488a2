import type { Random } from '#runtime/ports.ts'

/** For jitter and random members, not for secrets. */
export const nodeRandom: Random = {
  below: (limit) => Math.floor(Math.random() * limit),
}
