import type { Random } from '#runtime/ports.ts'

/** Names one life of a shard: sixteen hexadecimal digits. */
export function newRunId(random: Random): string {
  let id = ''
  for (let i = 0; i < 4; i++) id += random.below(65536).toString(16).padStart(4, '0')
  return id
}
