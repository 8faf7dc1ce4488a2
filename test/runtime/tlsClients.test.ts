/** Clients over TLS: what they are shown and asked for, how that changes under load, and what handshakes may cost. */
import fs from 'node:fs'
import net from 'node:net'
import os from 'node:os'
import path from 'node:path'
import tls from 'node:tls'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { type ConnectionFacts, listenPort, type PortOptions } from '#runtime/node/nodeListener.ts'
import { alternativeNames } from '#runtime/node/peerCertificate.ts'
import type { TlsSettings } from '#runtime/node/tlsAcceptor.ts'
import type { TlsIdentity } from '#runtime/ports.ts'
import { Authority } from '#test/certificates.ts'
import { portLimits } from '#test/plainClients.ts'
import { RecordingLogger } from '#test/silentLogger.ts'

const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'antipode-tls-'))
/** Of the clusters, of the server's certificate, of the clients. */
let clusters: Authority
let servers: Authority
let clients: Authority
let cluster: TlsIdentity
let server: TlsIdentity
const opened: { close(): void }[] = []

beforeAll(async () => {
  clusters = await Authority.make(path.join(directory, 'clusters'))
  servers = await Authority.make(path.join(directory, 'servers'))
  clients = await Authority.make(path.join(directory, 'clients'))
  cluster = await clusters.issue({ subject: 'CN=cluster-1' })
  server = await servers.issue({ subject: 'CN=database' })
})
afterAll(() => fs.rmSync(directory, { recursive: true }))
afterEach(() => {
  for (const one of opened.splice(0)) one.close()
})

interface Port {
  port: number
  facts: ConnectionFacts['tls'][]
  failures: string[]
  logger: RecordingLogger
  /** In force from the next connection on. */
  settings: TlsSettings | null
  limits: PortOptions['limits'] & { handshakeMs: number }
  certificate(): { commonName: string; expiresWallMs: number } | null
}

/** Answers each chunk with itself. */
async function echo(
  changes: Partial<TlsSettings> = {},
  limits: Partial<PortOptions['limits']> = {},
): Promise<Port> {
  const logger = new RecordingLogger()
  const port: Port = {
    port: 0,
    facts: [],
    failures: [],
    logger,
    limits: { ...portLimits, ...limits },
    settings: {
      ...server,
      authorityPath: null,
      minVersion: 'TLSv1.2',
      ciphers: null,
      protocol: 'redis',
      ...changes,
    },
    certificate: () => listening.certificate,
  }
  const listening = await listenPort(
    {
      host: '127.0.0.1',
      port: 0,
      reusePort: false,
      peers: { identity: cluster, protocol: 'antipode-sync/1' },
      clients: () => port.settings,
      logger,
      limits: port.limits,
      onHandshakeFailed: (_, reason) => port.failures.push(reason),
    },
    (connection, facts) => {
      port.facts.push(facts.tls)
      connection.handler = { onData: (chunk) => connection.write(chunk), onDrain() {}, onClose() {} }
    },
  )
  port.port = listening.port
  opened.push(listening)
  return port
}

const credentials = ({ certificatePath, keyPath }: TlsIdentity) => ({
  cert: fs.readFileSync(certificatePath),
  key: fs.readFileSync(keyPath),
})

/** Connected, or the error that it ended with. */
async function connect(port: Port, options: tls.ConnectionOptions = {}): Promise<tls.TLSSocket> {
  const socket = tls.connect({ host: '127.0.0.1', port: port.port, rejectUnauthorized: false, ...options })
  opened.push({ close: () => socket.destroy() })
  await talk(socket, 'hello')
  return socket
}

const talk = async (socket: net.Socket, text: string): Promise<string> =>
  await new Promise((resolve, reject) => {
    socket.once('data', (chunk) => resolve(chunk.toString()))
    socket.once('error', reject)
    socket.once('close', () => reject(new Error('closed')))
    socket.write(text)
  })

const nameOf = (socket: tls.TLSSocket): string => String(socket.getPeerCertificate().subject.CN)

