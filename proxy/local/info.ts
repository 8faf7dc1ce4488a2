/**
 * INFO: one text about the whole database in this cluster, from what every worker and every shard answers.
 * Fields have Redis's names where they mean the same; what has no counterpart here is left out rather than invented.
 */
import { servesTls } from '#config/schema.ts'
import type { ShardInfo } from '#protocol/frames/admin.ts'
import { joinedHistograms, percentileUs } from '#protocol/frames/durations.ts'
import type { WorkerAnswer, WorkerFigures } from '#protocol/frames/worker.ts'
import type { SessionHost } from '#proxy/session/host.ts'
import type { LocalCommand } from './call.ts'
import { greatest, sum } from './figures.ts'
import { clockFields, crdtFields } from './infoReplication.ts'
import { humanBytes, memoryOf, percent, ratio } from './memoryTotals.ts'
import { replicationOffset } from './monitor.ts'
import { infoOf, type ShardInfos } from './shardInfos.ts'
import { shardSettings } from './shardSettings.ts'
import { antipodeVersion, compatibleVersion } from './version.ts'
import { figuresOf, summedErrors, sumOf } from './workerFigures.ts'

/** What the sections are made of. */
export interface InfoFacts extends ShardInfos {
  host: SessionHost
  /** Of all workers that answered, this one included. */
  proxies: WorkerFigures
  missingWorkers: readonly number[]
}

export type InfoField = readonly [name: string, value: string | number]

function serverFields({ host, missingWorkers }: InfoFacts): InfoField[] {
  const uptimeSeconds = Math.floor((host.clock.monotonicMs() - host.startedMs) / 1000)
  return [
    ['redis_version', compatibleVersion],
    ['redis_mode', 'standalone'],
    ['antipode_version', antipodeVersion],
    ['arch_bits', 64],
    ['process_id', host.process().processId],
    ['run_id', host.runId],
    ['tcp_port', host.config.database.port],
    ['server_time_usec', host.clock.wallMs() * 1000],
    ['uptime_in_seconds', uptimeSeconds],
    ['uptime_in_days', Math.floor(uptimeSeconds / 86_400)],
    ['database_name', host.config.database.name],
    ['database_guid', host.config.database.guid],
    ['cluster_id', host.config.database.clusterId],
    ['cluster_name', host.config.database.clusterName],
    ['shards', host.links.all.length],
    ['sharding', host.links.sharding ? 'yes' : 'no'],
    ['proxy_worker', host.config.worker],
    ['proxy_workers', host.config.workers.length],
    ['proxy_workers_missing', missingWorkers.join(',')],
    ...listenerFields(host),
  ]
}

const dayMs = 24 * 3600 * 1000

/** How clients may come, as Redis tells it; and how long what they are shown over TLS is good. */
function listenerFields(host: SessionHost): InfoField[] {
  const { config } = host.clientTls
  const kinds = [...(config.mode === 'enabled' ? [] : ['tcp']), ...(servesTls(config.mode) ? ['tls'] : [])]
  const { bind, port } = host.config.database
  const listeners = kinds.map(
    (kind, i): InfoField => [`listener${i}`, `name=${kind},bind=${bind},port=${port}`],
  )
  const certificate = servesTls(config.mode) ? host.certificate() : null
  const daysLeft =
    certificate === null ? null : Math.floor((certificate.expiresWallMs - host.clock.wallMs()) / dayMs)
  return [
    ...listeners,
    ['tls_mode', config.mode],
    ...(daysLeft === null ? [] : [['tls_certificate_days_left', daysLeft] as const]),
  ]
}

function clientsFields({ host, proxies, shards }: InfoFacts): InfoField[] {
  return [
    ['connected_clients', proxies.clients],
    ['tls_clients', proxies.tlsClients],
    ['cluster_connections', 0],
    ['maxclients', host.limits.clientsMax],
    ['client_recent_max_input_buffer', proxies.inputBytesMax],
    ['client_recent_max_output_buffer', proxies.unreadBytesMax],
    ['blocked_clients', proxies.waitingClients + sum(shards, ({ blockedClients }) => blockedClients)],
    ['tracking_clients', proxies.trackingClients],
    [
      'clients_in_timeout_table',
      proxies.waitingClients -
        proxies.waitingForEver +
        sum(shards, ({ blockedClients, blockedForEver }) => blockedClients - blockedForEver),
    ],
    ['total_blocking_keys', sum(shards, ({ blockingKeys }) => blockingKeys)],
  ]
}

