/** One port for clients, TLS clients and syncers; who gets in, and what hostile connections cost. */
import fs from 'node:fs'
import net from 'node:net'
import os from 'node:os'
import path from 'node:path'
import tls from 'node:tls'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { ensureCertificates } from '#control/certificates/certificates.ts'
import {
  type ConnectionFacts,
  canSharePorts,
  checkPortUnused,
  type Listening,
  listenPort,
  listenUnix,
} from '#runtime/node/nodeListener.ts'
import { NodeNet, readIdentity } from '#runtime/node/nodeNet.ts'
import type { TlsSettings } from '#runtime/node/tlsAcceptor.ts'
import type { Connection, Target, TlsIdentity } from '#runtime/ports.ts'
import { noTlsClients, portLimits } from '#test/plainClients.ts'
import { RecordingLogger, silentLogger } from '#test/silentLogger.ts'

const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'antipode-listener-'))
let ours: Map<string, TlsIdentity>
let foreign: Map<string, TlsIdentity>
beforeAll(async () => {
  ours = await ensureCertificates(path.join(directory, 'ours'), ['cluster-1', 'cluster-2'])
  foreign = await ensureCertificates(path.join(directory, 'foreign'), ['cluster-2'])
})
afterAll(() => fs.rmSync(directory, { recursive: true }))

const opened: { close(): void }[] = []
afterEach(() => {
  for (const one of opened.splice(0)) one.close()
})

const identityOf = (identities: Map<string, TlsIdentity>, name: string): TlsIdentity => {
  const identity = identities.get(name)
  if (identity === undefined) throw new Error(`no identity of ${name}`)
  return identity
}

const peersOf = (identity: TlsIdentity) => ({ identity, protocol: 'antipode-sync/1' })

const clientsOf = (identity: TlsIdentity, changes: Partial<TlsSettings> = {}): TlsSettings => ({
  ...identity,
  authorityPath: null,
  minVersion: 'TLSv1.3',
  ciphers: null,
  protocol: 'redis',
  ...changes,
})

/** One certificate for peers and clients. */
const portOf = (name: string) => ({
  ...noTlsClients,
  peers: peersOf(identityOf(ours, name)),
  clients: () => clientsOf(identityOf(ours, name)),
})

interface Accepted {
  connection: Connection
  facts: ConnectionFacts
  text: string
  ended: boolean
}

/** A port that remembers who came, and answers `+OK` to the first bytes. */
async function port(options: Partial<Parameters<typeof listenPort>[0]> = {}) {
  const accepted: Accepted[] = []
  const listening: Listening = await listenPort(
    {
      host: '127.0.0.1',
      port: 0,
      reusePort: false,
      ...portOf('cluster-1'),
      logger: silentLogger,
      ...options,
    },
    (connection, facts) => {
      const one: Accepted = { connection, facts, text: '', ended: false }
      accepted.push(one)
      connection.handler = {
        onData(chunk) {
          one.text += Buffer.from(chunk).toString('latin1')
          connection.write(Buffer.from('+OK\r\n'))
        },
        onDrain() {},
        onEnd() {
          one.ended = true
          connection.write(Buffer.from('+BYE\r\n'))
          connection.close()
        },
        onClose() {},
      }
    },
  )
  opened.push(listening)
  return { port: listening.port, accepted, listening }
}

/** What a client hears until the connection ends. */
function conversation(socket: net.Socket): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = ''
    socket.on('data', (chunk) => {
      text += chunk.toString('latin1')
    })
    socket.on('error', reject)
    socket.on('close', () => resolve(text))
  })
}

const firstAnswer = (socket: net.Socket): Promise<string> =>
  new Promise((resolve, reject) => {
    socket.once('data', (chunk) => resolve(chunk.toString('latin1')))
    socket.once('error', reject)
    socket.once('close', () => reject(new Error('closed')))
  })

/** Node's own types forget that `tls.connect` takes it. */
const halfOpen: tls.ConnectionOptions & { allowHalfOpen: boolean } = { allowHalfOpen: true }

const tlsClient = (toPort: number, options: tls.ConnectionOptions = {}) => {
  const { ca } = readIdentity(identityOf(ours, 'cluster-1'))
  return tls.connect({ host: '127.0.0.1', port: toPort, ca, ...options })
}

