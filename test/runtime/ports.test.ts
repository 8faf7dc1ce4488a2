/** The real ports, and the ones in memory, against the suites that simulated ports pass too. */
import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { afterAll, beforeAll } from 'vitest'
import { ensureCertificates } from '#control/certificates/certificates.ts'
import { nodeClock } from '#runtime/node/nodeClock.ts'
import { NodeDisk } from '#runtime/node/nodeDisk.ts'
import { type Listening, listenPort, listenUnix } from '#runtime/node/nodeListener.ts'
import { NodeNet } from '#runtime/node/nodeNet.ts'
import { nodeRandom } from '#runtime/node/nodeRandom.ts'
import { NodeTimers } from '#runtime/node/nodeTimers.ts'
import type { Connection, Target, TlsIdentity } from '#runtime/ports.ts'
import { MemoryConnection } from '#test/memoryConnection.ts'
import { MemoryWorld } from '#test/memoryWorld.ts'
import { noTlsClients } from '#test/plainClients.ts'
import { connectionSuite } from '#test/ports/connection.suite.ts'
import { diskSuite } from '#test/ports/disk.suite.ts'
import { timersSuite } from '#test/ports/timers.suite.ts'
import { silentLogger } from '#test/silentLogger.ts'

const asItComes = <T>(promise: Promise<T>): Promise<T> => promise

const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'antipode-ports-'))
let identity: TlsIdentity
beforeAll(async () => {
  const made = (await ensureCertificates(directory, ['cluster-1'])).get('cluster-1')
  if (made === undefined) throw new Error('no certificate')
  identity = made
})
afterAll(() => fs.rmSync(directory, { recursive: true }))

let disks = 0
diskSuite('NodeDisk', () => {
  const place = path.join(directory, `disk-${disks++}`)
  const opened = [new NodeDisk(place)]
  return {
    disk: opened[0] as NodeDisk,
    reopen: () => {
      const next = new NodeDisk(place)
      opened.push(next)
      return next
    },
    until: asItComes,
    end: () => {
      for (const disk of opened) disk.close()
    },
  }
})

timersSuite('Node', () => ({
  clock: nodeClock,
  timers: new NodeTimers(),
  random: nodeRandom,
  until: asItComes,
}))

timersSuite('MemoryWorld', () => {
  const world = new MemoryWorld()
  return {
    clock: world,
    timers: world,
    random: nodeRandom,
    until: async (promise) => {
      world.advance(1000)
      return promise
    },
  }
})

/** Connects to what `listen` opens, and gives both ends. */
function connected(
  listen: (accept: (connection: Connection) => void) => Promise<{ listening: Listening; target: Target }>,
) {
  const opened: Listening[] = []
  return {
    pair: async (): Promise<[Connection, Connection]> => {
      // The port looks at the first byte before anybody owns the connection.
      let greeted: (connection: Connection) => void = () => {}
      const far = new Promise<Connection>((resolve) => {
        greeted = resolve
      })
      const { listening, target } = await listen((connection) => {
        connection.handler = { onData: () => greeted(connection), onDrain() {}, onClose() {} }
      })
      opened.push(listening)
      const near = await new Promise<Connection>((resolve, reject) => {
        const connection = new NodeNet().connect(target, {
          onOpen: () => resolve(connection),
          onData() {},
          onDrain() {},
          onClose: (error) => reject(error ?? new Error('closed')),
        })
      })
      near.write(new Uint8Array([0x2a]))
      return [near, await far]
    },
    until: asItComes,
    end: () => {
      for (const listening of opened) listening.close()
    },
  }
}

let sockets = 0
connectionSuite('Unix socket', () =>
  connected(async (accept) => {
    const socketPath = path.join(directory, `s${sockets++}`)
    const listening = await listenUnix({ path: socketPath, logger: silentLogger }, accept)
    return { listening, target: { kind: 'unix', path: socketPath } }
  }),
)

const portOptions = {
  host: '127.0.0.1',
  port: 0,
  reusePort: false,
  ...noTlsClients,
  logger: silentLogger,
}

connectionSuite('TCP', () =>
  connected(async (accept) => {
    const listening = await listenPort({ ...portOptions, peers: null }, accept)
    return { listening, target: { kind: 'tcp', host: '127.0.0.1', port: listening.port } }
  }),
)

connectionSuite('TLS', () =>
  connected(async (accept) => {
    const listening = await listenPort({ ...portOptions, peers: { identity, protocol: 'test/1' } }, accept)
    return {
      listening,
      target: {
        kind: 'tls',
        host: '127.0.0.1',
        port: listening.port,
        alpn: 'test/1',
        serverName: 'cluster-1',
        identity,
      },
    }
  }),
)

connectionSuite('MemoryConnection', () => {
  const world = new MemoryWorld()
  return {
    pair: async () => MemoryConnection.pair(world),
    until: async (promise) => {
      world.settle()
      return promise
    },
    end: () => {},
  }
})
