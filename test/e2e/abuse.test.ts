/** What one client can do to the others, with real processes: memory stays bounded, and a client that does nothing wrong is served. */
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { createConnection, type Socket } from 'node:net'
import { join } from 'node:path'
import type { Redis } from 'ioredis'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Lab } from './lab.ts'
import { residentBytesOf } from './residentBytes.ts'

const mebibyte = 1024 * 1024
const windowMs = 400
const windowsOfNormal = 8
const windowsOfAttack = 6
/** Of the median of what windows have at the 99th percentile: how many times what it is without an attack; and what busy machines add. */
const slowerMax = 2
const slowerFloorMs = 75

const pause = (delayMs: number) => new Promise((resolve) => setTimeout(resolve, delayMs))
const request = (...args: string[]): string =>
  `*${args.length}\r\n${args.map((arg) => `$${arg.length}\r\n${arg}\r\n`).join('')}`

const at = (values: readonly number[], part: number): number =>
  [...values].sort((a, b) => a - b)[Math.min(values.length - 1, Math.floor(values.length * part))] ?? 0

describe('a database whose clients mean harm', () => {
  let lab: Lab
  let admin: Redis
  let steady: ChildProcess
  let normalMs = 0
  let watched: ReadonlyMap<string, number> = new Map()
  const sockets: Socket[] = []

  beforeAll(async () => {
    const settings = ['proxy.workers=2', 'limits.clients_max=20000']
    lab = await Lab.up({ clusters: 1, shards: 2, persistence: 'none', settings })
    admin = lab.client(1)
    steady = fork(join(import.meta.dirname, 'steadyClient.ts'), [String(lab.port(1))])
    await pause(1_000)
    watched = await processes()
    await slowness(windowsOfNormal)
    normalMs = await slowness(windowsOfNormal)
  })

  afterAll(async () => {
    steady.kill()
    release()
    expect(await processes()).toEqual(watched)
    expect(await lab.down()).toBe(0)
  })

  /** The median over windows of the 99th percentile, milliseconds. */
  async function slowness(windows: number): Promise<number> {
    const each: number[] = []
    for (let i = 0; i < windows; i++) {
      await pause(windowMs)
      steady.send('tell')
      const [told] = (await once(steady, 'message')) as [{ waitsMs: number[]; failures: number }]
      expect(told.failures).toBe(0)
      each.push(at(told.waitsMs, 0.99))
    }
    return at(each, 0.5)
  }

  /** Process ids by name. */
  async function processes(): Promise<ReadonlyMap<string, number>> {
    return new Map((await lab.processes()).map(({ id, pid }) => [id, pid ?? 0]))
  }

  function memory(): { proxies: number; shards: number } {
    const of = (role: string): number =>
      [...watched].reduce((sum, [id, pid]) => sum + (id.startsWith(role) ? residentBytesOf(pid) : 0), 0) /
      mebibyte
    return { proxies: of('proxy'), shards: of('shard') }
  }

  async function connected(options: { reads: boolean } = { reads: true }): Promise<Socket> {
    const socket = createConnection({ port: lab.port(1), host: '127.0.0.1', noDelay: true })
    socket.on('error', () => {})
    sockets.push(socket)
    await once(socket, 'connect')
    if (options.reads) socket.resume()
    return socket
  }

  async function manyConnected(count: number): Promise<Socket[]> {
    const all: Socket[] = []
    while (all.length < count)
      all.push(
        ...(await Promise.all(Array.from({ length: Math.min(200, count - all.length) }, () => connected()))),
      )
    return all
  }

  function release(): void {
    for (const socket of sockets.splice(0)) socket.destroy()
  }

  /** The attack goes on while the steady client is watched; memory may have grown by so much at the end. */
  async function harmless(
    title: string,
    grownMax: { proxies: number; shards: number },
    attack: () => Promise<void>,
  ): Promise<void> {
    const before = memory()
    await attack()
    const slowMs = await slowness(windowsOfAttack)
    const after = memory()
    const grown = { proxies: after.proxies - before.proxies, shards: after.shards - before.shards }
    console.log(
      `${title}: p99 ${slowMs.toFixed(1)} ms, normally ${normalMs.toFixed(1)} ms; proxies ${grown.proxies.toFixed(0)} MiB more, shards ${grown.shards.toFixed(0)} MiB more`,
    )
    expect(grown.proxies).toBeLessThan(grownMax.proxies)
    expect(grown.shards).toBeLessThan(grownMax.shards)
    release()
    expect(await admin.ping()).toBe('PONG')
    if (slowMs < Math.max(slowerMax * normalMs, slowerFloorMs)) return
    // Something else may have come to this machine since the beginning.
    normalMs = Math.max(normalMs, await slowness(windowsOfNormal))
    expect(slowMs).toBeLessThan(Math.max(slowerMax * normalMs, slowerFloorMs))
  }

  it('a thousand that send a byte now and then', async () => {
    const all = await manyConnected(1000)
    const bytes = request('SET', 'slow', 'x'.repeat(200))
    let sent = 0
    // Each twice a second.
    const timer = setInterval(() => {
      for (let i = sent % 10; i < all.length; i += 10)
        all[i]?.write(bytes.charAt(Math.floor(sent / 10) % bytes.length))
      sent++
    }, 50)
    try {
      await harmless('slowloris', { proxies: 60, shards: 40 }, async () => {})
    } finally {
      clearInterval(timer)
    }
  })

  it('a thousand that stop in the middle of a request, half of them for ever', async () => {
    await harmless('half requests', { proxies: 60, shards: 40 }, async () => {
      for (const [i, socket] of (await manyConnected(1000)).entries()) {
        socket.write('*3\r\n$3\r\nSET\r\n$4\r\nhalf\r\n$100\r\nabc')
        if (i % 2 === 0) socket.end()
      }
    })
  })

  it('ten thousand idle ones, of which half never say a word', async () => {
    await harmless('10,000 idle', { proxies: 300, shards: 40 }, async () => {
      const all = await manyConnected(10_000)
      for (const [i, socket] of all.entries()) if (i % 2 === 0) socket.write('PING\r\n')
      const count = async (): Promise<number> =>
        Number(/connected_clients:(\d+)/.exec(await admin.info('clients'))?.[1])
      const deadlineMs = performance.now() + 20_000
      while ((await count()) < 5000 && performance.now() < deadlineMs) await pause(100)
      expect(await count()).toBeGreaterThanOrEqual(5000)
    })
  })

  it('those that ask for much and read nothing', async () => {
    await admin.set('large', 'x'.repeat(100_000))
    await harmless('reads nothing', { proxies: 150, shards: 100 }, async () => {
      for (let i = 0; i < 20; i++)
        (await connected({ reads: false })).write(request('GET', 'large').repeat(20))
      // What is on its way has to come through first.
      await pause(2_000)
    })
  })

  it('a subscriber that reads nothing is disconnected', async () => {
    await admin.config('SET', 'client-output-buffer-limit', 'pubsub 8mb 2mb 60')
    const subscriber = await connected({ reads: false })
    subscriber.write(request('SUBSCRIBE', 'flood'))
    await harmless('subscriber', { proxies: 150, shards: 150 }, async () => {
      for (let i = 0; i < 300; i++) await admin.publish('flood', 'x'.repeat(100_000))
    })
    expect(String(await admin.call('CLIENT', 'LIST', 'TYPE', 'pubsub')).trim()).toBe('')
  })

  it('a pipeline of a million commands', async () => {
    const count = 1_000_000
    const socket = await connected()
    let received = 0
    socket.on('data', (chunk: Uint8Array) => {
      received += chunk.length
    })
    const before = memory()
    const part = request('SET', 'piped', 'x').repeat(10_000)
    for (let i = 0; i < count / 10_000; i++) if (!socket.write(part)) await once(socket, 'drain')
    const deadlineMs = performance.now() + 60_000
    while (received < count * 5 && performance.now() < deadlineMs) await pause(20)
    expect(received).toBe(count * 5)
    const after = memory()
    expect(after.proxies - before.proxies).toBeLessThan(200)
    expect(after.shards - before.shards).toBeLessThan(200)
    await harmless('after a million', { proxies: 100, shards: 100 }, async () => {})
  })

  it('two hundred that announce half a gigabyte and send nothing of it, and one that announces more than is taken', async () => {
    await harmless('announced', { proxies: 60, shards: 40 }, async () => {
      for (const socket of await manyConnected(200))
        socket.write('*3\r\n$3\r\nSET\r\n$1\r\na\r\n$536870000\r\nabc')
      const more = await connected()
      more.write('*3\r\n$3\r\nSET\r\n$1\r\na\r\n$1073741824\r\n')
      const [reply] = (await once(more, 'data')) as [Buffer]
      expect(reply.toString()).toBe('-ERR Protocol error: invalid bulk length\r\n')
    })
  })

  it('forty that send eight megabytes of a request each', async () => {
    await admin.config('SET', 'maxmemory-clients', '64mb')
    await harmless('halves of large requests', { proxies: 450, shards: 40 }, async () => {
      const all = await manyConnected(40)
      const part = 'x'.repeat(8 * mebibyte)
      for (const socket of all) socket.write(`*3\r\n$3\r\nSET\r\n$1\r\na\r\n$500000000\r\n${part}`)
      const left = (): number => all.filter((socket) => !socket.destroyed && !socket.readableEnded).length
      const deadlineMs = performance.now() + 20_000
      // Eight have as much as one worker may keep.
      while (left() > 16 && performance.now() < deadlineMs) await pause(100)
      expect(left()).toBeLessThanOrEqual(16)
    })
  })

  it('guessing of passwords is slow, and told', async () => {
    await admin.call('ACL', 'SETUSER', 'alice', 'on', '>correct', '+@all')
    let guesses = 0
    const all = await manyConnected(50)
    for (const socket of all) {
      const guess = (): boolean => socket.write(request('AUTH', 'alice', `guess${guesses}`))
      socket.on('data', () => {
        guesses++
        guess()
      })
      guess()
    }
    await harmless('guessing', { proxies: 60, shards: 40 }, async () => {})
    console.log(`${guesses} guesses`)
    expect(guesses).toBeLessThan(1000)
    const log = (await admin.call('ACL', 'LOG')) as unknown[]
    expect(JSON.stringify(log)).toContain('alice')
    const right = await connected()
    right.write(request('AUTH', 'alice', 'correct'))
    const [reply] = (await once(right, 'data')) as [Buffer]
    expect(reply.toString()).toBe('+OK\r\n')
  })
  // While what was asked for is on its way others wait for it: only memory is looked at.
  it('those that have two hundred megabytes on their way and read nothing are disconnected', async () => {
    await admin.config('SET', 'maxmemory-clients', '16mb')
    await admin.set('large', 'x'.repeat(mebibyte))
    const before = memory()
    for (let i = 0; i < 10; i++) (await connected({ reads: false })).write(request('GET', 'large').repeat(20))
    const deadlineMs = performance.now() + 20_000
    const unreadBytes = async (): Promise<number> =>
      [...String(await admin.call('CLIENT', 'LIST')).matchAll(/ omem=(\d+) /g)].reduce(
        (sum, [, bytes]) => sum + Number(bytes),
        0,
      )
    await pause(1_500)
    while ((await unreadBytes()) > 32 * mebibyte && performance.now() < deadlineMs) await pause(200)
    expect(await unreadBytes()).toBeLessThan(32 * mebibyte)
    const after = memory()
    expect(after.proxies - before.proxies).toBeLessThan(400)
    expect(after.shards - before.shards).toBeLessThan(400)
    release()
  })
})
