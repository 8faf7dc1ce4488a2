/** The rows of the table against what redis-server says of itself. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { specsOf } from '#protocol/acl/selector.ts'
import { writeHelp } from '#protocol/commands/describe.ts'
import { type CommandSpec, commands } from '#protocol/commands/index.ts'
import { categories } from '#protocol/commands/table.ts'
import { ReplyWriter } from '#protocol/resp/replyWriter.ts'
import { decodeReply, isAggregate, type Reply } from '#test/compat/reply.ts'
import { SocketSide } from '#test/compat/side.ts'
import { type ParsedReply, RealRedis } from '#test/realRedis.ts'
import { ask, askRaw, parse } from './ask.ts'

/** The oracle is Redis 7.0; the table follows 7.2. */
const newSince70 = new Set(['client|setinfo', 'client|no-touch'])

/** What differs on purpose: command, fact, reason. */
const knownDifferences: readonly (readonly [command: string, fact: string, reason: string])[] = [
  ['acl|log', 'history', '7.2 numbers the entries'],
  ['lolwut', 'complexity', 'each row here has one'],
  ['monitor', 'complexity', 'each row here has one'],
  ['bitop', 'arguments', '7.2 names the operations'],
  ['msetnx', 'tips', '7.2 took the multi_shard hint away: MSETNX can not be split'],
  ['pfmerge', 'arguments', '7.2 says that there may be no sources'],
  ['randomkey', 'tips', '7.2 says how replies are to be merged'],
  ['config|resetstat', 'tips', '7.2 says that all nodes are to be asked'],
  ['scan', 'tips', '7.2 says how replies are to be merged'],
  ...['zrank', 'zrevrank'].flatMap((name) =>
    ['arity', 'arguments', 'history'].map((fact) => [name, fact, '7.2 added WITHSCORE'] as const),
  ),
  ['command|getkeys', 'arguments', '7.2 names the arguments'],
  ['command|getkeysandflags', 'arguments', '7.2 names the arguments'],
]

const ours = [...commands.values()]
  .filter((spec) => spec.group !== 'crdt')
  .flatMap((spec) => [spec, ...spec.subcommands])
  .filter((spec) => !newSince70.has(spec.lowerName) && spec.row.since !== '7.4.0')

const redis: { server?: RealRedis } = {}

function real(): RealRedis {
  if (redis.server === undefined) throw new Error('redis-server has not started')
  return redis.server
}

beforeAll(async () => {
  redis.server = await RealRedis.start()
})
afterAll(() => redis.server?.stop())

type Facts = { [fact: string]: unknown }

/** A flattened RESP2 map; lists named in `unordered` are sorted. */
function record(reply: ParsedReply, unordered: readonly string[]): Facts {
  const facts: Facts = {}
  const flat = list(reply)
  for (let i = 0; i < flat.length; i += 2) {
    const name = String(flat[i])
    const value = flat[i + 1] as ParsedReply
    facts[name] = unordered.includes(name) ? [...list(value)].sort() : value
  }
  return facts
}

function list(reply: ParsedReply | undefined): ParsedReply[] {
  if (!Array.isArray(reply)) throw new Error(`an array wanted, got ${String(reply)}`)
  return reply
}

function infoFacts(info: ParsedReply): Facts {
  const [name, arity, flags, first, last, step, categories, tips, keys] = list(info)
  return {
    name,
    arity,
    flags: [...list(flags)].sort(),
    range: [first, last, step],
    categories: [...list(categories)].sort(),
    tips: [...list(tips)].sort(),
    keys: list(keys).map((key) => record(key, ['flags'])),
  }
}

/** Summaries are in words of our own, and `display_text` is new in 7.2. */
function docsFacts(docs: ParsedReply): Facts {
  const { summary: _, subcommands: __, arguments: args, ...facts } = record(docs, ['history', 'doc_flags'])
  return { ...facts, arguments: args === undefined ? [] : argumentFacts(args as ParsedReply) }
}

function argumentFacts(args: ParsedReply): Facts[] {
  return list(args).map((argument) => {
    const { display_text: _, arguments: parts, ...facts } = record(argument, ['flags'])
    return parts === undefined ? facts : { ...facts, arguments: argumentFacts(parts as ParsedReply) }
  })
}

function differing(name: string, mine: Facts, theirs: Facts): string[] {
  const facts = new Set([...Object.keys(mine), ...Object.keys(theirs)])
  return [...facts]
    .filter((fact) => JSON.stringify(mine[fact]) !== JSON.stringify(theirs[fact]))
    .map((fact) => `${name} ${fact}`)
}

