/** Outgoing connections: Unix sockets, TCP, and TLS 1.3 with certificates on both sides. */
import fs from 'node:fs'
import net, { type Socket } from 'node:net'
import tls, { type TLSSocket } from 'node:tls'
import type { Connection, ConnectionHandler, Net, Target, TlsIdentity } from '#runtime/ports.ts'
import { NodeConnection } from './nodeConnection.ts'

/** Reaching the other side and, with TLS, knowing who it is. */
export const defaultConnectTimeoutMs = 10_000

export interface TlsCredentials {
  cert: Buffer
  key: Buffer
  ca: Buffer
}

/** Throws the system's error when a file can't be read. */
export function readIdentity(identity: TlsIdentity): TlsCredentials {
  return {
    cert: fs.readFileSync(identity.certificatePath),
    key: fs.readFileSync(identity.keyPath),
    ca: fs.readFileSync(identity.authorityPath),
  }
}

export class NodeNet implements Net {
  readonly #connectTimeoutMs: number

  constructor(connectTimeoutMs = defaultConnectTimeoutMs) {
    this.#connectTimeoutMs = connectTimeoutMs
  }

  connect(target: Target, handler: ConnectionHandler & { onOpen(): void }): Connection {
    let socket: Socket
    try {
      socket = openSocket(target)
    } catch (error) {
      // A certificate that can't be read fails as a peer that can't be reached does: later, as an `onClose`.
      socket = new net.Socket()
      setImmediate(() => socket.destroy(error instanceof Error ? error : new Error(String(error))))
    }
    const connection = new NodeConnection(socket)
    connection.handler = handler
    const timer = setTimeout(
      () => socket.destroy(new Error(`no connection within ${this.#connectTimeoutMs} ms`)),
      this.#connectTimeoutMs,
    )
    socket.once('close', () => clearTimeout(timer))
    socket.once(target.kind === 'tls' ? 'secureConnect' : 'connect', () => {
      clearTimeout(timer)
      const agreed = target.kind === 'tls' ? (socket as TLSSocket).alpnProtocol : null
      if (target.kind === 'tls' && agreed !== target.alpn)
        socket.destroy(new Error(`the other side does not speak ${target.alpn}`))
      else handler.onOpen()
    })
    return connection
  }
}

function openSocket(target: Target): Socket {
  if (target.kind === 'unix') return net.connect({ path: target.path, allowHalfOpen: true })
  const { host, port } = target
  const tcp = { host, port, noDelay: true, allowHalfOpen: true }
  if (target.kind === 'tcp') return net.connect(tcp)
  return tls.connect({
    ...tcp,
    ...readIdentity(target.identity),
    ALPNProtocols: [target.alpn],
    minVersion: 'TLSv1.3',
    // Cluster names are not host names: the certificate's common name is compared, not its addresses.
    checkServerIdentity: (_host, certificate) =>
      certificate.subject?.CN === target.serverName
        ? undefined
        : new Error(`the certificate is of ${certificate.subject?.CN}, not of ${target.serverName}`),
  })
}
