/**
 * ZADD and ZINCRBY. Conditions are judged by what this cluster shows; that GT or LT was asked goes along with the score,
 * so that of two clusters' greatest (least) scores the greater (lesser) one stays.
 */
import { EventClass } from '#protocol/pubsub/keyspaceEvents.ts'
import { errors, ReplyError } from '#protocol/resp/errors.ts'
import type { Arguments } from './arguments.ts'
import type { CommandContext, Handler } from './context.ts'
import { scoreAt } from './score.ts'

export const AddFlag = { NX: 1, XX: 2, GT: 4, LT: 8, CH: 16, INCR: 32 } as const

const flagWords = Object.entries(AddFlag)
/** Those under which a score is written or not. */
const conditions = AddFlag.NX | AddFlag.XX | AddFlag.GT | AddFlag.LT

/** 0: argument `i` is none of them. */
function flagAt(args: Arguments, i: number): number {
  for (const [word, flag] of flagWords) if (args.is(i, word)) return flag
  return 0
}

export const ZADD: Handler = (context) => add(context, 0)

/** As ZADD INCR, down to the words that are taken for flags in place of an increment. */
export const ZINCRBY: Handler = (context) => add(context, AddFlag.INCR)

function add(context: CommandContext, flagsBefore: number): void {
  const { args, reply } = context
  let first = 2
  let flags = flagsBefore
  for (let flag = flagAt(args, first); flag !== 0; flag = first < args.count ? flagAt(args, first) : 0) {
    flags |= flag
    first++
  }
  const count = args.count - first
  if (count === 0 || count % 2 === 1) throw new ReplyError(errors.syntax)
  checkFlags(flags, count / 2)
  const scores: number[] = []
  for (let i = first; i < args.count; i += 2) scores.push(scoreAt(args, i))
  if ((flags & AddFlag.INCR) !== 0) increment(context, args.text(first + 1), scores[0] as number, flags)
  else {
    const members = scores.map((_, i) => args.text(first + 1 + 2 * i))
    reply.integer(addScored(context, args.text(1), members, scores, flags))
  }
}

function checkFlags(flags: number, pairs: number): void {
  const has = (flag: number): boolean => (flags & flag) !== 0
  const { NX, XX, GT, LT, INCR } = AddFlag
  if (has(NX) && has(XX)) throw new ReplyError(errors.addNxAndXx)
  if ((has(NX) && has(GT | LT)) || (has(GT) && has(LT))) throw new ReplyError(errors.addGtLtAndNx)
  if (has(INCR) && pairs > 1) throw new ReplyError(errors.addIncrOfSeveral)
}

/** Returns what ZADD answers: how many members are new, with CH how many were written with another score too. */
export function addScored(
  { db, write, events }: CommandContext,
  key: string,
  members: readonly string[],
  scores: readonly number[],
  flags: number,
): number {
  if ((flags & (conditions | AddFlag.CH)) === 0 && events.classes === 0) {
    const sizeBefore = db.sortedSet(key)?.size ?? 0
    members.forEach((member, i) => {
      write.zsetAdd(key, member, scores[i] as number)
    })
    return (db.sortedSet(key)?.size ?? 0) - sizeBefore
  }
  let answered = 0
  let changed = 0
  members.forEach((member, i) => {
    const score = scores[i] as number
    const current = db.sortedSet(key)?.score(member)
    if (!mayWrite(flags, current, score)) return
    write.zsetAdd(key, member, score, tagOf(flags))
    if (current !== score) changed++
    if (current === undefined || ((flags & AddFlag.CH) !== 0 && current !== score)) answered++
  })
  if (changed > 0) events.note(EventClass.sortedSet, 'zadd', key)
  return answered
}

/** `current`: the score that is there, undefined when there is none. */
function mayWrite(flags: number, current: number | undefined, score: number): boolean {
  if (current === undefined) return (flags & AddFlag.XX) === 0
  if ((flags & AddFlag.NX) !== 0) return false
  if ((flags & AddFlag.GT) !== 0) return score > current
  return (flags & AddFlag.LT) === 0 || score < current
}

function tagOf(flags: number): 'GT' | 'LT' | undefined {
  if ((flags & AddFlag.GT) !== 0) return 'GT'
  return (flags & AddFlag.LT) !== 0 ? 'LT' : undefined
}

function increment(
  { args, db, write, events, reply }: CommandContext,
  member: string,
  by: number,
  flags: number,
): void {
  const key = args.text(1)
  const current = db.sortedSet(key)?.score(member)
  const sum = (current ?? 0) + by
  const isRefused = current !== undefined && (flags & AddFlag.NX) !== 0
  if (Number.isNaN(sum) && !isRefused) throw new ReplyError(errors.scoreNotNumber)
  if (!mayWrite(flags, current, sum)) {
    reply.null()
    return
  }
  reply.double(write.zsetIncrement(key, member, by))
  if (current !== sum) events.note(EventClass.sortedSet, 'zincr', key)
}