describe('one port', () => {
  test('a plain client', async () => {
    const { port: toPort, accepted } = await port()
    const socket = net.connect(toPort, '127.0.0.1')
    socket.write('PING\r\n')
    expect(await firstAnswer(socket)).toBe('+OK\r\n')
    expect(accepted[0]?.facts).toEqual({
      remoteAddress: `127.0.0.1:${socket.localPort}`,
      localAddress: `127.0.0.1:${toPort}`,
      tls: null,
    })
    expect(accepted[0]?.text).toBe('PING\r\n')
    socket.destroy()
  })

  test('a client that ends its side is answered first', async () => {
    const { port: toPort, accepted } = await port()
    const socket = net.connect({ port: toPort, host: '127.0.0.1', allowHalfOpen: true })
    socket.end('PING\r\n')
    expect(await conversation(socket)).toBe('+OK\r\n+BYE\r\n')
    expect(accepted[0]?.ended).toBe(true)
  })

  test('a TLS client without a certificate is a client', async () => {
    const { port: toPort, accepted } = await port()
    const socket = tlsClient(toPort)
    socket.write('PING\r\n')
    expect(await firstAnswer(socket)).toBe('+OK\r\n')
    expect(accepted[0]?.facts.tls).toEqual({ use: 'client', certificate: null })
    expect(socket.getProtocol()).toBe('TLSv1.3')
    socket.destroy()
  })

  test('above the limit of silent connections the oldest goes', async () => {
    const { port: toPort } = await port({
      limits: { ...portLimits, pendingConnectionsMax: 2 },
    })
    const silent = Array.from({ length: 3 }, () => net.connect(toPort, '127.0.0.1'))
    const [first, second, third] = silent.map((socket) => conversation(socket).catch(() => ''))
    // All three were taken before this one; it and the last of them are within the limit.
    await Promise.all(silent.map((socket) => new Promise((resolve) => socket.once('connect', resolve))))
    const speaking = net.connect(toPort, '127.0.0.1')
    speaking.write('x')
    expect(await firstAnswer(speaking)).toBe('+OK\r\n')
    await Promise.all([first, second])
    silent[2]?.write('x')
    silent[2]?.end()
    expect(await third).toBe('+OK\r\n+BYE\r\n')
    speaking.destroy()
  })

  test('a TLS handshake that does not go on is ended', async () => {
    const { port: toPort } = await port({ limits: { ...portLimits, handshakeMs: 50 } })
    const socket = net.connect(toPort, '127.0.0.1')
    socket.write(Buffer.from([0x16]))
    expect(await conversation(socket).catch(() => '')).toBe('')
  })

  test('a TLS client that ends its side is answered first', async () => {
    const { port: toPort } = await port()
    const socket = tlsClient(toPort, halfOpen)
    socket.end('PING\r\n')
    expect(await conversation(socket)).toBe('+OK\r\n+BYE\r\n')
  })

  test('a peer with a certificate of our authority is named', async () => {
    const { port: toPort, accepted } = await port()
    const { cert, key } = readIdentity(identityOf(ours, 'cluster-2'))
    const socket = tlsClient(toPort, { cert, key, ALPNProtocols: ['antipode-sync/1'] })
    socket.write('hello')
    await firstAnswer(socket)
    expect(accepted[0]?.facts.tls).toEqual({ use: 'peer', name: 'cluster-2' })
    socket.destroy()
  })

  test('a certificate of another authority names nobody', async () => {
    const { port: toPort, accepted } = await port()
    const { cert, key } = readIdentity(identityOf(foreign, 'cluster-2'))
    const socket = tlsClient(toPort, { cert, key, ALPNProtocols: ['antipode-sync/1'] })
    socket.write('hello')
    await firstAnswer(socket)
    expect(accepted[0]?.facts.tls).toEqual({ use: 'peer', name: null })
    socket.destroy()
  })

  test('TLS below 1.3 and unknown protocols are refused in the handshake', async () => {
    const { port: toPort, accepted } = await port()
    await expect(conversation(tlsClient(toPort, { maxVersion: 'TLSv1.2' }))).rejects.toThrow(/alert|version/)
    await expect(conversation(tlsClient(toPort, { ALPNProtocols: ['h2'] }))).rejects.toThrow(/alert|protocol/)
    expect(accepted).toHaveLength(0)
  })

  test('without a certificate of its own a port is plain only', async () => {
    const { port: toPort, accepted } = await port({ peers: null, clients: () => null })
    const socket = net.connect(toPort, '127.0.0.1')
    socket.write(Buffer.from([0x16, 0x03]))
    expect(await firstAnswer(socket)).toBe('+OK\r\n')
    expect(accepted[0]?.facts.tls).toBeNull()
    socket.destroy()
  })

  test('garbage that looks like TLS ends the connection, and the next one is served', async () => {
    const failed: string[] = []
    const { port: toPort, accepted } = await port({
      onHandshakeFailed: (...facts) => failed.push(facts.join(' ')),
    })
    const socket = net.connect(toPort, '127.0.0.1')
    socket.write(Buffer.concat([Buffer.from([0x16]), Buffer.alloc(2000, 0x41)]))
    const { localPort } = await new Promise<net.Socket>((resolve) =>
      socket.once('connect', () => resolve(socket)),
    )
    await conversation(socket).catch(() => '')
    expect(failed).toEqual([`127.0.0.1:${localPort} wrong version number`])
    const next = net.connect(toPort, '127.0.0.1')
    next.write('PING\r\n')
    expect(await firstAnswer(next)).toBe('+OK\r\n')
    next.destroy()
    expect(accepted).toHaveLength(1)
  })

  test('a certificate that cannot be read is told, and plain clients are served', async () => {
    const logger = new RecordingLogger()
    const missing = { certificatePath: '/none', keyPath: '/none', authorityPath: '/none' }
    const { port: toPort } = await port({
      logger,
      peers: peersOf(missing),
      clients: () => clientsOf(missing),
    })
    await expect(conversation(tlsClient(toPort))).rejects.toThrow()
    expect(logger.lines[0]?.message).toMatch(/cannot be used/)
    const socket = net.connect(toPort, '127.0.0.1')
    socket.write('PING\r\n')
    expect(await firstAnswer(socket)).toBe('+OK\r\n')
    socket.destroy()
  })

  test('silent connections end with the listener; owned ones stay', async () => {
    const { port: toPort, listening } = await port()
    const owned = net.connect(toPort, '127.0.0.1')
    owned.write('x')
    await firstAnswer(owned)
    const silent = net.connect(toPort, '127.0.0.1')
    await new Promise((resolve) => silent.once('connect', resolve))
    // The listener has it in hand once a later connection is served.
    const later = net.connect(toPort, '127.0.0.1')
    later.write('x')
    await firstAnswer(later)
    listening.close()
    await conversation(silent).catch(() => '')
    owned.write('y')
    expect(await firstAnswer(owned)).toBe('+OK\r\n')
    owned.destroy()
    later.destroy()
  })

  test('two listeners share a port when asked to', async () => {
    const first = await port({ reusePort: true })
    const second = await port({ reusePort: true, port: first.port })
    expect(second.port).toBe(first.port)
    await expect(port({ port: first.port })).rejects.toThrow('EADDRINUSE')
  })
})

