/** Which processes a node runs for its databases, and what each is told. */
import type {
  ClientTlsConfig,
  DatabaseConfig,
  MemberConfig,
  ProcessConfig,
  ShardAddress,
  ShardConfig,
  WorkerAddress,
} from '#config/process.ts'
import type { NodeSettings } from '#config/schema.ts'
import { MendableError } from '#control/contract/mendableError.ts'
import { isPresent } from '#control/plan/membership.ts'
import { isInitialised, type StoredDatabase, type StoreState } from '#control/store/storeState.ts'
import { evenRanges } from '#protocol/slots/slotMap.ts'
import type { TlsIdentity } from '#runtime/ports.ts'

import { databaseDirectory } from './databaseDirectory.ts'
import { type Machine, proxyWorkers } from './proxyWorkers.ts'
import { aclFilePath } from './userKeeper.ts'

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
  const tls = identity(settings)
  const syncers =
    tls !== null && hasPeers(stored, settings.node.cluster) ? [syncer(settings, database, shards, tls)] : []
  // Who joins must know all members before it takes anything from one of them.
  if (stored.epoch === 0) return syncers
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
      libraries: stored.libraries,
    }
    return { id: `shard/${name}`, role: 'shard', name, config, stopRank: 1 }
  })
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
      clientTls: clientTls(settings, stored),
      limits: settings.limits,
      users: stored.users,
      libraries: stored.libraries,
      aclFilePath: aclFilePath(paths.dataDirectory, stored.name),
    }
    processes.push({ id: `proxy/${name}`, role: 'proxy', name, config, stopRank: 0 })
  }
  return [...processes, ...syncers]
}

function syncer(
  settings: NodeSettings,
  database: DatabaseConfig,
  shards: ShardAddress[],
  tls: TlsIdentity,
): NodeProcess {
  const { name } = database
  const config: ProcessConfig = { role: 'syncer', database, shards, tls, timings: settings.sync }
  return { id: `syncer/${name}`, role: 'syncer', name, config, stopRank: 0 }
}

/** A cluster that has been removed, or is the last, has nobody to ask. */
function hasPeers({ members }: StoredDatabase, cluster: string): boolean {
  const present = members.filter(isPresent)
  return present.some(({ name }) => name === cluster) && present.length > 1
}

function databaseConfig(settings: NodeSettings, stored: StoredDatabase): DatabaseConfig {
  const members = stored.members.map(({ id, ...member }): MemberConfig => ({ clusterId: id, ...member }))
  const { cluster } = settings.node
  const own = members.find(({ name }) => name === cluster)
  if (own === undefined)
    throw new MendableError(`${cluster} (node.cluster) is no member of database ${stored.name}`)
  return {
    epoch: stored.epoch,
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
    notifyKeyspaceEvents: stored.notifyKeyspaceEvents,
    causalConsistency: stored.causalConsistency,
    syncCompression: stored.syncCompression,
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

/** Without a certificate for clients alone they are shown the cluster's. */
function clientTls({ tls }: NodeSettings, stored: StoredDatabase): ClientTlsConfig {
  const [certificatePath, keyPath] =
    tls.serverCertificate === null ? [tls.certificate, tls.key] : [tls.serverCertificate, tls.serverKey]
  return {
    mode: stored.tlsMode,
    clientCertificates: stored.tlsClientCertificates,
    authorizedSubjects: stored.tlsAuthorizedSubjects,
    minVersion: tls.clientMinVersion,
    ciphers: tls.clientCiphers,
    cipherSuites: tls.clientCipherSuites,
    server: certificatePath === null || keyPath === null ? null : { certificatePath, keyPath },
    authorityPath: tls.clientAuthority,
  }
}

/** Short, for the path is limited: the name is for people, the port is what makes it unique. */
function socketName({ name, port }: StoredDatabase, process: string): string {
  return `${name.slice(0, 20)}-${port}-${process}.sock`
}
