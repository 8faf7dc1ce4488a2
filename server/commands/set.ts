/** Sets; operations over several sets are in `setAlgebra.ts`. */

import type { setCommands } from '#protocol/commands/set.ts'
import { EventClass } from '#protocol/pubsub/keyspaceEvents.ts'
import { errors, ReplyError } from '#protocol/resp/errors.ts'
import type { SetView } from '#server/store/views.ts'
import type { CommandContext, Handler, Handlers } from './context.ts'
import { tellTaken } from './keyEvents.ts'
import { type Picks, pick, pickDistinct } from './randomPick.ts'
import { scanElements } from './scanOptions.ts'
import { SDIFF, SDIFFSTORE, SINTER, SINTERCARD, SINTERSTORE, SUNION, SUNIONSTORE } from './setAlgebra.ts'

const SADD: Handler = ({ args, db, write, events, reply }) => {
  const key = args.text(1)
  db.requireWritable(key, 'set')
  const added = write.setAdd(key, args.texts(2))
  if (added > 0) events.note(EventClass.set, 'sadd', key)
  reply.integer(added)
}

const SREM: Handler = (context) => {
  const { args, write, reply } = context
  const key = args.text(1)
  const removed = write.setRemove(key, args.texts(2))
  if (removed > 0) tellTaken(context, EventClass.set, 'srem', key)
  reply.integer(removed)
}

const SMOVE: Handler = (context) => {
  const { args, db, write, events, reply } = context
  const source = args.text(1)
  const target = args.text(2)
  const member = args.text(3)
  // Used whatever there is under the other name.
  db.use(target)
  const set = db.set(source)
  if (set === undefined) return reply.integer(0)
  db.requireWritable(target, 'set')
  const found = set.has(member)
  if (found && source !== target) {
    write.setRemove(source, [member])
    tellTaken(context, EventClass.set, 'srem', source)
    if (write.setAdd(target, [member]) > 0) events.note(EventClass.set, 'sadd', target)
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

const SPOP: Handler = (context) => {
  const { args, db, reply, random } = context
  if (args.count > 3) throw new ReplyError(errors.syntax)
  const key = args.text(1)
  if (args.count === 2) {
    const set = db.set(key)
    if (set === undefined) return reply.null()
    const member = set.randomMember(random)
    take(context, key, [member])
    return reply.bulk(member)
  }
  const count = args.integerFrom(2, 0, errors.notPositive)
  const set = db.set(key)
  const members = set === undefined ? [] : pickDistinct(picksOf(set, random), count, random)
  if (members.length > 0) take(context, key, members)
  reply.set(members.length)
  for (const member of members) reply.bulk(member)
}

function take(context: CommandContext, key: string, members: readonly string[]): void {
  context.write.setRemove(key, members)
  tellTaken(context, EventClass.set, 'spop', key)
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
