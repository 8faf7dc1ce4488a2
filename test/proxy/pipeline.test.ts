/** Replies come in the order of the requests, whatever the shards do, and however the bytes arrive. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { SeededRandom, seedFromEnv } from '#test/seed.ts'
import { encode, ProxyWorld } from './proxyWorld.ts'

/** Keys come back as values, so that a reply shows where it belongs. */
function echoed(command: string[] = []): string {
  const [name = '', ...keys] = command
  return name === 'MGET'
    ? `*${keys.length}\r\n${keys.map((key) => `+${key}\r\n`).join('')}`
    : `+${keys[0]}\r\n`
}

describe('a pipeline', () => {
  it('is answered in order although one shard is slower', () => {
    const world = new ProxyWorld({ shardCount: 2 })
    const client = world.client()
    const [first, second] = world.shards
    if (!first || !second) throw new Error('two shards')
    first.isHolding = true
    // {a} lies in the upper half of the slots, {b} in the lower one.
    client.write(`${encode(['SET', 'b', '1'])}${encode(['SET', 'a', '2'])}PING\r\n${encode(['GET', 'a'])}`)
    expect(client.read()).toBe('')
    expect(world.shards.map(({ seen }) => seen.length)).toEqual([1, 2])
    first.release()
    expect(client.read()).toBe('+OK\r\n+OK\r\n+PONG\r\n$1\r\n2\r\n')
  })

  it('sends requests for one shard on together, as far as they lie side by side', () => {
    const world = new ProxyWorld({ shardCount: 2 })
    const client = world.client()
    const [first, second] = world.shards
    if (!first || !second) throw new Error('two shards')
    client.widen()
    const a = encode(['GET', 'a'])
    const b = encode(['GET', 'b'])
    const nothing = '*0\r\n'
    client.write(`${a}${a}${b}${b}${b}${a}PING\r\n${a}${a}${nothing}${a}${a.slice(0, 9)}`)
    expect(client.read()).toBe(`${'$-1\r\n'.repeat(6)}+PONG\r\n${'$-1\r\n'.repeat(3)}`)
    expect([first.frameSizes, second.frameSizes]).toEqual([[3], [2, 1, 2, 1]])
    expect(client.raw(a.slice(9))).toBe('$-1\r\n')
  })

  it('is cut so that the shard can start before its end', () => {
    const world = new ProxyWorld()
    const client = world.client()
    client.widen()
    expect(client.raw(encode(['GET', 'a']).repeat(150))).toBe('$-1\r\n'.repeat(150))
    expect(world.shard.frameSizes).toEqual([64, 64, 22])
    expect(client.raw(encode(['SET', 'a', 'x'.repeat(6000)]).repeat(5))).toBe('+OK\r\n'.repeat(5))
    expect(world.shard.frameSizes.slice(3)).toEqual([3, 2])
  })

  it('has few requests on their way until replies have shown how long they take', () => {
    const world = new ProxyWorld()
    const client = world.client()
    world.shard.isHolding = true
    client.write(encode(['GET', 'a']).repeat(100))
    const onTheirWay: number[] = []
    let replies = client.read()
    while (world.shard.held.length > 0) {
      onTheirWay.push(world.shard.held.length)
      world.shard.release()
      world.shard.isHolding = true
      replies += client.read()
    }
    expect(onTheirWay).toEqual([8, 16, 32, 44])
    expect(replies).toBe('$-1\r\n'.repeat(100))
  })

  it('of requests that hold the shard for long goes one by one, so that others have their turn', () => {
    const world = new ProxyWorld()
    const [slow, quick] = [world.client(), world.client()]
    slow.widen()
    world.shard.answer = ({ commands }) => (commands[0]?.[0] === 'LRANGE' ? '*0\r\n' : undefined)
    world.shard.holds = ([command]) => command?.[0] === 'LRANGE'
    slow.call('LRANGE', 'a', '0', '-1')
    world.shard.isHolding = true
    slow.raw(encode(['LRANGE', 'a', '0', '-1']).repeat(20))
    quick.raw(encode(['GET', 'b']))
    const names = (): unknown[] => world.shard.held.map(({ commands }) => commands[0]?.[0])
    expect(names()).toEqual(['LRANGE', 'GET'])
    world.shard.release()
    expect(quick.read()).toBe('$-1\r\n')
    expect(slow.read()).toBe('*0\r\n'.repeat(20))
    // Quick ones widen the window again.
    slow.widen()
    world.shard.isHolding = true
    slow.raw(encode(['GET', 'b']).repeat(20))
    expect(names()).toHaveLength(20)
  })

  it('is answered in part when its shard dies', () => {
    const world = new ProxyWorld()
    const client = world.client()
    world.shard.isHolding = true
    client.write(encode(['INCR', 'a']).repeat(4))
    expect(client.read()).toBe('')
    world.shard.release((held) => held.slice(0, 3))
    world.world.settle()
    world.shard.kill()
    const unknown = '-UNAVAILABLE shard 0 went away; whether the command was executed is unknown\r\n'
    expect(client.read()).toBe(`:1\r\n:2\r\n:3\r\n${unknown}`)
    const refused = '-UNAVAILABLE shard 0 is restarting; the command was not executed, try again\r\n'
    expect(client.raw(encode(['INCR', 'a']).repeat(2))).toBe(refused.repeat(2))
  })

  it('keeps its order under random interleavings, splits and reply orders', () => {
    const seed = seedFromEnv()
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 2 ** 31 - 1 }),
        fc.integer({ min: 1, max: 200 }),
        (runSeed, chunk) => {
          const random = new SeededRandom(runSeed)
          const world = new ProxyWorld({ shardCount: 3, limits: { pipelineMax: 1 + random.below(40) } })
          const client = world.client()
          const inPieces = random.chance(0.5)
          for (const shard of world.shards) {
            if (inPieces) shard.pieceBytesMax = 1 + random.below(50)
            shard.answer = ({ commands: [command] }) => echoed(command)
          }
          const requests: string[] = []
          const expected: string[] = []
          for (let i = 0; i < 100; i++) {
            const kind = random.below(5)
            if (kind === 0) {
              const keys = Array.from({ length: 1 + random.below(6) }, (_, at) => `m${i}.${at}`)
              requests.push(encode(['MGET', ...keys]))
              expected.push(echoed(['MGET', ...keys]))
            } else if (kind === 1) {
              requests.push(encode(['ECHO', `e${i}`]))
              expected.push(`$${`e${i}`.length}\r\ne${i}\r\n`)
            } else {
              const size = random.chance(0.05) ? (inPieces ? 500 : 40_000) : random.below(40)
              const key = `k${i}${'x'.repeat(size)}`
              requests.push(encode(['GET', key]))
              expected.push(`+${key}\r\n`)
            }
          }
          const stream = requests.join('')
          let got = ''
          for (let at = 0; at < stream.length; ) {
            const size = random.chance(0.1) ? 30_000 : 1 + random.below(chunk)
            client.write(stream.slice(at, at + size))
            at += size
            for (const shard of world.shards) {
              if (random.chance(0.3)) shard.isHolding = true
              if (random.chance(0.3)) shard.release((held) => (random.chance(0.5) ? held : held.toReversed()))
            }
            got += client.read()
          }
          for (let round = 0; round < 200; round++) {
            for (const shard of world.shards) shard.release((held) => held.toReversed())
            got += client.read()
          }
          expect(got).toBe(expected.join(''))
        },
      ),
      { seed, numRuns: 60 },
    )
  })

  it('takes inline commands and sends them on as arrays', () => {
    const world = new ProxyWorld()
    const client = world.client()
    expect(client.raw('set k "a b\\x00"\r\n')).toBe('+OK\r\n')
    expect(world.shard.seen[0]?.commands).toEqual([['set', 'k', 'a b\0']])
    expect(client.raw('\r\n  \r\nget k\r\n*0\r\n*-1\r\nping\r\n')).toBe('$4\r\na b\0\r\n+PONG\r\n')
  })

  it('passes values of any size, cut anywhere', () => {
    const world = new ProxyWorld({
      limits: { requestBytesMax: 4 * 1024 * 1024, outputBytesMax: 64 * 1024 * 1024 },
    })
    const client = world.client()
    for (const size of [0, 1, 1000, 16_384, 32_768, 100_000, 3_000_000]) {
      const value = 'v'.repeat(size)
      const request = encode(['SET', 'k', value])
      for (let at = 0; at < request.length; at += 65_536) client.write(request.slice(at, at + 65_536))
      expect(client.read()).toBe('+OK\r\n')
      expect(client.call('GET', 'k') === `$${size}\r\n${value}\r\n`).toBe(true)
    }
  })

  it('answers everything that came before the client ended its side', () => {
    const world = new ProxyWorld()
    const client = world.client()
    world.shard.isHolding = true
    client.write(`${encode(['SET', 'a', '1'])}${encode(['GET', 'a'])}`)
    client.end()
    expect(client.read()).toBe('')
    world.shard.release()
    expect(client.read()).toBe('+OK\r\n$1\r\n1\r\n')
    world.world.advance(0)
    expect(client.isClosed).toBe(true)
  })

  it('forgets a client that went away while its requests were under way', () => {
    const world = new ProxyWorld()
    const client = world.client()
    const other = world.client()
    world.shard.isHolding = true
    client.write(encode(['SET', 'a', '1']))
    client.read()
    client.connection.destroy()
    world.world.settle()
    world.shard.release()
    expect(other.call('GET', 'a')).toBe('$1\r\n1\r\n')
    expect(world.proxy.clients.count).toBe(1)
  })
})
