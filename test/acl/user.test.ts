/** What rules amount to, whatever way they went, and that the random requests of `verdicts.test.ts` can tell users apart. */
import { describe, expect, it } from 'vitest'
import { aclFileOf, changedUser, readAclFile, userOf } from '#protocol/acl/rules.ts'
import { openRules, User } from '#protocol/acl/user.ts'
import { allowsOnlyKey, denialOf } from '#protocol/acl/verdict.ts'
import { type CommandSpec, commandNamed } from '#protocol/commands/index.ts'
import { scan } from '#test/commands/ask.ts'
import { SeededRandom, seedFromEnv } from '#test/seed.ts'
import { randomRequest, randomRules } from './randomAccess.ts'

const defaults = { allChannels: false }

function specOf([name = '', part = '']: readonly string[]): CommandSpec {
  const spec = commandNamed(name) as CommandSpec
  return spec.isContainer ? (commandNamed(`${name}|${part}`) as CommandSpec) : spec
}

const mayRun = (user: User, request: readonly string[]): boolean =>
  denialOf(user, specOf(request), scan(request)) === null

/** A user of random rules, those that are wrong left out. */
function randomUser(random: SeededRandom): User {
  let user = new User('someone', defaults)
  for (const rule of [...randomRules(random), ...randomRules(random)]) {
    const changed = changedUser('someone', user, [rule], defaults)
    if (typeof changed !== 'string') user = changed
  }
  return user
}

describe('a user', () => {
  it('is the same from the rules that it tells, and from its line in a file', () => {
    const random = new SeededRandom(seedFromEnv())
    for (let run = 0; run < 200; run++) {
      const user = randomUser(random)
      const again = userOf('someone', user.rules, defaults)
      expect(again.rules).toEqual(user.rules)
      const filed = readAclFile(aclFileOf([user]), 'file', defaults)
      if (typeof filed === 'string') throw new Error(filed)
      for (let i = 0; i < 20; i++) {
        const request = randomRequest(random)
        const wanted = mayRun(user, request)
        expect([request, mayRun(again, request)]).toEqual([request, wanted])
        expect([request, mayRun(filed.get('someone') as User, request)]).toEqual([request, wanted])
        const spec = specOf(request)
        if (spec.onlyKey > 0 && allowsOnlyKey(user, spec, scan(request)))
          expect([request, wanted]).toEqual([request, true])
      }
    }
  })

  it('that may do everything is known as such, and loses it with any command', () => {
    const open = userOf('default', openRules, defaults)
    expect(open.isUnrestricted).toBe(true)
    for (const rule of ['-get', '-config|set', '-@hash', 'resetkeys', 'nocommands', 'reset']) {
      const less = open.copy()
      less.take(rule)
      expect([rule, less.isUnrestricted]).toEqual([rule, false])
    }
    expect(open.isUnrestricted).toBe(true)
  })

  it.each([
    ['on >secret', 'secret', true],
    ['on >secret', 'secre', false],
    ['on >secret', '', false],
    ['on >secret >other', 'other', true],
    ['on >secret <secret', 'secret', false],
    ['off >secret', 'secret', false],
    ['on nopass', 'anything', true],
    ['off nopass', 'anything', false],
    ['on nopass >secret', 'anything', false],
    ['on resetpass', '', false],
    ['on >\u00ff', '\u00ff', true],
    [`on #${'0'.repeat(64)}`, '0'.repeat(64), false],
  ])('%j: %j', (rules, password, isRight) => {
    const user = changedUser('someone', undefined, rules.split(' '), defaults)
    if (typeof user === 'string') throw new Error(user)
    expect(user.accepts(password)).toBe(isRight)
  })
})

describe('channels', () => {
  const request = ['echo', 'news', 'sport']
  const echo = commandNamed('ECHO') as CommandSpec
  const allows = (rules: string, channels: 'first' | 'all' | 'patterns', sent = request): boolean => {
    const user = changedUser('someone', undefined, ['+@all', '~*', ...rules.split(' ')], defaults)
    if (typeof user === 'string') throw new Error(user)
    const spec = Object.assign(Object.create(echo), { row: { ...echo.row, channels } }) as CommandSpec
    return denialOf(user, spec, scan(sent)) === null
  }

  it('must fit a pattern, all of them that are named', () => {
    expect(allows('&news', 'first')).toBe(true)
    expect(allows('&news', 'all')).toBe(false)
    expect(allows('&n* &s*', 'all')).toBe(true)
    expect(allows('resetchannels', 'first')).toBe(false)
    expect(allows('&*', 'all')).toBe(true)
    expect(allows('&x (+@all ~* &n* &s*)', 'all')).toBe(true)
  })

  it('as patterns must be allowed letter by letter', () => {
    expect(allows('&n*', 'patterns', ['echo', 'n*'])).toBe(true)
    expect(allows('&n*', 'patterns', ['echo', 'news*'])).toBe(false)
  })
})

/** Each makes another user of the same rules. */
const faults: readonly (readonly [what: string, plant: (rules: readonly string[]) => string[]])[] = [
  ['keys to be read may be written', (rules) => rules.map((rule) => rule.replace('%R~', '~'))],
  ['keys to be written may be read', (rules) => rules.map((rule) => rule.replace('%W~', '~'))],
  ['selectors are forgotten', (rules) => rules.filter((rule) => !rule.startsWith('('))],
  [
    'selectors are one',
    (rules) =>
      rules
        .flatMap((rule) => rule.replace(/^\(|\)$/g, '').split(' '))
        .filter((rule) => rule !== '-@all' && rule !== 'resetchannels'),
  ],
  ['subcommands count as their container', (rules) => rules.map((rule) => rule.replace(/\|.*/, ''))],
  ['what is taken away stays', (rules) => rules.filter((rule) => !/^-[^@]/.test(rule))],
  ['categories are not taken away', (rules) => rules.filter((rule) => !/^-@(?!all)/.test(rule))],
]

describe('random requests', () => {
  it.each(faults)('find out when %s', (_, plant) => {
    const random = new SeededRandom(seedFromEnv())
    let found = 0
    for (let run = 0; run < 3_000 && found === 0; run++) {
      const { rules } = randomUser(random)
      const right = userOf('someone', rules, defaults)
      const wrong = changedUser('someone', undefined, plant(rules), defaults)
      if (typeof wrong === 'string') continue
      for (let i = 0; i < 20; i++) {
        const request = randomRequest(random)
        if (mayRun(right, request) !== mayRun(wrong, request)) found++
      }
    }
    expect(found).toBeGreaterThan(0)
  })
})
