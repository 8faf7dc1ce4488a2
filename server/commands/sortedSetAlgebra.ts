/**
 * Intersection, union and difference of sorted sets, and of sets, whose members have the score 1. What is stored is the
 * result as seen here; concurrent adds to the target join it.
 */
import { errors, ReplyError } from '#protocol/resp/errors.ts'
import type { Keyspace } from '#server/store/keyspace.ts'
import type { Arguments } from './arguments.ts'
import type { CommandContext, Handler } from './context.ts'
import { doubleAt, replyWithScored, type ScoredMember, storeSortedSet } from './score.ts'

interface Operand {
  readonly size: number
  elements(): Iterable<ScoredMember>
  score(member: string): number | undefined
}

const nothing: Operand = { size: 0, elements: () => [], score: () => undefined }

function operandOf(db: Keyspace, key: string): Operand {
  const type = db.type(key)
  if (type === 'none') return nothing
  if (type === 'set') {
    const set = db.set(key)
    if (set === undefined) return nothing
    return {
      size: set.size,
      elements: () => onesOf(set.members()),
      score: (m) => (set.has(m) ? 1 : undefined),
    }
  }
  const sorted = db.sortedSet(key)
  if (sorted === undefined) return nothing
  const { size } = sorted
  return { size, elements: () => sorted.range(0, size), score: (m) => sorted.score(m) }
}

function* onesOf(members: Iterable<string>): Generator<ScoredMember> {
  for (const member of members) yield [member, 1]
}

type Aggregate = (a: number, b: number) => number

/** Infinities that cancel each other are 0. */
const sum: Aggregate = (a, b) => (Number.isNaN(a + b) ? 0 : a + b)
const least: Aggregate = (a, b) => (Number.isNaN(b) ? a : Math.min(a, b))
const greatest: Aggregate = (a, b) => (Number.isNaN(b) ? a : Math.max(a, b))

interface Weighted {
  readonly operand: Operand
  readonly weight: number
}

/** What stands in a request behind the number of keys; which options there may be depends on the command. */
interface Algebra {
  readonly operands: readonly Weighted[]
  readonly aggregate: Aggregate
  readonly withScores: boolean
  /** 0: none. */
  readonly limit: number
}

interface Options {
  readonly weights?: boolean
  readonly scores?: boolean
  readonly limit?: boolean
}

function parseAlgebra(
  { args, db }: CommandContext,
  countIndex: number,
  command: string,
  options: Options,
): Algebra {
  const keyCount = Number(args.integer(countIndex))
  if (keyCount < 1) throw new ReplyError(errors.noInputKey(command))
  const behindKeys = countIndex + 1 + keyCount
  if (behindKeys > args.count) throw new ReplyError(errors.syntax)
  const operands: Operand[] = []
  for (let i = countIndex + 1; i < behindKeys; i++) operands.push(operandOf(db, args.text(i)))
  let weights: number[] = []
  let aggregate = sum
  let withScores = false
  let limit = 0
  for (let i = behindKeys; i < args.count; i++) {
    if (options.weights && args.is(i, 'WEIGHTS') && i + keyCount < args.count) {
      weights = operands.map((_, at) => doubleAt(args, i + 1 + at, errors.weightNotFloat))
      i += keyCount
    } else if (options.weights && args.is(i, 'AGGREGATE') && i + 1 < args.count)
      aggregate = aggregateAt(args, ++i)
    else if (options.scores && args.is(i, 'WITHSCORES')) withScores = true
    else if (options.limit && args.is(i, 'LIMIT') && i + 1 < args.count)
      limit = args.integerFrom(++i, 0, errors.negativeLimit)
    else throw new ReplyError(errors.syntax)
  }
  const weighted = operands.map((operand, at) => ({ operand, weight: weights[at] ?? 1 }))
  return { operands: weighted, aggregate, withScores, limit }
}

function aggregateAt(args: Arguments, i: number): Aggregate {
  if (args.is(i, 'SUM')) return sum
  if (args.is(i, 'MIN')) return least
  if (args.is(i, 'MAX')) return greatest
  throw new ReplyError(errors.syntax)
}

/** The smaller first, which is the order in which Redis adds up. */
const bySize = (operands: readonly Weighted[]): Weighted[] =>
  [...operands].sort((a, b) => a.operand.size - b.operand.size)

/** Infinity times zero is 0. */
function weigh(weight: number, score: number): number {
  const product = weight * score
  return Number.isNaN(product) ? 0 : product
}

type Operation = (algebra: Algebra) => Iterable<ScoredMember>

const union: Operation = ({ operands, aggregate }) => {
  const scores = new Map<string, number>()
  for (const { operand, weight } of bySize(operands)) {
    for (const [member, score] of operand.elements()) {
      const weighed = weigh(weight, score)
      const before = scores.get(member)
      scores.set(member, before === undefined ? weighed : aggregate(before, weighed))
    }
  }
  return scores
}

function* intersection({ operands, aggregate }: Algebra): Generator<ScoredMember> {
  const [smallest, ...others] = bySize(operands)
  if (smallest === undefined) return
  for (const [member, score] of smallest.operand.elements()) {
    let aggregated: number | undefined = weigh(smallest.weight, score)
    for (const { operand, weight } of others) {
      const found = operand.score(member)
      if (found === undefined) {
        aggregated = undefined
        break
      }
      aggregated = aggregate(aggregated, found * weight)
    }
    if (aggregated !== undefined) yield [member, aggregated]
  }
}

function* difference({ operands: [first, ...others] }: Algebra): Generator<ScoredMember> {
  for (const element of first?.operand.elements() ?? []) {
    if (!others.some(({ operand }) => operand.score(element[0]) !== undefined)) yield element
  }
}

/** By score, then by name. There is one zero. */
function inOrder(elements: Iterable<ScoredMember>): ScoredMember[] {
  const scored = Array.from(elements, ([member, score]) => [member, score + 0] as const)
  return scored.sort(([a, x], [b, y]) => (x === y ? (a < b ? -1 : 1) : x < y ? -1 : 1))
}

const tell =
  (command: string, operation: Operation, options: Options): Handler =>
  (context) => {
    const algebra = parseAlgebra(context, 1, command, options)
    const elements = inOrder(operation(algebra))
    replyWithScored(context.reply, elements.length, elements, algebra.withScores)
  }

const store =
  (command: string, operation: Operation, options: Options): Handler =>
  (context) => {
    const { args, reply } = context
    const elements = inOrder(operation(parseAlgebra(context, 2, command, options)))
    storeSortedSet(context, command.toLowerCase(), args.text(1), elements)
    reply.integer(elements.length)
  }

export const ZUNION = tell('ZUNION', union, { weights: true, scores: true })
export const ZINTER = tell('ZINTER', intersection, { weights: true, scores: true })
export const ZDIFF = tell('ZDIFF', difference, { scores: true })
export const ZUNIONSTORE = store('ZUNIONSTORE', union, { weights: true })
export const ZINTERSTORE = store('ZINTERSTORE', intersection, { weights: true })
export const ZDIFFSTORE = store('ZDIFFSTORE', difference, {})

export const ZINTERCARD: Handler = (context) => {
  const algebra = parseAlgebra(context, 1, 'ZINTERCARD', { limit: true })
  let found = 0
  for (const _ of intersection(algebra)) {
    found++
    if (found === algebra.limit) break
  }
  context.reply.integer(found)
}
