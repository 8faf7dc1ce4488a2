/** Random rules and random requests, out of few words, so that they meet. */
import { type CommandSpec, commands } from '#protocol/commands/index.ts'
import { categories, type KeySpec } from '#protocol/commands/table.ts'
import { isKnownToOracle } from '#test/compat/redisSide.ts'
import type { SeededRandom } from '#test/seed.ts'

/** Those that the oracle, 7.0, has too. */
const newSince70: ReadonlySet<string> = new Set(['CLIENT|SETINFO', 'CLIENT|NO-TOUCH'])
/** They take one argument more since 7.2. */
const otherArity: ReadonlySet<string> = new Set(['ZRANK', 'ZREVRANK'])

const specs: readonly CommandSpec[] = [...commands.values()]
  .filter(isKnownToOracle)
  .flatMap((spec) => (spec.isContainer ? [spec, ...spec.subcommands] : [spec]))
  .filter(({ name }) => !newSince70.has(name))

const runnable = specs.filter(({ isContainer, name }) => !isContainer && !otherArity.has(name))
const withoutSubcommands = specs.filter(({ isContainer, isSubcommand }) => !isContainer && !isSubcommand)

/** Named in half of all rules and requests, so that they meet. */
const favourites: readonly CommandSpec[] = specs.filter(({ name }) =>
  [
    'GET',
    'SET',
    'MGET',
    'HSET',
    'SORT',
    'BITFIELD',
    'XREADGROUP',
    'CLIENT|ID',
    'CONFIG|GET',
    'OBJECT|FREQ',
  ].includes(name),
)

const keys: readonly string[] = ['a', 'ab', 'abc', 'b', 'b1', 'b2', 'x:1', 'x:2', '[z]', '*', '']
const patterns: readonly string[] = ['a*', 'ab?', 'b', 'b[12]', 'x:*', '*:1', '\\[z]', '*', 'a', '', '[^a]*']
const words: readonly string[] = ['GET', 'OVERFLOW', 'SAT', 'SET', 'u8', '0', '1', '2', 'x']

function randomCase(text: string, random: SeededRandom): string {
  if (random.chance(0.8)) return text.toLowerCase()
  return [...text].map((c) => (random.chance(0.5) ? c.toUpperCase() : c.toLowerCase())).join('')
}

function commandRule(random: SeededRandom): string {
  const sign = random.chance(0.6) ? '+' : '-'
  const kind = random.below(10)
  if (kind < 4) return sign + randomCase(`@${random.pick(categories)}`, random)
  if (kind < 5)
    return sign + random.pick(['@all', '@all', '@nonsense', 'nonsense', 'get|', 'config|nonsense'])
  if (kind < 6) return random.pick(['allcommands', 'nocommands', '+config|get|x', '+', '-', '@', '+@', '-@'])
  if (kind < 7) return `+${random.pick(withoutSubcommands).lowerName}|${random.pick([...words, ...keys])}`
  return sign + randomCase(random.pick(random.chance(0.5) ? favourites : specs).name, random)
}

function keyRule(random: SeededRandom): string {
  const kind = random.below(10)
  if (kind === 0) return random.pick(['allkeys', 'resetkeys', 'resetkeys', '~*'])
  if (kind === 1)
    return random.pick(['%~a', '%R', '%', '%RR~a', '%Xa~', '%RW~a', '%wr~b*', '~a b', '%R~a\tb'])
  return random.pick(['~', '~', '%R~', '%W~', '%RW~']) + random.pick(patterns)
}

function channelRule(random: SeededRandom): string {
  return random.pick(['allchannels', 'resetchannels', '&*', '&a*', '&b', '&', '& '])
}

function userRule(random: SeededRandom): string {
  const hash = 'ab'.repeat(32)
  return random.pick([
    ...['on', 'off', 'ON', 'nopass', 'resetpass', 'reset', 'sanitize-payload', 'skip-sanitize-payload'],
    ...['>secret', '<secret', '>other', '<other', '>', `#${hash}`, `!${hash}`, `#${hash}0`, '#x', '!x', ''],
    ...['clearselectors', 'nonsense', '()', '(nopass)', '(+@all ~*', '+get)', '( +get  ~a* )'],
  ])
}

function selectorRule(random: SeededRandom): string {
  const rule = (): string => selectorPart(random)
  return `(${Array.from({ length: 1 + random.below(4) }, rule).join(' ')})`
}

/** Quotes and spaces mean something else between parentheses to Redis. */
function selectorPart(random: SeededRandom): string {
  const rule = random.chance(0.5) ? commandRule(random) : keyRule(random)
  return /[\s)]/.test(rule) ? '~a*' : rule
}

/** Words for SETUSER; some of them are wrong. Some users may do a lot, or hardly a request would be allowed. */
export function randomRules(random: SeededRandom): string[] {
  const generous = random.chance(0.5) ? ['+@all', '~*', '&*'] : []
  const rules = Array.from({ length: 1 + random.below(8) }, () => {
    const kind = random.below(20)
    if (kind < 8) return commandRule(random)
    if (kind < 15) return keyRule(random)
    if (kind < 16) return channelRule(random)
    return kind < 17 ? userRule(random) : selectorRule(random)
  })
  return [...generous, ...rules]
}

/** A request with a right number of arguments, and whose keys can be found. */
export function randomRequest(random: SeededRandom): string[] {
  const spec = random.pick(random.chance(0.5) ? favourites : runnable)
  const request = spec.name.split('|')
  const length = spec.arity > 0 ? spec.arity : -spec.arity + random.below(4)
  const filler = (): string => random.pick(random.chance(0.6) ? keys : words)
  while (request.length < length) request.push(filler())
  for (const keySpec of spec.keys) place(keySpec, request, random)
  return request.map((word, i) => (i === 0 ? randomCase(word, random) : word))
}

function place({ begin, find }: KeySpec, request: string[], random: SeededRandom): void {
  const key = (): string => random.pick(keys)
  switch (find.kind) {
    case 'range': {
      if (find.last < 0) while ((request.length - begin) % find.step !== 0) request.push(key())
      return
    }
    case 'counted': {
      const count = 1 + random.below(3)
      request[begin] = String(count)
      for (let i = 0; i < count; i++) request[begin + 1 + i] = key()
      return
    }
    case 'halfBehind': {
      const count = 1 + random.below(2)
      const streams = Array.from({ length: count }, key)
      const options = request[0] === 'XREADGROUP' ? ['GROUP', 'g', 'c'] : []
      request.splice(1, request.length, ...options, find.word, ...streams, ...streams.map(() => '0'))
      return
    }
    case 'behind':
    case 'anywhere':
      if (random.chance(0.7)) request.push(find.word, key())
      return
    case 'unknown':
  }
}

/**
 * Where more keys are looked at than by 7.0: the only one of PFMERGE, which finds no sources then and counts no keys; and each of
 * several places to store at, of which Redis looks at the last.
 */
export function isStricter([name = '', ...args]: readonly string[]): boolean {
  const places = args.filter((word) => /^STORE(?:DIST)?$/i.test(word))
  return /^pfmerge$/i.test(name) ? args.length === 1 : /^georadius/i.test(name) && places.length > 1
}
