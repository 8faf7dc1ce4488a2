/**
 * The process itself, over real sockets: how it starts and stops, who gets in over TLS, and that hostile bytes on either
 * side of the port cost little and end nobody else's connection. Shards and agent are played by the test.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createConnection, createServer, type Server, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connect as connectTls, type TLSSocket } from 'node:tls'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { ProxyConfig } from '#config/process.ts'
import { ensureCertificates } from '#control/certificates/certificates.ts'
import { FrameKind, FrameReader, writeU32 } from '#protocol/frames/frame.ts'
import { type Hello, helloFrame, readHello, readReason } from '#protocol/frames/hello.ts'
import { syncAlpn } from '#protocol/sync/alpn.ts'
import { syncVersion } from '#protocol/sync/message.ts'
import { type Listening, listenUnix } from '#runtime/node/nodeListener.ts'
import type { TlsIdentity } from '#runtime/ports.ts'
import { SeededRandom, seedFromEnv } from '#test/seed.ts'
import { silentLogger } from '#test/silentLogger.ts'
import { FakeShard } from './fakeShard.ts'
import { configOf, encode } from './proxyWorld.ts'

const root = join(import.meta.dirname, '..', '..')

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  await once(server, 'close')
  return typeof address === 'object' && address !== null ? address.port : 0
}

interface AgentMessage {
  type: string
}

/** A proxy process with the agent and the shard it talks to. */
class ProxyUnderTest {
  readonly directory = mkdtempSync(join(tmpdir(), 'antipode-proxy-'))
  readonly shard = new FakeShard(0, [{ first: 0, last: 16383 }])
  readonly messages: AgentMessage[] = []
  port = 0
  readonly #waiting: { type: string; resolve: () => void }[] = []
  #shardListening: Listening | null = null
  #agent: Server | null = null
  #child: ChildProcess | null = null

  /** Resolves when it serves. */
  async start(change: Partial<ProxyConfig['limits']> = {}, tls: TlsIdentity | null = null): Promise<void> {
    await this.launch(change, tls, await freePort())
    await this.message('ready')
  }

  async launch(change: Partial<ProxyConfig['limits']>, tls: TlsIdentity | null, port: number): Promise<void> {
    this.port = port
    const base = configOf({})
    const socketPath = join(this.directory, 'shard.sock')
    const config: ProxyConfig = {
      ...base,
      database: { ...base.database, port: this.port },
      workers: [{ worker: 0, socketPath: join(this.directory, 'proxy.sock') }],
      shards: [{ index: 0, ranges: [{ first: 0, last: 16383 }], socketPath }],
      tls,
      clientTls: { ...base.clientTls, server: tls },
      limits: { ...base.limits, ...change },
    }
    this.#shardListening = await listenUnix({ path: socketPath, logger: silentLogger }, (connection) =>
      this.shard.accept(connection),
    )
    const agentPath = join(this.directory, 'agent.sock')
    this.#agent = createServer((socket) => this.#serve(socket, config)).listen(agentPath)
    await once(this.#agent, 'listening')
    this.#child = spawn(
      process.execPath,
      [join(root, 'proxy', 'main.ts'), '--agent', agentPath, '--role', 'proxy', '--name', 'db1/0'],
      { stdio: ['ignore', 'ignore', 'inherit'] },
    )
  }

  /** The next message of this type from the process. */
  async message(type: string): Promise<void> {
    await new Promise<void>((resolve) => this.#waiting.push({ type, resolve }))
  }

  signal(name: NodeJS.Signals): void {
    this.#child?.kill(name)
  }

  async exitCode(): Promise<number | null> {
    const child = this.#child
    if (child === null) return null
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
    return child.exitCode
  }

  residentBytes(): number {
    const status = readFileSync(`/proc/${this.#child?.pid}/status`, 'utf8')
    return Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]) * 1024
  }

  async client(): Promise<Client> {
    const socket = createConnection({ port: this.port, host: '127.0.0.1', allowHalfOpen: true })
    const client = new Client(socket)
    await once(socket, 'connect')
    return client
  }

  async stop(): Promise<void> {
    this.signal('SIGKILL')
    await this.exitCode()
    this.#shardListening?.close()
    this.#agent?.close()
    rmSync(this.directory, { recursive: true })
  }

  #serve(socket: Socket, config: ProxyConfig): void {
    let rest = ''
    socket.on('error', () => {})
    socket.on('data', (chunk) => {
      const lines = (rest + chunk.toString()).split('\n')
      rest = lines.pop() ?? ''
      for (const line of lines) {
        const message = JSON.parse(line) as AgentMessage
        this.messages.push(message)
        if (message.type === 'hello') socket.write(`${JSON.stringify({ type: 'config', config })}\n`)
        for (const waiting of this.#waiting.splice(0)) {
          if (waiting.type === message.type) waiting.resolve()
          else this.#waiting.push(waiting)
        }
      }
    })
  }
}

