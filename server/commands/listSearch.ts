/** What looks for elements of a list by their value. */

import { EventClass } from '#protocol/pubsub/keyspaceEvents.ts'
import { errors, ReplyError } from '#protocol/resp/errors.ts'
import type { ListView } from '#server/store/views.ts'
import type { Arguments } from './arguments.ts'
import type { Handler } from './context.ts'
import { tellTaken } from './keyEvents.ts'

/** Places of the elements that are `wanted`, as they are met: from the front, or from the end. */
function* placesOf(list: ListView, wanted: string, fromEnd: boolean): Generator<number> {
  const { size } = list
  let met = 0
  for (const value of fromEnd ? list.rangeReversed(0, size) : list.range(0, size)) {
    if (value === wanted) yield fromEnd ? size - 1 - met : met
    met++
  }
}

export const LINSERT: Handler = ({ args, db, write, events, reply }) => {
  const isAfter = args.is(2, 'AFTER')
  if (!isAfter && !args.is(2, 'BEFORE')) throw new ReplyError(errors.syntax)
  const key = args.text(1)
  const list = db.list(key)
  if (list === undefined) return reply.integer(0)
  const [place] = placesOf(list, args.text(3), false)
  if (place === undefined) return reply.integer(-1)
  reply.integer(write.listInsert(key, isAfter ? place + 1 : place, args.text(4)))
  events.note(EventClass.list, 'linsert', key)
}

export const LREM: Handler = (context) => {
  const { args, db, write, reply } = context
  const limit = Number(args.integer(2))
  const key = args.text(1)
  const list = db.list(key)
  const places: number[] = []
  if (list !== undefined) {
    for (const place of placesOf(list, args.text(3), limit < 0)) {
      places.push(place)
      if (places.length === Math.abs(limit)) break
    }
  }
  if (limit < 0) places.reverse()
  if (places.length > 0) {
    write.listRemove(key, places)
    tellTaken(context, EventClass.list, 'lrem', key)
  }
  reply.integer(places.length)
}

interface Search {
  /** Which match is the first to be told; negative: from the end. */
  rank: number
  /** 0: all; undefined: one, told alone. */
  count: number | undefined
  /** Elements to look at; 0: all. */
  maxlen: number
}

export const LPOS: Handler = ({ args, db, reply }) => {
  const search = parseSearch(args)
  const list = db.list(args.text(1))
  const found = list === undefined ? [] : find(list, args.text(2), search)
  if (search.count === undefined) {
    if (found[0] === undefined) reply.null()
    else reply.integer(found[0])
    return
  }
  reply.array(found.length)
  for (const place of found) reply.integer(place)
}

function find(list: ListView, wanted: string, { rank, count = 1, maxlen }: Search): number[] {
  const { size } = list
  const fromEnd = rank < 0
  const looked = maxlen === 0 ? size : Math.min(size, maxlen)
  const found: number[] = []
  let matches = 0
  for (const place of placesOf(list, wanted, fromEnd)) {
    if ((fromEnd ? size - 1 - place : place) >= looked) break
    if (++matches < Math.abs(rank)) continue
    found.push(place)
    if (found.length === count) break
  }
  return found
}

function parseSearch(args: Arguments): Search {
  const search: Search = { rank: 1, count: undefined, maxlen: 0 }
  for (let i = 3; i < args.count; i += 2) {
    if (i + 1 >= args.count) throw new ReplyError(errors.syntax)
    if (args.is(i, 'RANK')) {
      search.rank = Number(args.symmetric(i + 1))
      if (search.rank === 0) throw new ReplyError(errors.rankZero)
    } else if (args.is(i, 'COUNT')) search.count = args.integerFrom(i + 1, 0, errors.negativeCount)
    else if (args.is(i, 'MAXLEN')) search.maxlen = args.integerFrom(i + 1, 0, errors.negativeMaxlen)
    else throw new ReplyError(errors.syntax)
  }
  return search
}
