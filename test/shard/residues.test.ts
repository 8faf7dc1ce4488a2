/**
 * What outlives deletes while a peer is away for days: little, and nothing once it is back. Memory is what the keys and what is
 * left of them take; the log has bounds of its own.
 */
import { expect, test } from 'vitest'
import { SeededRandom, seedFromEnv } from '#test/seed.ts'
import type { TestShard } from './testShard.ts'
import { carry, pair } from './twoClusters.ts'

const hourMs = 3_600_000
const days = 5
const names = ['a', 'b', 'c']

/** Everything that deletes, pops, overwrites and resets, on a few keys. */
function churn(shard: TestShard, random: SeededRandom): void {
  const name = random.pick(names)
  const value = `value-${random.below(1_000)}`
  const commands: string[][] = [
    ['SET', `s${name}`, value],
    ['SET', `s${name}`, value, 'PX', String(1 + random.below(100_000))],
    ['GETDEL', `s${name}`],
    ['INCRBY', `n${name}`, String(random.below(100))],
    ['DEL', `n${name}`],
    ['SET', `n${name}`, '5'],
    ['HSET', `h${name}`, name, value, 'other', value],
    ['HINCRBY', `h${name}`, 'count', '3'],
    ['HDEL', `h${name}`, name, 'count', 'other'],
    ['SADD', `t${name}`, value, name],
    ['SPOP', `t${name}`, '2'],
    ['ZADD', `z${name}`, '1', value],
    ['ZINCRBY', `z${name}`, '2', value],
    ['ZPOPMIN', `z${name}`, '3'],
    ['RPUSH', `l${name}`, value, value],
    ['LPOP', `l${name}`, '2'],
    ['LSET', `l${name}`, '0', value],
    ['XADD', `x${name}`, '*', 'f', value],
    ['XTRIM', `x${name}`, 'MAXLEN', '1'],
    ['XGROUP', 'CREATE', `x${name}`, 'g', '0', 'MKSTREAM'],
    ['XGROUP', 'DESTROY', `x${name}`, 'g'],
    ['DEL', `x${name}`],
    ['PFADD', `p${name}`, value],
    ['DEL', `p${name}`],
    ['EXPIRE', `h${name}`, '100'],
    ['DEL', `h${name}`, `l${name}`, `z${name}`],
  ]
  const [command = '', ...rest] = random.pick(commands)
  // Keys of several slots are the proxy's business: here each goes alone.
  if (command === 'DEL') for (const key of rest) shard.run('DEL', key)
  else shard.run(command, ...rest)
}

function deleteAll(shard: TestShard): void {
  for (const kind of ['s', 'n', 'h', 't', 'z', 'l', 'x', 'p'])
    for (const name of names) shard.run('DEL', `${kind}${name}`)
}

const usedBytes = (shard: TestShard): number => shard.shard.db.usedBytes

test('memory does not grow while a peer is away, and is back at its base when all is deleted and known', () => {
  const random = new SeededRandom(seedFromEnv())
  const { world, a, b, connect } = pair()
  connect()
  const base = [a, b].map(usedBytes)
  for (let i = 0; i < 2_000; i++) churn(random.pick([a, b]), random)
  carry(a, b, 500)

  // The other cluster hears nothing and says nothing; it changes the same keys.
  const afterDay: number[] = []
  for (let hour = 0; hour < days * 24; hour++) {
    for (let i = 0; i < 50; i++) churn(random.pick([a, a, a, b]), random)
    // A day of timers would take long; what goes by the wall clock sees every hour.
    world.wallOffsetMs += hourMs
    world.advance(1_000)
    if (hour % 24 !== 23) continue
    deleteAll(a)
    afterDay.push(usedBytes(a))
  }
  // What may be left belongs to names, and these are the same every day.
  expect(Math.max(...afterDay)).toBeLessThan(16_384)
  expect(afterDay.at(-1)).toBeLessThanOrEqual(Math.max(...afterDay.slice(0, 2)) * 1.2)

  for (const shard of [a, b]) {
    shard.proxy.channelMessages.splice(0)
    for (const tag of [1, 2]) shard.proxy.closeChannel(tag, 'the link is down')
  }
  connect()
  deleteAll(a)
  carry(a, b, 5_000)
  for (const [i, shard] of [a, b].entries()) {
    expect(shard.shard.db.size).toBe(0)
    expect(shard.shard.db.residues).toBe(0)
    expect(usedBytes(shard)).toBe(base[i])
  }
})
