import { describe, expect, it } from 'vitest'
import { commandNamed } from '#protocol/commands/index.ts'
import { keyPlaces, keyPositions } from '#protocol/commands/keys.ts'

function positions(name: string, ...args: string[]): number[] {
  const spec = commandNamed(name)
  if (spec === undefined) throw new Error(`no command ${name}`)
  return keyPositions(spec, args.length, (index) => args[index] as string)
}

describe('keyPositions', () => {
  it.each([
    ['GET', ['GET', 'a'], [1]],
    ['SET', ['SET', 'a', 'b', 'EX', '1'], [1]],
    ['OBJECT|ENCODING', ['OBJECT', 'ENCODING', 'a'], [2]],
    ['DEL', ['DEL', 'a', 'b', 'c'], [1, 2, 3]],
    ['MSET', ['MSET', 'a', '1', 'b', '2'], [1, 3]],
    ['MSET', ['MSET', 'a', '1', 'b'], [1, 3]],
    ['RENAME', ['RENAME', 'a', 'b'], [1, 2]],
    ['LCS', ['LCS', 'a', 'b', 'LEN'], [1, 2]],
    ['SMOVE', ['SMOVE', 'a', 'b', 'm'], [1, 2]],
    ['SINTERSTORE', ['SINTERSTORE', 'd', 'a', 'b'], [1, 2, 3]],
    ['SINTERCARD', ['SINTERCARD', '2', 'a', 'b', 'LIMIT', '1'], [2, 3]],
    ['ZUNIONSTORE', ['ZUNIONSTORE', 'd', '2', 'a', 'b', 'WEIGHTS', '1', '2'], [1, 3, 4]],
    ['ZUNIONSTORE', ['ZUNIONSTORE', 'd', 'x', 'a', 'b'], [1]],
    ['ZMPOP', ['ZMPOP', '2', 'a', 'b', 'MIN'], [2, 3]],
    ['GEORADIUS', ['GEORADIUS', 'a', '0', '0', '1', 'm'], [1]],
    ['GEORADIUS', ['GEORADIUS', 'a', '0', '0', '1', 'm', 'store', 'b'], [1, 7]],
    ['GEORADIUS', ['GEORADIUS', 'a', '0', '0', '1', 'm', 'STORE', 'b', 'ASC', 'STORE', 'c'], [1, 7, 10]],
    ['GEORADIUS', ['GEORADIUS', 'a', '0', '0', '1', 'm', 'STORE', 'STOREDIST'], [1, 7]],
    ['GEORADIUSBYMEMBER', ['GEORADIUSBYMEMBER', 'a', 'x', '1', 'm', 'STOREDIST', 'STORE'], [1, 6]],
    ['GEORADIUSBYMEMBER', ['GEORADIUSBYMEMBER', 'a', 'STORE', '1', 'm', 'STORE'], [1]],
    ['XREAD', ['XREAD', 'COUNT', '2', 'streams', 'a', 'b', '0', '$'], [4, 5]],
    ['XREAD', ['XREAD', 'STREAMS', 'a', 'b', '0'], [2]],
    ['XREAD', ['XREAD', 'BLOCK', '0', 'STREAMS'], []],
    ['XREAD', ['XREAD', 'COUNT', '2', 'a'], []],
    ['XREADGROUP', ['XREADGROUP', 'GROUP', 'STREAMS', 'STREAMS', 'STREAMS', 'a', '>'], [5]],
    ['PING', ['PING', 'x'], []],
    ['DBSIZE', ['DBSIZE'], []],
  ])('finds those of %s', (name, args, expected) => {
    expect(positions(name, ...args)).toEqual(expected)
  })

  it.each(['0', '-1', '3', 'x', '', '01', '1.5', '99999999999999999999', ' 1'])(
    'finds none when the number of keys is %j',
    (count) => {
      expect(positions('SINTERCARD', 'SINTERCARD', count, 'a', 'b')).toEqual([])
    },
  )

  it('finds none in a request that is too short', () => {
    expect(positions('GET', 'GET')).toEqual([])
    expect(positions('DEL', 'DEL')).toEqual([])
    expect(positions('RENAME', 'RENAME', 'a')).toEqual([])
    expect(positions('SINTERCARD', 'SINTERCARD')).toEqual([])
    expect(positions('SINTERCARD', 'SINTERCARD', '1')).toEqual([])
  })
})

describe('keyPlaces', () => {
  it('keeps source and destination apart', () => {
    const spec = commandNamed('SDIFFSTORE')
    if (spec === undefined) throw new Error('no SDIFFSTORE')
    const places = keyPlaces(spec, 4, () => '')
    expect(places?.map(({ spec: { flags }, positions }) => [flags[0], positions])).toEqual([
      ['OW', [1]],
      ['RO', [2, 3]],
    ])
    expect(keyPlaces(spec, 2, () => '')).toBeNull()
  })
})
