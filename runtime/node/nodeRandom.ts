import type { Random } from '../ports.ts'

/** For jitter and random members, not for secrets. */
export const nodeRandom: Random = {
  below: (limit) => Math.floor(Math.random() * limit),
}
