/** What all shards together take of memory, for INFO and MEMORY. */
import { mebibyte } from '#config/units.ts'
import type { ShardInfo } from '#protocol/frames/admin.ts'
import { sum } from './figures.ts'

export interface MemoryTotals {
  /** What the processes should take: `baseBytes`, `backlogBytes` and `datasetBytes` together. */
  usedBytes: number
  peakBytes: number
  /** What they take as the system sees it. */
  residentBytes: number
  /** Before they had data. */
  baseBytes: number
  backlogBytes: number
  /** Keys, values, and what finds them: what the limit is about. */
  datasetBytes: number
  keys: number
}

export function humanBytes(bytes: number): string {
  if (bytes < 1024) return `${bytes}B`
  if (bytes < mebibyte) return `${(bytes / 1024).toFixed(2)}K`
  if (bytes < mebibyte * 1024) return `${(bytes / mebibyte).toFixed(2)}M`
  return `${(bytes / mebibyte / 1024).toFixed(2)}G`
}

export const ratio = (part: number, whole: number): number => (whole === 0 ? 0 : part / whole)

export const percent = (part: number, whole: number): number => 100 * ratio(part, whole)

export function memoryOf(shards: readonly ShardInfo[]): MemoryTotals {
  return {
    usedBytes: sum(shards, ({ memory }) => memory.totalBytes),
    peakBytes: sum(shards, ({ memory }) => memory.peakBytes),
    residentBytes: sum(shards, ({ memoryRssBytes }) => memoryRssBytes),
    baseBytes: sum(shards, ({ memory }) => memory.baseBytes),
    backlogBytes: sum(shards, ({ log }) => log.backlogBytes),
    datasetBytes: sum(shards, ({ memory }) => memory.usedBytes),
    keys: sum(shards, ({ keys }) => keys),
  }
}
