/** The syncer as a process, between a real agent socket, a real shard socket and a real TLS port. */
import { type ChildProcess, spawn } from 'node:child_process'
import fs from 'node:fs'
import net from 'node:net'
import os from 'node:os'
import path from 'node:path'
import { afterAll, expect, test } from 'vitest'
import type { FromAgent, SyncerConfig, ToAgent } from '#config/process.ts'
import { ensureCertificates } from '#control/certificates/certificates.ts'
import type { Hello, HelloShard } from '#protocol/frames/hello.ts'
import { syncAlpn } from '#protocol/sync/alpn.ts'
import { LineReader } from '#runtime/node/agentLink.ts'
import { nodeClock } from '#runtime/node/nodeClock.ts'
import { type ConnectionFacts, listenPort, listenUnix } from '#runtime/node/nodeListener.ts'
import type { Connection, TlsIdentity } from '#runtime/ports.ts'
import { noTlsClients } from '#test/plainClients.ts'
import { silentLogger } from '#test/silentLogger.ts'
import { unlimitedMemory } from '#test/unlimitedMemory.ts'
import { Endpoint, type EndpointChannel } from './endpoint.ts'

const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'antipode-syncer-'))
let child: ChildProcess | null = null
afterAll(() => {
  child?.kill('SIGKILL')
  fs.rmSync(directory, { recursive: true })
})

const shard: HelloShard = { index: 0, ranges: [{ first: 0, last: 16383 }], runId: 'run' }

const configOf = (identity: TlsIdentity, peerPort: number, socketPath: string): SyncerConfig => ({
  role: 'syncer',
  database: {
    name: 'db1',
    guid: 'guid-1',
    port: 12000,
    bind: '127.0.0.1',
    shardCount: 1,
    sharding: true,
    persistence: 'everysec',
    ...unlimitedMemory,
    password: null,
    streamIdMode: 'strict',
    notifyKeyspaceEvents: '',
    causalConsistency: false,
    syncCompression: 3,
    clusterId: 1,
    clusterName: 'cluster-1',
    members: [1, 2].map((clusterId) => ({
      clusterId,
      name: `cluster-${clusterId}`,
      host: '127.0.0.1',
      port: peerPort,
    })),
  },
  shards: [{ index: 0, ranges: shard.ranges, socketPath }],
  tls: identity,
  timings: {
    heartbeatMs: 20,
    linkDownMs: 5000,
    holdMs: 200,
    futureHoldMs: 60_000,
    reconnectMinMs: 10,
    reconnectMaxMs: 100,
  },
})

/** An agent that gives one process its configuration and remembers what it says. */
async function agent(socketPath: string, config: SyncerConfig) {
  const said: ToAgent[] = []
  const waiting: { type: string; resolve: (message: ToAgent) => void }[] = []
  const send = (socket: net.Socket, message: FromAgent): void => {
    socket.write(`${JSON.stringify(message)}\n`)
  }
  const server = net.createServer((socket) => {
    const lines = new LineReader()
    socket.on('error', () => {})
    socket.on('data', (chunk) => {
      for (const line of lines.feed(chunk)) {
        const message = JSON.parse(line) as ToAgent
        said.push(message)
        if (message.type === 'hello') send(socket, { type: 'config', config })
        for (const one of waiting) if (one.type === message.type) one.resolve(message)
      }
    })
  })
  await new Promise<void>((resolve) => server.listen(socketPath, resolve))
  return {
    server,
    heard: (type: ToAgent['type']): Promise<ToAgent> => {
      const already = said.find((message) => message.type === type)
      if (already !== undefined) return Promise.resolve(already)
      return new Promise((resolve) => {
        waiting.push({ type, resolve })
      })
    },
    latest: (type: ToAgent['type']): ToAgent | undefined => said.findLast((message) => message.type === type),
  }
}

test('joins a shard and a peer, reports, and ends in order', async () => {
  const identities = await ensureCertificates(directory, ['cluster-1', 'cluster-2'])
  const [own, peer] = [identities.get('cluster-1'), identities.get('cluster-2')]
  if (own === undefined || peer === undefined) throw new Error('no certificates')

  let opened: (channel: EndpointChannel) => void = () => {}
  const intake = new Promise<EndpointChannel>((resolve) => {
    opened = resolve
  })
  let local: Endpoint<Connection> | null = null
  const shardPath = path.join(directory, 'shard')
  const shards = await listenUnix({ path: shardPath, logger: silentLogger }, (connection) => {
    local = new Endpoint(nodeClock, connection, { role: 'shard', ...shard })
    local.onOpen = opened
  })
  const peerFacts: ConnectionFacts[] = []
  let remote: Endpoint<Connection> | null = null
  const port = await listenPort(
    {
      host: '127.0.0.1',
      port: 0,
      reusePort: false,
      ...noTlsClients,
      peers: { identity: peer, protocol: syncAlpn },
      logger: silentLogger,
    },
    (connection, facts) => {
      peerFacts.push(facts)
      const hello: Hello = {
        role: 'database',
        guid: 'guid-1',
        clusterId: 2,
        sharding: true,
        shards: [shard],
        compressions: ['zstd'],
      }
      remote = new Endpoint(nodeClock, connection, hello)
      remote.clockOffsetMs = 5000
    },
  )
  const agentPath = path.join(directory, 'agent')
  const boss = await agent(agentPath, configOf(own, port.port, shardPath))

  const program = path.join(import.meta.dirname, '../../syncer/main.ts')
  const args = [program, '--agent', agentPath, '--role', 'syncer', '--name', 'db1']
  const running = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] })
  child = running
  const exited = new Promise<number | null>((resolve) => running.once('exit', resolve))

  expect(await boss.heard('hello')).toEqual({ type: 'hello', role: 'syncer', name: 'db1', pid: running.pid })
  await boss.heard('ready')
  expect((await intake).opening).toEqual({ role: 'intake', peer: 2, shard: 0, ranges: shard.ranges })
  expect(peerFacts[0]?.tls).toEqual({ use: 'peer', name: 'cluster-1' })
  const offset = await boss.heard('peerOffset')
  if (offset.type !== 'peerOffset') throw new Error('another message')
  expect(offset.peer).toBe(2)
  expect(Math.abs(offset.offsetMs - 5000)).toBeLessThan(200)
  const up = { status: { peers: [{ clusterId: 2, state: 'up' }] } }
  // The first may have been sent while they greeted each other.
  await expect.poll(() => boss.latest('status'), { timeout: 10_000 }).toMatchObject(up)

  running.kill('SIGTERM')
  running.kill('SIGTERM')
  expect(await exited).toBe(0)
  const ends = [local, remote] as (Endpoint<Connection> | null)[]
  expect(ends.map((end) => end?.channels[0]?.closed)).toEqual(['the syncer stops', 'the syncer stops'])
  shards.close()
  port.close()
  boss.server.close()
})
