/** Moving an element from an end of one list to an end of another: a pop and a push in one step, at once or when there is one. */

import { EventClass } from '#protocol/pubsub/keyspaceEvents.ts'
import type { CommandContext, Handler } from './context.ts'
import { tellTaken } from './keyEvents.ts'
import { type ListSide, popEvents, pushEvents, sideAt } from './listSide.ts'
import { timeoutMsAt } from './timeout.ts'

interface Move {
  source: string
  target: string
  from: ListSide
  to: ListSide
}

/** False: there is nothing to move. */
function move(context: CommandContext, { source, target, from, to }: Move): boolean {
  const { db, write, events, reply } = context
  const list = db.list(source)
  if (list === undefined) return false
  db.requireWritable(target, 'list')
  const value = list.at(from === 'left' ? 0 : list.size - 1) ?? ''
  // First the push: a list that is moved onto itself never goes, and so keeps its TTL.
  write.listPush(target, to, [value])
  events.note(EventClass.list, pushEvents[to], target)
  write.listPop(source, from, 1)
  tellTaken(context, EventClass.list, popEvents[from], source)
  reply.bulk(value)
  return true
}

function moveAtOnce(context: CommandContext, from: ListSide, to: ListSide): void {
  const { args, reply } = context
  if (!move(context, { source: args.text(1), target: args.text(2), from, to })) reply.null()
}

function moveOrWait(context: CommandContext, from: ListSide, to: ListSide, timeoutMs: number): void {
  const { args, reply, wait } = context
  const moved: Move = { source: args.text(1), target: args.text(2), from, to }
  if (move(context, moved)) return
  if (wait === null) reply.null()
  else wait({ keys: [moved.source], type: 'list', timeoutMs, serve: (later) => move(later, moved) })
}

export const LMOVE: Handler = (context) => {
  const { args } = context
  moveAtOnce(context, sideAt(args, 3), sideAt(args, 4))
}

export const RPOPLPUSH: Handler = (context) => moveAtOnce(context, 'right', 'left')

export const BLMOVE: Handler = (context) => {
  const { args, nowMs } = context
  moveOrWait(context, sideAt(args, 3), sideAt(args, 4), timeoutMsAt(args, 5, nowMs))
}

export const BRPOPLPUSH: Handler = (context) => {
  const { args, nowMs } = context
  moveOrWait(context, 'right', 'left', timeoutMsAt(args, 3, nowMs))
}