function memoryFields({ host, proxies, shards }: InfoFacts): InfoField[] {
  const { usedBytes, residentBytes, peakBytes, baseBytes, backlogBytes, datasetBytes } = memoryOf(shards)
  const { memorySizeBytes, evictionPolicy } = shardSettings(host, shards)
  return [
    ['used_memory', usedBytes],
    ['used_memory_human', humanBytes(usedBytes)],
    ['used_memory_rss', residentBytes],
    ['used_memory_rss_human', humanBytes(residentBytes)],
    ['used_memory_peak', peakBytes],
    ['used_memory_peak_human', humanBytes(peakBytes)],
    ['used_memory_peak_perc', `${percent(usedBytes, peakBytes).toFixed(2)}%`],
    ['used_memory_overhead', usedBytes - datasetBytes],
    ['used_memory_startup', baseBytes],
    ['used_memory_dataset', datasetBytes],
    ['used_memory_dataset_perc', `${percent(datasetBytes, usedBytes - baseBytes).toFixed(2)}%`],
    ['used_memory_proxy_rss', proxies.residentBytes],
    ['maxmemory', memorySizeBytes],
    ['maxmemory_human', humanBytes(memorySizeBytes)],
    ['maxmemory_policy', evictionPolicy],
    ['mem_fragmentation_ratio', ratio(residentBytes, usedBytes).toFixed(2)],
    ['mem_fragmentation_bytes', residentBytes - usedBytes],
    ['mem_not_counted_for_evict', usedBytes - datasetBytes],
    ['mem_replication_backlog', backlogBytes],
    ['mem_total_replication_buffers', backlogBytes],
  ]
}

/** Whole seconds; what is negative stands for "never". */
const inSeconds = (milliseconds: number): number => (milliseconds < 0 ? -1 : Math.round(milliseconds / 1000))

/** When the shard whose last snapshot is the oldest took it, seconds since 1970. */
export const lastSaveSeconds = (shards: readonly ShardInfo[]): number =>
  shards.length === 0 ? 0 : Math.floor(Math.min(...shards.map(({ log }) => log.snapshot.lastSavedMs)) / 1000)

function persistenceFields({ host, shards, missingShards }: InfoFacts): InfoField[] {
  const isFailing = shards.some(({ log }) => log.failure !== null)
  const snapshots = shards.map(({ log }) => log.snapshot)
  const isRunning = snapshots.some(({ running }) => running)
  // One kind of snapshot is here what BGSAVE and BGREWRITEAOF make.
  const snapshotStatus = snapshots.some(({ lastFailed }) => lastFailed) ? 'err' : 'ok'
  const lastSeconds = inSeconds(Math.max(-1, ...snapshots.map(({ lastTookMs }) => lastTookMs)))
  const runningSeconds = isRunning ? inSeconds(Math.max(...snapshots.map(({ runningMs }) => runningMs))) : -1
  const count = snapshots.reduce(
    (least, { completed }) => Math.min(least, completed),
    snapshots[0]?.completed ?? 0,
  )
  const sizeBytes = sum(shards, ({ log }) => log.snapshot.sizeBytes)
  return [
    ['loading', missingShards.length > 0 || !host.links.allUp ? 1 : 0],
    ['async_loading', 0],
    ['rdb_changes_since_last_save', sum(shards, ({ log }) => log.snapshot.changes)],
    ['rdb_bgsave_in_progress', isRunning ? 1 : 0],
    ['rdb_last_save_time', lastSaveSeconds(shards)],
    ['rdb_last_bgsave_status', snapshotStatus],
    ['rdb_last_bgsave_time_sec', lastSeconds],
    ['rdb_current_bgsave_time_sec', runningSeconds],
    ['rdb_saves', count],
    ['aof_enabled', host.config.database.persistence === 'none' ? 0 : 1],
    ['aof_rewrite_in_progress', isRunning ? 1 : 0],
    ['aof_rewrite_scheduled', snapshots.some(({ scheduled }) => scheduled) ? 1 : 0],
    ['aof_last_rewrite_time_sec', lastSeconds],
    ['aof_current_rewrite_time_sec', runningSeconds],
    ['aof_last_bgrewrite_status', snapshotStatus],
    ['aof_rewrites', count],
    ['aof_last_write_status', isFailing ? 'err' : 'ok'],
    ['aof_current_size', sizeBytes + sum(shards, ({ log }) => log.snapshot.logBytes)],
    ['aof_base_size', sizeBytes],
    ['aof_unsynced_bytes', sum(shards, ({ log }) => log.endPosition - log.syncedPosition)],
  ]
}

