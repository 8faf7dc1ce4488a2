/** The shard as a process: a pretended agent at one end, a proxy's link at the other. */
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import net, { type Server, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, expect, test } from 'vitest'
import type { FromAgent, ShardConfig, ToAgent } from '#config/process.ts'
import { type Frame, FrameKind, FrameReader } from '#protocol/frames/frame.ts'
import { helloFrame } from '#protocol/frames/hello.ts'
import { latin1 } from '#runtime/bytes/bytes.ts'
import { LineReader } from '#runtime/node/agentLink.ts'
import { frameBytes, requestText } from './proxySide.ts'
import { testShardOptions } from './testShard.ts'

const main = join(import.meta.dirname, '..', '..', 'server', 'main.ts')
const cleanups: (() => void)[] = []

afterEach(() => {
  for (const clean of cleanups.splice(0).reverse()) clean()
})

class FakeAgent {
  readonly heard: ToAgent[] = []
  readonly #server: Server
  readonly #waiting: { wanted: (message: ToAgent) => boolean; found: (message: ToAgent) => void }[] = []
  #socket: Socket | null = null
  /** Sent at once after the first one. */
  newConfig: ShardConfig | null = null

  constructor(path: string, config: ShardConfig) {
    this.#server = net.createServer((socket) => {
      this.#socket = socket
      const lines = new LineReader()
      socket.on('error', () => {})
      socket.on('data', (chunk) => {
        for (const line of lines.feed(chunk)) this.#take(JSON.parse(line) as ToAgent, config)
      })
    })
    this.#server.listen(path)
    cleanups.push(() => this.#server.close())
  }

  send(message: FromAgent): void {
    this.#socket?.write(`${JSON.stringify(message)}\n`)
  }

  /** The agent dies. */
  leave(): void {
    this.#server.close()
    this.#socket?.destroy()
  }

  hear(wanted: (message: ToAgent) => boolean): Promise<ToAgent> {
    return new Promise((found) => this.#waiting.push({ wanted, found }))
  }

  #take(message: ToAgent, config: ShardConfig): void {
    this.heard.push(message)
    if (message.type === 'hello') {
      this.send({ type: 'config', config })
      if (this.newConfig !== null) this.send({ type: 'config', config: this.newConfig })
    }
    for (const { wanted, found } of this.#waiting) if (wanted(message)) found(message)
  }
}

class ShardProcess {
  readonly child: ChildProcess
  readonly ended: Promise<number | null>
  output = ''

  constructor(agentPath: string) {
    this.child = spawn(process.execPath, [main, '--agent', agentPath, '--role', 'shard', '--name', 'db/0'], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    this.child.stdout?.on('data', (chunk) => {
      this.output += String(chunk)
    })
    this.ended = new Promise((resolve) => this.child.on('close', (code) => resolve(code)))
    cleanups.push(() => this.child.kill('SIGKILL'))
  }

  lines(): { level: string; message: string; [fact: string]: unknown }[] {
    return this.output
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line))
  }
}

/** Sends requests over a connection of its own; resolves to the replies, or null when it was closed before. */
function speak(path: string, ...requests: string[][]): Promise<string[] | null> {
  return new Promise((resolve, reject) => {
    const socket = net.connect(path)
    const replies: string[] = []
    const reader = new FrameReader()
    const take = (frame: Frame): void => {
      if (frame.kind === FrameKind.reply)
        replies[frame.tag] = latin1(frame.bytes, frame.payloadStart, frame.payloadEnd)
      if (replies.length < requests.length || replies.includes('')) return
      resolve(replies)
      socket.destroy()
    }
    socket.on('error', reject)
    socket.on('close', () => resolve(null))
    socket.on('data', (chunk: Buffer) => reader.feed(chunk, take))
    socket.write(helloFrame({ role: 'proxy', name: 'test' }))
    for (const [tag, words] of requests.entries()) {
      socket.write(frameBytes(FrameKind.request, tag, 0, 0, requestText(words)))
    }
  })
}

function prepare(change: (config: ShardConfig) => ShardConfig = (config) => config) {
  const directory = mkdtempSync(join(tmpdir(), 'antipode-shard-'))
  cleanups.push(() => rmSync(directory, { recursive: true }))
  const { database, ...rest } = testShardOptions
  const members = [{ clusterId: 1, name: 'one', host: '127.0.0.1', port: 1 }]
  const config = change({
    ...rest,
    role: 'shard',
    ranges: [{ first: 0, last: 16383 }],
    socketPath: join(directory, 'shard.sock'),
    directory: join(directory, 'data'),
    database: {
      ...database,
      members,
      name: 'db',
      port: 1,
      bind: '127.0.0.1',
      shardCount: 1,
      password: null,
      streamIdMode: 'strict',
      notifyKeyspaceEvents: '',
      causalConsistency: false,
      syncCompression: 3,
      clusterName: 'one',
    },
    timings: { ...rest.timings, reconnectMinMs: 10, reconnectMaxMs: 100 },
  })
  const agentPath = join(directory, 'agent.sock')
  const agent = new FakeAgent(agentPath, config)
  const start = async () => {
    const ready = agent.hear(({ type }) => type === 'ready')
    const shard = new ShardProcess(agentPath)
    await ready
    return shard
  }
  return { config, agent, agentPath, start }
}

