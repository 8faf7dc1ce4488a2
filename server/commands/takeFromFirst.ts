/** Taking something from the first of several keys that has anything: at once, or when one has. */
import { errors, ReplyError } from '#protocol/resp/errors.ts'
import type { Arguments } from './arguments.ts'
import type { CommandContext } from './context.ts'

/** Takes from a key that is there, and answers. */
export type Take = (context: CommandContext, key: string) => void

/** Types whose keys are never empty, and that clients wait for. */
type TakenType = 'list' | 'zset'

/** True: one of the keys was there. Throws when one before it is of another type. */
export function takeFromFirst(
  context: CommandContext,
  type: TakenType,
  keys: readonly string[],
  take: Take,
): boolean {
  const { db } = context
  const key = keys.find((name) => (type === 'list' ? db.list(name) : db.sortedSet(name)) !== undefined)
  if (key !== undefined) take(context, key)
  return key !== undefined
}

/** `timeoutMs` is 0 for ever. */
export function takeOrWait(
  context: CommandContext,
  type: TakenType,
  keys: readonly string[],
  timeoutMs: number,
  take: Take,
): void {
  if (takeFromFirst(context, type, keys, take)) return
  if (context.wait === null) {
    context.reply.nullArray()
    return
  }
  const serve = (later: CommandContext, key: string): true => {
    take(later, key)
    return true
  }
  context.wait({ keys, type, timeoutMs, serve })
}

/** `numkeys key [key ...] where [COUNT count]` from the argument at `from` on; `whereAt` reads the word. */
export function parseTaking<Where>(
  args: Arguments,
  from: number,
  whereAt: (args: Arguments, i: number) => Where,
): { keys: string[]; where: Where; count: number } {
  const behindKeys = from + 1 + args.integerFrom(from, 1, errors.keyCountNotPositive)
  if (behindKeys >= args.count) throw new ReplyError(errors.syntax)
  const where = whereAt(args, behindKeys)
  return { keys: args.texts(from + 1, behindKeys), where, count: parseCount(args, behindKeys + 1) }
}

function parseCount(args: Arguments, from: number): number {
  if (from === args.count) return 1
  if (!args.is(from, 'COUNT') || from + 1 >= args.count) throw new ReplyError(errors.syntax)
  const count = args.integerFrom(from + 1, 1, errors.countNotPositive)
  if (args.count > from + 2) throw new ReplyError(errors.syntax)
  return count
}
