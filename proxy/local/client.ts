/** CLIENT and its subcommands. */

import type { AdminAnswer } from '#protocol/frames/admin.ts'
import type { ClientChoice, WorkerAnswer } from '#protocol/frames/worker.ts'
import { cString } from '#protocol/resp/cString.ts'
import { errors, ReplyError } from '#protocol/resp/errors.ts'
import type { RequestScanner } from '#protocol/resp/requestScanner.ts'
import { shardSessionOf } from '#proxy/clients.ts'
import type { SessionHost } from '#proxy/session/host.ts'
import { parseInteger64 } from '#runtime/integer64.ts'
import type { LocalCall, LocalCommand } from './call.ts'
import { killChosen, listChosen } from './clientChoice.ts'
import { clientLine } from './clientLine.ts'
import { checkClientText } from './clientText.ts'
import { helpOf } from './help.ts'

/** Redis's kinds; there are no replicas here. */
const clientTypes: readonly string[] = ['normal', 'master', 'replica', 'slave', 'pubsub']

const word = (args: RequestScanner, i: number): string => args.text(i).toUpperCase()

function checkType(text: string): string {
  const type = text.toLowerCase()
  if (!clientTypes.includes(type)) throw new ReplyError(`ERR Unknown client type '${text}'`)
  return type
}

function onOrOff(args: RequestScanner): boolean {
  const value = word(args, 2)
  if (value !== 'ON' && value !== 'OFF') throw new ReplyError(errors.syntax)
  return value === 'ON'
}

const ID: LocalCommand = ({ reply, session }) => {
  reply.integer(session.id)
  return null
}

const GETNAME: LocalCommand = ({ reply, session }) => {
  if (session.name === '') reply.null()
  else reply.bulk(session.name)
  return null
}

const SETNAME: LocalCommand = ({ args, reply, session }) => {
  const name = args.text(2)
  checkClientText(name, 'Client names')
  session.name = name
  reply.ok()
  return null
}

const SETINFO: LocalCommand = ({ args, reply, session }) => {
  const attribute = args.text(2)
  const value = args.text(3)
  const lower = attribute.toLowerCase()
  if (lower !== 'lib-name' && lower !== 'lib-ver')
    throw new ReplyError(`ERR Unrecognized option '${attribute}'`)
  checkClientText(value, attribute)
  if (lower === 'lib-name') session.libName = value
  else session.libVersion = value
  reply.ok()
  return null
}

const INFO: LocalCommand = ({ reply, session, host }) => {
  reply.verbatim('txt', clientLine(session, host.clock.monotonicMs()))
  return null
}

/** In the order of the ids that were named, or else by id. */
const LIST: LocalCommand = ({ args, host }) => {
  const choice = listChoice(args)
  return {
    askWorkers: { what: 'clients', choice },
    answer: ({ workers }, reply) => {
      const heard = workers.map(({ value }) => value as WorkerAnswer<'clients'> | null)
      const clients = [listChosen(host, choice), ...heard.map((answer) => answer?.clients ?? [])].flat()
      const byId = new Map(clients.map((client) => [client.id, client.line]))
      const ids = choice.ids ?? [...byId.keys()].sort((a, b) => a - b)
      reply.verbatim('txt', ids.map((id) => byId.get(id) ?? '').join(''))
    },
  }
}

function listChoice(args: RequestScanner): ClientChoice {
  if (args.argumentCount === 2) return {}
  const filter = word(args, 2)
  if (args.argumentCount === 4 && filter === 'TYPE') return { type: checkType(args.text(3)) }
  if (args.argumentCount === 3 || filter !== 'ID') throw new ReplyError(errors.syntax)
  const ids = new Set<number>()
  for (let i = 3; i < args.argumentCount; i++) ids.add(listedId(args.text(i)))
  return { ids: [...ids] }
}

function listedId(text: string): number {
  if (!/^-?[0-9]{1,18}$/.test(text)) throw new ReplyError(errors.noSuchClientId)
  return Number(text)
}

function killChoice({ args, session, host }: LocalCall): ClientChoice {
  const choice: ClientChoice = { exceptId: session.id }
  for (let i = 2; i < args.argumentCount; i += 2) {
    if (i + 1 >= args.argumentCount) throw new ReplyError(errors.syntax)
    setChoice(choice, word(args, i), args.text(i + 1), session.id, host)
  }
  return choice
}

function setChoice(
  choice: ClientChoice,
  option: string,
  value: string,
  ownId: number,
  host: SessionHost,
): void {
  switch (option) {
    case 'ID':
      if (!/^[0-9]{1,18}$/.test(value) || Number(value) < 1)
        throw new ReplyError('ERR client-id should be greater than 0')
      choice.ids = [Number(value)]
      return
    case 'TYPE':
      choice.type = checkType(value)
      return
    case 'ADDR':
      choice.address = value
      return
    case 'LADDR':
      choice.localAddress = value
      return
    case 'USER':
      if (host.users.find(value) === undefined) throw new ReplyError(`ERR No such user '${cString(value)}'`)
      choice.user = value
      return
    case 'MAXAGE':
      if (!/^[0-9]{1,15}$/.test(value)) throw new ReplyError('ERR maxage is not an integer or out of range')
      if (Number(value) < 1) throw new ReplyError('ERR maxage should be greater than 0')
      choice.ageSeconds = Number(value)
      return
    case 'SKIPME': {
      const skip = value.toUpperCase()
      if (skip !== 'YES' && skip !== 'NO') throw new ReplyError(errors.syntax)
      if (skip === 'YES') choice.exceptId = ownId
      else delete choice.exceptId
      return
    }
    default:
      throw new ReplyError(errors.syntax)
  }
}

