/** Subscribers of two workers, and what becomes of them when shards and clients come and go. */
import { describe, expect, it } from 'vitest'
import { BlockingWorld } from './blockingWorld.ts'
import { linked } from './linkedWorld.ts'
import { encode } from './proxyWorld.ts'

const bulk = (text: string): string => `$${text.length}\r\n${text}\r\n`
const array = (...items: string[]): string => `*${items.length}\r\n${items.join('')}`
const subscribed = (channel: string, count: number): string =>
  array(bulk('subscribe'), bulk(channel), `:${count}\r\n`)
const message = (channel: string, text: string): string => array(bulk('message'), bulk(channel), bulk(text))

/** Of different shards. */
const channels = ['a', 'b', 'c', 'd', 'e', 'f']

describe('a message', () => {
  it('reaches the subscribers at all workers once, whichever shard has its channel', () => {
    const world = new BlockingWorld({ shardCount: 3 })
    const subscribers = [world.client(0), world.client(0), world.client(1)]
    for (const client of subscribers) client.call('SUBSCRIBE', ...channels)
    for (const [i, channel] of channels.entries()) {
      expect(world.client(i % 2).call('PUBLISH', channel, 'hi')).toBe(':3\r\n')
      for (const client of subscribers) expect(client.read()).toBe(message(channel, 'hi'))
    }
  })

  it('of a transaction reaches them from the shard that runs it', () => {
    const world = new BlockingWorld({ shardCount: 3 })
    const subscriber = world.client(1)
    subscriber.call('SUBSCRIBE', ...channels)
    const client = world.client(0)
    for (const channel of channels) {
      client.raw(
        [['MULTI'], ['SET', 'k', channel], ['PUBLISH', channel, 'hi'], ['EXEC']].map(encode).join(''),
      )
      expect(subscriber.read()).toBe(message(channel, 'hi'))
    }
  })

  it('of a script reaches them, too', () => {
    const world = new BlockingWorld({ shardCount: 3 }, { database: { shardCount: 3 } })
    const subscriber = world.client(1)
    subscriber.call('SUBSCRIBE', ...channels)
    const client = world.client(0)
    const script = "return redis.call('publish', ARGV[1], 'hi')"
    for (const channel of channels) {
      expect(client.call('EVAL', script, '1', channel === 'a' ? 'b' : 'a', channel)).toBe(':1\r\n')
      expect(subscriber.read()).toBe(message(channel, 'hi'))
    }
  })

  it('comes to a RESP3 client between its replies', () => {
    const world = new BlockingWorld()
    const client = world.client()
    client.call('HELLO', '3')
    client.call('SUBSCRIBE', 'news')
    const received = client.raw(
      [
        ['SET', 'k', 'v'],
        ['PUBLISH', 'news', 'x'],
        ['GET', 'k'],
      ]
        .map(encode)
        .join(''),
    )
    // Anywhere between them: it does not wait for the log, as replies do.
    const push = `>3\r\n${bulk('message')}${bulk('news')}${bulk('x')}`
    const replies = `+OK\r\n:1\r\n${bulk('v')}`
    expect(['', '+OK\r\n'].map((before) => replies.replace(before, before + push))).toContain(received)
  })

  it('does not come before the subscription is told, whatever is asked before', () => {
    const world = new BlockingWorld({ shardCount: 3 })
    const client = world.client()
    const publisher = world.client(1)
    client.write([...channels.map((key) => ['GET', key]), ['SUBSCRIBE', 'news']].map(encode).join(''))
    publisher.write(encode(['PUBLISH', 'news', 'early']))
    const received = client.read()
    expect(received.startsWith('$-1\r\n'.repeat(channels.length) + subscribed('news', 1))).toBe(true)
  })
})

