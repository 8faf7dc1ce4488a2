/** How long a blocking command waits, as its argument tells: seconds, with a fraction if need be. */
import { errors, ReplyError } from '#protocol/resp/errors.ts'
import type { Arguments } from './arguments.ts'

const decimal = /^[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:e[+-]?[0-9]+)?$/i
const hexadecimal = /^([+-]?)(0x[0-9a-f]+)$/i
const infinity = /^([+-]?)inf(?:inity)?$/i
const textMax = 255
/** Redis keeps the moment at which the time is over in 64 bits. */
const untilMsMax = 2 ** 63

/** Whole milliseconds, rounded up; 0: for ever. */
export function timeoutMsAt(args: Arguments, i: number, nowMs: number): number {
  const seconds = secondsOf(args.text(i))
  if (seconds === undefined) throw new ReplyError(errors.timeoutNotFloat)
  return withinBounds(Math.ceil(seconds * 1000), nowMs)
}

/** The same in whole milliseconds, as XREAD has it. */
export function blockMsAt(args: Arguments, i: number, nowMs: number): number {
  return withinBounds(Number(args.integer(i, errors.timeoutNotInteger)), nowMs)
}

function withinBounds(timeoutMs: number, nowMs: number): number {
  if (timeoutMs < 0) throw new ReplyError(errors.timeoutNegative)
  if (timeoutMs + nowMs >= untilMsMax) throw new ReplyError(errors.timeoutOutOfRange)
  return timeoutMs
}

/** What C's `strtold` takes for a number, but for fractions in hexadecimal. */
function secondsOf(text: string): number | undefined {
  if (text.length > textMax) return undefined
  if (decimal.test(text)) return Number(text)
  const [, sign, digits] = hexadecimal.exec(text) ?? infinity.exec(text) ?? []
  if (sign === undefined) return undefined
  return (sign === '-' ? -1 : 1) * (digits === undefined ? Number.POSITIVE_INFINITY : Number(digits))
}
