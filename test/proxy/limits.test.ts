/** Every limit of the proxy is hit once, and what it promises happens. */
import { describe, expect, it } from 'vitest'
import { closeLingerMs } from '#proxy/session/session.ts'
import { helloMs, shardOutgoingBytesMax } from '#proxy/shardLink.ts'
import { encode, ProxyWorld } from './proxyWorld.ts'

describe('limits of clients', () => {
  it('clientsMax: one more is told and turned away', () => {
    const world = new ProxyWorld({ limits: { clientsMax: 2 } })
    const first = world.client()
    world.client()
    const third = world.client()
    expect(third.read()).toBe('-ERR max number of clients reached\r\n')
    expect(third.isClosed).toBe(true)
    expect(world.proxy.status().connectionsRejected).toBe(1)
    first.connection.close()
    world.world.settle()
    expect(world.client().call('PING')).toBe('+PONG\r\n')
  })

  it('requestBytesMax: an error, and the end', () => {
    const world = new ProxyWorld({ limits: { requestBytesMax: 100_000 } })
    const client = world.client()
    expect(client.call('SET', 'a', 'x'.repeat(90_000))).toBe('+OK\r\n')
    expect(client.raw('*3\r\n$3\r\nSET\r\n$1\r\na\r\n$100001\r\n')).toBe(
      '-ERR Protocol error: invalid bulk length\r\n',
    )
    expect(client.isClosed).toBe(true)
    const other = world.client()
    const half = `$60000\r\n${'x'.repeat(60_000)}\r\n`
    expect(other.raw(`*3\r\n$4\r\nECHO\r\n${half}${half}`)).toContain('request larger than 100000 bytes')
    expect(other.isClosed).toBe(true)
  })

  it('an announced size costs nothing before it has come', () => {
    const world = new ProxyWorld({ limits: { requestBytesMax: 512 * 1024 * 1024 } })
    const client = world.client()
    client.raw('*3\r\n$3\r\nSET\r\n$1\r\na\r\n$500000000\r\nabc')
    expect(client.isClosed).toBe(false)
    const [session] = world.proxy.clients.list()
    expect(session?.inputBytes).toBeLessThan(100)
  })

  it('pipelineMax: nothing more is read until replies have left', () => {
    const world = new ProxyWorld({ limits: { pipelineMax: 10 } })
    const client = world.client()
    client.widen()
    world.shard.isHolding = true
    client.write(Array.from({ length: 100 }, (_, i) => encode(['GET', `k${i}`])).join(''))
    expect(client.read()).toBe('')
    expect(world.shard.held.length).toBe(10)
    client.write('PING\r\n')
    client.read()
    expect(world.proxy.clients.list()[0]?.inputBytes).toBeLessThan(100 * 30)
    let replies = ''
    for (let round = 0; round < 30; round++) {
      world.shard.release()
      world.shard.isHolding = true
      replies += client.read()
      expect(world.shard.held.length).toBeLessThanOrEqual(10)
    }
    expect(replies).toBe(`${'$-1\r\n'.repeat(100)}+PONG\r\n`)
  })

  it('pipelineMax: also for what the proxy answers itself', () => {
    const world = new ProxyWorld({ limits: { pipelineMax: 10 } })
    const client = world.client()
    client.widen()
    world.shard.isHolding = true
    client.write(encode(['GET', 'a']) + 'PING\r\n'.repeat(100))
    expect(client.read()).toBe('')
    expect(world.proxy.clients.list()[0]?.pendingRequests).toBe(10)
    world.shard.release()
    expect(client.read()).toBe(`$-1\r\n${'+PONG\r\n'.repeat(100)}`)
  })

  it('outputPauseBytes: a client that does not read is not read from', () => {
    const world = new ProxyWorld({ limits: { outputPauseBytes: 10_000 } })
    const client = world.client()
    world.shard.answer = () => `$5000\r\n${'x'.repeat(5000)}\r\n`
    client.connection.pause()
    for (let i = 0; i < 20; i++) client.raw(encode(['GET', 'a']))
    expect(world.shard.seen.length).toBeLessThan(5)
    client.connection.resume()
    expect(client.read().length).toBe(20 * 5009)
    expect(client.call('PING')).toBe('+PONG\r\n')
  })

  it('outputBytesMax: a client that reads nothing of large replies is disconnected', () => {
    const world = new ProxyWorld({ limits: { outputPauseBytes: 10_000, outputBytesMax: 100_000 } })
    const client = world.client()
    world.shard.answer = () => `$50000\r\n${'x'.repeat(50_000)}\r\n`
    client.connection.pause()
    client.raw(Array.from({ length: 20 }, () => encode(['GET', 'a'])).join(''))
    expect(client.isClosed).toBe(true)
    expect(world.logger.lines.some(({ message }) => message.includes('does not read'))).toBe(true)
    expect(world.proxy.clients.count).toBe(0)
    expect(world.client().call('PING')).toBe('+PONG\r\n')
  })

  it('outputSoftBytes: a client may be slow, but not for long', () => {
    const world = new ProxyWorld({
      limits: { outputPauseBytes: 10_000, outputSoftBytes: 20_000, outputSoftMs: 5_000 },
    })
    const [slow, patient] = [world.client(), world.client()]
    world.shard.answer = () => `$30000\r\n${'x'.repeat(30_000)}\r\n`
    for (const client of [slow, patient]) {
      client.connection.pause()
      client.raw(encode(['GET', 'a']))
    }
    world.world.advance(4_000)
    patient.connection.resume()
    expect(patient.read().length).toBe(30_010)
    world.world.advance(1_000)
    patient.connection.pause()
    patient.raw(encode(['GET', 'a']))
    world.world.advance(2_000)
    expect([slow.isClosed, patient.isClosed]).toEqual([true, false])
    expect(world.logger.lines.some(({ message }) => message.includes('reads too slowly'))).toBe(true)
    world.world.advance(6_000)
    expect(patient.isClosed).toBe(true)
  })

  it('subscriberOutputSoftBytes: the same for one that has subscribed', () => {
    const world = new ProxyWorld({ limits: { subscriberOutputSoftBytes: 20_000, subscriberOutputSoftMs: 0 } })
    const [subscriber, client] = [world.client(), world.client()]
    subscriber.call('SUBSCRIBE', 'a')
    for (const { connection } of [subscriber, client]) connection.pause()
    subscriber.raw(encode(['PING', 'x'.repeat(30_000)]))
    client.raw(encode(['ECHO', 'x'.repeat(30_000)]))
    world.world.advance(2_000)
    expect([subscriber.isClosed, client.isClosed]).toEqual([true, false])
  })

  it('clientsBytesMax: those that take most have to go, until the rest has room', () => {
    const world = new ProxyWorld({ limits: { clientsBytesMax: 200_000 } })
    const clients = [90_000, 20_000, 150_000, 50_000].map((bytes) => {
      const client = world.client()
      if (bytes === 150_000) client.call('CLIENT', 'NO-EVICT', 'on')
      client.raw(`*3\r\n$3\r\nSET\r\n$1\r\na\r\n$500000\r\n${'x'.repeat(bytes)}`)
      return client
    })
    const closed = (): boolean[] => clients.map(({ isClosed }) => isClosed)
    expect(closed()).toEqual([false, false, false, false])
    world.world.advance(1_000)
    expect(closed()).toEqual([true, false, false, true])
    const queueing = world.client()
    queueing.call('MULTI')
    for (let i = 0; i < 3; i++) queueing.call('SET', 'a', 'x'.repeat(50_000))
    world.world.advance(1_000)
    expect([...closed(), queueing.isClosed]).toEqual([true, false, false, true, true])
  })

  it('keepAliveMs: whoever is silent is asked for', () => {
    const world = new ProxyWorld({ limits: { keepAliveMs: 7_000 } })
    const first = world.client()
    expect(first.keepAliveMs).toBe(7_000)
    expect(first.call('CONFIG', 'SET', 'tcp-keepalive', '0')).toBe('+OK\r\n')
    expect(world.client().keepAliveMs).toBe(0)
  })

  it('outputBytesMax: replies that wait for an earlier one count too', () => {
    const world = new ProxyWorld({ shardCount: 2, limits: { outputBytesMax: 100_000 } })
    const client = world.client()
    const [first, second] = world.shards
    if (!first || !second) throw new Error('two shards')
    first.isHolding = true
    second.answer = () => `$50000\r\n${'x'.repeat(50_000)}\r\n`
    client.raw(encode(['GET', 'b']) + encode(['GET', 'a']).repeat(5))
    expect(client.isClosed).toBe(true)
    first.release()
    expect(world.client().call('PING')).toBe('+PONG\r\n')
  })

  it('transactionCommandsMax: one more is refused, and so is EXEC', () => {
    const world = new ProxyWorld({ limits: { transactionCommandsMax: 3 } })
    const client = world.client()
    client.call('MULTI')
    for (let i = 0; i < 3; i++) expect(client.call('INCR', 'a')).toBe('+QUEUED\r\n')
    expect(client.call('PING')).toBe('-ERR a transaction has at most 3 commands\r\n')
    expect(client.call('EXEC')).toContain('-EXECABORT')
  })

  it('requestBytesMax: for a whole transaction as well', () => {
    const world = new ProxyWorld({ limits: { requestBytesMax: 100_000 } })
    const client = world.client()
    client.call('MULTI')
    expect(client.call('SET', 'a', 'x'.repeat(60_000))).toBe('+QUEUED\r\n')
    expect(client.call('SET', 'a', 'x'.repeat(60_000))).toBe(
      '-ERR a transaction has at most 100000 bytes\r\n',
    )
    expect(client.call('EXEC')).toContain('-EXECABORT')
  })

  it('closeLingerMs: a client that is to end cannot put it off', () => {
    const world = new ProxyWorld()
    const client = world.client()
    world.shard.isHolding = true
    client.raw(`${encode(['GET', 'a'])}QUIT\r\n`)
    expect(client.isClosed).toBe(false)
    world.world.advance(closeLingerMs)
    expect(client.isClosed).toBe(true)
  })

  it('timeout: a silent client is disconnected, a waiting one is not', () => {
    const world = new ProxyWorld()
    const silent = world.client()
    const waiting = world.client()
    expect(silent.call('CONFIG', 'SET', 'timeout', '10')).toBe('+OK\r\n')
    world.shard.isHolding = true
    waiting.raw(encode(['GET', 'a']))
    world.world.advance(20_000)
    expect([silent.isClosed, waiting.isClosed]).toEqual([true, false])
  })
})