async function differences(): Promise<string[]> {
  const names = ours.map((spec) => spec.lowerName)
  const found: string[] = []
  const infos = list(await real().request('COMMAND', 'INFO', ...names))
  const ownInfos = list(ask('COMMAND', 'INFO', ...names))
  const docs = record(await real().request('COMMAND', 'DOCS', ...names), [])
  const ownDocs = record(ask('COMMAND', 'DOCS', ...names), [])
  names.forEach((name, i) => {
    found.push(...differing(name, infoFacts(ownInfos[i] ?? null), infoFacts(infos[i] ?? null)))
    found.push(
      ...differing(name, docsFacts(ownDocs[name] as ParsedReply), docsFacts(docs[name] as ParsedReply)),
    )
  })
  return found
}

describe('the table', () => {
  it('says of each command what Redis says, but for the known differences', async () => {
    const known = knownDifferences.map(([command, fact]) => `${command} ${fact}`)
    expect((await differences()).sort()).toEqual(known.sort())
  })

  it('has in each category of ACL CAT what Redis has there', async () => {
    const names = new Set(ours.map(({ lowerName }) => lowerName))
    for (const category of categories) {
      const theirs = list(await real().request('ACL', 'CAT', category)).filter((name) =>
        names.has(String(name)),
      )
      const mine = specsOf(category).map(({ lowerName }) => lowerName)
      expect(mine.filter((name) => names.has(name)).sort(), category).toEqual(theirs.sort())
    }
  })

  it('has no subcommand under another name than Redis', async () => {
    const containers = ours.filter((spec: CommandSpec) => spec.isContainer)
    const infos = list(await real().request('COMMAND', 'INFO', ...containers.map((spec) => spec.lowerName)))
    containers.forEach((spec, i) => {
      const theirs = list(list(infos[i])[9]).map((sub) => list(sub)[0])
      for (const { lowerName } of spec.subcommands) {
        if (!newSince70.has(lowerName)) expect(theirs).toContain(lowerName)
      }
    })
  })
})

/** The types of a reply and its elements; those of a set have no order. */
function shape(reply: Reply): string {
  if (!isAggregate(reply)) return reply.mark
  const shapes = reply.items.map(shape)
  return `${reply.mark}(${(reply.mark === '~' ? shapes.sort() : shapes).join('')})`
}

