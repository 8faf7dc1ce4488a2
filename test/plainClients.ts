/** How clients come in tests that are about something else. */
import type { ClientTlsConfig } from '#config/process.ts'
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

/** Of a port. */
export const noTlsClients = { clients: () => null, limits: portLimits, onHandshakeFailed() {} }
