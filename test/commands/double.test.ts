import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { parseDouble, parseLooseDouble } from '#server/commands/double.ts'

describe('parseDouble', () => {
  it.each([
    ['0', 0],
    ['-0', -0],
    ['+5', 5],
    ['5.', 5],
    ['.5', 0.5],
    ['-.5e1', -5],
    ['1e3', 1000],
    ['007', 7],
    ['0e999', 0],
    ['5e-324', 5e-324],
    ['1.7976931348623157e308', Number.MAX_VALUE],
    ['inf', Infinity],
    ['+Infinity', Infinity],
    ['-INF', -Infinity],
    ['0x10', 16],
    ['-0X1.8p1', -3],
    ['0x.8', 0.5],
    ['0x1.', 1],
    ['0x0p9', 0],
    ['0x1p-1074', 5e-324],
    // Half-way between two doubles: to the even one, but for a single digit far behind.
    ['0x20000000000001', 2 ** 53],
    ['0x20000000000001000000000000000000000000001', (2 ** 53 + 2) * 2 ** 108],
  ])('reads %j', (text, value) => {
    expect(parseDouble(text)).toBe(value)
  })

  it.each([
    '',
    ' 1',
    '1 ',
    '1\0',
    'abc',
    '.',
    'e5',
    '1e',
    '1e+',
    '+',
    '--1',
    'nan',
    '-nan',
    'nan(1)',
    'infinit',
    '0x',
    '0x.',
    '0xp1',
    '1e400',
    '-1e400',
    '1e-400',
    '0x1p9999',
    '0x1p-9999',
    `0x1p${'9'.repeat(50)}`,
    '1,5',
    '1_000',
  ])('refuses %j', (text) => {
    expect(parseDouble(text)).toBeUndefined()
  })

  it('reads back whatever JavaScript prints', () => {
    const finite = fc.double({ noNaN: true, noDefaultInfinity: true })
    fc.assert(
      fc.property(finite, (value) =>
        Object.is(parseDouble(Object.is(value, -0) ? '-0' : String(value)), value),
      ),
    )
  })
})

describe('parseLooseDouble', () => {
  it.each([
    ['', 0],
    [' \t1', 1],
    ['1\0abc', 1],
    ['\0', 0],
    ['1e999', Infinity],
    ['1e-999', 0],
    ['0x1p9999', Infinity],
    ['0x1p-9999', 0],
  ])('reads %j', (text, value) => {
    expect(parseLooseDouble(text)).toBe(value)
  })

  it.each([' ', '1 ', 'nan', '(1', 'x'])('refuses %j', (text) => {
    expect(parseLooseDouble(text)).toBeUndefined()
  })
})