describe('COMMAND and its subcommands', () => {
  const requests: readonly string[][] = [
    ['INFO', 'nonsense'],
    ['INFO', 'client|nonsense'],
    ['INFO', 'get|nonsense'],
    ['INFO', 'GET', 'Object|ENCODING', 'nonsense', 'sintercard'],
    ['DOCS', 'nonsense'],
    ['LIST', 'FILTERBY', 'ACLCAT', 'nonsense'],
    ['LIST', 'FILTERBY', 'ACLCAT', '@transaction'],
    ['LIST', 'FILTERBY', 'MODULE', 'search'],
    ['LIST', 'FILTERBY', 'NONSENSE', 'x'],
    ['LIST', 'filterby', 'pattern', 'OBJECT|*'],
    ['LIST', 'FILTERBY', 'aclcat', 'TRANSACTION'],
    ['LIST', 'x'],
    ['LIST', 'FILTERBY', 'ACLCAT'],
    ['GETKEYS', 'nonsense', 'a'],
    ['GETKEYS', 'get', 'a'],
    ['GETKEYS', 'get', 'a', 'b'],
    ['GETKEYS', 'ping', 'x'],
    ['GETKEYS', 'mset', 'a', '1', 'b', '2'],
    ['GETKEYS', 'mset', 'a', '1', 'b'],
    ['GETKEYS', 'object', 'encoding', 'c'],
    ['GETKEYS', 'object', 'nonsense', 'c'],
    ['GETKEYS', 'object', 'help'],
    ['GETKEYS', 'sintercard', '0', 'a'],
    ['GETKEYS', 'sintercard', 'x', 'a'],
    ['GETKEYS', 'sintercard', '-1', 'a'],
    ['GETKEYS', 'sintercard', '2', 'a'],
    ['GETKEYS', 'sintercard', '99999999999999999999', 'a'],
    ['GETKEYS', 'sintercard', '2', 'a', 'b', 'LIMIT', '1'],
    ['GETKEYS', 'georadius', 'a', '0', '0', '1', 'm'],
    ['GETKEYS', 'georadius', 'a', '0', '0', '1', 'm', 'STORE'],
    ['GETKEYS', 'georadius', 'a', '0', '0', '1', 'm', 'count', '1', 'store', 'b', 'STOREDIST', 'c'],
    ['GETKEYSANDFLAGS', 'georadiusbymember', 'a', 'm', '1', 'm', 'storedist', 'b'],
    ['GETKEYSANDFLAGS', 'zunionstore', 'a', '2', 'b', 'c', 'WEIGHTS', '1', '2'],
    ['GETKEYS', 'zunionstore', 'a', '3', 'b', 'c'],
    ['GETKEYSANDFLAGS', 'zmpop', '1', 'b', 'MIN'],
    ['GETKEYSANDFLAGS', 'zrangestore', 'a', 'b', '0', '1'],
    ['GETKEYSANDFLAGS', 'sinterstore', 'a', 'b', 'c'],
    ['GETKEYSANDFLAGS', 'lcs', 'a', 'b', 'LEN'],
    ['GETKEYSANDFLAGS', 'copy', 'a', 'b'],
    ['GETKEYSANDFLAGS', 'set', 'a', 'b'],
    ['GETKEYSANDFLAGS', 'set', 'a', 'get'],
    ['GETKEYSANDFLAGS', 'set', 'a', 'b', 'PX', '1', 'get'],
    ['GETKEYSANDFLAGS', 'getex', 'a', 'persist'],
    ['GETKEYSANDFLAGS', 'xread', 'count', '2', 'streams', 'a', 'b', '0', '$'],
    ['GETKEYS', 'xread', 'count', '2', 'streams', 'a', 'b', '0'],
    ['GETKEYS', 'xread', 'count', '2', 'streams', 'a'],
    ['GETKEYS', 'xread', 'count', '2', 'streams'],
    ['GETKEYS', 'xread', 'count', '2', 'a', 'b', '0'],
    ['GETKEYSANDFLAGS', 'xreadgroup', 'group', 'streams', 'streams', 'streams', 'a', '>'],
    ['GETKEYSANDFLAGS', 'xadd', 'a', '*', 'b', 'c'],
    ['GETKEYSANDFLAGS', 'set', 'a', 'b', 'get'],
    ['GETKEYSANDFLAGS', 'bitfield', 'a'],
    ['GETKEYSANDFLAGS', 'bitfield', 'a', 'get', 'u8', '0', 'OVERFLOW', 'wrap', 'GET', 'u8', '1'],
    ['GETKEYSANDFLAGS', 'bitfield', 'a', 'get', 'u8', '0', 'set', 'u8', '1', '1'],
    ['GETKEYSANDFLAGS', 'bitfield', 'a', 'get', 'u8'],
    ['GETKEYSANDFLAGS', 'bitfield', 'a', 'nonsense'],
    ['GETKEYSANDFLAGS', 'bitfield_ro', 'a', 'get', 'u8', '0'],
    ['GETKEYSANDFLAGS', 'sort', 'a', 'BY', 'store', 'get', 'b*', 'limit', '0', '1', 'store', 'c'],
    ['GETKEYSANDFLAGS', 'sort_ro', 'a', 'get', 'b*'],
    ['HELP'],
  ]

  it.each(requests.map((args) => [args]))('answers COMMAND %j as Redis does', async (args) => {
    const sorted = (reply: ParsedReply) =>
      args[0] === 'LIST' && Array.isArray(reply) ? [...reply].sort() : reply
    expect(sorted(ask('COMMAND', ...args))).toEqual(sorted(await real().request('COMMAND', ...args)))
  })

  it('answers with the types of RESP3 that Redis has', async () => {
    const side = await SocketSide.connect({ path: real().socketPath })
    const plain = ours
      .filter((spec) => !spec.isContainer && !spec.name.includes('|'))
      .map(({ lowerName }) => lowerName)
    const known = new Set(knownDifferences.map(([command]) => command))
    const asked = [
      ['INFO', ...plain.filter((name) => !known.has(name)), 'nonsense'],
      ['LIST', 'FILTERBY', 'PATTERN', 'sort*'],
      ['GETKEYSANDFLAGS', 'sort', 'a', 'store', 'b'],
      ['DOCS', 'nonsense'],
      ['COUNT'],
    ]
    const [, ...replies] = await side.send([['HELLO', '3'], ...asked.map((args) => ['COMMAND', ...args])])
    side.close()
    asked.forEach((args, i) => {
      expect(shape(decodeReply(askRaw(true, 'COMMAND', ...args)))).toBe(
        shape(decodeReply(replies[i] as Uint8Array)),
      )
    })
  })

  it.each(['OBJECT', 'XGROUP', 'XINFO'])('gives the help of %s as Redis does', async (command) => {
    const reply = new ReplyWriter()
    writeHelp(command, reply)
    expect(parse(reply.take())).toEqual(await real().request(command, 'HELP'))
  })

  it('lists and counts what there is', () => {
    expect(ask('COMMAND', 'COUNT')).toBe(commands.size)
    expect(list(ask('COMMAND')).map((info) => list(info)[0])).toEqual(
      [...commands.values()].map((spec) => spec.lowerName),
    )
    expect(list(ask('COMMAND', 'LIST'))).toContain('client|kill')
    expect(list(ask('COMMAND', 'DOCS'))).toHaveLength(2 * commands.size)
    expect(list(ask('COMMAND', 'INFO'))).toHaveLength(commands.size)
  })
})
