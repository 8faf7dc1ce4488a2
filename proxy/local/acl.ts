/** ACL and its subcommands. */
import { dryRun } from '#protocol/acl/dryRun.ts'
import { isUserName, nameError, readAclFile } from '#protocol/acl/rules.ts'
import { categoryNamed, type Selector, specsOf } from '#protocol/acl/selector.ts'
import { defaultUserName, openRules, type User } from '#protocol/acl/user.ts'
import { categories } from '#protocol/commands/table.ts'
import { type AclLogEntry, readAclLog } from '#protocol/frames/aclLog.ts'
import { cString } from '#protocol/resp/cString.ts'
import { errors, ReplyError } from '#protocol/resp/errors.ts'
import type { ReplyWriter } from '#protocol/resp/replyWriter.ts'
import type { RequestScanner } from '#protocol/resp/requestScanner.ts'
import { joinedLogs } from '#proxy/acl/aclLog.ts'
import { keeperError } from '#proxy/acl/aclSaves.ts'
import type { UserPlan } from '#proxy/acl/userChanges.ts'
import type { PlanChange } from '#proxy/keptChanges.ts'
import { parseInteger64 } from '#runtime/integer64.ts'
import { isJsonObject } from '#runtime/jsonObject.ts'
import type { LocalCall, LocalCommand } from './call.ts'
import { helpOf } from './help.ts'
import { type Question, replying } from './question.ts'
import { changingUsers, settingUser } from './userChange.ts'

const passwordBitsMax = 4096
const logEntriesShown = 10

const ok = (): Question => replying((_, reply) => reply.ok())

function words(args: RequestScanner, from: number): string[] {
  return Array.from({ length: Math.max(0, args.argumentCount - from) }, (_, i) => args.text(from + i))
}

function checkCount({ args }: LocalCall, argumentsMax: number): void {
  if (args.argumentCount > argumentsMax)
    throw new ReplyError(errors.wrongSubcommandArity('ACL', args.text(1)))
}

function integerAt(args: RequestScanner, i: number): number {
  const value = parseInteger64(args.text(i))
  if (value === null) throw new ReplyError(errors.notInteger)
  return Number(value)
}

const CAT: LocalCommand = (call) => {
  const { args, reply } = call
  checkCount(call, 3)
  const category = args.argumentCount === 3 ? categoryNamed(args.text(2)) : undefined
  if (args.argumentCount === 3 && category === undefined)
    throw new ReplyError(`ERR Unknown category '${cString(args.text(2)).slice(0, 128)}'`)
  const names = category === undefined ? categories : specsOf(category).map(({ lowerName }) => lowerName)
  reply.array(names.length)
  for (const name of names) reply.bulk(name)
  return null
}

const WHOAMI: LocalCommand = ({ reply, session }) => {
  reply.bulk(session.user.name)
  return null
}

const USERS: LocalCommand = ({ reply, host }) => {
  const users = host.users.list()
  reply.array(users.length)
  for (const { name } of users) reply.bulk(name)
  return null
}

const LIST: LocalCommand = ({ reply, host }) => {
  const users = host.users.list()
  reply.array(users.length)
  for (const { name, rules } of users) reply.bulk(`user ${name} ${rules.join(' ')}`)
  return null
}

function writeSelector(selector: Selector, reply: ReplyWriter): void {
  reply.bulk('commands')
  reply.bulk(selector.commandRules)
  reply.bulk('keys')
  reply.bulk(selector.keyRules)
  reply.bulk('channels')
  reply.bulk(selector.channelRules)
}

const GETUSER: LocalCommand = ({ args, reply, host }) => {
  const user = host.users.find(args.text(2))
  if (user === undefined) {
    reply.null()
    return null
  }
  reply.map(6)
  reply.bulk('flags')
  reply.set(user.flags.length)
  for (const flag of user.flags) reply.bulk(flag)
  reply.bulk('passwords')
  reply.array(user.passwords.length)
  for (const hash of user.passwords) reply.bulk(hash)
  writeSelector(user.root, reply)
  reply.bulk('selectors')
  reply.array(user.selectors.length - 1)
  for (const selector of user.selectors.slice(1)) {
    reply.map(3)
    writeSelector(selector, reply)
  }
  return null
}

const SETUSER: LocalCommand = (call) => {
  const { args, host } = call
  const name = args.text(2)
  if (!isUserName(name)) throw new ReplyError(nameError)
  const rules = words(args, 3)
  const plan = settingUser(host, name, rules)
  return changingUsers(
    call,
    () => {
      const planned = plan()
      if (typeof planned !== 'string') host.logger.info({ user: name }, 'a user is set')
      return planned
    },
    ok,
  )
}

const DELUSER: LocalCommand = (call) => {
  const { args, host } = call
  const names = new Set(words(args, 2))
  if (names.has(defaultUserName)) throw new ReplyError("ERR The 'default' user cannot be removed")
  let removed = 0
  const plan: PlanChange<UserPlan> = () => {
    const known = [...names].filter((name) => host.users.find(name) !== undefined)
    removed = known.length
    host.logger.info({ users: removed }, 'users are deleted')
    return removed === 0 ? null : { put: {}, remove: known, replacesAll: false }
  }
  return changingUsers(call, plan, () => replying((_, reply) => reply.integer(removed)))
}

