/** BGSAVE, BGREWRITEAOF, SAVE and LASTSAVE: what is asked of the shards, and what a client hears of their answers. */
import { describe, expect, it } from 'vitest'
import { ProxyWorld } from './proxyWorld.ts'

/** `answers`: one a shard. */
function worldOf(...answers: unknown[]): { call(...words: string[]): string } {
  const world = new ProxyWorld({ shardCount: answers.length })
  world.shards.forEach((shard, i) => {
    shard.info = () => answers[i]
  })
  return world.client()
}

const states = (...names: string[]) => worldOf(...names.map((snapshot) => ({ snapshot })))

describe('a snapshot is asked for', () => {
  it('in the background, with the texts of Redis', () => {
    expect(states('started', 'started').call('BGSAVE')).toBe('+Background saving started\r\n')
    expect(states('started', 'unchanged').call('BGSAVE')).toBe('+Background saving started\r\n')
    expect(states('running', 'started').call('BGSAVE')).toBe('+Background saving started\r\n')
    expect(states('running', 'running').call('BGSAVE')).toBe('-ERR Background save already in progress\r\n')
    expect(states('started', 'started').call('BGREWRITEAOF')).toBe(
      '+Background append only file rewriting started\r\n',
    )
    expect(states('running').call('BGREWRITEAOF')).toBe(
      '-ERR Background append only file rewriting already in progress\r\n',
    )
  })

  it('for later', () => {
    expect(states('scheduled', 'started').call('BGSAVE', 'schedule')).toBe('+Background saving scheduled\r\n')
    expect(states('started').call('BGSAVE', 'SCHEDULE')).toBe('+Background saving started\r\n')
    expect(states('started').call('BGSAVE', 'LATER')).toBe('-ERR syntax error\r\n')
    expect(states('started').call('BGSAVE', 'SCHEDULE', 'NOW')).toBe('-ERR syntax error\r\n')
  })

  it('and waited for: one that had begun before does not count', () => {
    expect(states('completed', 'unchanged').call('SAVE')).toBe('+OK\r\n')
    expect(states('completed', 'running').call('SAVE')).toBe('-ERR Background save already in progress\r\n')
  })

  it('in vain', () => {
    const refusing = worldOf({ snapshot: 'started' }, { error: 'nothing is kept' })
    for (const name of ['BGSAVE', 'BGREWRITEAOF', 'SAVE'])
      expect(refusing.call(name)).toBe('-ERR shard 1: nothing is kept\r\n')
    const world = new ProxyWorld({ shardCount: 2 })
    for (const shard of world.shards) shard.info = () => ({ runId: 'r', snapshot: 'started' })
    const client = world.client()
    world.shards[1]?.kill()
    world.world.settle()
    for (const name of ['BGSAVE', 'LASTSAVE'])
      expect(client.call(name)).toMatch(/^-UNAVAILABLE shard 1 did not answer; try again\r\n$/)
  })
})

it('LASTSAVE is the time of the shard whose last snapshot is the oldest', () => {
  const saved = (lastSavedMs: number) => ({ runId: 'r', log: { snapshot: { lastSavedMs } } })
  expect(worldOf(saved(1_700_000_009_000), saved(1_700_000_001_999)).call('LASTSAVE')).toBe(':1700000001\r\n')
})
