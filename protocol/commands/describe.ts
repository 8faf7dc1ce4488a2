/** COMMAND and its subcommands, and the HELP of every container, written from the table. */
import { errors, ReplyError } from '#protocol/resp/errors.ts'
import type { ReplyWriter } from '#protocol/resp/replyWriter.ts'
import { invariant } from '#runtime/invariant.ts'
import { globMatches } from './globPattern.ts'
import { type CommandSpec, commandNamed, commands } from './index.ts'
import { flagsInUse, keyPlaces } from './keys.ts'
import { commandIn, QuotedRequest, type RequestView } from './request.ts'
import type { ArgumentSpec, KeySpec } from './table.ts'

/** Answers `COMMAND` or the subcommand that `spec` is; the caller has checked the number of arguments. */
export function answerCommand(spec: CommandSpec, request: RequestView, reply: ReplyWriter): void {
  const answer = answers[spec.name]
  invariant(answer !== undefined, 'every subcommand of COMMAND is answered', { name: spec.name })
  const start = reply.length
  try {
    answer(request, reply)
  } catch (error) {
    if (!(error instanceof ReplyError)) throw error
    reply.truncate(start)
    reply.error(error.text)
  }
}

const answers: { readonly [name: string]: (request: RequestView, reply: ReplyWriter) => void } = {
  COMMAND: (_, reply) => writeInfos([...commands.values()], reply),
  'COMMAND|COUNT': (_, reply) => reply.integer(commands.size),
  'COMMAND|DOCS': answerDocs,
  'COMMAND|GETKEYS': (request, reply) => answerKeys(request, reply, false),
  'COMMAND|GETKEYSANDFLAGS': (request, reply) => answerKeys(request, reply, true),
  'COMMAND|HELP': (_, reply) => writeHelp('COMMAND', reply),
  'COMMAND|INFO': answerInfo,
  'COMMAND|LIST': answerList,
}

/** Answers `CLIENT HELP` and the like. */
export function writeHelp(container: string, reply: ReplyWriter): void {
  const help = commands.get(container)?.row.help ?? []
  reply.array(help.length + 3)
  reply.simple(`${container} <subcommand> [<arg> [value] [opt] ...]. Subcommands are:`)
  for (const line of help) reply.simple(line)
  reply.simple('HELP')
  reply.simple('    Prints this help.')
}

function namedIn(request: RequestView): (CommandSpec | undefined)[] {
  const specs: (CommandSpec | undefined)[] = []
  for (let i = 2; i < request.argumentCount; i++) specs.push(commandNamed(request.text(i)))
  return specs
}

function answerInfo(request: RequestView, reply: ReplyWriter): void {
  writeInfos(request.argumentCount === 2 ? [...commands.values()] : namedIn(request), reply)
}

function writeInfos(specs: readonly (CommandSpec | undefined)[], reply: ReplyWriter): void {
  reply.array(specs.length)
  for (const spec of specs) {
    if (spec === undefined) reply.null()
    else writeInfo(spec, reply)
  }
}

function writeInfo(spec: CommandSpec, reply: ReplyWriter): void {
  const { row } = spec
  reply.array(10)
  reply.bulk(spec.lowerName)
  reply.integer(row.arity)
  writeStatusSet(row.flags, reply)
  reply.integer(spec.firstKey)
  reply.integer(spec.lastKey)
  reply.integer(spec.keyStep)
  writeStatusSet(
    row.categories.map((category) => `@${category}`),
    reply,
  )
  const tips = row.tips ?? []
  reply.set(tips.length)
  for (const tip of tips) reply.bulk(tip)
  reply.set(row.keys.length)
  for (const keySpec of row.keys) writeKeySpec(keySpec, reply)
  if (spec.isContainer) writeInfos(spec.subcommands, reply)
  else reply.set(0)
}

function writeStatusSet(texts: readonly string[], reply: ReplyWriter): void {
  reply.set(texts.length)
  for (const text of texts) reply.simple(text)
}

function writeKeySpec({ notes, flags, begin, find }: KeySpec, reply: ReplyWriter): void {
  reply.map(notes === undefined ? 3 : 4)
  if (notes !== undefined) writePair('notes', notes, reply)
  reply.bulk('flags')
  writeStatusSet(flags, reply)
  reply.bulk('begin_search')
  writeSearch(beginOf(begin, find), reply)
  reply.bulk('find_keys')
  writeSearch(findOf(find), reply)
}

interface Search {
  type: string
  spec: readonly (readonly [string, string | number])[]
}

const unknown: Search = { type: 'unknown', spec: [] }

function beginOf(begin: number, find: KeySpec['find']): Search {
  switch (find.kind) {
    case 'unknown':
    case 'anywhere':
      return unknown
    case 'behind':
    case 'halfBehind':
      return {
        type: 'keyword',
        spec: [
          ['keyword', find.word],
          ['startfrom', begin],
        ],
      }
    default:
      return { type: 'index', spec: [['index', begin]] }
  }
}

function findOf(find: KeySpec['find']): Search {
  switch (find.kind) {
    case 'unknown':
    case 'anywhere':
      return unknown
    case 'counted':
      return {
        type: 'keynum',
        spec: [
          ['keynumidx', 0],
          ['firstkey', 1],
          ['keystep', 1],
        ],
      }
    case 'halfBehind':
      return keyRange(-1, 1, 2)
    case 'range':
      return keyRange(find.last, find.step)
    default:
      return keyRange(0, 1)
  }
}

/** `limit` 2: the first half of them only. */
function keyRange(last: number, step: number, limit = 0): Search {
  return {
    type: 'range',
    spec: [
      ['lastkey', last],
      ['keystep', step],
      ['limit', limit],
    ],
  }
}