function statsFields({ proxies, shards }: InfoFacts): InfoField[] {
  const kilobytes = (bytes: number): string => (bytes / 1024).toFixed(2)
  return [
    ['total_connections_received', proxies.connectionsReceived],
    ['total_commands_processed', proxies.commands],
    ['instantaneous_ops_per_sec', Math.round(proxies.commandsPerSecond)],
    ['total_net_input_bytes', proxies.inputBytes],
    ['total_net_output_bytes', proxies.outputBytes],
    ['instantaneous_input_kbps', kilobytes(proxies.inputBytesPerSecond)],
    ['instantaneous_output_kbps', kilobytes(proxies.outputBytesPerSecond)],
    ['rejected_connections', proxies.connectionsRejected],
    ['tls_connections_received', proxies.tlsConnectionsReceived],
    ['tls_handshakes_failed', proxies.tlsHandshakesFailed],
    ['total_error_replies', sum(Object.values(summedErrors([proxies, ...shards])), (count) => count)],
    ['expired_keys', sum(shards, ({ expiredKeys }) => expiredKeys)],
    ['evicted_keys', sum(shards, ({ memory }) => memory.evictedKeys)],
    ['pubsub_channels', greatest(shards, (shard) => shard.channels)],
    ['pubsub_patterns', greatest(shards, (shard) => shard.patterns)],
    ['pubsubshard_channels', greatest(shards, (shard) => shard.shardChannels)],
    ['total_active_watched_keys', sum(shards, ({ watchedKeys }) => watchedKeys)],
    ['tracking_total_keys', sum(shards, ({ trackedKeys }) => trackedKeys)],
    ['tracking_total_items', sum(shards, ({ trackedReaders }) => trackedReaders)],
    ['tracking_total_prefixes', greatest(shards, ({ trackedPrefixes }) => trackedPrefixes)],
    ['slowest_turn_ms', Math.max(0, ...shards.map(({ loopLateMs }) => Math.round(loopLateMs)))],
  ]
}

function replicationFields({ host, shards }: InfoFacts): InfoField[] {
  return [
    ['role', 'master'],
    ['connected_slaves', 0],
    ['master_replid', host.config.database.guid],
    ['master_repl_offset', replicationOffset(shards)],
    ['repl_backlog_active', 1],
    ['repl_backlog_size', sum(shards, ({ log }) => log.backlogBytesMax)],
    ['repl_backlog_histlen', sum(shards, ({ log }) => log.backlogBytes)],
    ['active_active_members', host.config.database.members.filter(({ state }) => state !== 'removed').length],
  ]
}

function cpuFields({ proxies, shards }: InfoFacts): InfoField[] {
  const inSeconds = (milliseconds: number): string => (milliseconds / 1000).toFixed(6)
  return [
    ['used_cpu_sys', inSeconds(proxies.cpuSystemMs + sum(shards, ({ cpuSystemMs }) => cpuSystemMs))],
    ['used_cpu_user', inSeconds(proxies.cpuUserMs + sum(shards, ({ cpuUserMs }) => cpuUserMs))],
    ['used_cpu_sys_proxy', inSeconds(proxies.cpuSystemMs)],
    ['used_cpu_user_proxy', inSeconds(proxies.cpuUserMs)],
  ]
}

