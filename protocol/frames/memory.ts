/** How much memory a database may use, and what goes when that is not enough: Redis's `maxmemory` and its kin. */

/** In the order in which Redis names them. */
export const evictionPolicies = [
  'volatile-lru',
  'volatile-lfu',
  'volatile-random',
  'volatile-ttl',
  'allkeys-lru',
  'allkeys-lfu',
  'allkeys-random',
  'noeviction',
] as const

export type EvictionPolicy = (typeof evictionPolicies)[number]

export const isEvictionPolicy = (text: unknown): text is EvictionPolicy =>
  (evictionPolicies as readonly unknown[]).includes(text)

/** Beyond that a sample finds no better key. */
export const evictionSamplesMax = 64

export interface MemorySettings {
  /** Of the whole database in this cluster, shared evenly by its shards; 0: no limit. */
  memorySizeBytes: number
  evictionPolicy: EvictionPolicy
  /** Keys looked at for each that goes. */
  evictionSamples: number
}
