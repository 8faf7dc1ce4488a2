/**
 * Incoming connections. A database's port is shared by clients that speak RESP, clients that speak it over TLS, and the
 * syncers of peer clusters: the first byte tells TLS (0x16, a handshake record) from RESP, the protocol that its first message names
 * (ALPN) tells syncers from clients. Each of the two has a TLS side of its own: other certificates, other authorities.
 *
 * Before its first byte (and during a TLS handshake) a connection has no owner who could count it, so the listener does:
 * above `pendingConnectionsMax` the oldest is dropped. Silence alone is no fault: pools connect ahead of need. TLS handshakes
 * are bounded in time and number; who comes when there are too many waits, as when all clients come back at once.
 */
import fs from 'node:fs'
import net, { type Server, type Socket } from 'node:net'
import type { TLSSocket } from 'node:tls'
import { clientHelloBytesMax, protocolsOffered } from '#runtime/bytes/clientHello.ts'
import type { Connection, Logger, TlsIdentity } from '#runtime/ports.ts'
import type { TlsFacts } from '#runtime/tlsFacts.ts'
import { NodeConnection } from './nodeConnection.ts'
import { presentedCertificate } from './peerCertificate.ts'
import { type ServedCertificate, TlsAcceptor, type TlsSettings } from './tlsAcceptor.ts'

export interface PortLimits {
  /** Connections that have sent nothing yet or are in a TLS handshake. */
  pendingConnectionsMax: number
  /** TLS handshakes at the same time; others wait. */
  handshakesMax: number
  /** From the first byte on, or from when it is its turn. */
  handshakeMs: number
}

/** Waiting connections of the operating system. */
const backlogConnections = 1024
const keepAliveMs = 300_000
const handshakeRecord = 0x16

export interface ConnectionFacts {
  /** `address:port`. */
  remoteAddress: string
  localAddress: string
  /** Null: it came without TLS. */
  tls: TlsFacts | null
}

export interface Listening {
  /** The real one when 0 was asked for; 0 for a Unix socket. */
  readonly port: number
  /** What clients are shown; null: there is no TLS for them. */
  readonly certificate: ServedCertificate | null
  /** Takes no more connections; those that exist stay. */
  close(): void
}

export interface PortOptions {
  host: string
  port: number
  /** Several processes may listen on the port; the system spreads connections over them. */
  reusePort: boolean
  /** Null: there are none. */
  peers: { identity: TlsIdentity; protocol: string } | null
  /** Asked at each connection; null: no TLS for clients. */
  clients: () => TlsSettings | null
  logger: Logger
  /** Looked at when they are needed. */
  limits: Readonly<PortLimits>
  onHandshakeFailed: (remoteAddress: string, reason: string) => void
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
  return { port: 0, certificate: null, close: () => server.close() }
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
    get certificate() {
      return sniffer.certificate
    },
    close: () => {
      server.close()
      sniffer.close()
    },
  }
}

/** A connection without an owner. */
interface Arrival {
  name: string
  socket: Socket
  /** Its first byte was that of TLS. */
  hasBegun: boolean
  isShakingHands: boolean
  timer: NodeJS.Timeout | null
}

class Sniffer {
  readonly #options: PortOptions
  readonly #accept: AcceptConnection
  readonly #peers: TlsAcceptor
  readonly #clients: TlsAcceptor
  /** By remote address, oldest first. */
  readonly #pending = new Map<string, Arrival>()
  /** Those whose handshake has to wait, and whose first bytes are in their socket again. */
  readonly #waiting = new Set<Arrival>()
  #handshakes = 0

  constructor(options: PortOptions, accept: AcceptConnection) {
    this.#options = options
    this.#accept = accept
    const { peers, clients, logger } = options
    const onFailed = (socket: TLSSocket, reason: string) => {
      const arrival = this.#pending.get(addressOf(socket.remoteAddress, socket.remotePort))
      if (arrival !== undefined) this.#fail(arrival, reason)
    }
    const ofPeers = peers === null ? null : peerSettings(peers.identity, peers.protocol)
    this.#peers = new TlsAcceptor(() => ofPeers, logger, { onSecure: this.#takePeer, onFailed })
    this.#clients = new TlsAcceptor(clients, logger, { onSecure: this.#takeClient, onFailed })
  }

  get certificate(): ServedCertificate | null {
    return this.#clients.served
  }

