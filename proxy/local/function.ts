/** FUNCTION: the libraries are kept by the agent of the node, looked into by a shard, and known to all shards and workers. */
import type { StoredLibrary } from '#config/libraries.ts'
import { globMatches } from '#protocol/commands/globPattern.ts'
import { type ExaminedLibrary, readExamined } from '#protocol/frames/library.ts'
import { readFunctions, writeFunctions } from '#protocol/rdb/functionPayload.ts'
import { isSoundPayload } from '#protocol/rdb/rdbValue.ts'
import { cString } from '#protocol/resp/cString.ts'
import { errors, ReplyError } from '#protocol/resp/errors.ts'
import type { ReplyWriter } from '#protocol/resp/replyWriter.ts'
import {
  addingLibraries,
  functionCollision,
  type LibraryPlan,
  libraryExists,
  type Policy,
} from '#proxy/functions/libraryChanges.ts'
import type { PlanChange } from '#proxy/keptChanges.ts'
import { askShard, noAnswer } from '#proxy/routing/question.ts'
import type { LocalCall, LocalCommand } from './call.ts'
import { helpOf } from './help.ts'
import { type Deferred, type Question, replying } from './question.ts'
import { killing } from './script.ts'

const engineName = 'LUA'

function checkCount({ args }: LocalCall, argumentsMax: number): void {
  if (args.argumentCount > argumentsMax)
    throw new ReplyError(errors.wrongSubcommandArity('FUNCTION', args.text(1)))
}

const failing = (error: string): Question => replying((_, reply) => reply.error(error))

/** What the client sends meanwhile waits, as it may depend on it. */
function changing(
  { host, session }: LocalCall,
  plan: PlanChange<LibraryPlan>,
  answer: (reply: ReplyWriter) => void,
): Deferred {
  session.waitForReplies()
  return {
    begin: (done) =>
      host.libraryChanges.change(plan, (error) =>
        done(error === null ? replying((_, reply) => answer(reply)) : failing(error)),
      ),
  }
}

/** A shard looks at the codes, then `then` goes on with what they are. */
function examining(
  { host, session }: LocalCall,
  codes: readonly string[],
  then: (examined: readonly ExaminedLibrary[]) => Deferred | Question,
): Deferred {
  session.waitForReplies()
  const [link] = host.links.all
  return {
    begin: (done) => {
      if (link === undefined) return
      askShard(link, { what: 'examineLibraries', codes }, (answer) => {
        const examined = typeof answer === 'string' ? answer : readExamined(answer)
        if (typeof examined === 'string') done(failing(examined))
        else if (examined?.length !== codes.length) done(failing(noAnswer(link.index)))
        else {
          const next = then(examined)
          if ('begin' in next) next.begin(done)
          else done(next)
        }
      })
    },
  }
}

const LOAD: LocalCommand = (call) => {
  const { args, host } = call
  const last = args.argumentCount - 1
  for (let i = 2; i < last; i++) {
    const option = args.text(i)
    if (option.toUpperCase() !== 'REPLACE')
      throw new ReplyError(`ERR Unknown option given: ${cString(option)}`)
  }
  const replaces = last > 2
  const code = args.text(last)
  return examining(call, [code], ([examined]) => {
    const { name } = examined as ExaminedLibrary
    const isTaken = host.libraries.list.some((library) => library.name === name)
    if (name !== null && isTaken && !replaces) return failing(libraryExists(name))
    if (examined === undefined || 'error' in examined) return failing(examined?.error ?? '')
    const added = [storedLibrary(examined, code)]
    const plan = () => {
      // Another worker may have been faster.
      const isTakenNow = host.libraries.list.some((library) => library.name === examined.name)
      if (isTakenNow && !replaces) return libraryExists(examined.name)
      return addingLibraries(host.libraries.list, added, 'replace')
    }
    return changing(call, plan, (reply) => reply.bulk(examined.name))
  })
}

const storedLibrary = (
  { name, functions }: Exclude<ExaminedLibrary, { error: string }>,
  code: string,
): StoredLibrary => ({ name, code, functions })

const DELETE: LocalCommand = (call) => {
  const name = call.args.text(2)
  const plan = (): LibraryPlan | string =>
    call.host.libraries.list.some((library) => library.name === name)
      ? { put: [], remove: [name] }
      : 'ERR Library not found'
  return changing(call, plan, (reply) => reply.ok())
}

const FLUSH: LocalCommand = (call) => {
  const { args, host } = call
  checkCount(call, 3)
  if (args.argumentCount === 3 && !['SYNC', 'ASYNC'].includes(args.text(2).toUpperCase()))
    throw new ReplyError('ERR FUNCTION FLUSH only supports SYNC|ASYNC option')
  const plan = (): LibraryPlan | null => {
    const remove = host.libraries.list.map(({ name }) => name)
    return remove.length === 0 ? null : { put: [], remove }
  }
  return changing(call, plan, (reply) => reply.ok())
}

const DUMP: LocalCommand = ({ reply, host }) => {
  const payload = writeFunctions(host.libraries.list.map(({ code }) => code))
  reply.bulkBytes(payload, 0, payload.length)
  return null
}

