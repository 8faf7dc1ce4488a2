/**
 * Incoming connections. A database's port is shared by clients that speak RESP, clients that speak it over TLS, and the
 * syncers of peer clusters: the first byte tells TLS (0x16, a handshake record) from RESP, ALPN tells syncers from clients.
 *
 * Before its first byte (and during a TLS handshake) a connection has no owner who could count it, so the listener does:
 * above `pendingConnectionsMax` the oldest is dropped. Silence alone is no fault: pools connect ahead of need.
 */
import fs from 'node:fs'
import net, { type Server, type Socket } from 'node:net'
import tls, { type TLSSocket } from 'node:tls'
import type { Connection, Logger, TlsIdentity } from '#runtime/ports.ts'
import { NodeConnection } from './nodeConnection.ts'
import { readIdentity, type TlsCredentials } from './nodeNet.ts'

export interface PortLimits {
  /** Connections that have sent nothing yet or are in a TLS handshake. */
  pendingConnectionsMax: number
  handshakeTimeoutMs: number
}

export const defaultPortLimits: Readonly<PortLimits> = {
  pendingConnectionsMax: 10_000,
  handshakeTimeoutMs: 10_000,
}

/** Waiting connections of the operating system. */
const backlogConnections = 1024
/** Replaced certificates are used for connections from so much later on. */
const identityAgeMaxMs = 1000
const keepAliveMs = 300_000
const handshakeRecord = 0x16

export interface ConnectionFacts {
  /** `address:port`. */
  remoteAddress: string
  localAddress: string
  tls: null | {
    /** What was agreed; null when the client named no protocol. */
    alpn: string | null
    /** Common name of the client's certificate, null unless it is signed by our authority and valid now. */
    peerName: string | null
  }
}

export interface Listening {
  /** The real one when 0 was asked for; 0 for a Unix socket. */
  readonly port: number
  /** Takes no more connections; those that exist stay. */
  close(): void
}

export interface PortOptions {
  host: string
  port: number
  /** Several processes may listen on the port; the system spreads connections over them. */
  reusePort: boolean
  /** Null: no TLS. */
  identity: TlsIdentity | null
  /** In the order of our preference. */
  alpnProtocols: readonly string[]
  logger: Logger
  limits?: PortLimits
}

/** Sets the connection's handler before it returns, or destroys the connection. */
export type AcceptConnection = (connection: Connection, facts: ConnectionFacts) => void

/**
 * Both reject with the system's error, such as a port in use or a path that is too long. A socket file that a crash left
 * behind is replaced.
 */
export async function listenUnix(
  options: { path: string; logger: Logger },
  accept: (connection: Connection) => void,
): Promise<Listening> {
  const { path, logger } = options
  const server = net.createServer({ allowHalfOpen: true }, (socket) => accept(new NodeConnection(socket)))
  const where = { path, backlog: backlogConnections }
  try {
    await listening(server, where, logger)
  } catch (error) {
    if (!(await isAbandoned(path, error))) throw error
    fs.unlinkSync(path)
    await listening(server, where, logger)
  }
  return { port: 0, close: () => server.close() }
}

/** Whether this system lets several processes listen on one port; Node knows no other way to ask than to try. */
export async function canSharePorts(): Promise<boolean> {
  const server = net.createServer()
  return await new Promise((resolve) => {
    server.once('error', () => resolve(false))
    server.listen({ host: '127.0.0.1', port: 0, reusePort: true }, () => server.close(() => resolve(true)))
  })
}

/**
 * Rejects with the system's error when anybody listens on the port, also when it is shared: who shares a port with a
 * stranger loses some of its clients to it.
 */
export async function checkPortUnused(options: {
  host: string
  port: number
  logger: Logger
}): Promise<void> {
  const { host, port, logger } = options
  const server = net.createServer((socket) => socket.destroy())
  await listening(server, { host, port }, logger)
  await new Promise((resolve) => server.close(resolve))
}

export async function listenPort(options: PortOptions, accept: AcceptConnection): Promise<Listening> {
  const sniffer = new Sniffer(options, accept)
  const server = net.createServer(
    { allowHalfOpen: true, noDelay: true, keepAlive: true, keepAliveInitialDelay: keepAliveMs },
    (socket) => sniffer.take(socket),
  )
  const { host, port, reusePort, logger } = options
  await listening(server, { host, port, reusePort, backlog: backlogConnections }, logger)
  const address = server.address()
  return {
    port: address !== null && typeof address === 'object' ? address.port : port,
    close: () => {
      server.close()
      sniffer.close()
    },
  }
}

class Sniffer {
  readonly #accept: AcceptConnection
  readonly #pendingMax: number
  readonly #secure: SecureServer | null
  /** By remote address, oldest first. */
  readonly #pending = new Map<string, Socket>()

  constructor(options: PortOptions, accept: AcceptConnection) {
    this.#accept = accept
    this.#pendingMax = (options.limits ?? defaultPortLimits).pendingConnectionsMax
    this.#secure = options.identity === null ? null : new SecureServer(options, this.#takeSecure)
  }

