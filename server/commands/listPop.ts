/** Taking elements from the ends of lists: of one, or of the first of several that has any, at once or when one has. */

import { EventClass } from '#protocol/pubsub/keyspaceEvents.ts'
import { errors, ReplyError } from '#protocol/resp/errors.ts'
import type { CommandContext, Handler } from './context.ts'
import { tellTaken } from './keyEvents.ts'
import { type ListSide, popEvents, sideAt } from './listSide.ts'
import { parseTaking, type Take, takeFromFirst, takeOrWait } from './takeFromFirst.ts'
import { timeoutMsAt } from './timeout.ts'

function pop(context: CommandContext, side: ListSide, command: string): void {
  const { args, db, reply } = context
  if (args.count > 3) throw new ReplyError(errors.wrongArity(command))
  const counted = args.count === 3
  const count = counted ? args.integerFrom(2, 0, errors.notPositive) : 1
  const key = args.text(1)
  if (db.list(key) === undefined) {
    if (counted) reply.nullArray()
    else reply.null()
    return
  }
  const values = count === 0 ? [] : taken(context, key, side, count)
  if (counted) reply.array(values.length)
  for (const value of values) reply.bulk(value)
}

export const LPOP: Handler = (context) => pop(context, 'left', 'lpop')
export const RPOP: Handler = (context) => pop(context, 'right', 'rpop')

/** Takes elements of a list that is there. */
function taken(context: CommandContext, key: string, side: ListSide, count: number): string[] {
  const values = context.write.listPop(key, side, count)
  tellTaken(context, EventClass.list, popEvents[side], key)
  return values
}

/** BLPOP, BRPOP: the list and the element. */
const takeOne =
  (side: ListSide): Take =>
  (context, key) => {
    const { reply } = context
    reply.array(2)
    reply.bulk(key)
    for (const value of taken(context, key, side, 1)) reply.bulk(value)
  }

/** LMPOP, BLMPOP: the list and the elements. */
const takeSeveral =
  (side: ListSide, count: number): Take =>
  (context, key) => {
    const { reply } = context
    const values = taken(context, key, side, count)
    reply.array(2)
    reply.bulk(key)
    reply.bulks(values)
  }

const blockingPop =
  (side: ListSide): Handler =>
  (context) => {
    const { args, nowMs } = context
    const last = args.count - 1
    takeOrWait(context, 'list', args.texts(1, last), timeoutMsAt(args, last, nowMs), takeOne(side))
  }

export const BLPOP: Handler = blockingPop('left')
export const BRPOP: Handler = blockingPop('right')

export const LMPOP: Handler = (context) => {
  const { keys, where, count } = parseTaking(context.args, 1, sideAt)
  if (!takeFromFirst(context, 'list', keys, takeSeveral(where, count))) context.reply.nullArray()
}

export const BLMPOP: Handler = (context) => {
  const { args, nowMs } = context
  const { keys, where, count } = parseTaking(args, 2, sideAt)
  takeOrWait(context, 'list', keys, timeoutMsAt(args, 1, nowMs), takeSeveral(where, count))
}
