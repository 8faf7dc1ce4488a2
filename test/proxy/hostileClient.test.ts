/** What a client can send, the process survives, in bounded memory, and the next client is served. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { commands } from '#protocol/commands/index.ts'
import { SeededRandom, seedFromEnv } from '#test/seed.ts'
import { encode, ProxyWorld } from './proxyWorld.ts'

describe('a hostile client', () => {
  it.each<[string, string, string]>([
    ['a negative bulk', '*2\r\n$3\r\nGET\r\n$-1\r\n', 'invalid bulk length'],
    ['a huge bulk', '*2\r\n$3\r\nGET\r\n$99999999999999\r\n', 'invalid bulk length'],
    ['a huge array', '*2147483647\r\n', 'invalid multibulk length'],
    ['no number', '*x\r\n', 'invalid multibulk length'],
    ['no bulk', '*1\r\nPING\r\n', "expected '$', got 'P'"],
    ['a line end for a type', '*1\r\n\n\r\n', "expected '$', got ' '"],
    ['nested arrays', '*1\r\n*1\r\n*1\r\n', "expected '$', got '*'"],
    ['an endless header', `*${'1'.repeat(70_000)}`, 'too big mbulk count string'],
    ['an endless line', 'x'.repeat(70_000), 'too big inline request'],
    ['open quotes', 'SET a "x\r\n', 'unbalanced quotes in request'],
  ])('with %s gets an error and is closed', (_, bytes, error) => {
    const world = new ProxyWorld()
    const client = world.client()
    expect(client.raw(`PING\r\n${bytes}`)).toBe(`+PONG\r\n-ERR Protocol error: ${error}\r\n`)
    expect(client.isClosed).toBe(true)
    expect(world.client().call('PING')).toBe('+PONG\r\n')
  })

  it('gets the error behind the replies of what came before', () => {
    const world = new ProxyWorld()
    const client = world.client()
    world.shard.isHolding = true
    client.raw(`${encode(['SET', 'a', '1'])}*1\r\nx`)
    expect(client.isClosed).toBe(false)
    world.shard.release()
    expect(client.read()).toBe("+OK\r\n-ERR Protocol error: expected '$', got 'x'\r\n")
    expect(client.isClosed).toBe(true)
  })

  it('that speaks HTTP gets no more than errors', () => {
    const world = new ProxyWorld()
    const client = world.client()
    const reply = client.raw('POST / HTTP/1.1\r\nHost: x\r\n\r\n')
    expect(reply.split('\r\n').filter((line) => line !== '' && !line.startsWith('-ERR'))).toEqual([])
    expect(world.shard.seen).toEqual([])
  })

  it('with random bytes, cut anywhere, harms nobody', () => {
    const seed = seedFromEnv()
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 2 ** 31 - 1 }), (runSeed) => {
        const random = new SeededRandom(runSeed)
        const world = new ProxyWorld({ shardCount: 2 })
        for (let i = 0; i < 20; i++) {
          const client = world.client()
          const alphabet = random.pick(['*$\r\n0123456789', '*$\r\n0123456789-+ "\'abcGET', null])
          let text = ''
          for (let at = random.below(400); at > 0; at--) {
            text += alphabet === null ? String.fromCharCode(random.below(256)) : random.pick([...alphabet])
          }
          for (let at = 0; at < text.length; ) {
            const size = 1 + random.below(30)
            client.raw(text.slice(at, at + size))
            at += size
          }
        }
        const client = world.client()
        expect(client.call('SET', 'a', '1')).toBe('+OK\r\n')
      }),
      { seed, numRuns: 50 },
    )
  })

  it('with every command of the table and random arguments harms nobody', () => {
    const seed = seedFromEnv()
    const names = [...commands.values()].flatMap((command) => [
      [command.name],
      ...command.subcommands.map(({ name }) => name.split('|')),
    ])
    const words = [
      'a',
      'b',
      '{a}1',
      '',
      '0',
      '-1',
      '99999999999999999999',
      'ON',
      'ID',
      'x'.repeat(300),
      '\0\xff\r\n',
      '*',
    ]
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 2 ** 31 - 1 }), (runSeed) => {
        const random = new SeededRandom(runSeed)
        const world = new ProxyWorld({ shardCount: 2 })
        for (const shard of world.shards) shard.info = () => (random.chance(0.5) ? {} : null)
        let client = world.client()
        for (let i = 0; i < 300; i++) {
          const args = Array.from({ length: random.below(6) }, () => random.pick(words))
          const reply = client.call(...random.pick(names), ...args)
          // A pause only ends by time.
          if (reply === '') world.world.advance(100_000_000_000)
          if (client.isClosed) client = world.client()
        }
        const last = world.client()
        expect(last.call('ECHO', 'alive')).toBe('$5\r\nalive\r\n')
      }),
      { seed, numRuns: 20 },
    )
  })
})
