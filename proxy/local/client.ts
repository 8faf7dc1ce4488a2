/** CLIENT and its subcommands. */
import { writeHelp } from '#protocol/commands/describe.ts'
import { errors, ReplyError } from '#protocol/resp/errors.ts'
import type { RequestScanner } from '#protocol/resp/requestScanner.ts'
import type { Client } from '#proxy/clients.ts'
import type { LocalCall, LocalCommand } from './call.ts'
import { clientLine } from './clientLine.ts'
import { checkClientText } from './clientText.ts'

/** Of Redis's kinds only `normal` exists here: replicas and subscribers don't. */
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

const LIST: LocalCommand = ({ args, reply, host }) => {
  let listed: Client[] = host.clients.list()
  if (args.argumentCount === 4 && word(args, 2) === 'TYPE') {
    if (checkType(args.text(3)) !== 'normal') listed = []
  } else if (args.argumentCount > 3 && word(args, 2) === 'ID') {
    const wanted = new Set<number>()
    for (let i = 3; i < args.argumentCount; i++) wanted.add(listedId(args.text(i)))
    listed = [...wanted].map((id) => host.clients.get(id)).filter((client) => client !== undefined)
  } else if (args.argumentCount !== 2) throw new ReplyError(errors.syntax)
  const nowMs = host.clock.monotonicMs()
  reply.verbatim('txt', listed.map((client) => clientLine(client, nowMs)).join(''))
  return null
}

function listedId(text: string): number {
  if (!/^-?[0-9]{1,18}$/.test(text)) throw new ReplyError(errors.noSuchClientId)
  return Number(text)
}

/** What a client must be to be killed; absent: anything. */
interface KillFilter {
  id?: number
  address?: string
  localAddress?: string
  type?: string
  ageSeconds?: number
  skipOwn: boolean
}

function killFilter(args: RequestScanner): KillFilter {
  const filter: KillFilter = { skipOwn: true }
  for (let i = 2; i < args.argumentCount; i += 2) {
    if (i + 1 >= args.argumentCount) throw new ReplyError(errors.syntax)
    setFilter(filter, word(args, i), args.text(i + 1))
  }
  return filter
}

function setFilter(filter: KillFilter, option: string, value: string): void {
  switch (option) {
    case 'ID':
      if (!/^[0-9]{1,18}$/.test(value) || Number(value) < 1)
        throw new ReplyError('ERR client-id should be greater than 0')
      filter.id = Number(value)
      return
    case 'TYPE':
      filter.type = checkType(value)
      return
    case 'ADDR':
      filter.address = value
      return
    case 'LADDR':
      filter.localAddress = value
      return
    case 'USER':
      if (value !== 'default') throw new ReplyError(`ERR No such user '${value}'`)
      return
    case 'MAXAGE':
      if (!/^[0-9]{1,15}$/.test(value)) throw new ReplyError('ERR maxage is not an integer or out of range')
      if (Number(value) < 1) throw new ReplyError('ERR maxage should be greater than 0')
      filter.ageSeconds = Number(value)
      return
    case 'SKIPME': {
      const choice = value.toUpperCase()
      if (choice !== 'YES' && choice !== 'NO') throw new ReplyError(errors.syntax)
      filter.skipOwn = choice === 'YES'
      return
    }
    default:
      throw new ReplyError(errors.syntax)
  }
}

function kill({ session, host }: LocalCall, filter: KillFilter): number {
  const nowMs = host.clock.monotonicMs()
  let killed = 0
  for (const client of host.clients.list()) {
    if (client.isClosing) continue
    if (filter.skipOwn && client === session) continue
    if (filter.id !== undefined && client.id !== filter.id) continue
    if (filter.type !== undefined && filter.type !== 'normal') continue
    if (filter.address !== undefined && client.remoteAddress !== filter.address) continue
    if (filter.localAddress !== undefined && client.localAddress !== filter.localAddress) continue
    if (filter.ageSeconds !== undefined && nowMs - client.openedMs < filter.ageSeconds * 1000) continue
    killed++
    // Who kills itself is still told so.
    if (client === session) client.closeAfterReplies()
    else client.kill()
  }
  return killed
}

const KILL: LocalCommand = (call) => {
  const { args, reply } = call
  if (args.argumentCount === 3) {
    if (kill(call, { address: args.text(2), skipOwn: false }) === 0) throw new ReplyError(errors.noSuchClient)
    reply.ok()
  } else reply.integer(kill(call, killFilter(args)))
  return null
}

const PAUSE: LocalCommand = ({ args, reply, host, spec }) => {
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
  reply.ok()
  return null
}

const UNPAUSE: LocalCommand = ({ reply, host }) => {
  host.pause.end()
  reply.ok()
  return null
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

const HELP: LocalCommand = ({ reply }) => {
  writeHelp('CLIENT', reply)
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
  'CLIENT|UNPAUSE': UNPAUSE,
  'CLIENT|REPLY': REPLY,
  'CLIENT|NO-EVICT': NO_EVICT,
  'CLIENT|NO-TOUCH': NO_TOUCH,
  'CLIENT|HELP': HELP,
}