describe('NodeNet over TLS', () => {
  const connect = (target: Target): Promise<string> =>
    new Promise((resolve) => {
      const connection = new NodeNet().connect(target, {
        onOpen() {
          resolve('open')
          connection.destroy()
        },
        onData() {},
        onDrain() {},
        onClose: (error) => resolve(error?.message ?? 'closed'),
      })
    })

  const target = (toPort: number, changes: Partial<Extract<Target, { kind: 'tls' }>> = {}): Target => ({
    kind: 'tls',
    host: '127.0.0.1',
    port: toPort,
    alpn: 'antipode-sync/1',
    serverName: 'cluster-1',
    identity: identityOf(ours, 'cluster-2'),
    ...changes,
  })

  test('opens when name, authority and protocol agree', async () => {
    const { port: toPort } = await port()
    expect(await connect(target(toPort))).toBe('open')
  })

  test('refuses a server of another name', async () => {
    const { port: toPort } = await port()
    expect(await connect(target(toPort, { serverName: 'cluster-3' }))).toBe(
      'the certificate is of cluster-1, not of cluster-3',
    )
  })

  test('refuses a server of another authority', async () => {
    const { port: toPort } = await port()
    expect(await connect(target(toPort, { identity: identityOf(foreign, 'cluster-2') }))).toMatch(
      /self-signed|unable to|verify/,
    )
  })

  test('refuses a server that does not speak the protocol', async () => {
    const { port: toPort } = await port()
    expect(await connect(target(toPort, { alpn: 'h2' }))).toMatch(/alert|protocol/)
    const { port: clientsOnly } = await port({ peers: null })
    expect(await connect(target(clientsOnly))).toMatch(/alert|protocol/)
    const { cert, key } = readIdentity(identityOf(ours, 'cluster-1'))
    const other = tls.createServer({ cert, key })
    await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve))
    opened.push(other)
    const { port: otherPort } = other.address() as net.AddressInfo
    expect(await connect(target(otherPort))).toBe('the other side does not speak antipode-sync/1')
  })

  test('a certificate that cannot be read, a port that nobody listens on', async () => {
    const missing = { certificatePath: '/none', keyPath: '/none', authorityPath: '/none' }
    expect(await connect(target(1, { identity: missing }))).toMatch('ENOENT')
    const { port: toPort, listening } = await port()
    listening.close()
    expect(await connect(target(toPort))).toMatch('ECONNREFUSED')
    expect(await connect({ kind: 'unix', path: path.join(directory, 'none') })).toMatch('ENOENT')
  })

  test('a server that never answers the handshake', async () => {
    const silent = net.createServer((socket) => socket.on('error', () => {}))
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve))
    opened.push(silent)
    const { port: toPort } = silent.address() as net.AddressInfo
    const message = await new Promise((resolve) => {
      new NodeNet(50).connect(target(toPort), {
        onOpen: () => resolve('open'),
        onData() {},
        onDrain() {},
        onClose: (error) => resolve(error?.message),
      })
    })
    expect(message).toBe('no connection within 50 ms')
  })

  test('certificates can be replaced in place', async () => {
    const place = path.join(directory, 'replaced')
    fs.cpSync(path.join(directory, 'foreign'), place, { recursive: true })
    const replaced = {
      certificatePath: path.join(place, 'cluster-2.crt'),
      keyPath: path.join(place, 'cluster-2.key'),
      authorityPath: path.join(place, 'authority.crt'),
    }
    const { port: toPort } = await port()
    expect(await connect(target(toPort, { identity: replaced }))).not.toBe('open')
    fs.cpSync(path.join(directory, 'ours'), place, { recursive: true })
    expect(await connect(target(toPort, { identity: replaced }))).toBe('open')
  })
})

