/**
 * Which elements of a sorted set a request means: by rank, by score or by name. Bounds are read before the key is looked
 * at, as errors in them come first; then they become positions.
 */
import { errors, ReplyError } from '#protocol/resp/errors.ts'
import type { SortedSetView } from '#server/store/views.ts'
import type { Arguments } from './arguments.ts'
import { parseLooseDouble } from './double.ts'

/** Positions [start, end) in ascending order; empty when `end` isn't beyond `start`. */
export interface Span {
  readonly start: number
  readonly end: number
}

export type Bounds = (set: SortedSetView) => Span

/** Ranks from argument `first` to argument `last`, both included; negative ones count from the end. */
export function rankBounds(args: Arguments, first: number, last: number): Bounds {
  const from = Number(args.integer(first))
  const to = Number(args.integer(last))
  return ({ size }) => ({
    start: Math.max(0, from < 0 ? size + from : from),
    end: Math.min(size, (to < 0 ? size + to : to) + 1),
  })
}

/** Scores from argument `least` to argument `most`; `(` before one excludes it. */
export function scoreBounds(args: Arguments, least: number, most: number): Bounds {
  const min = scoreBound(args.text(least))
  const max = scoreBound(args.text(most))
  return (set) => ({
    start: set.countBelow(min.score, min.excluded),
    end: set.countBelow(max.score, !max.excluded),
  })
}

function scoreBound(text: string): { score: number; excluded: boolean } {
  const excluded = text.startsWith('(')
  const score = parseLooseDouble(excluded ? text.slice(1) : text)
  if (score === undefined) throw new ReplyError(errors.scoreRange)
  return { score, excluded }
}

/** How many members are below a bound. */
type CountBelow = (set: SortedSetView) => number

/**
 * Members from argument `least` to argument `most`, which means something when all scores are equal: `[a` and `(a`
 * include and exclude a name, `-` is before all, `+` behind all.
 */
export function lexBounds(args: Arguments, least: number, most: number): Bounds {
  const start = lexBound(args.text(least), true)
  const end = lexBound(args.text(most), false)
  return (set) => ({ start: start(set), end: end(set) })
}

function lexBound(text: string, isLeast: boolean): CountBelow {
  const mark = text.charAt(0)
  if (mark === '[' || mark === '(') {
    const member = text.slice(1)
    const inclusive = (mark === '(') === isLeast
    return (set) => set.countBelowMember(member, inclusive)
  }
  const isAlone = text.length === 1 || text.charCodeAt(1) === 0
  if (mark === '-' && isAlone) return () => 0
  if (mark === '+' && isAlone) return ({ size }) => size
  throw new ReplyError(errors.lexRange)
}
