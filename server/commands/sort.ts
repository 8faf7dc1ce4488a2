/**
 * SORT: lists, sets and sorted sets, by their elements or by what a pattern names for each. What is read is what this cluster
 * has; STORE writes the result in place of what is there, as a new list.
 */

import { EventClass } from '#protocol/pubsub/keyspaceEvents.ts'
import { errors, ReplyError } from '#protocol/resp/errors.ts'
import { slotOfKey } from '#protocol/slots/crc16.ts'
import type { Keyspace } from '#server/store/keyspace.ts'
import type { CommandContext, Handler } from './context.ts'
import { parseSortWeight } from './double.ts'
import { store } from './keyEvents.ts'
import { SortPattern } from './sortPattern.ts'

interface Sorting {
  descending: boolean
  alpha: boolean
  /** null: by the elements themselves. */
  by: SortPattern | null
  /** None: the elements themselves. */
  gets: SortPattern[]
  offset: number
  /** Negative: all. */
  count: number
  target: string | null
}

const sort =
  (stores: boolean): Handler =>
  (context) => {
    const { args, db, write, reply } = context
    const sorting = parse(context, stores)
    const { gets, target } = sorting
    const found = chosen(db, args.text(1), sorting)
    const values = gets.length === 0 ? found : found.flatMap((text) => gets.map((get) => get.of(db, text)))
    if (target === null) {
      reply.array(values.length)
      for (const value of values) {
        if (value === undefined) reply.null()
        else reply.bulk(value)
      }
      return
    }
    const texts = values.map((value) => value ?? '')
    const told = { kind: EventClass.list, event: 'sortstore' }
    store(context, told, target, texts.length === 0, () => write.listPush(target, 'right', texts))
    reply.integer(values.length)
  }

export const SORT = sort(true)
export const SORT_RO = sort(false)

function parse(context: CommandContext, stores: boolean): Sorting {
  const { args } = context
  const sorting: Sorting = {
    descending: false,
    alpha: false,
    by: null,
    gets: [],
    offset: 0,
    count: -1,
    target: null,
  }
  for (let i = 2; i < args.count; i++) {
    const left = args.count - i - 1
    if (args.is(i, 'ASC')) sorting.descending = false
    else if (args.is(i, 'DESC')) sorting.descending = true
    else if (args.is(i, 'ALPHA')) sorting.alpha = true
    else if (args.is(i, 'LIMIT') && left >= 2) {
      sorting.offset = Number(args.integer(++i))
      sorting.count = Number(args.integer(++i))
    } else if (stores && args.is(i, 'STORE') && left >= 1) sorting.target = args.text(++i)
    else if (args.is(i, 'BY') && left >= 1) sorting.by = patternAt(context, ++i, 'BY')
    else if (args.is(i, 'GET') && left >= 1) sorting.gets.push(patternAt(context, ++i, 'GET'))
    else throw new ReplyError(errors.syntax)
  }
  return sorting
}

/** Where keys are spread over shards, only those of the sorted key's slot are here for certain. */
function patternAt({ args, sharded }: CommandContext, i: number, option: 'BY' | 'GET'): SortPattern {
  const pattern = new SortPattern(args.text(i))
  if (sharded && !pattern.staysIn(slotOfKey(args.text(1))))
    throw new ReplyError(errors.sortAcrossSlots(option))
  return pattern
}

/** Those that LIMIT leaves, in order. */
function chosen(db: Keyspace, key: string, sorting: Sorting): string[] {
  const asItIs = sorting.by?.isConstant === true
  const { size, part } = sourceAt(db, key, asItIs && sorting.descending)
  if (size === 0) return []
  const start = Math.min(size, Math.max(0, sorting.offset))
  const end = sorting.count < 0 ? size : Math.min(size, start + sorting.count)
  if (!asItIs) return ordered(db, part(0, size), sorting).slice(start, end)
  // A set has no order of its own, and what is stored has to have one.
  if (db.type(key) === 'set' && sorting.target !== null)
    return ordered(db, part(0, size), { ...sorting, by: null, alpha: true }).slice(start, end)
  return [...part(start, end)]
}

interface Source {
  readonly size: number
  /** The elements [start, end) as they are. */
  part(start: number, end: number): Iterable<string>
}

/** With `reversed`, what has an order is told from its end on. */
function sourceAt(db: Keyspace, key: string, reversed: boolean): Source {
  switch (db.type(key)) {
    case 'none':
      return { size: 0, part: () => [] }
    case 'set': {
      const members = [...(db.set(key)?.members() ?? [])]
      return { size: members.length, part: (start, end) => members.slice(start, end) }
    }
    case 'zset': {
      const zset = db.sortedSet(key)
      const size = zset?.size ?? 0
      const pairs = (start: number, end: number) =>
        (reversed ? zset?.rangeReversed(size - end, size - start) : zset?.range(start, end)) ?? []
      return { size, part: (start, end) => Array.from(pairs(start, end), ([member]) => member) }
    }
    default: {
      const list = db.list(key)
      const size = list?.size ?? 0
      return {
        size,
        part: (start, end) =>
          (reversed ? list?.rangeReversed(size - end, size - start) : list?.range(start, end)) ?? [],
      }
    }
  }
}

interface Weighed<Weight> {
  text: string
  weight: Weight
}

function ordered(
  db: Keyspace,
  texts: Iterable<string>,
  { by, alpha, descending }: Pick<Sorting, 'by' | 'alpha' | 'descending'>,
): string[] {
  const weighed = Array.from(texts, (text) => ({ text, weight: by === null ? text : by.of(db, text) }))
  const sign = descending ? -1 : 1
  const sorted = alpha
    ? weighed.sort((a, b) => sign * inTextOrder(a, b))
    : weighed.map(asNumber).sort((a, b) => sign * inNumberOrder(a, b))
  return sorted.map(({ text }) => text)
}

/** Those without a weight come first. */
function inTextOrder(
  { weight: a }: Weighed<string | undefined>,
  { weight: b }: Weighed<string | undefined>,
): number {
  if (a === undefined || b === undefined) return Number(b === undefined) - Number(a === undefined)
  return inByteOrder(a, b)
}

/** Those without a weight have 0. */
function asNumber({ text, weight }: Weighed<string | undefined>): Weighed<number> {
  const number = weight === undefined ? 0 : parseSortWeight(weight)
  if (number === undefined) throw new ReplyError(errors.sortNotNumbers)
  return { text, weight: number }
}

/** Elements of one weight have an order too, so that the result is the same every time. */
function inNumberOrder(a: Weighed<number>, b: Weighed<number>): number {
  if (a.weight === b.weight) return inByteOrder(a.text, b.text)
  return a.weight < b.weight ? -1 : 1
}

/** Latin1 texts compare as their bytes do. */
const inByteOrder = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0)
