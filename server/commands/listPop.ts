/** Taking elements from the ends of lists: of one, or of the first of several that has any, at once or when one has. */
import { errors, ReplyError } from '#protocol/resp/errors.ts'
import type { Arguments } from './arguments.ts'
import type { CommandContext, Handler } from './context.ts'
import { type ListSide, sideAt } from './listSide.ts'
import { type Take, takeFromFirst, takeOrWait, textsOf } from './takeFromFirst.ts'
import { timeoutMsAt } from './timeout.ts'

function pop({ args, db, write, reply }: CommandContext, side: ListSide, command: string): void {
  if (args.count > 3) throw new ReplyError(errors.wrongArity(command))
  const counted = args.count === 3
  const count = counted ? args.integer(2, errors.notPositive) : 1
  if (count < 0) throw new ReplyError(errors.notPositive)
  const key = args.text(1)
  if (db.list(key) === undefined) {
    if (counted) reply.nullArray()
    else reply.null()
    return
  }
  const values = count === 0 ? [] : write.listPop(key, side, Number(count))
  if (counted) reply.array(values.length)
  for (const value of values) reply.bulk(value)
}

export const LPOP: Handler = (context) => pop(context, 'left', 'lpop')
export const RPOP: Handler = (context) => pop(context, 'right', 'rpop')

/** BLPOP, BRPOP: the list and the element. */
const takeOne =
  (side: ListSide): Take =>
  ({ write, reply }, key) => {
    reply.array(2)
    reply.bulk(key)
    for (const value of write.listPop(key, side, 1)) reply.bulk(value)
  }

/** LMPOP, BLMPOP: the list and the elements. */
const takeSeveral =
  (side: ListSide, count: number): Take =>
  ({ write, reply }, key) => {
    const values = write.listPop(key, side, count)
    reply.array(2)
    reply.bulk(key)
    reply.array(values.length)
    for (const value of values) reply.bulk(value)
  }

const blockingPop =
  (side: ListSide): Handler =>
  (context) => {
    const { args, nowMs } = context
    const last = args.count - 1
    takeOrWait(context, 'list', textsOf(args, 1, last), timeoutMsAt(args, last, nowMs), takeOne(side))
  }

export const BLPOP: Handler = blockingPop('left')
export const BRPOP: Handler = blockingPop('right')

export const LMPOP: Handler = (context) => {
  const { keys, take } = parseMultiple(context.args, 1)
  if (!takeFromFirst(context, 'list', keys, take)) context.reply.nullArray()
}

export const BLMPOP: Handler = (context) => {
  const { args, nowMs } = context
  const { keys, take } = parseMultiple(args, 2)
  takeOrWait(context, 'list', keys, timeoutMsAt(args, 1, nowMs), take)
}

/** `numkeys key [key ...] LEFT|RIGHT [COUNT count]` from the argument at `from` on. */
function parseMultiple(args: Arguments, from: number): { keys: string[]; take: Take } {
  const keyCount = Number(args.integer(from, errors.keyCountNotPositive))
  if (keyCount < 1) throw new ReplyError(errors.keyCountNotPositive)
  const behind = from + 1 + keyCount
  if (behind >= args.count) throw new ReplyError(errors.syntax)
  const side = sideAt(args, behind)
  return { keys: textsOf(args, from + 1, behind), take: takeSeveral(side, parseCount(args, behind + 1)) }
}

function parseCount(args: Arguments, from: number): number {
  if (from === args.count) return 1
  if (!args.is(from, 'COUNT') || from + 1 >= args.count) throw new ReplyError(errors.syntax)
  const count = Number(args.integer(from + 1, errors.countNotPositive))
  if (count < 1) throw new ReplyError(errors.countNotPositive)
  if (args.count > from + 2) throw new ReplyError(errors.syntax)
  return count
}
