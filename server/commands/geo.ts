/** Points in sorted sets, whose scores are their cells (`geohash.ts`). Searching is in `geoSearch.ts`. */
import type { geoCommands } from '#protocol/commands/geo.ts'
import { errors, ReplyError } from '#protocol/resp/errors.ts'
import type { Arguments } from './arguments.ts'
import type { CommandContext, Handler, Handlers } from './context.ts'
import { pointAt, replyWithDistance, replyWithPoint, unitAt } from './geoArguments.ts'
import { geohashText, pointOf, scoreOf } from './geohash.ts'
import {
  GEORADIUS,
  GEORADIUS_RO,
  GEORADIUSBYMEMBER,
  GEORADIUSBYMEMBER_RO,
  GEOSEARCH,
  GEOSEARCHSTORE,
} from './geoSearch.ts'
import { distanceBetween } from './geoShape.ts'
import { AddFlag, addScored } from './sortedSetAdd.ts'

const flagWords = [
  ['NX', AddFlag.NX],
  ['XX', AddFlag.XX],
  ['CH', AddFlag.CH],
] as const

const GEOADD: Handler = (context) => {
  const { args, reply } = context
  const { first, flags } = parseAddFlags(args)
  const count = args.count - first
  const excludes = AddFlag.NX | AddFlag.XX
  if (count === 0 || count % 3 !== 0 || (flags & excludes) === excludes) throw new ReplyError(errors.syntax)
  const members: string[] = []
  const scores: number[] = []
  for (let i = first; i < args.count; i += 3) {
    scores.push(scoreOf(pointAt(args, i)))
    members.push(args.text(i + 2))
  }
  reply.integer(addScored(context, args.text(1), members, scores, flags))
}

function parseAddFlags(args: Arguments): { first: number; flags: number } {
  let flags = 0
  let first = 2
  for (; first < args.count; first++) {
    const found = flagWords.find(([word]) => args.is(first, word))
    if (found === undefined) break
    flags |= found[1]
  }
  return { first, flags }
}

const GEODIST: Handler = ({ args, db, reply }) => {
  if (args.count > 5) throw new ReplyError(errors.syntax)
  const metres = args.count === 5 ? unitAt(args, 4) : 1
  const set = db.sortedSet(args.text(1))
  const from = set?.score(args.text(2))
  const to = set?.score(args.text(3))
  if (from === undefined || to === undefined) reply.null()
  else replyWithDistance(reply, distanceBetween(pointOf(from), pointOf(to)) / metres)
}

const GEOHASH: Handler = (context) => {
  const { reply } = context
  replyWithMembers(context, (score) => {
    if (score === undefined) reply.null()
    else reply.bulk(geohashText(pointOf(score)))
  })
}

const GEOPOS: Handler = (context) => {
  const { reply } = context
  replyWithMembers(context, (score) => {
    if (score === undefined) reply.nullArray()
    else replyWithPoint(reply, pointOf(score))
  })
}

function replyWithMembers(
  { args, db, reply }: CommandContext,
  answer: (score: number | undefined) => void,
): void {
  const set = db.sortedSet(args.text(1))
  reply.array(args.count - 2)
  for (let i = 2; i < args.count; i++) answer(set?.score(args.text(i)))
}

export const geoHandlers = {
  GEOADD,
  GEODIST,
  GEOHASH,
  GEOPOS,
  GEORADIUS,
  GEORADIUSBYMEMBER,
  GEORADIUSBYMEMBER_RO,
  GEORADIUS_RO,
  GEOSEARCH,
  GEOSEARCHSTORE,
} satisfies Handlers<typeof geoCommands>