class Client {
  readonly socket: Socket
  received = ''
  receivedBytes = 0
  isClosed = false
  #waiting: { holds: () => boolean; resolve: () => void }[] = []

  constructor(socket: Socket) {
    this.socket = socket
    socket.on('error', () => {})
    socket.on('data', (chunk) => {
      this.receivedBytes += chunk.length
      if (this.received.length < 10_000_000) this.received += chunk.toString('latin1')
      this.#check()
    })
    socket.on('end', () => socket.end())
    socket.on('close', () => {
      this.isClosed = true
      this.#check()
    })
  }

  async until(holds: () => boolean): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#waiting.push({ holds, resolve })
      this.#check()
    })
  }

  /** Sends and waits for these bytes to be the end of what has come. */
  async expects(sent: string, reply: string): Promise<void> {
    this.socket.write(Buffer.from(sent, 'latin1'))
    await this.until(() => this.received.endsWith(reply) || this.isClosed)
    expect(this.received.slice(-reply.length)).toBe(reply)
  }

  async closed(): Promise<void> {
    await this.until(() => this.isClosed)
  }

  #check(): void {
    const waiting = this.#waiting
    this.#waiting = waiting.filter(({ holds }) => !holds())
    for (const one of waiting) if (!this.#waiting.includes(one)) one.resolve()
  }
}

describe('the process', () => {
  it('serves, drains on SIGTERM, and does not mind a second one', async () => {
    const proxy = new ProxyUnderTest()
    await proxy.start()
    expect(proxy.messages.slice(0, 2).map(({ type }) => type)).toEqual(['hello', 'ready'])
    const client = await proxy.client()
    await client.expects(encode(['SET', 'a', '1']) + encode(['GET', 'a']), '+OK\r\n$1\r\n1\r\n')
    const idle = await proxy.client()
    await idle.expects('PING\r\n', '+PONG\r\n')
    proxy.shard.isHolding = true
    client.socket.write(encode(['GET', 'a']))
    await new Promise<void>((resolve) => {
      proxy.shard.answer = () => {
        resolve()
        return undefined
      }
      proxy.shard.isHolding = false
    })
    await client.until(() => client.received.endsWith('$1\r\n1\r\n$1\r\n1\r\n'))
    proxy.signal('SIGTERM')
    proxy.signal('SIGTERM')
    await Promise.all([client.closed(), idle.closed()])
    expect(await proxy.exitCode()).toBe(0)
    await proxy.stop()
  })

  it('does not share its port with a stranger', async () => {
    const proxy = new ProxyUnderTest()
    const stranger = createServer()
    // Somebody who would let us in.
    stranger.listen({ port: 0, host: '127.0.0.1', reusePort: true })
    await once(stranger, 'listening')
    const address = stranger.address()
    await proxy.launch({}, null, typeof address === 'object' && address !== null ? address.port : 0)
    expect(await proxy.exitCode()).toBe(1)
    expect(proxy.messages.map(({ type }) => type)).not.toContain('ready')
    stranger.close()
    await proxy.stop()
  })

  it('reports its status and takes a new configuration', async () => {
    const proxy = new ProxyUnderTest()
    await proxy.start()
    await proxy.message('status')
    const status = proxy.messages.find(({ type }) => type === 'status')
    expect(status).toMatchObject({ status: { clients: 0, shards: [{ index: 0, isUp: true }] } })
    await proxy.stop()
  })
})