test('serves when it is ready, tells its status, and keeps what it answered over kill -9', async () => {
  const { config, agent, start } = prepare()
  const first = await start()
  expect(agent.heard.map(({ type }) => type).slice(0, 2)).toEqual(['hello', 'ready'])
  expect(await speak(config.socketPath, ['SET', 'k', 'v'], ['INCR', 'n'])).toEqual(['+OK\r\n', ':1\r\n'])
  first.child.kill('SIGKILL')
  await first.ended
  // The socket file is still there: it must not be in the way.
  await start()
  expect(await speak(config.socketPath, ['GET', 'k'], ['INCR', 'n'])).toEqual(['$1\r\nv\r\n', ':2\r\n'])
  const status = await agent.hear(({ type }) => type === 'status')
  expect(status).toMatchObject({ status: { index: 0, keys: 2, stale: false, writesRefused: null } })
})

test('takes over a configuration that comes while it reads its log', async () => {
  const { config, agent, start } = prepare()
  const first = await start()
  // So much that it takes several turns.
  const keys = Array.from({ length: 60_000 }, (_, i) => [`{tag}${i}`, 'value'])
  const sets = Array.from({ length: 60 }, (_, i) => ['MSET', ...keys.slice(i * 1000, i * 1000 + 1000).flat()])
  await speak(config.socketPath, ...sets)
  first.child.kill('SIGKILL')
  await first.ended
  const [self] = config.database.members
  if (self === undefined) throw new Error('there is no member')
  const members = [{ ...self, state: 'removed' as const }]
  agent.newConfig = { ...config, database: { ...config.database, members } }
  const second = await start()
  expect((await speak(config.socketPath, ['SET', 'a', 'b']))?.[0]).toMatch(/^-REMOVED /)
  expect(second.lines().some(({ message }) => message === 'shard is open')).toBe(true)
})

test('SIGTERM, said twice: it makes its log durable and ends with 0', async () => {
  const { config, start } = prepare()
  const first = await start()
  await speak(config.socketPath, ['SET', 'k', 'v'])
  first.child.kill('SIGTERM')
  first.child.kill('SIGTERM')
  expect(await first.ended).toBe(0)
  expect(first.lines().map(({ message }) => message)).toContain('stopped')
  await start()
  expect(await speak(config.socketPath, ['GET', 'k'])).toEqual(['$1\r\nv\r\n'])
})

test('the agent says drain', async () => {
  const { agent, start } = prepare()
  const shard = await start()
  agent.send({ type: 'drain' })
  expect(await shard.ended).toBe(0)
})

test('the clock monitor gates writes, and a shard without an agent goes on with what it knows', async () => {
  const { config, agent, start } = prepare()
  await start()
  agent.send({
    type: 'clock',
    clock: { state: 'gated', offsetMs: 5000, source: 'peer two', degradedMs: 100, gateMs: 1000 },
  })
  await agent.hear((message) => message.type === 'status' && message.status['writesRefused'] !== null)
  expect((await speak(config.socketPath, ['SET', 'k', 'v']))?.[0]).toMatch(
    /^-CLOCKSKEW clock is off by 5000 ms from peer two/,
  )
  agent.leave()
  expect((await speak(config.socketPath, ['SET', 'k', 'v']))?.[0]).toMatch(/^-CLOCKSKEW/)
  expect(await speak(config.socketPath, ['GET', 'k'])).toEqual(['$-1\r\n'])
})

test('a damaged log: it does not start, and says file and offset', async () => {
  const { config, agentPath, start } = prepare((config) => ({
    ...config,
    database: { ...config.database, persistence: 'always' },
  }))
  const first = await start()
  await speak(config.socketPath, ['SET', 'a', '1'])
  await speak(config.socketPath, ['SET', 'b', '2'])
  first.child.kill('SIGTERM')
  await first.ended
  const name = readdirSync(config.directory).find((file) => file.endsWith('.log')) as string
  const path = join(config.directory, name)
  const bytes = readFileSync(path)
  bytes[90] = (bytes[90] as number) ^ 1
  writeFileSync(path, bytes)
  const second = new ShardProcess(agentPath)
  expect(await second.ended).toBe(3)
  const last = second.lines().at(-1)
  expect(last).toMatchObject({ level: 'error', file: name, offsetBytes: 52 })
  expect(last?.message).toContain('the shard does not start: log file')
})
