/** Which processes a node runs for its databases, and what each is told. */
import type {
  DatabaseConfig,
  MemberConfig,
  ProcessConfig,
  ShardAddress,
  ShardConfig,
  WorkerAddress,
} from '#config/process.ts'
import type { NodeSettings } from '#config/schema.ts'
import { MendableError } from '#control/contract/mendableError.ts'
import { isInitialised, type StoredDatabase, type StoreState } from '#control/store/storeState.ts'
import { evenRanges } from '#protocol/slots/slotMap.ts'
import type { TlsIdentity } from '#runtime/ports.ts'

import { databaseDirectory } from './databaseDirectory.ts'
import { type Machine, proxyWorkers } from './proxyWorkers.ts'

export interface NodeProcess {
  /** Such as `shard/db1/0`. */
  id: string
  role: ProcessConfig['role']
  /** Such as `db1/0`. */
  name: string
  config: ProcessConfig
  /** Proxies and syncers stop before the shards that they talk to. */
  stopRank: 0 | 1
}

export interface NodePaths {
  dataDirectory: string
  socketDirectory: string
}

export function nodeProcesses(
  settings: NodeSettings,
  state: StoreState,
  paths: NodePaths,
  machine: Machine,
): NodeProcess[] {
  return state.databases.flatMap((stored) => databaseProcesses(settings, state, stored, paths, machine))
}

function databaseProcesses(
  settings: NodeSettings,
  state: StoreState,
  stored: StoredDatabase,
  paths: NodePaths,
  machine: Machine,
): NodeProcess[] {
  const database = databaseConfig(settings, stored)
  const shards: ShardAddress[] = evenRanges(stored.shards).map((range, index) => ({
    index,
    ranges: [range],
    socketPath: `${paths.socketDirectory}/${socketName(stored, String(index))}`,
  }))
  const processes = shards.map((address): NodeProcess => {
    const name = `${stored.name}/${address.index}`
    const initialised = isInitialised(state, stored.guid, address.index)
    const directory = `${databaseDirectory(paths.dataDirectory, stored.name)}/shard-${address.index}`
    const config: ShardConfig = {
      role: 'shard',
      database,
      ...address,
      directory,
      initialised,
      limits: settings.limits,
      timings: settings.sync,
    }
    return { id: `shard/${name}`, role: 'shard', name, config, stopRank: 1 }
  })
  const tls = identity(settings)
  const count = proxyWorkers(settings.proxy, state.databases, stored, machine)
  const workers = Array.from(
    { length: count },
    (_, worker): WorkerAddress => ({
      worker,
      socketPath: `${paths.socketDirectory}/${socketName(stored, `proxy-${worker}`)}`,
    }),
  )
  for (const { worker } of workers) {
    const name = `${stored.name}/${worker}`
    const config: ProcessConfig = {
      role: 'proxy',
      database,
      worker,
      workers,
      sharesPort: machine.sharesPorts,
      shards,
      tls,
      limits: settings.limits,
    }
    processes.push({ id: `proxy/${name}`, role: 'proxy', name, config, stopRank: 0 })
  }
  if (tls !== null && database.members.length > 1) {
    const name = stored.name
    const config: ProcessConfig = { role: 'syncer', database, shards, tls, timings: settings.sync }
    processes.push({ id: `syncer/${name}`, role: 'syncer', name, config, stopRank: 0 })
  }
  return processes
}

function databaseConfig(settings: NodeSettings, stored: StoredDatabase): DatabaseConfig {
  const members = stored.members.map(
    ({ id, name, host, port }): MemberConfig => ({ clusterId: id, name, host, port }),
  )
  const { cluster } = settings.node
  const own = members.find(({ name }) => name === cluster)
  if (own === undefined)
    throw new MendableError(`${cluster} (node.cluster) is no member of database ${stored.name}`)
  return {
    name: stored.name,
    guid: stored.guid,
    port: stored.port,
    bind: settings.proxy.bind,
    shardCount: stored.shards,
    sharding: stored.sharding,
    persistence: stored.persistence,
    memorySizeBytes: stored.memorySize,
    evictionPolicy: stored.evictionPolicy,
    evictionSamples: stored.evictionSamples,
    password: stored.password,
    streamIdMode: stored.crdtXaddIdUniquenessMode,
    causalConsistency: stored.causalConsistency,
    clusterId: own.clusterId,
    clusterName: cluster,
    members,
  }
}

function identity({ tls }: NodeSettings): TlsIdentity | null {
  const { certificate, key, authority } = tls
  if (certificate === null || key === null || authority === null) return null
  return { certificatePath: certificate, keyPath: key, authorityPath: authority }
}

/** Short, for the path is limited: the name is for people, the port is what makes it unique. */
function socketName({ name, port }: StoredDatabase, process: string): string {
  return `${name.slice(0, 20)}-${port}-${process}.sock`
}