describe('the client port', () => {
  const proxy = new ProxyUnderTest()
  beforeAll(async () => {
    await proxy.start({ outputPauseBytes: 256 * 1024, outputBytesMax: 4 * 1024 * 1024 })
  })
  afterAll(() => proxy.stop())

  it('answers a client that closes its side at the end of its input', async () => {
    const client = await proxy.client()
    client.socket.end(encode(['SET', 'a', '1']) + encode(['GET', 'a']))
    await client.closed()
    expect(client.received).toBe('+OK\r\n$1\r\n1\r\n')
  })

  it('passes a pipeline of a hundred thousand requests', async () => {
    const client = await proxy.client()
    const batch = encode(['SET', 'a', 'x'.repeat(100)]).repeat(1000)
    for (let i = 0; i < 100; i++) client.socket.write(batch)
    await client.until(() => client.receivedBytes >= 500_000)
    expect(client.received).toBe('+OK\r\n'.repeat(100_000))
    client.socket.destroy()
  })

  it('keeps little of what a client does not read, and stops reading from it', async () => {
    const value = 'x'.repeat(100_000)
    proxy.shard.answer = () => `$${value.length}\r\n${value}\r\n`
    const client = await proxy.client()
    client.socket.pause()
    const before = proxy.residentBytes()
    const request = encode(['GET', 'a']).repeat(10)
    // 300 MB of replies are asked for; the proxy must not take the requests for them.
    for (let i = 0; i < 300; i++) {
      if (client.socket.destroyed) break
      client.socket.write(request)
    }
    const watcher = await proxy.client()
    await watcher.expects('PING\r\n', '+PONG\r\n')
    expect(proxy.residentBytes() - before).toBeLessThan(100 * 1024 * 1024)
    client.socket.resume()
    await client.until(() => client.isClosed || client.receivedBytes === 3000 * 100_011)
    proxy.shard.answer = () => undefined
    watcher.socket.destroy()
    client.socket.destroy()
  })

  it('does not believe announced lengths', async () => {
    const before = proxy.residentBytes()
    const clients = await Promise.all(Array.from({ length: 50 }, () => proxy.client()))
    for (const client of clients) client.socket.write('*1000000\r\n$1000000\r\nabc')
    const watcher = await proxy.client()
    await watcher.expects('PING\r\n', '+PONG\r\n')
    expect(proxy.residentBytes() - before).toBeLessThan(50 * 1024 * 1024)
    for (const client of clients) client.socket.destroy()
    watcher.socket.destroy()
  })

  it('survives random bytes', async () => {
    const random = new SeededRandom(seedFromEnv())
    for (let i = 0; i < 50; i++) {
      const client = await proxy.client()
      const bytes = Buffer.from(Array.from({ length: 1 + random.below(2000) }, () => random.below(256)))
      client.socket.end(bytes)
      await client.closed()
    }
    const watcher = await proxy.client()
    await watcher.expects('PING\r\n', '+PONG\r\n')
    watcher.socket.destroy()
  })
})

