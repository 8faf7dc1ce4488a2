/** How clients come in tests that are about something else. */
import type { ClientTlsConfig, ProxyConfig } from '#config/process.ts'
import type { PortLimits } from '#runtime/node/nodeListener.ts'

export const plainClients: ClientTlsConfig = {
  mode: 'disabled',
  clientCertificates: 'disabled',
  authorizedSubjects: [],
  minVersion: '1.2',
  ciphers: null,
  cipherSuites: null,
  server: null,
  authorityPath: null,
}

export const portLimits: PortLimits = {
  pendingConnectionsMax: 10_000,
  handshakesMax: 1000,
  handshakeMs: 10_000,
}

/** Of a proxy: small, so that tests can reach them. */
export const usualLimits: ProxyConfig['limits'] = {
  ...portLimits,
  clientsMax: 100,
  requestBytesMax: 1024 * 1024,
  pipelineMax: 1000,
  outputPauseBytes: 64 * 1024,
  outputBytesMax: 1024 * 1024,
  subscriberOutputBytesMax: 256 * 1024,
  monitorOutputBytesMax: 256 * 1024,
  slowlogSlowerThanUs: 10_000,
  slowlogMax: 128,
  latencyThresholdMs: 0,
  outputSoftBytes: 0,
  outputSoftMs: 60_000,
  subscriberOutputSoftBytes: 0,
  subscriberOutputSoftMs: 60_000,
  clientsBytesMax: 0,
  keepAliveMs: 0,
  shardPendingMax: 10_000,
  transactionCommandsMax: 100,
  usersBytesMax: 64 * 1024,
  functionsBytesMax: 1024 * 1024,
  aclLogMax: 128,
  trackingTableKeysMax: 1_000_000,
  loginDelayMaxMs: 1_000,
  busyReplyMs: 5000,
}

/** Of a port. */
export const noTlsClients = { clients: () => null, limits: portLimits, onHandshakeFailed() {} }
