/** Taking something from the first of several keys that has anything: at once, or when one has. */
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

/** The arguments [from, to). */
export function textsOf(args: Arguments, from: number, to: number): string[] {
  const texts: string[] = []
  for (let i = from; i < to; i++) texts.push(args.text(i))
  return texts
}