describe('the sync port', () => {
  const proxy = new ProxyUnderTest()
  const foreignDirectory = mkdtempSync(join(tmpdir(), 'antipode-foreign-'))
  let identities: Map<string, TlsIdentity>
  let foreign: Map<string, TlsIdentity>
  const hello: Hello = {
    role: 'syncer',
    syncVersion,
    guid: 'guid-1',
    clusterId: 2,
    clusterName: 'c2',
    instance: 'i',
    compressions: [],
  }

  beforeAll(async () => {
    identities = await ensureCertificates(join(proxy.directory, 'tls'), ['c1', 'c2', 'c3'])
    foreign = await ensureCertificates(foreignDirectory, ['c2'])
    await proxy.start({}, identities.get('c1') ?? null)
  })
  afterAll(async () => {
    await proxy.stop()
    rmSync(foreignDirectory, { recursive: true })
  })

  const credentials = (identity: TlsIdentity | undefined) =>
    identity === undefined
      ? {}
      : { cert: readFileSync(identity.certificatePath), key: readFileSync(identity.keyPath) }

  interface Answer {
    hello: Hello | string | null
    reason: string | null
  }

  /** What the port says to a TLS client that sends `bytes`. */
  async function say(
    bytes: Uint8Array,
    identity: TlsIdentity | undefined,
    alpn: string | null = syncAlpn,
  ): Promise<Answer & { text: string }> {
    const socket: TLSSocket = connectTls({
      port: proxy.port,
      host: '127.0.0.1',
      rejectUnauthorized: false,
      minVersion: 'TLSv1.3',
      ...(alpn === null ? {} : { ALPNProtocols: [alpn] }),
      ...credentials(identity),
    })
    const answer: Answer & { text: string } = { hello: null, reason: null, text: '' }
    const reader = new FrameReader()
    socket.on('error', () => {})
    const done = new Promise<void>((resolve) => {
      socket.on('data', (chunk) => {
        if (typeof chunk === 'string') return
        answer.text += chunk.toString('latin1')
        reader.feed(chunk, (received) => {
          if (received.kind === FrameKind.hello) answer.hello = readHello(received)
          else if (received.kind === FrameKind.channelClosed) answer.reason = readReason(received)
        })
        if (answer.hello !== null) resolve()
      })
      socket.on('close', resolve)
      socket.on('end', () => socket.end())
    })
    if (bytes.length > 0) socket.write(bytes)
    await done
    socket.destroy()
    return answer
  }

  const lives = async (): Promise<void> => {
    const client = await proxy.client()
    await client.expects('PING\r\n', '+PONG\r\n')
    client.socket.destroy()
  }

  it('lets a member in', async () => {
    const answer = await say(helloFrame(hello), identities.get('c2'))
    expect(answer.hello).toMatchObject({
      role: 'database',
      clusterId: 1,
      shards: [{ index: 0, runId: 'run-0' }],
    })
  })

  it('says why it turns others away', async () => {
    const needed = 'a certificate that the authority of this database has signed is needed'
    expect((await say(helloFrame(hello), undefined)).reason).toBe(needed)
    expect((await say(helloFrame(hello), foreign.get('c2'))).reason).toBe(needed)
    expect((await say(helloFrame(hello), identities.get('c3'))).reason).toContain('c3 is not another member')
    expect((await say(helloFrame({ ...hello, guid: 'x' }), identities.get('c2'))).reason).toBe(
      'another database',
    )
    await lives()
  })

  it('tells a client that TLS is for peers', async () => {
    const { text } = await say(Buffer.from('PING\r\n'), undefined, null)
    expect(text).toBe('-ERR TLS is for peer clusters here; connect without it\r\n')
  })

  it('ends the handshake of who speaks another protocol', async () => {
    const { text } = await say(Buffer.from('PING\r\n'), identities.get('c2'), 'h2')
    expect(text).toBe('')
    await lives()
  })

  it('survives garbage before, in and behind the handshake', async () => {
    const random = new SeededRandom(seedFromEnv())
    const garbage = (length: number): Buffer => Buffer.from(Array.from({ length }, () => random.below(256)))
    for (let i = 0; i < 20; i++) {
      const client = await proxy.client()
      client.socket.write(Buffer.concat([Buffer.from([0x16, 3, 1]), garbage(1 + random.below(500))]))
      await lives()
      client.socket.destroy()
    }
    for (let i = 0; i < 5; i++) {
      const frame = garbage(100)
      writeU32(frame, 0, i % 2 === 0 ? 0xfffffff0 : 96)
      expect((await say(frame, identities.get('c2'))).reason).toBeTruthy()
    }
    await lives()
  })

  it('does not believe announced lengths', async () => {
    const before = proxy.residentBytes()
    const huge = Buffer.alloc(12)
    writeU32(huge, 0, 0x3fffffff)
    expect((await say(Buffer.concat([helloFrame(hello), huge]), identities.get('c2'))).hello).not.toBeNull()
    await lives()
    expect(proxy.residentBytes() - before).toBeLessThan(50 * 1024 * 1024)
  })
})