/** Those of this worker are ended at once; the answer waits for the others, and counts theirs too. */
const KILL: LocalCommand = (call) => {
  const { args, host, session } = call
  const isByAddress = args.argumentCount === 3
  const choice: ClientChoice = isByAddress ? { address: args.text(2) } : killChoice(call)
  const killedHere = killChosen(host, choice, session)
  return {
    askWorkers: { what: 'kill', choice },
    answer: ({ workers }, reply) => {
      const answers = workers.map(({ value }) => value as WorkerAnswer<'kill'> | null)
      const killed = answers.reduce((sum, answer) => sum + (answer?.killed ?? 0), killedHere)
      if (!isByAddress) reply.integer(killed)
      else if (killed > 0) reply.ok()
      else reply.error(errors.noSuchClient)
    },
  }
}

/**
 * Answered when it holds at every worker and what had been sent to the shards before has been executed: then nothing is
 * written any more. A worker that hangs could go on with a write, so it is named instead.
 */
const PAUSE: LocalCommand = ({ args, host, spec }) => {
  if (args.argumentCount > 4) throw new ReplyError(errors.wrongSubcommandArity('CLIENT', args.text(1)))
  let mode: 'write' | 'all' = 'all'
  if (args.argumentCount === 4) {
    const given = word(args, 3)
    if (given !== 'WRITE' && given !== 'ALL')
      throw new ReplyError('ERR CLIENT PAUSE mode must be WRITE or ALL')
    if (given === 'WRITE') mode = 'write'
  }
  const text = args.text(2)
  if (!/^-?[0-9]{1,18}$/.test(text)) throw new ReplyError('ERR timeout is not an integer or out of range')
  const durationMs = Number(text)
  if (durationMs < 0) throw new ReplyError('ERR timeout is negative')
  host.pause.start(mode, durationMs)
  host.logger.info({ mode, durationMs, command: spec.lowerName }, 'clients are paused')
  return {
    askShards: { what: 'info' },
    askWorkers: host.siblings.news(),
    answer: ({ workers }, reply) => {
      const hanging = workers.filter(({ value, isGone }) => value === null && !isGone)
      if (hanging.length === 0) reply.ok()
      else reply.error(notPaused(hanging.map(({ worker }) => worker)))
    },
  }
}

const notPaused = (workers: readonly number[]): string =>
  `UNAVAILABLE proxy worker ${workers.join(', ')} did not answer: its clients may not be paused yet, try again`

/** Asked of the shards, whichever worker the client is at: they know who waits, and no two clients have one id. */
const UNBLOCK: LocalCommand = ({ args }) => {
  if (args.argumentCount > 4) throw new ReplyError(errors.wrongSubcommandArity('CLIENT', args.text(1)))
  const reason = args.argumentCount === 4 ? word(args, 3) : 'TIMEOUT'
  if (reason !== 'TIMEOUT' && reason !== 'ERROR') throw new ReplyError(errors.unblockReason)
  const id = parseInteger64(args.text(2))
  if (id === null) throw new ReplyError(errors.notInteger)
  const error = reason === 'ERROR' ? errors.unblocked : ''
  return {
    askShards: { what: 'unblock', session: shardSessionOf(Number(id)), error },
    answer: ({ shards }, reply) => {
      // A shard that does not answer has nobody waiting: its links are broken.
      const answers = shards.map(({ value }) => value as AdminAnswer<'unblock'> | undefined)
      reply.integer(answers.some((answer) => answer?.unblocked) ? 1 : 0)
    },
  }
}

const UNPAUSE: LocalCommand = ({ host }) => {
  host.pause.end()
  return { askWorkers: host.siblings.news(), answer: (_, reply) => reply.ok() }
}

const REPLY: LocalCommand = ({ args, reply, session }) => {
  const mode = word(args, 2)
  if (mode === 'ON') session.setReplies('on')
  else if (mode === 'OFF') session.setReplies('off')
  else if (mode === 'SKIP') session.setReplies('skip')
  else throw new ReplyError(errors.syntax)
  // Not seen by the client but after ON: the place of this reply is one of those that are not sent.
  reply.ok()
  return null
}

const NO_EVICT: LocalCommand = ({ args, reply, session }) => {
  session.noEvict = onOrOff(args)
  reply.ok()
  return null
}

const NO_TOUCH: LocalCommand = ({ args, reply, session }) => {
  session.setNoTouch(onOrOff(args))
  reply.ok()
  return null
}

export const clientCommands = {
  'CLIENT|ID': ID,
  'CLIENT|GETNAME': GETNAME,
  'CLIENT|SETNAME': SETNAME,
  'CLIENT|SETINFO': SETINFO,
  'CLIENT|INFO': INFO,
  'CLIENT|LIST': LIST,
  'CLIENT|KILL': KILL,
  'CLIENT|PAUSE': PAUSE,
  'CLIENT|UNBLOCK': UNBLOCK,
  'CLIENT|UNPAUSE': UNPAUSE,
  'CLIENT|REPLY': REPLY,
  'CLIENT|NO-EVICT': NO_EVICT,
  'CLIENT|NO-TOUCH': NO_TOUCH,
  'CLIENT|HELP': helpOf('CLIENT'),
}
