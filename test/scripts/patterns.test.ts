/** Patterns of scripts against those of Lua's own C: random texts and patterns, most of them nearly right. */
import { describe, expect, it } from 'vitest'
import { globalsIndex, LuaMachine, LuaStatus } from '#server/scripts/luaMachine.ts'
import { PatternLibrary } from '#server/scripts/patternLibrary.ts'
import { pushLibrary } from '#server/scripts/sandbox.ts'
import { testScripting } from '#test/scripting.ts'
import { SeededRandom, seedFromEnv } from '#test/seed.ts'

const cases = Number(process.env['CASES'] ?? 30_000)

/** Calls `own` and `string` in turn, and returns what each answers as one text. */
const harness = `
local name, text, pattern, more, count = ...
local function shown(...)
  local all = {}
  for i = 1, select('#', ...) do all[i] = type(select(i, ...)) .. ' ' .. tostring((select(i, ...))) end
  return table.concat(all, '; ')
end
local replacements = {
  table = {a = 'A', ab = 7, b = false, ['1'] = {}, [2] = 'place'},
  ['function'] = function(one, two) if one == 'a' then return nil end if one == 'b' then return {} end return (one or '') .. '|' .. tostring(two) end,
}
local answers = {}
for i, library in ipairs({own, string}) do
  if name == 'gmatch' then
    local all = {}
    local ok, iterate = pcall(library.gmatch, text, pattern)
    if not ok then all[1] = iterate end
    for i = 1, ok and 30 or 0 do
      local answer = {pcall(iterate)}
      all[i] = shown(unpack(answer, 1, 5))
      if not answer[1] or answer[2] == nil then break end
    end
    answers[i] = table.concat(all, ' / ')
  elseif name == 'gsub' then
    answers[i] = shown(pcall(library.gsub, text, pattern, replacements[more] or more, count))
  else
    answers[i] = shown(pcall(library[name], text, pattern, tonumber(more), count == 1))
  end
end
return answers[1], answers[2]`

function bothSides(): (...args: (string | number)[]) => [own: string, c: string] {
  const machine = new LuaMachine(testScripting.lua.compiled, 32 << 20)
  const { api, state } = machine
  for (const open of ['luaopen_base', 'luaopen_string', 'luaopen_table'] as const) {
    machine.pushFunction(state, (inner) => api[open](inner))
    api.lua_call(state, 0, 0)
  }
  pushLibrary(machine, state, new PatternLibrary(machine, () => {}, 0).table)
  api.lua_setfield(state, globalsIndex, machine.name('own'))
  expect(machine.load(harness, '=harness')).toBe(LuaStatus.ok)
  const function_ = api.lua_gettop(state)
  return (...args) => {
    api.lua_pushvalue(state, function_)
    for (const arg of args) {
      if (typeof arg === 'number') api.lua_pushnumber(state, arg)
      else machine.pushText(state, arg)
    }
    expect(api.lua_pcall(state, args.length, 2, 0), machine.text(state, -1)).toBe(LuaStatus.ok)
    const answers: [string, string] = [machine.text(state, -2), machine.text(state, -1)]
    machine.pop(state, 2)
    return answers
  }
}

const atoms = [
  ...['a', 'b', '1', ' ', '.', '%a', '%d', '%s', '%w', '%p', '%l', '%U', '%x', '%c', '%z', '%Z', '%%', '%.'],
  ...[
    '[ab]',
    '[^a]',
    '[a-c]',
    '[%a1]',
    '[]a]',
    '[^]]',
    '[a-]',
    '[%]b]',
    '[1-9a]',
    '[',
    ']',
    '%',
    '%Q',
    '\0',
    '\xe9',
  ],
  ...['%b()', '%bab', '%b', '%f[%a]', '%f[^a]', '%f', '%1', '%2', '%0', '^', '$', '(', ')', '()'],
]
const repeats = ['', '', '', '*', '+', '-', '?']

function randomPattern(random: SeededRandom): string {
  let pattern = random.chance(0.15) ? '^' : ''
  for (let i = random.below(6); i >= 0; i--) {
    const atom = random.pick(atoms) + random.pick(repeats)
    pattern += random.chance(0.25) ? `(${atom})` : atom
  }
  return random.chance(0.15) ? `${pattern}$` : pattern
}

const randomText = (random: SeededRandom): string =>
  Array.from({ length: random.below(14) }, () => random.pick([...'aaabbc1() .%A', '\0', '\xe9'])).join('')

const replacements = ['', 'x', '<%0>', '%1', '%2%1', '%%', '%', 'a%', '%9', 'x%0%0', 'table', 'function', '7']

describe('find, match, gmatch and gsub', () => {
  it(`answer as those of Lua's C, errors included, ${cases} times`, () => {
    const random = new SeededRandom(seedFromEnv())
    const both = bothSides()
    let found = 0
    let failed = 0
    for (let i = 0; i < cases; i++) {
      const name = random.pick(['find', 'match', 'gmatch', 'gsub'])
      const more = name === 'gsub' ? random.pick(replacements) : String(random.below(12) - 5)
      const given = [name, randomText(random), randomPattern(random), more, random.below(5)]
      const [own, c] = both(...given)
      expect(own, JSON.stringify(given)).toBe(c)
      if (own.startsWith('boolean false')) failed++
      else if (!own.includes('nil')) found++
    }
    // Neither all wrong nor all without a match.
    expect(found).toBeGreaterThan(cases / 10)
    expect(failed).toBeGreaterThan(cases / 50)
  })

  it.each([
    ['find', 'abc', '', '5', 0],
    ['find', 'abc', '', '-9', 0],
    ['find', 'a.c', '.', '1', 1],
    ['find', 'aaaaab', 'aab', '1', 1],
    ['find', 'ab\0cd', 'b\0c', '1', 1],
    ['find', 'abc', 'c'.repeat(9), '1', 1],
    ['match', 'key = value', '^(%w+)%s*=%s*(%w+)$', '1', 0],
    ['match', 'x'.repeat(300), '(.-)%f[y]', '1', 0],
    ['match', 'a', '('.repeat(33), '1', 0],
    ['match', 'a', '(a', '1', 0],
    ['match', 'a', 'a)', '1', 0],
    ['gsub', 'hello world', '(o)(.?)', '%2%1', 9],
    ['gsub', 'abc', '', '-', 9],
    ['gsub', 'abc', '^a', 'x', 0],
    ['gsub', 'abc', '%w', 'function', 9],
    ['gmatch', 'a=1, b=2', '(%w+)=(%w+)', '', 0],
  ] as const)('%s %j %j %j %i', (...given) => {
    const [own, c] = bothSides()(...given)
    expect(own).toBe(c)
  })

  it('have a limit for what only a machine writes', () => {
    const [own] = bothSides()('match', 'a'.repeat(1000), 'a?'.repeat(1000), '1', 0)
    expect(own).toContain('pattern too complex')
  })
})
