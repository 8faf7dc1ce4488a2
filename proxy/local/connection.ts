/** AUTH, HELLO and what else concerns the connection itself, but CLIENT. */
import { errors, ReplyError } from '#protocol/resp/errors.ts'
import type { LocalCall, LocalCommand } from './call.ts'
import { checkClientText } from './clientText.ts'
import { compatibleVersion } from './version.ts'

/** The only user. */
const userName = 'default'

/** Compares without telling by its duration how much of the secret was right. */
export function isSecret(given: string, secret: string): boolean {
  let difference = given.length ^ secret.length
  for (let i = 0; i < given.length; i++) {
    difference |= given.charCodeAt(i) ^ (secret.length === 0 ? -1 : secret.charCodeAt(i % secret.length))
  }
  return difference === 0
}

function authenticate({ host, session }: LocalCall, user: string, password: string): void {
  const secret = host.config.database.password
  // Without a password everybody is the default user, whatever is given.
  const accepted = secret === null || isSecret(password, secret)
  if (user !== userName || !accepted) throw new ReplyError(errors.wrongPassword)
  session.setAuthenticated(true)
}

const AUTH: LocalCommand = (call) => {
  const { args, reply, host } = call
  if (args.argumentCount > 3) throw new ReplyError(errors.syntax)
  if (args.argumentCount === 2) {
    if (host.config.database.password === null) throw new ReplyError(errors.noPasswordSet)
    authenticate(call, userName, args.text(1))
  } else authenticate(call, args.text(1), args.text(2))
  reply.ok()
  return null
}

interface HelloOptions {
  resp3: boolean
  credentials: { user: string; password: string } | null
  name: string | null
}

function helloOptions({ args, session }: LocalCall): HelloOptions {
  const options: HelloOptions = { resp3: session.resp3, credentials: null, name: null }
  if (args.argumentCount > 1) {
    const version = args.text(1)
    if (!/^-?[0-9]{1,18}$/.test(version)) throw new ReplyError(errors.protocolNotInteger)
    if (version !== '2' && version !== '3') throw new ReplyError(errors.unsupportedProtocol)
    options.resp3 = version === '3'
  }
  for (let i = 2; i < args.argumentCount; i++) {
    const word = args.text(i).toUpperCase()
    if (word === 'AUTH' && i + 2 < args.argumentCount) {
      options.credentials = { user: args.text(i + 1), password: args.text(i + 2) }
      i += 2
    } else if (word === 'SETNAME' && i + 1 < args.argumentCount) {
      options.name = args.text(++i)
      checkClientText(options.name, 'Client names')
    } else throw new ReplyError(`ERR Syntax error in HELLO option '${args.text(i)}'`)
  }
  return options
}

const HELLO: LocalCommand = (call) => {
  const { reply, session } = call
  const { resp3, credentials, name } = helloOptions(call)
  if (credentials !== null) authenticate(call, credentials.user, credentials.password)
  if (!session.isAuthenticated) throw new ReplyError(errors.noAuthHello)
  if (name !== null) session.name = name
  session.setResp3(resp3)
  reply.resp3 = resp3
  reply.map(7)
  reply.bulk('server')
  reply.bulk('redis')
  reply.bulk('version')
  reply.bulk(compatibleVersion)
  reply.bulk('proto')
  reply.integer(resp3 ? 3 : 2)
  reply.bulk('id')
  reply.integer(session.id)
  reply.bulk('mode')
  reply.bulk('standalone')
  reply.bulk('role')
  reply.bulk('master')
  reply.bulk('modules')
  reply.array(0)
  return null
}

const PING: LocalCommand = ({ args, reply }) => {
  if (args.argumentCount > 2) throw new ReplyError(errors.wrongArity('ping'))
  if (args.argumentCount === 2) reply.bulkBytes(args.bytes, args.start(1), args.endOf(1))
  else reply.simple('PONG')
  return null
}

const ECHO: LocalCommand = ({ args, reply }) => {
  reply.bulkBytes(args.bytes, args.start(1), args.endOf(1))
  return null
}

const SELECT: LocalCommand = ({ args, reply }) => {
  const index = args.text(1)
  if (!/^(?:0|-?[1-9][0-9]{0,9})$/.test(index)) throw new ReplyError(errors.notInteger)
  if (index !== '0') throw new ReplyError(errors.databaseOutOfRange)
  reply.ok()
  return null
}

const QUIT: LocalCommand = ({ reply, session }) => {
  reply.ok()
  session.closeAfterReplies()
  return null
}

const RESET: LocalCommand = ({ reply, session }) => {
  session.reset()
  reply.resp3 = false
  reply.simple('RESET')
  return null
}

/** As a part of a transaction it has nothing left to do: EXEC ends the watches. */
const UNWATCH: LocalCommand = ({ reply }) => {
  reply.ok()
  return null
}

export const connectionCommands = { AUTH, HELLO, PING, ECHO, SELECT, QUIT, RESET, UNWATCH }