describe('a subscription', () => {
  it('holds when a shard is started again', () => {
    const world = new BlockingWorld({ shardCount: 2 })
    const client = world.client()
    client.call('SUBSCRIBE', ...channels)
    client.call('PSUBSCRIBE', 'z*')
    for (const index of [0, 1]) world.restart(index)
    const publisher = world.client(1)
    for (const channel of channels) {
      expect(publisher.call('PUBLISH', channel, 'again')).toBe(':1\r\n')
      expect(client.read()).toBe(message(channel, 'again'))
    }
    expect(publisher.call('PUBLISH', 'zoo', 'x')).toBe(':1\r\n')
  })

  it('ends with its client, and with RESET', () => {
    const world = new BlockingWorld({ shardCount: 2 })
    const [gone, reset] = [world.client(0), world.client(1)]
    for (const client of [gone, reset]) {
      client.call('SUBSCRIBE', 'a', 'b')
      client.call('PSUBSCRIBE', '*')
      client.call('SSUBSCRIBE', 'a')
    }
    const other = world.client()
    expect(other.call('PUBLISH', 'a', 'x')).toBe(':4\r\n')
    gone.connection.destroy()
    expect(other.call('PUBLISH', 'a', 'x')).toBe(':2\r\n')
    reset.call('RESET')
    expect(other.call('PUBLISH', 'a', 'x')).toBe(':0\r\n')
    expect(other.call('PUBSUB', 'CHANNELS')).toBe('*0\r\n')
    expect(other.call('PUBSUB', 'NUMPAT')).toBe(':0\r\n')
    expect(other.call('PUBSUB', 'SHARDCHANNELS')).toBe('*0\r\n')
  })

  it('is seen in CLIENT LIST and INFO, keeps an idle client, and CLIENT KILL finds it', () => {
    const world = new BlockingWorld({ shardCount: 2 })
    const client = world.client()
    client.call('SUBSCRIBE', 'a', 'b')
    client.call('PSUBSCRIBE', '*')
    client.call('SSUBSCRIBE', 's')
    const other = world.client(1)
    expect(other.call('CLIENT', 'LIST', 'TYPE', 'pubsub')).toMatch(/ flags=P db=0 sub=2 psub=1 ssub=1 /)
    expect(other.call('CLIENT', 'LIST', 'TYPE', 'normal')).not.toContain('sub=2')
    const info = other.call('INFO', 'stats')
    expect(info).toContain('pubsub_channels:2\r\npubsub_patterns:1\r\npubsubshard_channels:1\r\n')
    other.call('CONFIG', 'SET', 'timeout', '5')
    world.world.advance(20_000)
    expect(client.isClosed).toBe(false)
    expect(other.isClosed).toBe(true)
    expect(world.client().call('CLIENT', 'KILL', 'TYPE', 'pubsub')).toBe(':1\r\n')
    client.read()
    expect(client.isClosed).toBe(true)
  })

  it('of a client that does not read ends with it at subscriber_output_bytes_max; the others go on', () => {
    const world = new BlockingWorld({ limits: { subscriberOutputBytesMax: 100_000 } })
    const [slow, fast] = [world.client(), world.client()]
    for (const client of [slow, fast]) client.call('SUBSCRIBE', 'news')
    slow.connection.pause()
    const publisher = world.client(1)
    const text = 'x'.repeat(10_000)
    for (let i = 0; i < 30; i++) {
      publisher.call('PUBLISH', 'news', text)
      expect(fast.read()).toBe(message('news', text))
    }
    expect(publisher.call('PUBSUB', 'NUMSUB', 'news')).toBe(array(bulk('news'), ':1\r\n'))
  })

  it('muted replies do not mute it', () => {
    const world = new BlockingWorld()
    const client = world.client()
    client.call('HELLO', '3')
    expect(client.call('CLIENT', 'REPLY', 'OFF')).toBe('')
    const told = `>3\r\n${bulk('subscribe')}${bulk('news')}:1\r\n`
    expect(client.call('SUBSCRIBE', 'news')).toBe(told)
    expect(client.call('PUBLISH', 'news', 'x')).toBe(`>3\r\n${bulk('message')}${bulk('news')}${bulk('x')}`)
  })
})

describe('between clusters', () => {
  it('a message comes once, behind what was written before it', () => {
    const { world, peers, carry } = linked(2)
    const client = world.client()
    client.call('SUBSCRIBE', ...channels)
    for (const [i, channel] of channels.entries()) {
      const peer = peers[i % 2]
      peer?.run('SET', channel, 'written')
      peer?.run('PUBLISH', channel, 'there')
      expect(client.read()).toBe('')
      carry(50)
      expect(client.read()).toBe(message(channel, 'there'))
    }
  })
})
