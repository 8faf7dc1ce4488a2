/** An endless stream of random steps over all commands that shards run. */
import { bitmapRequests } from './bitmapRequests.ts'
import { blockingNames } from './blockingRequests.ts'
import { geoRequests } from './geoRequests.ts'
import { hashRequests } from './hashRequests.ts'
import { hyperLogLogRequests } from './hyperLogLogRequests.ts'
import { keyRequests, serverRequests } from './keyRequests.ts'
import { listRequests } from './listRequests.ts'
import { pubsubRequests } from './pubsubRequests.ts'
import { sessionRequests } from './sessionRequests.ts'
import { setRequests } from './setRequests.ts'
import { nameOf, type Request } from './side.ts'
import { sortedSetRequests } from './sortedSetRequests.ts'
import { sortRequests } from './sortRequests.ts'
import { plain, type Step, transaction } from './step.ts'
import { quietStreamWrites, streamRequests } from './streamRequests.ts'
import { stringRequests } from './stringRequests.ts'
import type { Vocabulary } from './vocabulary.ts'

/** Makes a request whose reply follows a rule of `step.ts`, or a step of its own. */
export type Make = (v: Vocabulary) => Request | Step

export const makes: Readonly<Record<string, Make>> = {
  ...stringRequests,
  ...bitmapRequests,
  ...keyRequests,
  ...sortRequests,
  ...hashRequests,
  ...setRequests,
  ...sortedSetRequests,
  ...geoRequests,
  ...listRequests,
  ...streamRequests,
  ...hyperLogLogRequests,
  ...pubsubRequests,
  ...serverRequests,
}

/** What creates data comes oftener. */
const weights: Readonly<Record<string, number>> = {
  SET: 5,
  HSET: 5,
  SADD: 5,
  ZADD: 8,
  GEOADD: 6,
  LPUSH: 4,
  RPUSH: 4,
  XADD: 12,
  XREADGROUP: 6,
  XACK: 3,
  'XGROUP|CREATE': 4,
  'XGROUP|DESTROY': 0.3,
  'XGROUP|DELCONSUMER': 0.3,
  PFADD: 4,
  PFCOUNT: 3,
  INCRBY: 2,
  FLUSHALL: 0.3,
  FLUSHDB: 0.3,
}

const wholeDatabase = new Set(['KEYS', 'DBSIZE', 'FLUSHALL', 'FLUSHDB', 'PFSELFTEST'])

function lotteryOf(names: readonly string[]): readonly Make[] {
  return names.flatMap((name) =>
    Array.from({ length: Math.ceil((weights[name] ?? 1) * 3) }, () => makes[name] as Make),
  )
}

const lottery = lotteryOf(Object.keys(makes))
const slotLottery = lotteryOf(Object.keys(makes).filter((name) => !wholeDatabase.has(name)))

const isRequest = (made: Request | Step): made is Request => Array.isArray(made)

export interface StepChoice {
  /** Antipode's side has a proxy, which answers some commands by itself. */
  session: boolean
  /** Keys of one command, or transaction, lie in one slot; without, no key carries a tag. */
  sharded: boolean
  /** The name of a command that comes in every tenth step. */
  favoured?: string
}

const favouredShare = 0.1

export function nextStep(v: Vocabulary, choice: StepChoice): Step {
  const { session } = choice
  if (session && v.chance(0.04)) return plain(sessionRequest(v))
  const roll = v.below(1000)
  if (roll < 15) return randomTransaction(v, choice)
  if (roll < 17) return plain(unknownRequest(v))
  const favoured = makes[choice.favoured ?? '']
  const made = (favoured !== undefined && v.chance(favouredShare) ? favoured : v.pick(lottery))(v)
  if (!isRequest(made)) return made
  return plain(roll < 50 && !isTimed(made) ? spoiled(v, made) : recased(v, made))
}

/** With another argument at the end it would wait for long, or have a time for a key. */
const isTimed = (request: Request): boolean => blockingNames.has(nameOf(request))

/** Requests whose replies can be told. */
function plainRequest(v: Vocabulary): Request {
  for (;;) {
    const made = v.pick(v.oneSlot ? slotLottery : lottery)(v)
    if (isRequest(made)) return v.chance(0.05) && !isTimed(made) ? spoiled(v, made) : made
  }
}

