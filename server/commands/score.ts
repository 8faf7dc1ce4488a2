/** Scores as clients write and read them. */

import { EventClass } from '#protocol/pubsub/keyspaceEvents.ts'
import { errors, ReplyError } from '#protocol/resp/errors.ts'
import type { ReplyWriter } from '#protocol/resp/replyWriter.ts'
import type { Arguments } from './arguments.ts'
import type { CommandContext } from './context.ts'
import { parseDouble } from './double.ts'
import { store } from './keyEvents.ts'

export type ScoredMember = readonly [member: string, score: number]

const digitsReadMax = 15

/** The double that argument `i` is, or `ReplyError(refusal)`. */
export function doubleAt(args: Arguments, i: number, refusal: string = errors.notFloat): number {
  const { bytes } = args
  const end = args.end(i)
  let at = args.start(i)
  // Most scores are short integers.
  if (end - at > 0 && end - at <= digitsReadMax) {
    let value = 0
    for (; at < end; at++) {
      const digit = (bytes[at] as number) - 0x30
      if (digit < 0 || digit > 9) break
      value = value * 10 + digit
    }
    if (at === end) return value
  }
  const value = parseDouble(args.text(i))
  if (value === undefined) throw new ReplyError(refusal)
  return value
}

/** There is one zero. */
export const scoreAt = (args: Arguments, i: number): number => doubleAt(args, i) + 0

/** RESP2: flat; RESP3: with scores each element is a pair. */
export function replyWithScored(
  reply: ReplyWriter,
  count: number,
  elements: Iterable<ScoredMember>,
  withScores: boolean,
): void {
  const isPaired = withScores && reply.resp3
  reply.array(withScores && !isPaired ? 2 * count : count)
  for (const [member, score] of elements) {
    if (isPaired) reply.array(2)
    reply.bulk(member)
    if (withScores) reply.double(score)
  }
}

/** Replaces the target, whatever its type; without elements no key is left. They are no view: the target may be their source. */
export function storeSortedSet(
  context: CommandContext,
  event: string,
  target: string,
  elements: readonly ScoredMember[],
): void {
  store(context, { kind: EventClass.sortedSet, event }, target, elements.length === 0, () => {
    for (const [member, score] of elements) context.write.zsetAdd(target, member, score)
  })
}
