/** MEMORY STATS, DOCTOR and the like: of all shards of this cluster together. */
import { mebibyte } from '#config/units.ts'
import type { ReplyWriter } from '#protocol/resp/replyWriter.ts'
import { noAnswer } from '#proxy/routing/question.ts'
import type { LocalCommand } from './call.ts'
import { humanBytes, type MemoryTotals, memoryOf, percent, ratio } from './memoryTotals.ts'
import { infoOf, type ShardInfos } from './shardInfos.ts'
import { shardSettings } from './shardSettings.ts'

/** Below this the ratios say nothing. */
const littleBytes = 5 * mebibyte
const peakRatioMax = 1.5
const residentRatioMax = 1.4
/** Keys are evicted from here on. */
const shortOfLimit = 0.8

type Write = (reply: ReplyWriter) => void

const integer =
  (value: number): Write =>
  (reply) =>
    reply.integer(Math.round(value))
const double =
  (value: number): Write =>
  (reply) =>
    reply.double(value)

/** Redis's names; what has no counterpart here is left out. */
function statsOf(totals: MemoryTotals): readonly (readonly [name: string, write: Write])[] {
  const { usedBytes, peakBytes, residentBytes, baseBytes, backlogBytes, datasetBytes, keys } = totals
  return [
    ['peak.allocated', integer(peakBytes)],
    ['total.allocated', integer(usedBytes)],
    ['startup.allocated', integer(baseBytes)],
    ['replication.backlog', integer(backlogBytes)],
    ['overhead.total', integer(usedBytes - datasetBytes)],
    ['keys.count', integer(keys)],
    ['keys.bytes-per-key', integer(ratio(datasetBytes, keys))],
    ['dataset.bytes', integer(datasetBytes)],
    ['dataset.percentage', double(percent(datasetBytes, usedBytes - baseBytes))],
    ['peak.percentage', double(percent(usedBytes, peakBytes))],
    ['fragmentation', double(ratio(residentBytes, usedBytes))],
    ['fragmentation.bytes', integer(residentBytes - usedBytes)],
  ]
}

const STATS: LocalCommand = () => ({
  askShards: { what: 'info' },
  answer: ({ shards: answers }, reply) => {
    const { shards, missingShards } = infoOf(answers)
    const [missing] = missingShards
    if (missing !== undefined) {
      reply.error(noAnswer(missing))
      return
    }
    const stats = statsOf(memoryOf(shards))
    reply.map(stats.length)
    for (const [name, write] of stats) {
      reply.bulk(name)
      write(reply)
    }
  },
})

/** A sentence for each thing that is worth a look. */
function findingsOf({ shards, missingShards }: ShardInfos, memorySizeBytes: number): string[] {
  const { usedBytes, peakBytes, residentBytes, baseBytes, backlogBytes, datasetBytes } = memoryOf(shards)
  const findings: string[] = []
  if (missingShards.length > 0)
    findings.push(`Shards ${missingShards.join(', ')} did not answer and are not in these figures.`)
  for (const { index, memory } of shards) {
    if (memory.intakePaused)
      findings.push(
        `Shard ${index} is at its memory limit and takes no operations of peers: delete keys here or raise maxmemory.`,
      )
  }
  if (memorySizeBytes > 0 && datasetBytes > memorySizeBytes * shortOfLimit)
    findings.push(
      `Keys and values take ${humanBytes(datasetBytes)} of the ${humanBytes(memorySizeBytes)} that maxmemory allows.`,
    )
  const grownBytes = usedBytes - baseBytes
  if (grownBytes < littleBytes) return findings
  const peakGrownBytes = peakBytes - baseBytes
  if (peakGrownBytes > grownBytes * peakRatioMax)
    findings.push(
      `The peak was ${humanBytes(peakBytes)}, now it is ${humanBytes(usedBytes)}: the processes may keep the difference for a while.`,
    )
  else if (residentBytes > usedBytes * residentRatioMax)
    findings.push(
      `The processes take ${humanBytes(residentBytes)}, ${ratio(residentBytes, usedBytes).toFixed(2)} times what is in use: much of their heap is free or waits for the collector.`,
    )
  if (backlogBytes > datasetBytes)
    findings.push(
      `The window of the log in memory, ${humanBytes(backlogBytes)}, is larger than the data: see limits.backlog_bytes_max.`,
    )
  return findings
}

const DOCTOR: LocalCommand = ({ host }) => ({
  askShards: { what: 'info' },
  answer: ({ shards: answers }, reply) => {
    const infos = infoOf(answers)
    const findings = findingsOf(infos, shardSettings(host, infos.shards).memorySizeBytes)
    reply.verbatim('txt', findings.length === 0 ? 'Nothing unusual was found.' : findings.join('\n'))
  },
})

/** The words of a Redis whose allocator keeps no statistics. */
const MALLOC_STATS: LocalCommand = ({ reply }) => {
  reply.bulk('Stats not supported for the current allocator')
  return null
}

/** The collector decides by itself what it gives back. */
const PURGE: LocalCommand = ({ reply }) => {
  reply.ok()
  return null
}

export const memoryCommands = {
  'MEMORY|DOCTOR': DOCTOR,
  'MEMORY|MALLOC-STATS': MALLOC_STATS,
  'MEMORY|PURGE': PURGE,
  'MEMORY|STATS': STATS,
}