  take(socket: Socket): void {
    const name = addressOf(socket.remoteAddress, socket.remotePort)
    const arrival: Arrival = { name, socket, hasBegun: false, isShakingHands: false, timer: null }
    for (const oldest of this.#pending.values()) {
      if (this.#pending.size < this.#options.limits.pendingConnectionsMax) break
      this.#leave(oldest)
      oldest.socket.destroy()
    }
    this.#pending.set(name, arrival)
    const ignore = (): void => {}
    const onClose = (): void => this.#fail(arrival, 'the connection ended')
    socket.on('error', ignore)
    socket.on('close', onClose)
    socket.once('data', (first: Buffer) => {
      if (first[0] === handshakeRecord && (this.#peers.isWanted || this.#clients.isWanted)) {
        this.#queueHandshake(arrival, first)
        return
      }
      this.#leave(arrival)
      socket.off('error', ignore)
      socket.off('close', onClose)
      this.#own(socket, null)
      // The stream is flowing: the owner gets the byte that was looked at before any other.
      socket.emit('data', first)
    })
    socket.once('end', () => {
      if (this.#isPending(arrival)) socket.destroy()
    })
  }

  /** Connections that said nothing yet, or are in a handshake, have nobody to end them. */
  close(): void {
    for (const arrival of [...this.#pending.values()]) {
      this.#leave(arrival)
      arrival.socket.destroy()
    }
  }

  #queueHandshake(arrival: Arrival, first: Buffer): void {
    arrival.hasBegun = true
    if (first.length > clientHelloBytesMax) {
      this.#fail(arrival, 'more than a first message')
      return
    }
    if (this.#handshakes < this.#options.limits.handshakesMax) {
      this.#beginHandshake(arrival)
      this.#readHello(arrival, first)
      return
    }
    arrival.socket.pause()
    arrival.socket.unshift(first)
    this.#waiting.add(arrival)
  }

  #beginHandshake(arrival: Arrival): void {
    const { handshakeMs } = this.#options.limits
    arrival.isShakingHands = true
    this.#handshakes++
    arrival.timer = setTimeout(
      () => this.#fail(arrival, `no handshake within ${handshakeMs} ms`),
      handshakeMs,
    )
  }

  #readHello(arrival: Arrival, bytes: Buffer): void {
    const { socket } = arrival
    const offered = protocolsOffered(bytes)
    if (offered === 'more' && bytes.length <= clientHelloBytesMax) {
      socket.once('data', (next: Buffer) => this.#readHello(arrival, Buffer.concat([bytes, next])))
      return
    }
    socket.pause()
    socket.unshift(bytes)
    const peerProtocol = this.#options.peers?.protocol
    const isPeer = Array.isArray(offered) && peerProtocol !== undefined && offered.includes(peerProtocol)
    if (!(isPeer ? this.#peers : this.#clients).take(socket))
      this.#fail(arrival, 'there is no certificate to show')
  }

  readonly #takePeer = (socket: TLSSocket): void => {
    const name = socket.authorized ? socket.getPeerCertificate().subject?.CN : undefined
    this.#takeSecure(socket, { use: 'peer', name: typeof name === 'string' ? name : null })
  }

  readonly #takeClient = (socket: TLSSocket): void => {
    this.#takeSecure(socket, { use: 'client', certificate: presentedCertificate(socket) })
  }

  #takeSecure(socket: TLSSocket, facts: TlsFacts): void {
    const arrival = this.#pending.get(addressOf(socket.remoteAddress, socket.remotePort))
    if (arrival !== undefined) this.#leave(arrival)
    this.#own(socket, facts)
  }

  #own(socket: Socket, facts: ConnectionFacts['tls']): void {
    this.#accept(new NodeConnection(socket), {
      remoteAddress: addressOf(socket.remoteAddress, socket.remotePort),
      localAddress: addressOf(socket.localAddress, socket.localPort),
      tls: facts,
    })
  }

  /** Who says nothing and goes has not failed. */
  #fail(arrival: Arrival, reason: string): void {
    if (!this.#isPending(arrival)) return
    const { name, socket, hasBegun } = arrival
    this.#leave(arrival)
    socket.destroy()
    if (hasBegun) this.#options.onHandshakeFailed(name, reason)
  }

  #isPending(arrival: Arrival): boolean {
    return this.#pending.get(arrival.name) === arrival
  }

  /** It ends or has an owner. */
  #leave(arrival: Arrival): void {
    if (this.#isPending(arrival)) this.#pending.delete(arrival.name)
    this.#waiting.delete(arrival)
    if (arrival.timer !== null) clearTimeout(arrival.timer)
    if (!arrival.isShakingHands) return
    arrival.isShakingHands = false
    this.#handshakes--
    for (const next of this.#waiting) {
      if (this.#handshakes >= this.#options.limits.handshakesMax) return
      this.#waiting.delete(next)
      this.#beginHandshake(next)
      next.socket.once('data', (first: Buffer) => this.#readHello(next, first))
      next.socket.resume()
    }
  }
}

const peerSettings = (identity: TlsIdentity, protocol: string): TlsSettings => ({
  ...identity,
  minVersion: 'TLSv1.3',
  ciphers: null,
  protocol,
})

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