describe('clients and peers', () => {
  test('are shown different certificates, and asked for different ones', async () => {
    const port = await echo({ authorityPath: clients.path })
    const app = await clients.issue({
      subject: 'CN=app,O=Example,OU=a,OU=b',
      names: [{ type: 'dns', value: 'app.example' }],
    })
    expect(nameOf(await connect(port, credentials(app)))).toBe('database')
    expect(nameOf(await connect(port, { ...credentials(cluster), ALPNProtocols: ['antipode-sync/1'] }))).toBe(
      'cluster-1',
    )
    expect(port.facts).toEqual([
      {
        use: 'client',
        certificate: {
          subject: { CN: ['app'], O: ['Example'], OU: ['a', 'b'], SAN: ['app.example'] },
          fault: null,
        },
      },
      { use: 'peer', name: 'cluster-1' },
    ])
  })

  test('a client certificate makes nobody a peer, nor a cluster certificate a client', async () => {
    const port = await echo({ authorityPath: clients.path })
    const posing = await clients.issue({ subject: 'CN=cluster-2' })
    await connect(port, { ...credentials(posing), ALPNProtocols: ['antipode-sync/1'] })
    await connect(port, { ...credentials(posing), ALPNProtocols: ['redis', 'antipode-sync/1'] })
    await connect(port, credentials(cluster))
    expect(port.facts).toEqual([
      { use: 'peer', name: null },
      { use: 'peer', name: null },
      {
        use: 'client',
        certificate: { subject: { CN: ['cluster-1'], SAN: [] }, fault: 'UNABLE_TO_VERIFY_LEAF_SIGNATURE' },
      },
    ])
  })

  test('what is wrong with a certificate is told', async () => {
    const port = await echo({ authorityPath: clients.path })
    await connect(port, credentials(await clients.issue({ subject: 'CN=old', days: -1 })))
    await connect(port)
    expect(port.facts).toEqual([
      { use: 'client', certificate: { subject: { CN: ['old'], SAN: [] }, fault: 'CERT_HAS_EXPIRED' } },
      { use: 'client', certificate: null },
    ])
  })

  test('alternative names of all kinds, quoted ones too', () => {
    const text = 'DNS:a.example, IP Address:127.0.0.1, URI:spiffe://b/c, DNS:"evil, DNS:x", email:d@example'
    expect(alternativeNames(text)).toEqual([
      'a.example',
      '127.0.0.1',
      'spiffe://b/c',
      'evil, DNS:x',
      'd@example',
    ])
    expect(alternativeNames('')).toEqual([])
  })
})

describe('what is agreed on', () => {
  test.each(['TLSv1.2', 'TLSv1.3'] as const)('%s', async (version) => {
    const port = await echo()
    expect((await connect(port, { minVersion: version, maxVersion: version })).getProtocol()).toBe(version)
  })

  test.each([
    ['TLSv1.3', 'TLSv1.2'],
    ['TLSv1.2', 'TLSv1.1'],
  ] as const)('at least %s: %s is refused', async (minVersion, version) => {
    const port = await echo({ minVersion })
    const old = { minVersion: version, maxVersion: version, ciphers: 'DEFAULT:@SECLEVEL=0' }
    await expect(connect(port, old)).rejects.toThrow('alert protocol version')
    expect(port.failures).toEqual(['unsupported protocol'])
    expect(port.facts).toEqual([])
  })

  test('peers do not get along with 1.2 whatever clients may', async () => {
    const port = await echo({ minVersion: 'TLSv1.2' })
    const peer = {
      ...credentials(cluster),
      ALPNProtocols: ['antipode-sync/1'],
      maxVersion: 'TLSv1.2' as const,
    }
    await expect(connect(port, peer)).rejects.toThrow('alert protocol version')
  })

  test('ciphers', async () => {
    const port = await echo({ ciphers: 'TLS_AES_128_GCM_SHA256:ECDHE-ECDSA-AES256-GCM-SHA384' })
    expect((await connect(port)).getCipher().name).toBe('TLS_AES_128_GCM_SHA256')
    const old = { maxVersion: 'TLSv1.2' } as const
    expect((await connect(port, old)).getCipher().name).toBe('ECDHE-ECDSA-AES256-GCM-SHA384')
    await expect(connect(port, { ...old, ciphers: 'ECDHE-ECDSA-AES128-GCM-SHA256' })).rejects.toThrow(
      'handshake failure',
    )
    expect(port.failures).toEqual(['no shared cipher'])
  })

  test('sessions are not resumed where certificates are asked for', async () => {
    const port = await echo({ authorityPath: clients.path })
    const app = credentials(await clients.issue({ subject: 'CN=app' }))
    for (const maxVersion of ['TLSv1.2', 'TLSv1.3'] as const) {
      const sessions: Buffer[] = []
      const socket = tls.connect({
        host: '127.0.0.1',
        port: port.port,
        rejectUnauthorized: false,
        maxVersion,
        ...app,
      })
      socket.on('session', (session) => sessions.push(session))
      await talk(socket, 'x')
      await talk(socket, 'x')
      socket.destroy()
      for (const session of sessions)
        expect((await connect(port, { maxVersion, session })).isSessionReused()).toBe(false)
    }
    // Those that came again without their certificate have shown none.
    expect(port.facts.filter((facts) => facts?.use === 'client' && facts.certificate !== null)).toHaveLength(
      2,
    )
  })
})

