/** What scripts see of numbers and digests, against those who know: Lua's own C, and Node. */
import { createHash } from 'node:crypto'
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { LuaMachine } from '#server/scripts/luaMachine.ts'
import { generalText } from '#server/scripts/numberText.ts'
import { Random48 } from '#server/scripts/random48.ts'
import { sha1 } from '#server/scripts/sha1.ts'
import { testScripting } from '#test/scripting.ts'
import { seedFromEnv } from '#test/seed.ts'

const fixed = { seed: seedFromEnv() }

/** `string.format` of Lua, which is C's `sprintf`. */
function luaFormat(): (format: string, value: number) => string {
  const machine = new LuaMachine(testScripting.lua.compiled, 32 << 20)
  const { api, state } = machine
  api.luaopen_string(state)
  api.lua_settop(state, 0)
  machine.load('return string.format(...)', '=format')
  return (format, value) => {
    api.lua_pushvalue(state, 1)
    machine.pushText(state, format)
    api.lua_pushnumber(state, value)
    expect(api.lua_pcall(state, 2, 1, 0)).toBe(0)
    const text = machine.text(state, -1)
    machine.pop(state, 1)
    return text
  }
}

it('numbers are written as C does it', () => {
  const format = luaFormat()
  const anyNumber = fc.oneof(
    fc.double({ noNaN: true }),
    fc.integer(),
    fc.maxSafeInteger(),
    fc.double({ noNaN: true, min: -1e18, max: 1e18 }),
    fc.integer({ min: -1000, max: 1000 }).map((value) => value / 8),
    fc.tuple(fc.integer({ min: 1, max: 9 }), fc.integer({ min: -20, max: 22 })).map(([a, b]) => a * 10 ** b),
  )
  fc.assert(
    fc.property(anyNumber, fc.constantFrom(1, 3, 14, 17), (value, digits) => {
      expect(generalText(value, digits)).toBe(format(`%.${digits}g`, value))
    }),
    { ...fixed, numRuns: 5000 },
  )
})

it('digests are those of SHA-1', () => {
  const bytes = fc.oneof(fc.uint8Array({ maxLength: 200 }), fc.uint8Array({ minLength: 50, maxLength: 70 }))
  fc.assert(
    fc.property(bytes, (input) => {
      const text = Buffer.from(input).toString('latin1')
      expect(sha1(text)).toBe(createHash('sha1').update(input).digest('hex'))
    }),
    { ...fixed, numRuns: 500 },
  )
})

it('what is drawn at random is what redis-server draws', () => {
  const random = new Random48()
  const max = 2 ** 31 - 1
  const drawn = Array.from({ length: 2 }, () => Math.floor(((random.next() % max) / max) * 1000) + 1)
  expect(drawn).toEqual([397, 841])
  random.seed(0)
  expect(Math.floor((random.next() / 2 ** 31) * 1000)).toBe(170)
})
