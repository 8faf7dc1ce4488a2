/** Requests of several keys, slots and shards. */
import { describe, expect, it } from 'vitest'
import { commands } from '#protocol/commands/index.ts'
import { FrameKind } from '#protocol/frames/frame.ts'
import { slotOfKey } from '#protocol/slots/crc16.ts'
import { localCommands } from '#proxy/local/index.ts'
import { frame } from './fakeShard.ts'
import { encode, ProxyWorld } from './proxyWorld.ts'

const keys = Array.from({ length: 50 }, (_, i) => `key:${i}`)
const elements = (reply: string): string[] =>
  reply.split('\r\n').filter((line) => !/^[*$]/.test(line) && line !== '')

describe('commands of many keys', () => {
  it('go to each shard once and come back as one reply', () => {
    const world = new ProxyWorld({ shardCount: 3 })
    const client = world.client()
    expect(client.call('MSET', ...keys.flatMap((key) => [key, `v-${key}`]))).toBe('+OK\r\n')
    expect(world.shards.map(({ seen }) => seen.length)).toEqual([1, 1, 1])
    for (const { seen, ranges } of world.shards) {
      const owned = (seen[0]?.commands[0] ?? []).filter((_, i) => i % 2 === 1).map(slotOfKey)
      expect(owned.every((slot) => ranges.some(({ first, last }) => slot >= first && slot <= last))).toBe(
        true,
      )
    }
    expect(elements(client.call('MGET', ...keys))).toEqual(keys.map((key) => `v-${key}`))
    expect(client.call('MGET', 'key:1', 'none', 'key:1')).toBe(
      '*3\r\n$7\r\nv-key:1\r\n$-1\r\n$7\r\nv-key:1\r\n',
    )
    expect(client.call('EXISTS', ...keys, 'none')).toBe(':50\r\n')
    expect(client.call('TOUCH', 'key:1', 'key:2')).toBe(':2\r\n')
    expect(client.call('DBSIZE')).toBe(':50\r\n')
    expect(elements(client.call('KEYS', '*')).sort()).toEqual([...keys].sort())
    expect(keys).toContain(elements(client.call('RANDOMKEY'))[0])
    expect(client.call('DEL', ...keys.slice(0, 25))).toBe(':25\r\n')
    expect(client.call('UNLINK', ...keys)).toBe(':25\r\n')
    expect(client.call('RANDOMKEY')).toBe('$-1\r\n')
    expect(client.call('KEYS', '*')).toBe('*0\r\n')
    expect(client.call('FLUSHALL')).toBe('+OK\r\n')
  })

  it('of one shard are sent as they came', () => {
    const world = new ProxyWorld({ shardCount: 2 })
    const client = world.client()
    expect(client.call('mget', '{t}1', '{t}2')).toBe('*2\r\n$-1\r\n$-1\r\n')
    expect(world.shards.flatMap(({ seen }) => seen.flatMap(({ commands: sent }) => sent))).toEqual([
      ['mget', '{t}1', '{t}2'],
    ])
  })

  it('fail when one shard fails', () => {
    const world = new ProxyWorld({ shardCount: 3 })
    const client = world.client()
    const [, second] = world.shards
    if (second) second.answer = () => '-MISCONF disk\r\n'
    expect(client.call('MSET', ...keys.flatMap((key) => [key, '1']))).toBe('-MISCONF disk\r\n')
    expect(client.call('DBSIZE')).toBe('-MISCONF disk\r\n')
    expect(client.call('MGET', ...keys)).toBe('-MISCONF disk\r\n')
  })

  it('are not split when the last one lacks its value', () => {
    const world = new ProxyWorld({ shardCount: 2 })
    const request = ['MSET', 'a', '1', 'b', '2', 'c']
    world.client().call(...request)
    expect(world.shards.flatMap(({ seen }) => seen.map(({ commands }) => commands[0]))).toEqual([request])
  })

  it('of one slot refuse several', () => {
    const client = new ProxyWorld({ shardCount: 2 }).client()
    for (const request of [
      ['RENAME', 'a', 'b'],
      ['MSETNX', 'a', '1', 'b', '2'],
      ['SINTER', 'a', 'b'],
      ['ZUNIONSTORE', 'a', '1', 'b'],
      ['GEORADIUS', 'a', '0', '0', '1', 'm', 'STORE', 'a', 'STORE', 'b'],
    ]) {
      expect(client.call(...request)).toBe("-CROSSSLOT Keys in request don't hash to the same slot\r\n")
    }
    expect(client.call('SINTERCARD', '2', 'a', 'b')).toContain('-CROSSSLOT')
    // How many keys there are is for the shard to complain of.
    expect(client.call('SINTERCARD', 'x', 'a')).toBe('-ERR fake shard: SINTERCARD\r\n')
  })

  it('go whole to the one shard without sharding', () => {
    const world = new ProxyWorld({ database: { sharding: false } })
    const client = world.client()
    const requests = [
      ['MSET', 'a', '1', 'b', '2'],
      ['RENAME', 'a', 'b'],
      ['SINTERSTORE', 'a', 'b', 'c'],
      ['SORT', 'a', 'BY', 'w*', 'STORE', 'b'],
    ]
    for (const request of requests) expect(client.call(...request)).not.toContain('CROSSSLOT')
    expect(world.shards.flatMap(({ seen }) => seen.flatMap(({ commands: sent }) => sent))).toEqual(requests)
  })

  it('have one shard without sharding', () => {
    expect(() => new ProxyWorld({ shardCount: 2, database: { sharding: false } })).toThrow('without sharding')
  })

  it('SCAN walks over all shards', () => {
    const world = new ProxyWorld({ shardCount: 3 })
    const client = world.client()
    client.call('MSET', ...keys.flatMap((key) => [key, '1']))
    const found: string[] = []
    let cursor = '0'
    do {
      const [next = '', ...page] = elements(client.call('SCAN', cursor))
      found.push(...page)
      cursor = next
    } while (cursor !== '0')
    expect(found.sort()).toEqual([...keys].sort())
    for (const bad of ['x', '-1', '99999999999999999999', '']) expect(client.call('SCAN', bad)).not.toBe('')
  })
})