function writeSearch({ type, spec }: Search, reply: ReplyWriter): void {
  reply.map(2)
  writePair('type', type, reply)
  reply.bulk('spec')
  reply.map(spec.length)
  for (const [name, value] of spec) {
    reply.bulk(name)
    if (typeof value === 'string') reply.bulk(value)
    else reply.integer(value)
  }
}

function writePair(name: string, value: string, reply: ReplyWriter): void {
  reply.bulk(name)
  reply.bulk(value)
}

function answerDocs(request: RequestView, reply: ReplyWriter): void {
  const named = request.argumentCount === 2 ? [...commands.values()] : namedIn(request)
  writeDocsOfAll(
    named.filter((spec) => spec !== undefined),
    reply,
  )
}

function writeDocsOfAll(specs: readonly CommandSpec[], reply: ReplyWriter): void {
  reply.map(specs.length)
  for (const spec of specs) {
    reply.bulk(spec.lowerName)
    writeDocs(spec, reply)
  }
}

function writeDocs(spec: CommandSpec, reply: ReplyWriter): void {
  const { summary, since, complexity, isSystem, deprecated, history, args } = spec.row
  const optionalFields = [isSystem, history !== undefined, args.length > 0, spec.isContainer].filter(
    Boolean,
  ).length
  reply.map(4 + optionalFields + (deprecated === undefined ? 0 : 3))
  writePair('summary', summary, reply)
  writePair('since', since, reply)
  writePair('group', spec.group, reply)
  writePair('complexity', complexity, reply)
  if (isSystem) {
    reply.bulk('doc_flags')
    writeStatusSet(['syscmd'], reply)
  }
  if (deprecated !== undefined) {
    reply.bulk('doc_flags')
    writeStatusSet(['deprecated'], reply)
    writePair('deprecated_since', deprecated.since, reply)
    writePair('replaced_by', deprecated.replacedBy, reply)
  }
  if (history !== undefined) {
    reply.bulk('history')
    reply.set(history.length)
    for (const [version, change] of history) {
      reply.array(2)
      reply.bulk(version)
      reply.bulk(change)
    }
  }
  if (args.length > 0) writeArguments(args, reply)
  if (spec.isContainer) {
    reply.bulk('subcommands')
    writeDocsOfAll(spec.subcommands, reply)
  }
}

function writeArguments(args: readonly ArgumentSpec[], reply: ReplyWriter): void {
  reply.bulk('arguments')
  reply.array(args.length)
  for (const argument of args) writeArgument(argument, reply)
}

function writeArgument(argument: ArgumentSpec, reply: ReplyWriter): void {
  const { name, type, token, keySpecIndex, since, deprecatedSince, flags } = argument
  // What has parts shows its parts, not itself.
  const isShown = argument.arguments === undefined
  const optionalFields = [keySpecIndex, token, since, deprecatedSince, flags].filter(
    (field) => field !== undefined,
  )
  reply.map(3 + optionalFields.length)
  writePair('name', name, reply)
  writePair('type', type, reply)
  if (isShown) writePair('display_text', name, reply)
  if (keySpecIndex !== undefined) {
    reply.bulk('key_spec_index')
    reply.integer(keySpecIndex)
  }
  if (token !== undefined) writePair('token', token, reply)
  if (since !== undefined) writePair('since', since, reply)
  if (deprecatedSince !== undefined) writePair('deprecated_since', deprecatedSince, reply)
  if (flags !== undefined) {
    reply.bulk('flags')
    writeStatusSet(flags, reply)
  }
  if (argument.arguments !== undefined) writeArguments(argument.arguments, reply)
}

function answerList(request: RequestView, reply: ReplyWriter): void {
  const isChosen = request.argumentCount === 2 ? () => true : listFilter(request)
  const names: string[] = []
  for (const command of commands.values()) {
    for (const spec of [command, ...command.subcommands]) if (isChosen(spec)) names.push(spec.lowerName)
  }
  reply.array(names.length)
  for (const name of names) reply.bulk(name)
}

function listFilter(request: RequestView): (spec: CommandSpec) => boolean {
  const isFilter = request.argumentCount === 5 && request.text(2).toUpperCase() === 'FILTERBY'
  if (!isFilter) throw new ReplyError(errors.syntax)
  const wanted = request.text(4).toLowerCase()
  switch (request.text(3).toUpperCase()) {
    case 'MODULE':
      return () => false
    case 'PATTERN':
      return (spec) => globMatches(wanted, spec.lowerName)
    case 'ACLCAT':
      return (spec) => spec.row.categories.some((category) => category === wanted)
    default:
      throw new ReplyError(errors.syntax)
  }
}

function answerKeys(request: RequestView, reply: ReplyWriter, withFlags: boolean): void {
  const quoted = new QuotedRequest(request, 2)
  const count = quoted.argumentCount
  const spec = commandIn(quoted)
  if (spec === undefined) throw new ReplyError('ERR Invalid command specified')
  if (spec.keys.length === 0) throw new ReplyError('ERR The command has no key arguments')
  if (!spec.accepts(count)) throw new ReplyError('ERR Invalid number of arguments specified for command')
  const argumentAt = (index: number): string => quoted.text(index)
  const places = keyPlaces(spec, count, argumentAt)
  if (places === null) throw new ReplyError('ERR Invalid arguments specified for command')
  reply.array(places.reduce((total, { positions }) => total + positions.length, 0))
  for (const { spec: keySpec, positions } of places) {
    for (const position of positions) {
      if (withFlags) reply.array(2)
      reply.bulk(quoted.text(position))
      if (withFlags) writeStatusSet(flagsInUse(spec, keySpec, count, argumentAt), reply)
    }
  }
}
