/** AUTH, HELLO and what else concerns the connection itself, but CLIENT. */
import { defaultUserName } from '#protocol/acl/user.ts'
import { errors, ReplyError } from '#protocol/resp/errors.ts'
import type { ReplyWriter } from '#protocol/resp/replyWriter.ts'
import type { Session } from '#proxy/session/session.ts'
import type { LocalCall, LocalCommand } from './call.ts'
import { checkClientText } from './clientText.ts'
import { type Deferred, noAnswers, type Question, replying } from './question.ts'
import { compatibleVersion } from './version.ts'

interface Credentials {
  user: string
  password: string
}

/**
 * Logs in, or calls `then` with an error; both at once, unless too many wrong passwords came from where this one does. Returns
 * null in the first case.
 */
function logIn(call: LocalCall, { user, password }: Credentials, then: Question['answer']): Deferred | null {
  const { host, session, reply } = call
  const { loginDelay, clock, limits, timers } = host
  const { remoteAddress } = session
  const delayMs = loginDelay.delayMs(user, remoteAddress, clock.monotonicMs(), limits.loginDelayMaxMs)
  const command = call.args.text(0)
  const look = (): string | null => checkPassword(call, command, { user, password })
  if (delayMs === 0) {
    const error = look()
    if (error !== null) throw new ReplyError(error)
    then(noAnswers, reply)
    return null
  }
  session.waitForReplies()
  return {
    begin: (done) => {
      timers.after(delayMs, () => {
        const error = look()
        done(replying(error === null ? then : (_, later) => later.error(error)))
      })
    },
  }
}

/** Null: it is right, and the client logged in. */
function checkPassword({ host, session }: LocalCall, command: string, given: Credentials): string | null {
  const user = host.users.find(given.user)
  const { remoteAddress } = session
  // Checked against somebody in any case: how long it takes tells nothing.
  const isRight = (user ?? host.users.default).accepts(given.password)
  if (user !== undefined && isRight) {
    host.loginDelay.succeeded(given.user, remoteAddress)
    session.logIn(user)
    return null
  }
  host.loginDelay.failed(given.user, remoteAddress, host.clock.monotonicMs())
  host.logger.warn({ client: session.id, remoteAddress }, 'a client gave a wrong password')
  session.access.note('auth', command, given.user)
  return errors.wrongPassword
}

const AUTH: LocalCommand = (call) => {
  const { args, host } = call
  if (args.argumentCount > 3) throw new ReplyError(errors.syntax)
  const ok: Question['answer'] = (_, reply) => reply.ok()
  if (args.argumentCount === 3) return logIn(call, { user: args.text(1), password: args.text(2) }, ok)
  if (host.users.default.needsNoPassword) throw new ReplyError(errors.noPasswordSet)
  return logIn(call, { user: defaultUserName, password: args.text(1) }, ok)
}

interface HelloOptions {
  resp3: boolean
  credentials: Credentials | null
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
  const options = helloOptions(call)
  const { credentials } = options
  const greet: Question['answer'] = (_, to) => writeGreeting(session, options, to)
  if (credentials !== null) return logIn(call, credentials, greet)
  if (!session.access.isAuthenticated) throw new ReplyError(errors.noAuthHello)
  writeGreeting(session, options, reply)
  return null
}

function writeGreeting(session: Session, { resp3, name }: HelloOptions, reply: ReplyWriter): void {
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
}

const PING: LocalCommand = ({ args, reply, session }) => {
  if (args.argumentCount > 2) throw new ReplyError(errors.wrongArity('ping'))
  if (session.subscriptions.takesMessagesOnly) {
    reply.array(2)
    reply.bulk('pong')
    reply.bulk(args.argumentCount === 2 ? args.text(1) : '')
  } else if (args.argumentCount === 2) reply.bulkBytes(args.bytes, args.start(1), args.endOf(1))
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
