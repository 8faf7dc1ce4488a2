/** Sets; operations over several sets are in `setAlgebra.ts`. */
import type { setCommands } from '#protocol/commands/set.ts'
import { errors, ReplyError } from '#protocol/resp/errors.ts'
import type { SetView } from '#server/store/views.ts'
import type { CommandContext, Handler, Handlers } from './context.ts'
import { type Picks, pickDistinct, repeatedPicksMax } from './randomPick.ts'
import { cursorBehindEnd, parseCursor, parseScanOptions } from './scanOptions.ts'
import { SDIFF, SDIFFSTORE, SINTER, SINTERCARD, SINTERSTORE, SUNION, SUNIONSTORE } from './setAlgebra.ts'

const SADD: Handler = ({ args, db, write, reply }) => {
  const key = args.text(1)
  db.requireWritable(key, 'set')
  const members: string[] = []
  for (let i = 2; i < args.count; i++) members.push(args.text(i))
  reply.integer(write.setAdd(key, members))
}

const SREM: Handler = ({ args, db, write, reply }) => {
  const key = args.text(1)
  const set = db.set(key)
  const members: string[] = []
  for (let i = 2; i < args.count; i++) if (set?.has(args.text(i))) members.push(args.text(i))
  reply.integer(members.length === 0 ? 0 : write.setRemove(key, members))
}

const SMOVE: Handler = ({ args, db, write, reply }) => {
  const source = args.text(1)
  const target = args.text(2)
  const member = args.text(3)
  const set = db.set(source)
  if (set === undefined) return reply.integer(0)
  db.requireWritable(target, 'set')
  const found = set.has(member)
  if (found && source !== target) {
    write.setRemove(source, [member])
    write.setAdd(target, [member])
  }
  reply.integer(found ? 1 : 0)
}

const SISMEMBER: Handler = ({ args, db, reply }) => {
  reply.integer(db.set(args.text(1))?.has(args.text(2)) ? 1 : 0)
}

const SMISMEMBER: Handler = ({ args, db, reply }) => {
  const set = db.set(args.text(1))
  reply.array(args.count - 2)
  for (let i = 2; i < args.count; i++) reply.integer(set?.has(args.text(i)) ? 1 : 0)
}

const SCARD: Handler = ({ args, db, reply }) => reply.integer(db.set(args.text(1))?.size ?? 0)

const SMEMBERS: Handler = ({ args, db, reply }) => {
  const set = db.set(args.text(1))
  reply.set(set?.size ?? 0)
  for (const member of set?.members() ?? []) reply.bulk(member)
}

const SSCAN: Handler = ({ args, db, reply }) => {
  const cursor = parseCursor(args.text(2))
  const set = db.set(args.text(1))
  const found: string[] = []
  let next = 0
  if (set !== undefined) {
    const { count, matches } = parseScanOptions(args, 3, false)
    if (cursor !== cursorBehindEnd)
      next = set.scan(cursor, count, (member) => {
        if (matches(member)) found.push(member)
      })
  }
  reply.array(2)
  reply.bulk(String(next))
  replyWithMembers(reply, found)
}

const int64Max = 2n ** 63n - 1n

const picksOf = (set: SetView, random: CommandContext['random']): Picks => ({
  size: set.size,
  all: () => set.members(),
  one: () => set.randomMember(random),
})

const SRANDMEMBER: Handler = ({ args, db, reply, random }) => {
  if (args.count > 3) throw new ReplyError(errors.syntax)
  if (args.count === 2) {
    const set = db.set(args.text(1))
    if (set === undefined) reply.null()
    else reply.bulk(set.randomMember(random))
    return
  }
  const count = args.integer(2)
  if (count < -int64Max) throw new ReplyError(errors.outsideRange(-int64Max, int64Max))
  const set = db.set(args.text(1))
  if (set === undefined || count === 0) return reply.array(0)
  if (-repeatedPicksMax > count) throw new ReplyError(errors.outOfRange)
  const picks = picksOf(set, random)
  if (count < 0) replyWithMembers(reply, Array.from({ length: -Number(count) }, picks.one))
  else replyWithMembers(reply, pickDistinct(picks, Number(count), random))
}

const SPOP: Handler = ({ args, db, write, reply, random }) => {
  if (args.count > 3) throw new ReplyError(errors.syntax)
  const key = args.text(1)
  if (args.count === 2) {
    const set = db.set(key)
    if (set === undefined) return reply.null()
    const member = set.randomMember(random)
    write.setRemove(key, [member])
    return reply.bulk(member)
  }
  const count = args.integer(2, errors.notPositive)
  if (count < 0) throw new ReplyError(errors.notPositive)
  const set = db.set(key)
  const members = set === undefined ? [] : pickDistinct(picksOf(set, random), Number(count), random)
  if (members.length > 0) write.setRemove(key, members)
  reply.set(members.length)
  for (const member of members) reply.bulk(member)
}

function replyWithMembers(reply: CommandContext['reply'], members: readonly string[]): void {
  reply.array(members.length)
  for (const member of members) reply.bulk(member)
}

export const setHandlers = {
  SADD,
  SCARD,
  SDIFF,
  SDIFFSTORE,
  SINTER,
  SINTERCARD,
  SINTERSTORE,
  SISMEMBER,
  SMEMBERS,
  SMISMEMBER,
  SMOVE,
  SPOP,
  SRANDMEMBER,
  SREM,
  SSCAN,
  SUNION,
  SUNIONSTORE,
} satisfies Handlers<typeof setCommands>