describe('settings and files that change', () => {
  test('a replaced certificate under load: connections stay, later ones see the new one', async () => {
    const place = {
      certificatePath: path.join(directory, 'live.crt'),
      keyPath: path.join(directory, 'live.key'),
    }
    const put = (from: TlsIdentity, parts: readonly ('certificatePath' | 'keyPath')[]) => {
      for (const part of parts) fs.copyFileSync(from[part], place[part])
    }
    put(server, ['certificatePath', 'keyPath'])
    const port = await echo(place)
    const old = await connect(port)
    const next = await servers.issue({ subject: 'CN=next', days: 5 })
    const seen: string[] = []
    let isOver = false
    const load = Promise.all(
      Array.from({ length: 4 }, async () => {
        while (!isOver) {
          const socket = await connect(port)
          seen.push(nameOf(socket))
          socket.destroy()
        }
      }),
    )
    put(next, ['certificatePath'])
    // A half of the pair: the last whole one serves on.
    await until(() => port.logger.lines.some(({ level }) => level === 'error'))
    put(next, ['keyPath'])
    await until(() => seen.at(-1) === 'next')
    isOver = true
    await load
    expect(new Set(seen)).toEqual(new Set(['database', 'next']))
    expect(seen.indexOf('next')).toBeGreaterThan(0)
    expect(seen.lastIndexOf('database')).toBeLessThan(seen.lastIndexOf('next'))
    expect(await talk(old, 'still here')).toBe('still here')
    expect(port.failures).toEqual([])
    expect(port.logger.lines.filter(({ level }) => level === 'error')).toHaveLength(1)
    expect(port.certificate()?.commonName).toBe('next')
  })

  test('a changed setting counts for later connections, also when it can not be met', async () => {
    const port = await echo({ minVersion: 'TLSv1.2' })
    const old = await connect(port, { maxVersion: 'TLSv1.2' })
    const { settings } = port
    if (settings === null) throw new Error('no settings')
    port.settings = { ...settings, minVersion: 'TLSv1.3' }
    await expect(connect(port, { maxVersion: 'TLSv1.2' })).rejects.toThrow('alert protocol version')
    port.settings = { ...settings, authorityPath: path.join(directory, 'none') }
    await expect(connect(port)).rejects.toThrow(/closed|disconnected|ECONNRESET/)
    port.settings = null
    await expect(connect(port)).rejects.toThrow(/closed|disconnected|ECONNRESET/)
    expect(port.failures.slice(1)).toEqual(Array(2).fill('there is no certificate to show'))
    expect(await talk(old, 'still here')).toBe('still here')
  })
})

describe('handshakes', () => {
  const silent = async (port: Port, bytes: number[]): Promise<net.Socket> => {
    const socket = net.connect(port.port, '127.0.0.1')
    socket.on('error', () => {})
    opened.push({ close: () => socket.destroy() })
    await new Promise((resolve) => socket.once('connect', resolve))
    socket.write(Buffer.from(bytes))
    return socket
  }

  test('beyond the limit wait for their turn', async () => {
    const port = await echo({}, { handshakesMax: 2 })
    const slow = [await silent(port, [0x16]), await silent(port, [0x16, 3, 1])]
    const waiting = Array.from({ length: 5 }, async () => await connect(port))
    // A plain client is no handshake.
    const plain = net.connect(port.port, '127.0.0.1')
    expect(await talk(plain, 'x')).toBe('x')
    plain.destroy()
    expect(port.facts).toEqual([null])
    slow[0]?.destroy()
    await Promise.all(waiting)
    expect(port.facts).toHaveLength(6)
    expect(port.failures).toEqual(['the connection ended'])
  })

  test.each([
    ['in its first message', [0x16, 3, 1, 2, 0, 1]],
    ['behind a whole record', [0x16, 3, 1, 0, 4, 1, 0, 1, 0]],
  ])('that do not go on are ended: %s', async (_, bytes) => {
    const port = await echo({}, { handshakeMs: 50, handshakesMax: 1 })
    const socket = await silent(port, bytes)
    const plain = net.connect(port.port, '127.0.0.1')
    await talk(plain, 'x')
    plain.destroy()
    // By now that of the silent one runs; the next may take its time.
    port.limits.handshakeMs = 10_000
    const after = connect(port)
    await new Promise((resolve) => socket.once('close', resolve))
    expect(port.failures).toEqual(['no handshake within 50 ms'])
    await after
  })

  test('that stop behind the first message are ended', async () => {
    const port = await echo({}, { handshakeMs: 50 })
    const half = net.connect(port.port, '127.0.0.1')
    // A client whose second message never leaves.
    const relay = net.createServer((socket) => {
      socket.on('error', () => {})
      socket.once('data', (hello) => half.write(hello))
    })
    await new Promise<void>((resolve) => relay.listen(0, '127.0.0.1', resolve))
    opened.push(relay)
    const client = tls.connect({ host: '127.0.0.1', port: (relay.address() as net.AddressInfo).port })
    client.on('error', () => {})
    opened.push({ close: () => client.destroy() })
    half.resume()
    await new Promise((resolve) => half.once('close', resolve))
    expect(port.failures).toEqual(['no handshake within 50 ms'])
  })

  test('in which too much comes are ended', async () => {
    const port = await echo()
    const socket = await silent(port, [0x16, 3, 1, 0x40, 0, 1, 0, 0x3f, 0xf0])
    for (let i = 0; i < 20; i++) socket.write(Buffer.alloc(1024))
    await new Promise((resolve) => socket.once('close', resolve))
    expect(port.failures).toHaveLength(1)
    const more = await silent(port, [0x16, ...Array<number>(17_000).fill(0)])
    await new Promise((resolve) => more.once('close', resolve))
    expect(port.failures).toHaveLength(2)
    expect(await connect(port)).toBeDefined()
  })
})

async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise((resolve) => setTimeout(resolve, 10))
}
