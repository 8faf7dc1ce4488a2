/** The relay over loopback. Nothing sleeps: what must not happen is told by a byte that must happen after it. */
import { once } from 'node:events'
import { createConnection, createServer, type Server, type Socket } from 'node:net'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { Relay, relayHeldBytesMax, wholeLink } from '#control/relay/relay.ts'

const host = '127.0.0.1'

let server: Server
let relay: Relay
let relayPort: number
let sockets: Socket[]
/** The far ends, in the order in which they came. */
let accepted: Socket[]

const fail = (error: Error) => {
  throw error
}

const portOf = (listening: Server) => {
  const address = listening.address()
  return typeof address === 'object' && address !== null ? address.port : 0
}

beforeEach(async () => {
  sockets = []
  accepted = []
  server = createServer({ allowHalfOpen: true }, (socket) => {
    accepted.push(socket)
    sockets.push(socket)
    socket.on('error', () => socket.destroy())
  })
  server.listen(0, host)
  await once(server, 'listening')
  relay = new Relay(host, portOf(server), fail)
  relayPort = await relay.listen(0)
})

afterEach(async () => {
  for (const socket of sockets) socket.destroy()
  relay.close()
  server.close()
})

async function dial(): Promise<Socket> {
  const socket = createConnection({ host, port: relayPort, allowHalfOpen: true })
  socket.on('error', () => socket.destroy())
  sockets.push(socket)
  await once(socket, 'connect')
  return socket
}

/** Both ends of a connection over the link. */
async function connected(): Promise<[Socket, Socket]> {
  const arrives = once(server, 'connection')
  const near = await dial()
  const [far] = await arrives
  return [near, far as Socket]
}

/** Ended, in order or not. */
async function closed(socket: Socket): Promise<void> {
  if (socket.closed) return
  await new Promise<void>((resolve) => socket.resume().once('close', () => resolve()))
}

async function receive(socket: Socket, length: number): Promise<string> {
  const chunks: Buffer[] = []
  let count = 0
  while (count < length) {
    const chunk = socket.read() as Buffer | null
    if (chunk === null) await once(socket, 'readable')
    else {
      chunks.push(chunk)
      count += chunk.length
    }
  }
  return Buffer.concat(chunks).toString('latin1')
}

describe('a whole link', () => {
  it('carries bytes both ways', async () => {
    const [near, far] = await connected()
    near.write('there')
    expect(await receive(far, 5)).toBe('there')
    far.write('and back')
    expect(await receive(near, 8)).toBe('and back')
    expect(relay.connections).toBe(1)
  })

  it('carries the end of each direction by itself', async () => {
    const [near, far] = await connected()
    near.end('last')
    expect(await receive(far, 4)).toBe('last')
    await once(far.resume(), 'end')
    far.end('answer')
    expect(await receive(near, 6)).toBe('answer')
    await once(near.resume(), 'end')
  })

  it('carries much more than it holds', async () => {
    const [near, far] = await connected()
    const bytes = Buffer.alloc(3 * relayHeldBytesMax, 'abcdefg')
    near.end(bytes)
    expect((await receive(far, bytes.length)) === bytes.toString('latin1')).toBe(true)
  })

  it('breaks off when nobody is behind it', async () => {
    server.close()
    const near = await dial()
    await closed(near)
    expect(relay.connections).toBe(0)
  })

  it('breaks off when one end does', async () => {
    const [near, far] = await connected()
    far.resetAndDestroy()
    await closed(near)
    expect(relay.connections).toBe(0)
  })
})

describe('a link that is cut', () => {
  it('holds bytes up without a reset, and delivers them when it is healed', async () => {
    const [near, far] = await connected()
    relay.change({ cutForward: true, cutBackward: true })
    near.write('one')
    far.write('two')
    // The cut direction of another link shows that time has passed: a round trip over the same event loop.
    const other = new Relay(host, portOf(server), fail)
    const arrives = once(server, 'connection')
    const probe = createConnection({ host, port: await other.listen(0) })
    probe.on('error', () => probe.destroy())
    sockets.push(probe)
    const [behind] = (await arrives) as [Socket]
    probe.write('x')
    await receive(behind, 1)
    other.close()
    expect([near.read(), far.read()]).toEqual([null, null])
    expect([near.destroyed, far.destroyed]).toEqual([false, false])
    relay.change(wholeLink)
    expect(await receive(far, 3)).toBe('one')
    expect(await receive(near, 3)).toBe('two')
  })

  it('can be cut in one direction only', async () => {
    const [near, far] = await connected()
    relay.change({ cutForward: true })
    near.write('held up')
    far.write('passes')
    expect(await receive(near, 6)).toBe('passes')
    expect(far.read()).toBe(null)
    relay.change(wholeLink)
    expect(await receive(far, 7)).toBe('held up')
  })

  it('lets new connections hang until it is healed', async () => {
    relay.change({ cutForward: true, cutBackward: true })
    const near = await dial()
    near.write('hello')
    expect(accepted).toEqual([])
    const arrives = once(server, 'connection')
    relay.change(wholeLink)
    const [far] = (await arrives) as [Socket]
    expect(await receive(far, 5)).toBe('hello')
  })

  it('forgets who gave up dialling', async () => {
    relay.change({ cutForward: true, cutBackward: true })
    const near = await dial()
    near.end()
    await closed(near)
    expect(relay.connections).toBe(0)
    relay.change(wholeLink)
    const [, far] = await connected()
    expect(accepted).toEqual([far])
  })

  it('tells the other end of a break only when it is healed', async () => {
    const [near, far] = await connected()
    relay.change({ cutForward: true, cutBackward: true })
    near.resetAndDestroy()
    await closed(near)
    expect(far.destroyed).toBe(false)
    relay.change(wholeLink)
    await closed(far)
  })

  it('stops reading from who sends too much', async () => {
    const [near, far] = await connected()
    relay.change({ cutForward: true })
    const bytes = Buffer.alloc(8 * relayHeldBytesMax, 'x')
    near.write(bytes)
    // Bytes the other way show that the relay is alive and has had its turns.
    far.write('tick')
    await receive(near, 4)
    expect(near.writableLength).toBeGreaterThan(0)
    relay.change(wholeLink)
    expect((await receive(far, bytes.length)).length).toBe(bytes.length)
  })
})

describe('a slow link', () => {
  it('delays bytes in both directions', async () => {
    const [near, far] = await connected()
    relay.change({ delayMs: 50 })
    const startMs = performance.now()
    near.write('there')
    await receive(far, 5)
    far.write('back')
    await receive(near, 4)
    expect(performance.now() - startMs).toBeGreaterThanOrEqual(99)
  })
})
