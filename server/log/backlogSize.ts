/**
 * How much of the log is kept in memory for peers. `auto` follows the database: a peer that has missed more than a hundredth
 * of it is not much worse off with slot states. But a small database that is written fast must not send states at each
 * hiccup of a link, hence the floor; and beyond the ceiling states are cheaper than memory.
 */

export type BacklogSetting = number | 'auto'

const mebibyte = 1024 * 1024
const autoPercent = 1
export const autoBacklogBytesMin = 64 * mebibyte
export const autoBacklogBytesMax = 250 * mebibyte
/** Of a database with one member, whose log nobody else reads: so little stays in the processor's cache. */
const unsharedBytesMax = mebibyte

/** `shardBytes`: what the shard may hold, or, without a limit, holds. */
export function backlogBytesOf(setting: BacklogSetting, shardBytes: number, isShared: boolean): number {
  const part = Math.floor((shardBytes * autoPercent) / 100)
  const sizeBytes =
    setting === 'auto' ? Math.min(autoBacklogBytesMax, Math.max(autoBacklogBytesMin, part)) : setting
  return isShared ? sizeBytes : Math.min(sizeBytes, unsharedBytesMax)
}