describe('a shared port', () => {
  /** Who listens on `number`, as Node does by itself. */
  async function stranger(reusePort: boolean, number = 0): Promise<number> {
    const server = net.createServer()
    opened.push(server)
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject)
      server.listen({ host: '127.0.0.1', port: number, reusePort }, resolve)
    })
    return (server.address() as net.AddressInfo).port
  }

  test('is what this system can do', async () => {
    expect(await canSharePorts()).toBe(true)
  })

  test('spreads connections, and who leaves takes only its own with it', async () => {
    const first = await port({ reusePort: true })
    const second = await port({ reusePort: true, port: first.port })
    const talk = async (count: number): Promise<string[]> =>
      await Promise.all(
        Array.from({ length: count }, async () => {
          const socket = net.connect(first.port, '127.0.0.1')
          socket.end('PING')
          return await conversation(socket)
        }),
      )
    expect(new Set(await talk(200))).toEqual(new Set(['+OK\r\n+BYE\r\n']))
    // Two hundred throws of a coin: fewer than fifty on one side is a chance of one in 10^12.
    expect(first.accepted.length).toBeGreaterThan(50)
    expect(second.accepted.length).toBeGreaterThan(50)
    second.listening.close()
    const before = first.accepted.length
    expect(new Set(await talk(50))).toEqual(new Set(['+OK\r\n+BYE\r\n']))
    expect(first.accepted.length - before).toBe(50)
  })

  test.each([true, false])('a stranger on the port is found out, shared (%s) or not', async (reusePort) => {
    const number = await stranger(reusePort)
    const where = { host: '127.0.0.1', port: number, logger: silentLogger }
    await expect(checkPortUnused(where)).rejects.toThrow('EADDRINUSE')
  })

  test('an unused port can be listened on after it was looked at', async () => {
    const { port: number, listening } = await port()
    listening.close()
    await checkPortUnused({ host: '127.0.0.1', port: number, logger: silentLogger })
    expect(await stranger(true, number)).toBe(number)
  })
})

describe('Unix sockets', () => {
  test('a socket file that a crash left behind is replaced; one in use is not', async () => {
    const socketPath = path.join(directory, 'abandoned')
    const abandoned = net.createServer()
    await new Promise<void>((resolve) => abandoned.listen(socketPath, resolve))
    // As after a kill: the file stays, nobody listens.
    fs.linkSync(socketPath, `${socketPath}.kept`)
    await new Promise((resolve) => abandoned.close(resolve))
    fs.renameSync(`${socketPath}.kept`, socketPath)
    const listening = await listenUnix({ path: socketPath, logger: silentLogger }, () => {})
    opened.push(listening)
    await expect(listenUnix({ path: socketPath, logger: silentLogger }, () => {})).rejects.toThrow(
      'EADDRINUSE',
    )
  })
})