  take(socket: Socket): void {
    const name = addressOf(socket.remoteAddress, socket.remotePort)
    for (const [oldestName, oldest] of this.#pending) {
      if (this.#pending.size < this.#pendingMax) break
      this.#pending.delete(oldestName)
      oldest.destroy()
    }
    this.#pending.set(name, socket)
    const ignore = (): void => {}
    const forget = (): void => {
      if (this.#pending.get(name) === socket) this.#pending.delete(name)
    }
    socket.on('error', ignore)
    socket.on('close', forget)
    socket.once('data', (first: Buffer) => {
      if (this.#secure !== null && first[0] === handshakeRecord) {
        socket.pause()
        socket.unshift(first)
        this.#secure.take(socket)
        return
      }
      forget()
      socket.off('error', ignore)
      socket.off('close', forget)
      this.#own(socket, null)
      // The stream is flowing: the owner gets the byte that was looked at before any other.
      socket.emit('data', first)
    })
    socket.once('end', () => {
      if (this.#pending.get(name) === socket) socket.destroy()
    })
  }

  /** Connections that said nothing yet, or are in a handshake, have nobody to end them. */
  close(): void {
    for (const socket of this.#pending.values()) socket.destroy()
  }

  readonly #takeSecure = (socket: TLSSocket): void => {
    this.#pending.delete(addressOf(socket.remoteAddress, socket.remotePort))
    const subject = socket.authorized ? socket.getPeerCertificate().subject?.CN : undefined
    this.#own(socket, {
      alpn: socket.alpnProtocol || null,
      peerName: typeof subject === 'string' ? subject : null,
    })
  }

  #own(socket: Socket, facts: ConnectionFacts['tls']): void {
    this.#accept(new NodeConnection(socket), {
      remoteAddress: addressOf(socket.remoteAddress, socket.remotePort),
      localAddress: addressOf(socket.localAddress, socket.localPort),
      tls: facts,
    })
  }
}

/** The TLS side of a port: a server that does not listen, but is handed connections. */
class SecureServer {
  readonly #identity: TlsIdentity | null
  readonly #logger: Logger
  readonly #server: tls.Server
  #credentials: TlsCredentials | null = null
  #readAtMs = -identityAgeMaxMs

  constructor(options: PortOptions, take: (socket: TLSSocket) => void) {
    this.#identity = options.identity
    this.#logger = options.logger
    this.#server = tls.createServer({
      ALPNProtocols: [...options.alpnProtocols],
      minVersion: 'TLSv1.3',
      // A client without a certificate is welcome as a client; who it is is told to the owner, who decides.
      requestCert: true,
      rejectUnauthorized: false,
      handshakeTimeout: (options.limits ?? defaultPortLimits).handshakeTimeoutMs,
      allowHalfOpen: true,
      noDelay: true,
    })
    this.#server.on('secureConnection', take)
    this.#server.on('tlsClientError', (error, socket) => {
      const remoteAddress = addressOf(socket.remoteAddress, socket.remotePort)
      this.#logger.debug({ remoteAddress, error: error.message }, 'TLS handshake failed')
      socket.destroy()
    })
  }

  take(socket: Socket): void {
    if (this.#refresh()) this.#server.emit('connection', socket)
    else socket.destroy()
  }

  /** Whether there is a certificate to show; the last one that could be read serves on. */
  #refresh(): boolean {
    const nowMs = performance.now()
    if (this.#identity === null || nowMs - this.#readAtMs < identityAgeMaxMs)
      return this.#credentials !== null
    this.#readAtMs = nowMs
    try {
      const read = readIdentity(this.#identity)
      if (this.#credentials === null || !sameCredentials(read, this.#credentials)) {
        this.#server.setSecureContext({ ...read, minVersion: 'TLSv1.3' })
        this.#credentials = read
      }
    } catch (error) {
      this.#logger.error({ error: String(error) }, 'the TLS certificate, key or authority cannot be used')
    }
    return this.#credentials !== null
  }
}

const sameCredentials = (a: TlsCredentials, b: TlsCredentials): boolean =>
  a.cert.equals(b.cert) && a.key.equals(b.key) && a.ca.equals(b.ca)

const addressOf = (address: string | undefined, port: number | undefined): string =>
  address?.includes(':') ? `[${address}]:${port}` : `${address ?? ''}:${port ?? 0}`

function listening(server: Server, where: net.ListenOptions, logger: Logger): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(where, () => {
      server.off('error', reject)
      // Such as EMFILE: the connection is lost, the listener lives.
      server.on('error', (error) => logger.error({ error: error.message }, 'cannot accept a connection'))
      resolve()
    })
  })
}

/** Whether `path` is in use only as a file: nobody answers there. */
function isAbandoned(path: string, error: unknown): Promise<boolean> {
  if (!(error instanceof Error && 'code' in error && error.code === 'EADDRINUSE'))
    return Promise.resolve(false)
  return new Promise((resolve) => {
    const probe = net.connect({ path })
    probe.once('connect', () => {
      probe.destroy()
      resolve(false)
    })
    probe.once('error', (refused) => resolve('code' in refused && refused.code === 'ECONNREFUSED'))
  })
}
