/** What the comparison with redis-server does not ask of SORT: what a sharded database refuses, and sizes. */
import { describe, expect, it } from 'vitest'
import { commands } from '#protocol/commands/index.ts'
import { keyPositions } from '#protocol/commands/keys.ts'
import { errors } from '#protocol/resp/errors.ts'
import { TestDatabase } from './handlerDatabase.ts'

describe('SORT where keys are spread over shards', () => {
  const sharded = new TestDatabase({ sharded: true })
  sharded.ask('RPUSH {t}l 3 1 2')
  sharded.ask('MSET {t}w1 30 {t}w2 10 {t}w3 20')

  it('takes patterns whose hash tag keeps them in the slot of the key', () => {
    expect(sharded.ask('SORT {t}l BY {t}w* GET # GET {t}w*')).toEqual(['2', '10', '3', '20', '1', '30'])
    expect(sharded.ask('SORT_RO {t}l BY x{t}w*')).toEqual(['1', '2', '3'])
  })

  it('takes what names no other key', () => {
    expect(sharded.ask('SORT {t}l BY nosort GET # GET constant')).toEqual(['3', null, '1', null, '2', null])
  })

  it.each(['w*', '{u}w*', 'w*{t}', '{t*}', '{}{t}*', '{*}{t}', '{*', '*->f'])(
    'refuses others: %s',
    (pattern) => {
      expect(sharded.run('SORT', '{t}l', 'BY', pattern)).toBe(`-${errors.sortAcrossSlots('BY')}`)
      expect(sharded.run('SORT', '{t}l', 'GET', pattern)).toBe(`-${errors.sortAcrossSlots('GET')}`)
    },
  )

  it('takes them all without sharding', () => {
    const whole = new TestDatabase()
    whole.ask('RPUSH l 3 1 2')
    whole.ask('MSET w1 30 w2 10 w3 20')
    expect(whole.ask('SORT l BY w* GET w*')).toEqual(['10', '20', '30'])
  })
})

describe('the keys of SORT', () => {
  const places = (line: string): number[] => {
    const words = line.split(' ')
    const spec = commands.get(words[0] ?? '')
    if (spec === undefined) throw new Error('no such command')
    return keyPositions(spec, words.length, (i) => words[i] ?? '')
  }

  it.each([
    ['SORT a', [1]],
    ['SORT a STORE b', [1, 3]],
    ['SORT a STORE b LIMIT 0 1 store c', [1, 8]],
    ['SORT a BY STORE GET STORE', [1]],
    ['SORT a GET store STORE b', [1, 5]],
    ['SORT a BY constructor STORE b', [1, 5]],
    ['SORT a STORE', [1]],
    ['SORT_RO a STORE b', [1]],
  ])('%s', (line, expected) => {
    expect(places(line)).toEqual(expected)
  })
})

describe('SORT', () => {
  it('reads a number from a text as C does, but all of it', () => {
    const database = new TestDatabase()
    for (const [text, isNumber] of [
      ['', true],
      [' 1', true],
      ['\t1', true],
      [' ', false],
      ['1 ', false],
      ['1\0x', true],
      ['0x10', true],
      ['inf', true],
      ['nan', false],
      ['1e400', false],
      ['1e-400', false],
      ['5e-324', false],
      ['0e-999', true],
    ] as const) {
      database.run('DEL', 'l')
      database.run('RPUSH', 'l', text)
      expect(database.run('SORT', 'l'), JSON.stringify(text)).toEqual(
        isNumber ? [text] : `-${errors.sortNotNumbers}`,
      )
    }
  })

  it('sorts a hundred thousand elements by what hashes hold', () => {
    const database = new TestDatabase()
    const names = Array.from({ length: 100_000 }, (_, i) => String((i * 7919) % 100_003))
    for (let i = 0; i < names.length; i += 1000) database.run('RPUSH', 'l', ...names.slice(i, i + 1000))
    for (const name of ['1', '50000', '99999']) database.run('HSET', `h${name}`, 'f', `-${name}`)
    expect(database.ask('SORT l BY h*->f LIMIT 0 4')).toEqual(['99999', '50000', '1', '0'])
    expect(database.ask('SORT l STORE s')).toBe(100_000)
    expect(database.ask('LRANGE s 0 2')).toEqual(['0', '1', '2'])
  })
})
