/** The ends of a list, as arguments name them. */
import { errors, ReplyError } from '#protocol/resp/errors.ts'
import type { Arguments } from './arguments.ts'

export type ListSide = 'left' | 'right'

/** What is told of a list that is pushed to, or popped from. */
export const pushEvents: Readonly<Record<ListSide, string>> = { left: 'lpush', right: 'rpush' }
export const popEvents: Readonly<Record<ListSide, string>> = { left: 'lpop', right: 'rpop' }

export function sideAt(args: Arguments, i: number): ListSide {
  if (args.is(i, 'LEFT')) return 'left'
  if (args.is(i, 'RIGHT')) return 'right'
  throw new ReplyError(errors.syntax)
}
