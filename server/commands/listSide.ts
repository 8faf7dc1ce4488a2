/** The ends of a list, as arguments name them. */
import { errors, ReplyError } from '#protocol/resp/errors.ts'
import type { Arguments } from './arguments.ts'

export type ListSide = 'left' | 'right'

export function sideAt(args: Arguments, i: number): ListSide {
  if (args.is(i, 'LEFT')) return 'left'
  if (args.is(i, 'RIGHT')) return 'right'
  throw new ReplyError(errors.syntax)
}