const policies: readonly Policy[] = ['append', 'replace', 'flush']

const RESTORE: LocalCommand = (call) => {
  const { args, host } = call
  checkCount(call, 4)
  const word = args.argumentCount === 4 ? args.text(3).toLowerCase() : 'append'
  const policy = policies.find((known) => known === word)
  if (policy === undefined)
    throw new ReplyError('ERR Wrong restore policy given, value should be either FLUSH, APPEND or REPLACE.')
  const payload = args.bytes.slice(args.start(2), args.endOf(2))
  if (!isSoundPayload(payload)) throw new ReplyError(errors.badDump)
  const codes = readFunctions(payload)
  if (typeof codes === 'string') throw new ReplyError(codes)
  return examining(call, codes, (examined) => {
    const added = restored(examined, codes)
    if (typeof added === 'string') return failing(added)
    const plan = (): LibraryPlan | string | null => {
      const planned = addingLibraries(host.libraries.list, added, policy)
      const isEmpty = typeof planned !== 'string' && planned.put.length + planned.remove.length === 0
      return isEmpty ? null : planned
    }
    return changing(call, plan, (reply) => reply.ok())
  })
}

/** One behind the other, as they would be loaded. */
function restored(examined: readonly ExaminedLibrary[], codes: readonly string[]): StoredLibrary[] | string {
  const added: StoredLibrary[] = []
  for (const [i, library] of examined.entries()) {
    const isTaken = added.some(({ name }) => name === library.name)
    if (library.name !== null && isTaken) return libraryExists(library.name)
    if ('error' in library) return library.error
    const stored = storedLibrary(library, codes[i] ?? '')
    const collision = functionCollision(added, [stored])
    if (collision !== null) return collision
    added.push(stored)
  }
  return added
}

const LIST: LocalCommand = ({ args, reply, host }) => {
  let pattern: string | null = null
  let withCode = false
  for (let i = 2; i < args.argumentCount; i++) {
    const option = args.text(i).toUpperCase()
    if (option === 'WITHCODE' && !withCode) withCode = true
    else if (option === 'LIBRARYNAME' && pattern === null) {
      if (++i === args.argumentCount) throw new ReplyError('ERR library name argument was not given')
      pattern = args.text(i).toLowerCase()
    } else throw new ReplyError(`ERR Unknown argument ${cString(args.text(i))}`)
  }
  const chosen = host.libraries.list.filter(
    ({ name }) => pattern === null || globMatches(pattern, name.toLowerCase()),
  )
  reply.array(chosen.length)
  for (const library of chosen) writeLibrary(library, withCode, reply)
  return null
}

function writeLibrary({ name, code, functions }: StoredLibrary, withCode: boolean, reply: ReplyWriter): void {
  reply.map(withCode ? 4 : 3)
  reply.bulk('library_name')
  reply.bulk(name)
  reply.bulk('engine')
  reply.bulk(engineName)
  reply.bulk('functions')
  reply.array(functions.length)
  for (const { name, description, flags } of functions) {
    reply.map(3)
    reply.bulk('name')
    reply.bulk(name)
    reply.bulk('description')
    if (description === null) reply.null()
    else reply.bulk(description)
    reply.bulk('flags')
    reply.set(flags.length)
    for (const flag of flags) reply.simple(flag)
  }
  if (!withCode) return
  reply.bulk('library_code')
  reply.bulk(code)
}

const STATS: LocalCommand = ({ host }) => ({
  askWatches: { kind: 'show' },
  answer: ({ watches }, reply) => {
    const busy = watches.find((answer) => answer?.state === 'runs' && answer.forMs >= host.limits.busyReplyMs)
    if (busy?.state === 'runs' && busy.of === 'script') {
      reply.error(errors.busy('script'))
      return
    }
    reply.map(2)
    reply.bulk('running_script')
    if (busy?.state === 'runs') writeRunning(busy.command ?? [], busy.forMs, reply)
    else reply.null()
    reply.bulk('engines')
    reply.map(1)
    reply.bulk(engineName)
    reply.map(2)
    reply.bulk('libraries_count')
    reply.integer(host.libraries.list.length)
    reply.bulk('functions_count')
    reply.integer(host.libraries.functionCount)
  },
})

function writeRunning(command: readonly string[], forMs: number, reply: ReplyWriter): void {
  reply.map(3)
  reply.bulk('name')
  reply.bulk(command[1] ?? '')
  reply.bulk('command')
  reply.array(command.length)
  for (const argument of command) reply.bulk(argument)
  reply.bulk('duration_ms')
  reply.integer(forMs)
}

export const functionCommands = {
  'FUNCTION|DELETE': DELETE,
  'FUNCTION|DUMP': DUMP,
  'FUNCTION|FLUSH': FLUSH,
  'FUNCTION|HELP': helpOf('FUNCTION'),
  'FUNCTION|KILL': killing('function'),
  'FUNCTION|LIST': LIST,
  'FUNCTION|LOAD': LOAD,
  'FUNCTION|RESTORE': RESTORE,
  'FUNCTION|STATS': STATS,
}
