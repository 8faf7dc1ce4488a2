/** What clients get while a shard runs a script, and who can stop it. */
import { describe, expect, it } from 'vitest'
import { encode, ProxyWorld } from './proxyWorld.ts'

const busy = '-BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.\r\n'
describe('a shard that runs a script for long', () => {
  it('is busy until it answers again', () => {
    const world = new ProxyWorld({ limits: { busyReplyMs: 100 } })
    let forMs = 60
    // What the shard was told when it came up is long ago.
    world.world.advance(100)
    world.scriptWatches.set('/shard/0.s', () => `runs script ${forMs}`)
    world.shard.isHolding = true
    const [runner, other] = [world.client(), world.client()]
    runner.write(encode(['EVAL', 'while true do end', '1', 'k']))
    world.world.advance(100)
    // It has run for 60 ms, and is looked at again when it may have run for 100.
    forMs = 100
    world.world.advance(39)
    other.write(encode(['GET', 'k']))
    expect(other.read()).toBe('')
    world.world.advance(1)
    const third = world.client()
    third.write(encode(['GET', 'k']))
    expect(third.read()).toBe(busy)
    third.write(encode(['PING']))
    expect(third.read()).toBe('+PONG\r\n')
    world.shard.release()
    world.world.settle()
    third.write(encode(['GET', 'k']))
    expect(third.read()).not.toBe(busy)
  })

  it('is told of subscribers: nobody would tell it again', () => {
    const world = new ProxyWorld({ limits: { busyReplyMs: 100 } })
    world.world.advance(100)
    world.scriptWatches.set('/shard/0.s', () => 'runs script 100')
    world.shard.isHolding = true
    const [runner, other, subscriber] = [world.client(), world.client(), world.client()]
    runner.write(encode(['EVAL', 'while true do end', '1', 'k']))
    world.world.advance(100)
    other.write(encode(['GET', 'k']))
    expect(other.read()).toBe(busy)
    const told: string[] = []
    world.shard.info = (what) => {
      told.push(what)
      return {}
    }
    subscriber.write(encode(['SUBSCRIBE', 'c']))
    expect(subscriber.read()).toBe('*3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n')
    expect(told).toEqual(['subscribed'])
  })

  it('is not called busy when no script runs', () => {
    const world = new ProxyWorld({ limits: { busyReplyMs: 100 } })
    world.scriptWatches.set('/shard/0.s', () => 'idle')
    world.shard.isHolding = true
    const [slow, other] = [world.client(), world.client()]
    slow.write(encode(['KEYS', '*']))
    world.world.advance(1000)
    other.write(encode(['GET', 'k']))
    expect(other.read()).toBe('')
  })
})

describe('SCRIPT KILL', () => {
  it.each([
    [['idle', 'killed'], '+OK\r\n'],
    [['unkillable', 'killed'], '+OK\r\n'],
    [['idle', 'unkillable'], /^-UNKILLABLE Sorry the script already executed write commands/],
    [['idle', 'idle'], '-NOTBUSY No scripts in execution right now.\r\n'],
    [['idle', null], '-NOTBUSY No scripts in execution right now.\r\n'],
    [['nonsense', 'killed'], '+OK\r\n'],
  ] as const)('of shards that say %j', (answers, reply) => {
    const world = new ProxyWorld({ shardCount: 2, limits: { busyReplyMs: 100 } })
    const asked: string[] = []
    for (const [i, answer] of answers.entries()) {
      if (answer === null) continue
      world.scriptWatches.set(`/shard/${i}.s`, (question) => {
        asked.push(question)
        return answer
      })
    }
    const client = world.client()
    client.write(encode(['SCRIPT', 'KILL']))
    world.world.settle()
    expect(client.read()).toMatch(reply)
    expect(asked).toEqual(answers.filter((answer) => answer !== null).map(() => 'kill script 100'))
  })

  it('waits for a script until it is busy or has ended', () => {
    const world = new ProxyWorld({ limits: { busyReplyMs: 5000 } })
    world.scriptWatches.set('/shard/0.s', () => ({ line: 'killed', afterMs: 4900 }))
    const client = world.client()
    client.write(encode(['SCRIPT', 'KILL']))
    world.world.advance(4899)
    expect(client.read()).toBe('')
    world.world.advance(1)
    expect(client.read()).toBe('+OK\r\n')
    world.scriptWatches.set('/shard/0.s', () => ({ line: 'killed', afterMs: 60_000 }))
    client.write(encode(['SCRIPT', 'KILL']))
    world.world.advance(5500)
    expect(client.read()).toBe('-NOTBUSY No scripts in execution right now.\r\n')
  })

  it('SCRIPT DEBUG has no debugger to switch on', () => {
    const client = new ProxyWorld().client()
    client.write(encode(['SCRIPT', 'DEBUG', 'yes']))
    expect(client.read()).toMatch(/^-ERR there is no debugger of scripts here/)
    client.write(encode(['SCRIPT', 'DEBUG', 'NO']))
    expect(client.read()).toBe('+OK\r\n')
    client.write(encode(['SCRIPT', 'DEBUG', 'x']))
    expect(client.read()).toBe('-ERR Use SCRIPT DEBUG YES/SYNC/NO\r\n')
  })
})
