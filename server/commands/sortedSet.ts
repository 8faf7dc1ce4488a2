/** Sorted sets: what concerns single members; adding, ranges, pops and algebra are in files of their own. */

import type { sortedSetCommands } from '#protocol/commands/sortedSet.ts'
import { EventClass } from '#protocol/pubsub/keyspaceEvents.ts'
import { doubleText } from '#protocol/resp/double.ts'
import { errors, ReplyError } from '#protocol/resp/errors.ts'
import type { SortedSetView } from '#server/store/views.ts'
import type { CommandContext, Handler, Handlers } from './context.ts'
import { tellTaken } from './keyEvents.ts'
import { parsePicks, pick } from './randomPick.ts'
import { scanElements } from './scanOptions.ts'
import { replyWithScored } from './score.ts'
import { ZADD, ZINCRBY } from './sortedSetAdd.ts'
import {
  ZDIFF,
  ZDIFFSTORE,
  ZINTER,
  ZINTERCARD,
  ZINTERSTORE,
  ZUNION,
  ZUNIONSTORE,
} from './sortedSetAlgebra.ts'
import { BZMPOP, BZPOPMAX, BZPOPMIN, ZMPOP, ZPOPMAX, ZPOPMIN } from './sortedSetPop.ts'
import {
  ZCOUNT,
  ZLEXCOUNT,
  ZRANGE,
  ZRANGEBYLEX,
  ZRANGEBYSCORE,
  ZRANGESTORE,
  ZREMRANGEBYLEX,
  ZREMRANGEBYRANK,
  ZREMRANGEBYSCORE,
  ZREVRANGE,
  ZREVRANGEBYLEX,
  ZREVRANGEBYSCORE,
} from './sortedSetRange.ts'

const ZCARD: Handler = ({ args, db, reply }) => reply.integer(db.sortedSet(args.text(1))?.size ?? 0)

const ZSCORE: Handler = ({ args, db, reply }) => {
  replyWithScore(reply, db.sortedSet(args.text(1))?.score(args.text(2)))
}

const ZMSCORE: Handler = ({ args, db, reply }) => {
  const set = db.sortedSet(args.text(1))
  reply.array(args.count - 2)
  for (let i = 2; i < args.count; i++) replyWithScore(reply, set?.score(args.text(i)))
}

function replyWithScore(reply: CommandContext['reply'], score: number | undefined): void {
  if (score === undefined) reply.null()
  else reply.double(score)
}

const ZRANK: Handler = (context) => replyWithRank(context, 'ZRANK', (rank) => rank)
const ZREVRANK: Handler = (context) => replyWithRank(context, 'ZREVRANK', (rank, size) => size - 1 - rank)

function replyWithRank(
  { args, db, reply }: CommandContext,
  command: string,
  rankOf: (rank: number, size: number) => number,
): void {
  if (args.count > 4) throw new ReplyError(errors.wrongArity(command))
  const withScore = args.count === 4
  if (withScore && !args.is(3, 'WITHSCORE')) throw new ReplyError(errors.syntax)
  const set = db.sortedSet(args.text(1))
  const member = args.text(2)
  const rank = set?.rank(member)
  if (set === undefined || rank === undefined) {
    if (withScore) reply.nullArray()
    else reply.null()
    return
  }
  if (withScore) reply.array(2)
  reply.integer(rankOf(rank, set.size))
  if (withScore) replyWithScore(reply, set.score(member))
}

const ZREM: Handler = (context) => {
  const { args, write, reply } = context
  const key = args.text(1)
  const removed = write.zsetRemove(key, args.texts(2))
  if (removed > 0) tellTaken(context, EventClass.sortedSet, 'zrem', key)
  reply.integer(removed)
}

const ZSCAN: Handler = (context) =>
  scanElements(context, () => {
    const set = context.db.sortedSet(context.args.text(1))
    if (set === undefined) return undefined
    return (position, count, visit) =>
      set.scan(position, count, (member, score) => visit(member, doubleText(score)))
  })

const ZRANDMEMBER: Handler = (context) => {
  const { args, db, reply, random } = context
  if (args.count > 2) return replyWithPicks(context)
  const set = db.sortedSet(args.text(1))
  if (set === undefined) reply.null()
  else reply.bulk(set.randomMember(random))
}

function replyWithPicks({ args, db, reply, random }: CommandContext): void {
  const { count, paired } = parsePicks(args, 'WITHSCORES')
  const set = db.sortedSet(args.text(1))
  if (set === undefined || count === 0) {
    reply.array(0)
    return
  }
  const picks = { size: set.size, all: () => membersOf(set), one: () => set.randomMember(random) }
  const members = pick(picks, count, random)
  const scored = members.map((member) => [member, set.score(member) ?? 0] as const)
  replyWithScored(reply, scored.length, scored, paired)
}

function* membersOf(set: SortedSetView): Generator<string> {
  for (const [member] of set.range(0, set.size)) yield member
}

export const sortedSetHandlers = {
  BZMPOP,
  BZPOPMAX,
  BZPOPMIN,
  ZADD,
  ZCARD,
  ZCOUNT,
  ZDIFF,
  ZDIFFSTORE,
  ZINCRBY,
  ZINTER,
  ZINTERCARD,
  ZINTERSTORE,
  ZLEXCOUNT,
  ZMPOP,
  ZMSCORE,
  ZPOPMAX,
  ZPOPMIN,
  ZRANDMEMBER,
  ZRANGE,
  ZRANGEBYLEX,
  ZRANGEBYSCORE,
  ZRANGESTORE,
  ZRANK,
  ZREM,
  ZREMRANGEBYLEX,
  ZREMRANGEBYRANK,
  ZREMRANGEBYSCORE,
  ZREVRANGE,
  ZREVRANGEBYLEX,
  ZREVRANGEBYSCORE,
  ZREVRANK,
  ZSCAN,
  ZSCORE,
  ZUNION,
  ZUNIONSTORE,
} satisfies Handlers<typeof sortedSetCommands>
