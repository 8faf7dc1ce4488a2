import { expect, test } from 'vitest'
import { parseInteger64 } from '#runtime/integer64.ts'

test.each([
  ['0', 0n],
  ['-1', -1n],
  ['9223372036854775807', 2n ** 63n - 1n],
  ['-9223372036854775808', -(2n ** 63n)],
])('%s is an integer', (text, value) => {
  expect(parseInteger64(text)).toBe(value)
})

test.each([
  '',
  '-',
  '-0',
  '+1',
  '01',
  '1 ',
  ' 1',
  '1.0',
  '1e3',
  '0x1',
  '9223372036854775808',
  '-9223372036854775809',
])('"%s" is none', (text) => {
  expect(parseInteger64(text)).toBeNull()
})
