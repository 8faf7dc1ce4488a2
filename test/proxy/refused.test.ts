/** Commands of Redis that are not here say so, why, and what to use instead. */
import { describe, expect, it } from 'vitest'
import { redisCommands } from '#control/docs/redisCommands.ts'
import { commandNamed } from '#protocol/commands/index.ts'
import { whyRefused } from '#protocol/commands/refused.ts'
import { ProxyWorld } from './proxyWorld.ts'

const disabled = '-ERR This instance has cluster support disabled\r\n'

describe('a command that is not here', () => {
  const refused = redisCommands.filter(
    ({ name }) => commandNamed(name) === undefined && whyRefused(name) !== undefined,
  )

  it.each(refused.map(({ name }) => [name] as const))('%s says why', (name) => {
    const reply = new ProxyWorld().client().call(...name.toLowerCase().split('|'), 'a', 'b')
    if (reply === disabled) return
    expect(reply).toMatch(/^-ERR [A-Z -]+ is not available here\. [A-Z].*\.\r\n$/)
    expect(reply).not.toContain('`')
    expect(reply).toContain(name.replace('|', ' '))
  })

  it('says what a Redis without cluster support says, to who asks about the cluster', () => {
    const client = new ProxyWorld().client()
    for (const words of [
      ['CLUSTER', 'INFO'],
      ['cluster', 'shards'],
      ['CLUSTER', 'KEYSLOT', 'a'],
      ['READONLY'],
      ['ASKING'],
    ])
      expect(client.call(...words)).toBe(disabled)
  })

  it('fails the transaction that it is queued for', () => {
    const client = new ProxyWorld().client()
    client.call('MULTI')
    expect(client.call('SWAPDB', '0', '1')).toContain('-ERR SWAPDB is not available here.')
    expect(client.call('EXEC')).toContain('-EXECABORT')
  })

  it('is not mixed up with one that nobody knows', () => {
    const client = new ProxyWorld().client()
    expect(client.call('NOSUCH')).toContain("-ERR unknown command 'NOSUCH'")
    expect(client.call('CONFIG', 'NOSUCH')).toContain("-ERR unknown subcommand 'NOSUCH'. Try CONFIG HELP.")
    expect(client.call('MODULE', 'NOSUCH')).toContain("-ERR unknown subcommand 'NOSUCH'. Try MODULE HELP.")
  })
})

describe('what clients ask in passing', () => {
  it('is answered as by Redis', () => {
    const client = new ProxyWorld().client()
    expect(client.call('MODULE', 'LIST')).toBe('*0\r\n')
    expect(client.call('MODULE', 'HELP')).toContain('+MODULE <subcommand>')
    expect(client.call('LOLWUT')).toMatch(/Redis ver\. 7\.2\.\d+\n\r\n$/)
    expect(client.call('LOLWUT', 'VERSION', 'x')).toBe('-ERR value is not an integer or out of range\r\n')
    expect(client.call('LOLWUT', 'VERSION', '5', '1', '1')).toMatch(/^\$/)
  })

  it('ROLE is that of a master, with the offset of all logs', () => {
    const world = new ProxyWorld({ shardCount: 2 })
    for (const [i, shard] of world.shards.entries())
      shard.info = (what) => (what === 'info' ? { runId: 'x', log: { endPosition: 100 + i } } : {})
    expect(world.client().call('ROLE')).toBe('*3\r\n$6\r\nmaster\r\n:201\r\n*0\r\n')
  })
})
