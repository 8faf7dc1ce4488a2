/** Intersection, union and difference. What is stored is the result as seen here; concurrent adds to the target join it. */

import { EventClass } from '#protocol/pubsub/keyspaceEvents.ts'
import { errors, ReplyError } from '#protocol/resp/errors.ts'
import type { SetView } from '#server/store/views.ts'
import type { CommandContext, Handler } from './context.ts'
import { store } from './keyEvents.ts'

/** undefined: an empty set. */
type Operand = SetView | undefined
type Operation = (operands: readonly Operand[]) => string[]

/** The sets named by the arguments [from, to); throws when one is of another type. */
function operandsAt({ args, db }: CommandContext, from: number, to: number): Operand[] {
  const operands: Operand[] = []
  for (let i = from; i < to; i++) operands.push(db.set(args.text(i)))
  return operands
}

const intersection: Operation = (operands) => [...common(operands)]

/** Members of all operands. */
function* common(operands: readonly Operand[]): Generator<string> {
  const sets = operands.filter((operand) => operand !== undefined)
  if (sets.length < operands.length) return
  const [smallest, ...others] = sets.sort((a, b) => a.size - b.size)
  for (const member of smallest?.members() ?? []) {
    if (others.every((other) => other.has(member))) yield member
  }
}

const union: Operation = (operands) => {
  const members = new Set<string>()
  for (const operand of operands) for (const member of operand?.members() ?? []) members.add(member)
  return [...members]
}

const difference: Operation = ([first, ...others]) => {
  const members: string[] = []
  for (const member of first?.members() ?? []) {
    if (!others.some((other) => other?.has(member))) members.push(member)
  }
  return members
}

function tell(context: CommandContext, operation: Operation): void {
  const { args, reply } = context
  const members = operation(operandsAt(context, 1, args.count))
  reply.set(members.length)
  for (const member of members) reply.bulk(member)
}

/** The target is replaced, whatever its type; an empty result leaves no key. */
const storeBy =
  (event: string, operation: Operation): Handler =>
  (context) => {
    const { args, write, reply } = context
    const members = operation(operandsAt(context, 2, args.count))
    const target = args.text(1)
    const told = { kind: EventClass.set, event }
    store(context, told, target, members.length === 0, () => write.setAdd(target, members))
    reply.integer(members.length)
  }

export const SINTER: Handler = (context) => tell(context, intersection)
export const SUNION: Handler = (context) => tell(context, union)
export const SDIFF: Handler = (context) => tell(context, difference)
export const SINTERSTORE = storeBy('sinterstore', intersection)
export const SUNIONSTORE = storeBy('sunionstore', union)
export const SDIFFSTORE = storeBy('sdiffstore', difference)

export const SINTERCARD: Handler = (context) => {
  const keyCount = keyCountAt(context)
  const limit = parseLimit(context, 2 + keyCount)
  let found = 0
  for (const _ of common(operandsAt(context, 2, 2 + keyCount))) {
    found++
    if (found === limit) break
  }
  context.reply.integer(found)
}

function keyCountAt({ args }: CommandContext): number {
  const count = args.integerFrom(1, 1, errors.keyCountNotPositive)
  if (count > args.count - 2) throw new ReplyError(errors.keyCountTooLarge)
  return count
}

/** 0: no limit. */
function parseLimit({ args }: CommandContext, from: number): number {
  let limit = 0
  for (let i = from; i < args.count; i += 2) {
    if (!args.is(i, 'LIMIT') || i + 1 >= args.count) throw new ReplyError(errors.syntax)
    limit = args.integerFrom(i + 1, 0, errors.negativeLimit)
  }
  return limit
}