describe('a shard that goes away', () => {
  it('leaves the outcome of what was under way unknown, and says so', () => {
    const world = new ProxyWorld({ shardCount: 2 })
    const client = world.client()
    for (const shard of world.shards) shard.isHolding = true
    // a: shard 1, b: shard 0
    client.write(`${encode(['SET', 'b', '1'])}${encode(['SET', 'a', '1'])}${encode(['DBSIZE'])}PING\r\n`)
    client.read()
    world.shards[1]?.kill()
    expect(client.read()).toBe('')
    world.shards[0]?.release()
    const unknown = '-UNAVAILABLE shard 1 went away; whether the command was executed is unknown\r\n'
    expect(client.read()).toBe(`+OK\r\n${unknown}${unknown}+PONG\r\n`)
  })

  it('refuses what comes later, until it is back', () => {
    const world = new ProxyWorld()
    const client = world.client()
    world.shard.kill()
    world.world.settle()
    expect(client.call('GET', 'a')).toBe(
      '-UNAVAILABLE shard 0 is restarting; the command was not executed, try again\r\n',
    )
    world.world.advance(10_000)
    expect(client.call('GET', 'a')).toContain('-UNAVAILABLE')
    world.shard.isDown = false
    world.world.advance(1_000)
    expect(client.call('GET', 'a')).toBe('$-1\r\n')
  })

  it('that has not come yet is loading', () => {
    const world = new ProxyWorld({ shardsDown: true })
    let isReady = false
    world.proxy.whenReady(() => {
      isReady = true
    })
    const client = world.client()
    expect(client.call('GET', 'a')).toBe(
      '-LOADING shard 0 has not come up yet; the command was not executed, try again\r\n',
    )
    expect(client.call('PING')).toBe('+PONG\r\n')
    expect(client.call('INFO', 'persistence')).toContain('loading:1\r\n')
    expect(isReady).toBe(false)
    world.shard.isDown = false
    world.world.advance(1_000)
    expect(isReady).toBe(true)
    expect(client.call('GET', 'a')).toBe('$-1\r\n')
  })

  it('is not trusted when it is another one', () => {
    const world = new ProxyWorld({ shardCount: 2 })
    const [first, second] = world.shards
    if (!first || !second) throw new Error('two shards')
    first.kill()
    world.world.settle()
    const accept = second.accept.bind(second)
    first.accept = accept
    first.isDown = false
    world.world.advance(1_000)
    expect(world.client().call('GET', 'b')).toContain('-UNAVAILABLE')
    expect(world.logger.lines.some(({ facts }) => facts['reason'] === 'not the shard it should be')).toBe(
      true,
    )
  })

  it('is left when it answers what nobody asked, or more than that, or nothing', () => {
    for (const [tag, count] of [
      [7, 1],
      [0, 3],
      [0, 0],
    ] as const) {
      const world = new ProxyWorld()
      const client = world.client()
      world.shard.isHolding = true
      client.write(encode(['GET', 'a']).repeat(2))
      expect(client.read()).toBe('')
      world.shard.connections[0]?.write(frame(FrameKind.reply, tag, '+OK\r\n'.repeat(count), count))
      expect(client.read()).toContain('-UNAVAILABLE shard 0 went away')
      expect(
        world.logger.lines.some(({ facts }) => facts['reason'] === `${count} replies to tag ${tag}`),
      ).toBe(true)
    }
  })
})

describe('the table', () => {
  it('has a handler in the proxy for each command that is the proxy its business', () => {
    const missing: string[] = []
    for (const command of commands.values()) {
      for (const spec of [command, ...command.subcommands]) {
        const isOwn = ['proxy', 'gathered', 'subscription'].includes(spec.request)
        const isCallable = !spec.isContainer || spec.accepts(1)
        if (isOwn && isCallable && !localCommands.has(spec)) missing.push(spec.name)
      }
    }
    expect(missing).toEqual([])
    // Part of a transaction it is the proxy's.
    expect(
      [...localCommands.keys()]
        .filter(({ request }) => !['proxy', 'gathered', 'subscription'].includes(request))
        .map(({ name }) => name),
    ).toEqual(['UNWATCH'])
  })
})
