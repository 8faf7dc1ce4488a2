import { expect, it } from 'vitest'
import { codeOnly } from './codeOnly.ts'

it.each([
  ['a // b', 'a     '],
  ['a /* b\nc */ d', 'a     \n     d'],
  ["a = 'it\\'s' + b", 'a =         + b'],
  ['a = `x \u0024{b} y` + c', 'a =      b     + c'],
  ['`\u0024{`\u0024{a}`}` + b', '      a     + b'],
  ['`\u0024{{ a: {} }}` b', '   { a: {} }   b'],
  ["x = /'[/']/g; y = 'z'", 'x =        g; y =    '],
  ['a / b / c', 'a / b / c'],
  ['(a) / 2 // c', '(a) / 2     '],
])('of %j is %j', (text, code) => {
  expect(codeOnly(text)).toBe(code)
})
