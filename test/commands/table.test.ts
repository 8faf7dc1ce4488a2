/** What has to hold between the facts of one row, for routing to be right. */
import { describe, expect, it } from 'vitest'
import { type CommandSpec, commands } from '#protocol/commands/index.ts'
import type { CommandFlag } from '#protocol/commands/table.ts'
import { runByShard } from '#protocol/commands/table.ts'

const all = [...commands.values()].flatMap((spec) => [spec, ...spec.subcommands])
const has = (spec: CommandSpec, flag: CommandFlag): boolean => spec.row.flags.includes(flag)

function breaking(isBroken: (spec: CommandSpec) => boolean): string[] {
  return all.filter(isBroken).map((spec) => spec.name)
}

describe('each row', () => {
  it('sends effects exactly when it may write', () => {
    const ofOneCluster = [
      'XAUTOCLAIM',
      'XCLAIM',
      'XGROUP|CREATECONSUMER',
      'XGROUP|DELCONSUMER',
      'XGROUP|SETID',
      'XREADGROUP',
    ]
    // EXEC writes what was queued before it, and scripts what they call.
    expect(breaking((spec) => (spec.geo === 'effect') !== has(spec, 'write'))).toEqual([
      ...ofOneCluster,
      'EXEC',
      'EVAL',
      'EVALSHA',
      'FCALL',
      // Libraries stay here.
      'FUNCTION|DELETE',
      'FUNCTION|FLUSH',
      'FUNCTION|LOAD',
      'FUNCTION|RESTORE',
    ])
  })

  it('has keys exactly when they decide who runs it', () => {
    const byKey = (spec: CommandSpec) => spec.request === 'slot' || spec.request === 'perKey'
    expect(breaking((spec) => !spec.isContainer && byKey(spec) !== spec.keys.length > 0)).toEqual(['WATCH'])
  })

  it('has one range of keys to the end when it is split by key', () => {
    const splittable = ({ keys }: CommandSpec) => {
      const find = keys[0]?.find
      return keys.length === 1 && find?.kind === 'range' && find.last === -1
    }
    expect(breaking((spec) => spec.request === 'perKey' && !splittable(spec))).toEqual([])
  })

  it('says how several answers become one exactly when there are several', () => {
    const several = (spec: CommandSpec) => spec.request === 'perKey' || spec.request === 'allShards'
    expect(breaking((spec) => several(spec) !== (spec.reply !== 'single'))).toEqual([])
  })

  it('is written whole', () => {
    const version = /^\d+\.\d+\.\d+$/
    for (const { row, name } of all) {
      expect(row.summary.length, name).toBeGreaterThan(10)
      expect(row.geoNote.length, name).toBeGreaterThan(10)
      expect(row.complexity, name).not.toBe('')
      expect(row.since, name).toMatch(version)
      expect(new Set(row.flags).size, name).toBe(row.flags.length)
      expect(row.categories.filter((category) => category === 'fast' || category === 'slow')).toHaveLength(1)
    }
  })

  it('names arguments within its key specifications', () => {
    for (const { row, name } of all) {
      for (const argument of row.args) {
        if (argument.keySpecIndex !== undefined) expect(row.keys[argument.keySpecIndex], name).toBeDefined()
      }
    }
  })

  it('is run by a shard or answered before it', () => {
    expect(runByShard('slot')).toBe(true)
    expect(breaking((spec) => runByShard(spec.request) && has(spec, 'no_auth'))).toEqual([])
  })
})

describe('accepts', () => {
  it('checks the number of arguments, the name included', () => {
    const get = commands.get('GET')
    const mget = commands.get('MGET')
    expect([1, 2, 3].map((count) => get?.accepts(count))).toEqual([false, true, false])
    expect([1, 2, 3].map((count) => mget?.accepts(count))).toEqual([false, true, true])
  })
})
