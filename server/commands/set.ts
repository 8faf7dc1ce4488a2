/** Sets; operations over several sets are in `setAlgebra.ts`. */
import type { setCommands } from '#protocol/commands/set.ts'
import { errors, ReplyError } from '#protocol/resp/errors.ts'
import type { SetView } from '#server/store/views.ts'
import type { CommandContext, Handler, Handlers } from './context.ts'
import { type Picks, pick, pickDistinct } from './randomPick.ts'
import { scanElements } from './scanOptions.ts'
import { SDIFF, SDIFFSTORE, SINTER, SINTERCARD, SINTERSTORE, SUNION, SUNIONSTORE } from './setAlgebra.ts'

const SADD: Handler = ({ args, db, write, reply }) => {
  const key = args.text(1)
  db.requireWritable(key, 'set')
  reply.integer(write.setAdd(key, args.texts(2)))
}

const SREM: Handler = ({ args, write, reply }) => reply.integer(write.setRemove(args.text(1), args.texts(2)))

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

const SSCAN: Handler = (context) =>
  scanElements(context, () => {
    const set = context.db.set(context.args.text(1))
    if (set === undefined) return undefined
    return (position, count, visit) => set.scan(position, count, (member) => visit(member))
  })

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
  const count = args.symmetric(2)
  const set = db.set(args.text(1))
  if (set === undefined || count === 0) return reply.array(0)
  reply.bulks(pick(picksOf(set, random), count, random))
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
  const count = args.integerFrom(2, 0, errors.notPositive)
  const set = db.set(key)
  const members = set === undefined ? [] : pickDistinct(picksOf(set, random), count, random)
  if (members.length > 0) write.setRemove(key, members)
  reply.set(members.length)
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
