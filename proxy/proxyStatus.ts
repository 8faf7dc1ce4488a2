/** What this worker tells the agent of itself. */
import type { SessionHost } from './session/host.ts'
import type { PeerTraffic, SyncRelay } from './syncRelay.ts'

export interface ProxyStatus extends Record<string, unknown> {
  clients: number
  peers: { name: string; clusterId: number; channels: number }[]
  /** Since this process started. */
  traffic: readonly PeerTraffic[]
  shards: { index: number; isUp: boolean; pending: number; channels: number }[]
  commands: number
  commandsPerSecond: number
  connectionsReceived: number
  connectionsRejected: number
}

type Told = Pick<SessionHost, 'clients' | 'counters' | 'links' | 'traffic'>

export const statusOf = (
  { clients, counters, links, traffic }: Told,
  relays: Iterable<SyncRelay>,
): ProxyStatus => ({
  clients: clients.count,
  peers: [...relays].map(({ peerName, clusterId, channelCount }) => ({
    name: peerName,
    clusterId,
    channels: channelCount,
  })),
  traffic: [...traffic],
  shards: links.all.map(({ index, isUp, pending, channels }) => ({
    index,
    isUp,
    pending,
    channels: channels.count,
  })),
  commands: counters.commands,
  commandsPerSecond: Math.round(counters.perSecond('commands')),
  connectionsReceived: counters.connectionsReceived,
  connectionsRejected: counters.connectionsRejected,
})