function commandstatsFields({ proxies, shards }: InfoFacts): InfoField[] {
  const total = new Map<string, { calls: number; usec: number; rejected: number; failed: number }>()
  const of = (name: string) => {
    const figures = total.get(name) ?? { calls: 0, usec: 0, rejected: 0, failed: 0 }
    total.set(name, figures)
    return figures
  }
  for (const commands of [proxies.commandCalls, ...shards.map((shard) => shard.commands)]) {
    for (const [name, { calls, microseconds, rejectedCalls, failedCalls }] of Object.entries(commands)) {
      const figures = of(name)
      figures.calls += calls
      figures.usec += Math.round(microseconds)
      figures.rejected += rejectedCalls
      figures.failed += failedCalls
    }
  }
  return [...total].map(([name, { calls, usec, rejected, failed }]) => [
    `cmdstat_${name}`,
    `calls=${calls},usec=${usec},usec_per_call=${(calls === 0 ? 0 : usec / calls).toFixed(2)},rejected_calls=${rejected},failed_calls=${failed}`,
  ])
}

const errorstatsFields = ({ proxies, shards }: InfoFacts): InfoField[] =>
  Object.entries(summedErrors([proxies, ...shards])).map(([code, count]) => [
    `errorstat_${code}`,
    `count=${count}`,
  ])

const percentiles: readonly number[] = [50, 99, 99.9]

const latencystatsFields = ({ proxies, shards }: InfoFacts): InfoField[] =>
  [...joinedHistograms([proxies, ...shards].map(({ histograms }) => histograms))].map(([name, counts]) => [
    `latency_percentiles_usec_${name}`,
    percentiles.map((percent) => `p${percent}=${percentileUs(counts, percent).toFixed(3)}`).join(','),
  ])

function keyspaceFields({ shards }: InfoFacts): InfoField[] {
  const keys = sum(shards, (shard) => shard.keys)
  const expires = sum(shards, ({ expiringKeys }) => expiringKeys)
  const ttlMs = sum(shards, ({ expiringKeys, averageTtlMs }) => expiringKeys * averageTtlMs)
  if (keys === 0) return []
  const averageMs = expires === 0 ? 0 : Math.round(ttlMs / expires)
  return [['db0', `keys=${keys},expires=${expires},avg_ttl=${averageMs}`]]
}

interface Section {
  readonly title: string
  readonly fields: (facts: InfoFacts) => InfoField[]
  /** Only when asked for by name, or with everything. */
  readonly isExtra: boolean
}

const section = (title: string, fields: Section['fields'], isExtra = false): Section => ({
  title,
  fields,
  isExtra,
})

const sections: readonly Section[] = [
  section('Server', serverFields),
  section('Clients', clientsFields),
  section('Memory', memoryFields),
  section('Persistence', persistenceFields),
  section('Stats', statsFields),
  section('Replication', replicationFields),
  section('CPU', cpuFields),
  section('Commandstats', commandstatsFields, true),
  section('Errorstats', errorstatsFields),
  section('Latencystats', latencystatsFields, true),
  section('Cluster', () => [['cluster_enabled', 0]]),
  section('Keyspace', keyspaceFields),
  section('CRDT', crdtFields),
  section('Clock', clockFields),
]

function chosenSections(asked: readonly string[]): Section[] {
  const names = new Set(asked.map((name) => name.toLowerCase()))
  const everything = names.has('all') || names.has('everything')
  const usual = names.size === 0 || names.has('default')
  return sections.filter(
    ({ title, isExtra }) => everything || names.has(title.toLowerCase()) || (usual && !isExtra),
  )
}

const INFO: LocalCommand = ({ args, host }) => {
  const asked: string[] = []
  for (let i = 1; i < args.argumentCount; i++) asked.push(args.text(i))
  const chosen = chosenSections(asked)
  const histograms = chosen.some(({ title }) => title === 'Latencystats')
  return {
    askShards: { what: 'info', histograms },
    askWorkers: { what: 'figures', histograms },
    answer: (answers, reply) => {
      const { shards, missingShards } = infoOf(answers.shards)
      const others: WorkerFigures[] = []
      const missingWorkers: number[] = []
      for (const { worker, value } of answers.workers) {
        if (value === null) missingWorkers.push(worker)
        else others.push((value as WorkerAnswer<'figures'>).figures)
      }
      const proxies = sumOf(figuresOf(host, histograms), others)
      const facts: InfoFacts = { host, proxies, missingWorkers, shards, missingShards }
      const texts = chosen.map(({ title, fields }) => {
        const lines = fields(facts).map(([name, value]) => `${name}:${value}\r\n`)
        return `# ${title}\r\n${lines.join('')}`
      })
      reply.verbatim('txt', texts.join('\r\n'))
    },
  }
}

export const infoCommands = { INFO }