describe('limits of shards', () => {
  it('shardPendingMax: clients wait, and each gets its turn', () => {
    const world = new ProxyWorld({ limits: { shardPendingMax: 8 } })
    const clients = Array.from({ length: 5 }, () => world.client())
    world.shard.isHolding = true
    for (const client of clients) client.write(encode(['INCR', 'a']).repeat(4))
    world.world.settle()
    expect(world.shard.held.length).toBe(8)
    const replies = clients.map(() => '')
    for (let round = 0; round < 10; round++) {
      world.shard.release()
      world.shard.isHolding = true
      clients.forEach((client, i) => {
        replies[i] += client.read()
      })
      expect(world.shard.held.length).toBeLessThanOrEqual(8)
    }
    expect(replies.map((text) => text.match(/:/g)?.length)).toEqual([4, 4, 4, 4, 4])
  })

  it('shardPendingMax: other commands wait as well', () => {
    const world = new ProxyWorld({ shardCount: 2, limits: { shardPendingMax: 4 } })
    const client = world.client()
    const other = world.client()
    for (const shard of world.shards) shard.isHolding = true
    client.write(encode(['GET', 'a']).repeat(4))
    client.read()
    const requests = [
      ['DBSIZE'],
      ['MGET', 'a', 'b'],
      ['SCAN', '0'],
      ['WATCH', 'a'],
      ['MULTI'],
      ['GET', 'a'],
      ['EXEC'],
    ]
    other.write(requests.map(encode).join(''))
    expect(other.read()).toBe('')
    expect(world.shards[1]?.held.length).toBe(4)
    for (let round = 0; round < 10; round++) {
      for (const shard of world.shards) shard.release()
      world.world.settle()
    }
    expect(other.read()).toMatch(
      /^:0\r\n\*2\r\n\$-1\r\n\$-1\r\n\*2\r\n.*\+OK\r\n\+OK\r\n\+QUEUED\r\n\*1\r\n\$-1\r\n$/s,
    )
  })

  it('shardOutgoingBytesMax: a shard that does not read stops its clients', () => {
    const world = new ProxyWorld({ limits: { requestBytesMax: shardOutgoingBytesMax } })
    const client = world.client()
    for (const connection of world.shard.connections) connection.pause()
    const request = encode(['SET', 'a', 'x'.repeat(shardOutgoingBytesMax / 4)])
    for (let i = 0; i < 10; i++) client.write(request)
    expect(client.read()).toBe('')
    const [link] = world.proxy.links.all
    expect(link?.isFull).toBe(true)
    expect(link?.pending).toBeLessThan(8)
    for (const connection of world.shard.connections) connection.resume()
    expect(client.read()).toBe('+OK\r\n'.repeat(10))
  })

  it('helloMs: a shard that says nothing is dialled again', () => {
    const world = new ProxyWorld()
    world.shard.isSilent = true
    world.shard.kill()
    world.shard.isDown = false
    world.world.advance(1_000)
    const [first] = world.shard.connections
    world.world.advance(helloMs + 1_000)
    expect(world.shard.connections.length).toBe(1)
    expect(world.shard.connections[0]).not.toBe(first)
  })
})

describe('draining', () => {
  it('answers what is under way and takes nothing new', () => {
    const world = new ProxyWorld()
    const client = world.client()
    const idle = world.client()
    world.shard.isHolding = true
    client.write(encode(['SET', 'a', '1']))
    client.read()
    let isDone = false
    world.proxy.drain(() => {
      isDone = true
    })
    world.world.settle()
    expect([isDone, idle.isClosed, client.isClosed]).toEqual([false, true, false])
    const late = world.client()
    late.read()
    expect(late.isClosed).toBe(true)
    world.shard.release()
    expect(client.read()).toBe('+OK\r\n')
    expect([isDone, client.isClosed]).toEqual([true, true])
  })

  it('does not wait for ever', () => {
    const world = new ProxyWorld()
    const client = world.client()
    world.shard.isHolding = true
    client.write(encode(['SET', 'a', '1']))
    client.read()
    let doneCount = 0
    world.proxy.drain(() => {
      doneCount++
    })
    world.world.advance(10_000)
    expect([doneCount, client.isClosed]).toEqual([1, true])
  })
})