const DRYRUN: LocalCommand = ({ args, reply, host }) => {
  const user = host.users.find(args.text(2))
  if (user === undefined) throw new ReplyError(`ERR User '${cString(args.text(2))}' not found`)
  const verdict = dryRun(user, args, 3)
  if (verdict === 'OK') reply.ok()
  else reply.bulk(verdict)
  return null
}

const GENPASS: LocalCommand = (call) => {
  const { args, reply, host } = call
  checkCount(call, 3)
  const bits = args.argumentCount === 3 ? integerAt(args, 2) : 256
  if (bits <= 0 || bits > passwordBitsMax)
    throw new ReplyError(
      `ERR ACL GENPASS argument must be the number of bits for the output password, a positive number up to ${passwordBitsMax}`,
    )
  reply.bulk(host.secretDigits(Math.ceil(bits / 4)))
  return null
}

function writeLog(entries: readonly AclLogEntry[], nowMs: number, reply: ReplyWriter): void {
  reply.array(entries.length)
  for (const { id, count, reason, context, object, user, createdMs, updatedMs, client } of entries) {
    reply.map(10)
    reply.bulk('count')
    reply.integer(count)
    for (const [name, text] of Object.entries({ reason, context, object, username: user })) {
      reply.bulk(name)
      reply.bulk(text)
    }
    reply.bulk('age-seconds')
    reply.double(Math.max(0, nowMs - updatedMs) / 1000)
    reply.bulk('client-info')
    reply.bulk(client)
    const times = { 'entry-id': id, 'timestamp-created': createdMs, 'timestamp-last-updated': updatedMs }
    for (const [name, figure] of Object.entries(times)) {
      reply.bulk(name)
      reply.integer(figure)
    }
  }
}

const LOG: LocalCommand = (call) => {
  const { args, host } = call
  checkCount(call, 3)
  if (args.argumentCount === 3 && args.text(2).toUpperCase() === 'RESET') {
    host.aclLog.reset()
    return { askWorkers: { what: 'resetAclLog' }, answer: (_, reply) => reply.ok() }
  }
  const count = Math.max(0, args.argumentCount === 3 ? integerAt(args, 2) : logEntriesShown)
  return {
    askWorkers: { what: 'aclLog' },
    answer: ({ workers }, reply) => {
      const others = workers.map(({ value }) => readAclLog(value))
      const entries = joinedLogs([host.aclLog.entries, ...others])
      writeLog(entries.slice(0, Math.min(count, host.aclLog.entriesMax)), host.clock.wallMs(), reply)
    },
  }
}

const saveError =
  'ERR There was an error trying to save the ACLs. Please check the server logs for more information'

const SAVE: LocalCommand = ({ host }) => ({
  begin: (done) =>
    host.aclSaves.save((isWritten) =>
      done(replying((_, reply) => (isWritten ? reply.ok() : reply.error(saveError)))),
    ),
})

/** In the file, or in the way of reading it. */
const LOAD: LocalCommand = (call) => {
  const { host, session } = call
  session.waitForReplies()
  return {
    begin: (done) => {
      host.askKeeper({ what: 'readFile' }, (answer) => {
        const text = isJsonObject(answer) ? answer['text'] : undefined
        const error = `ERR Error loading ACLs, opening file '${host.config.aclFilePath}': ${keeperError(answer) ?? ''}`
        if (typeof text !== 'string') done(replying((_, reply) => reply.error(error)))
        else changingUsers(call, () => loadPlan(call, text), ok).begin(done)
      })
    },
  }
}

function loadPlan({ host }: LocalCall, text: string): ReturnType<PlanChange<UserPlan>> {
  const users = readAclFile(text, host.config.aclFilePath, host.users.defaults)
  if (typeof users === 'string') return users
  host.logger.info({ users: users.size }, 'the users of the ACL file are loaded')
  const put = Object.fromEntries([...users.values()].map((user: User) => [user.name, user.rules]))
  // A file that says nothing of it leaves it open to everybody, as in Redis.
  return { put: { [defaultUserName]: openRules, ...put }, remove: [], replacesAll: true }
}

export const aclCommands = {
  'ACL|CAT': CAT,
  'ACL|DELUSER': DELUSER,
  'ACL|DRYRUN': DRYRUN,
  'ACL|GENPASS': GENPASS,
  'ACL|GETUSER': GETUSER,
  'ACL|HELP': helpOf('ACL'),
  'ACL|LIST': LIST,
  'ACL|LOAD': LOAD,
  'ACL|LOG': LOG,
  'ACL|SAVE': SAVE,
  'ACL|SETUSER': SETUSER,
  'ACL|USERS': USERS,
  'ACL|WHOAMI': WHOAMI,
}
