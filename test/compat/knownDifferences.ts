/** Where Antipode answers differently on purpose. The same reasons stand in docs/commands. */
import { errors } from '#protocol/resp/errors.ts'
import { isError, type Reply } from './reply.ts'
import { nameOf, type Request } from './side.ts'

export interface KnownDifference {
  reason: string
  commands: readonly string[]
  applies(own: Reply, redis: Reply): boolean
}

const counterMax = 2 ** 59

export const knownDifferences: readonly KnownDifference[] = [
  {
    reason: 'integer counters stay within 59 bits, so that concurrent increments can not leave 64',
    commands: ['INCR', 'DECR', 'INCRBY', 'DECRBY', 'HINCRBY'],
    applies: (own, redis) =>
      own.text === 'ERR increment or decrement would overflow' &&
      redis.mark === ':' &&
      Math.abs(Number(redis.text)) >= counterMax,
  },
  {
    reason: 'counters are exact decimals: numbers in hexadecimal are none',
    commands: ['INCRBYFLOAT', 'HINCRBYFLOAT'],
    applies: (own) => isError(own) && /float$/.test(own.text),
  },
  {
    reason:
      'the encoding named is a function of the present content; sets and lists are listpacks when small, as in 7.2',
    commands: ['OBJECT|ENCODING'],
    applies: (own, redis) => encodings.some((kind) => kind.includes(own.text) && kind.includes(redis.text)),
  },
  {
    reason:
      'a SET far below what fits saturates at the least value: the difference of the two takes more than 64 bits',
    commands: ['BITFIELD'],
    applies: ({ items: own }, { items: redis }) => {
      const [least, greatest] = [own.at(-1)?.text ?? '', redis.at(-1)?.text ?? '']
      return own.length === 2 && least.startsWith('-') && BigInt(greatest) === -BigInt(least) - 1n
    },
  },
  {
    reason: 'what a key takes is what it takes here',
    commands: ['MEMORY|USAGE'],
    applies: (own, redis) => own.mark === ':' && redis.mark === ':' && Number(own.text) > 0,
  },
  {
    reason:
      'another cluster may have given the ids below the last one; those below the greatest deleted one are refused since 7.2',
    commands: ['XSETID'],
    // Redis goes on to a later check.
    applies: (own, redis) =>
      setIdChecks.includes(own.text) && setIdChecks.indexOf(own.text) < setIdChecks.indexOf(redis.text),
  },
  {
    reason: 'times end at 2^49 ms, as in Redis Enterprise',
    commands: ['PEXPIRE', 'PEXPIREAT', 'EXPIRE', 'EXPIREAT', 'SET', 'GETEX', 'SETEX', 'PSETEX'],
    applies: (own, redis) => /^ERR invalid expire time/.test(own.text) && !isError(redis),
  },
]

const setIdChecks: readonly string[] = [
  errors.setIdBelowDeleted,
  errors.setIdBelowTop,
  errors.entriesAddedBelowLength,
  'OK',
]

const encodings = [
  ['int', 'embstr', 'raw'],
  ['intset', 'listpack', 'hashtable'],
  ['listpack', 'skiplist'],
  ['listpack', 'quicklist'],
]

/** How often each was met. */
export const met = new Map<KnownDifference, number>()

export function knownDifference(request: Request, own: Reply, redis: Reply): boolean {
  const name = nameOf(request)
  const known = knownDifferences.find(
    ({ commands, applies }) => commands.includes(name) && applies(own, redis),
  )
  if (known !== undefined) met.set(known, (met.get(known) ?? 0) + 1)
  return known !== undefined
}