function recased(v: Vocabulary, [name = '', ...rest]: Request): Request {
  return [v.cased(name), ...rest]
}

/** What they store may be counted with later, within the bounds of both sides. */
const storing = new Set([
  'SET',
  'SETEX',
  'PSETEX',
  'SETNX',
  'GETSET',
  'MSET',
  'MSETNX',
  'HSET',
  'HMSET',
  'HSETNX',
])

/** They take WITHSCORE since 7.2: to the oracle one argument more is a wrong number of them. */
const longerIn72 = new Set(['ZRANK', 'ZREVRANK'])

/** One argument too few or too many, or another than it should be. Keys stay, so that the slot does. */
function spoiled(v: Vocabulary, request: Request): Request {
  const roll = v.below(3)
  if (roll === 0 && request.length > 1) return request.slice(0, -1)
  const places = request.flatMap((text, i) => (i > 1 && !text.startsWith('{t}') ? [i] : []))
  if (roll === 1 && places.length > 0) {
    const changed = [...request]
    changed[v.pick(places)] = storing.has(nameOf(request)) ? v.storedOddText() : v.oddText()
    return changed
  }
  if (longerIn72.has(nameOf(request))) return request
  return [...request, v.chance(0.5) ? '{t}more' : v.anyKey()]
}

/**
 * What may change something without Redis telling those who watch. Adding a member that is there: to Antipode a write, which
 * survives a concurrent removal (SMOVE adds, too). A BITFIELD of which all operations fail: the value still grows. An LTRIM that
 * removes nothing: to Antipode nothing at all. Of HyperLogLogs Redis tells that a count was kept, which is no change here, and not
 * that one has become dense.
 */
const quietWrites: ReadonlySet<string> = new Set([
  'SADD',
  'SMOVE',
  'ZADD',
  'ZINCRBY',
  'GEOADD',
  'BITFIELD',
  'LTRIM',
  ...quietStreamWrites,
  'PFCOUNT',
  'PFDEBUG',
  'PFMERGE',
  ...blockingNames,
])

const ends = new Set(['EXEC', 'DISCARD'])
const sessionMakes = Object.values(sessionRequests)

function sessionRequest(v: Vocabulary): Request {
  const made = v.pick(sessionMakes)(v)
  return isRequest(made) ? made : (made.requests[0] ?? [])
}

function unknownRequest(v: Vocabulary): Request {
  return v.pick([
    ['NOSUCH', v.letters(v.below(200)), v.value()],
    ['nosuch\x00command'],
    ['', 'a'],
    ['OBJECT', 'nosuch', v.anyKey()],
    ['OBJECT', 'ENCODING'],
    ['object', 'freq', v.anyKey(), 'more'],
    ['OBJECT'],
    [v.letters(300)],
  ])
}

/** In a cluster keys in one slot, and none for whole databases: it runs a transaction on one shard. */
function randomTransaction(v: Vocabulary, { session, sharded }: StepChoice): Step {
  v.oneSlot = sharded
  const step = transactionOf(v, session)
  v.oneSlot = false
  return step
}

function transactionOf(v: Vocabulary, session: boolean): Step {
  const before: Request[] = []
  if (v.chance(0.3)) before.push(['WATCH', v.anyKey(), v.anyKey()])
  const between = plainRequest(v)
  if (before.length > 0 && v.chance(0.7) && !quietWrites.has(nameOf(between))) before.push(between)
  if (before.length > 0 && v.chance(0.1)) before.push(['UNWATCH'])
  const queued = v
    .some(6, () => (session && v.chance(0.1) ? sessionRequest(v) : plainRequest(v)))
    .filter((request) => !ends.has(nameOf(request)))
  if (v.chance(0.1)) queued.splice(v.below(queued.length), 0, unknownRequest(v))
  if (v.chance(0.05)) queued.push(v.pick([['MULTI'], ['WATCH', 'a']]))
  return transaction(before, queued, v.chance(0.9) ? 'EXEC' : 'DISCARD')
}
