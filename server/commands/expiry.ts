/** Times at which keys expire, as commands give them: seconds or milliseconds, from now or since 1970. */
import { errors, ReplyError } from '#protocol/resp/errors.ts'
import type { Arguments } from './arguments.ts'

/** The latest expiry: 2^49 ms, about the year 19800, as in Redis Enterprise. Redis itself goes on to 2^63. */
export const expireAtMsMax = 2 ** 49

/** How an argument tells a time. */
export interface TimeForm {
  unitMs: 1 | 1000
  /** Counted from now, not from 1970. */
  relative: boolean
}

export const secondsFromNow: TimeForm = { unitMs: 1000, relative: true }
export const millisecondsFromNow: TimeForm = { unitMs: 1, relative: true }
export const secondsSinceEpoch: TimeForm = { unitMs: 1000, relative: false }
export const millisecondsSinceEpoch: TimeForm = { unitMs: 1, relative: false }

/** Seconds whose milliseconds fit 64 bits. */
const secondsMax = (2n ** 63n - 1n) / 1000n
const secondsMin = -secondsMax

/** The time in milliseconds since 1970, which may be in the past; undefined when it is too far away. */
export function timeMs(value: number | bigint, form: TimeForm, nowMs: number): number | undefined {
  if (form.unitMs === 1000 && (value > secondsMax || value < secondsMin)) return undefined
  const atMs = Number(value) * form.unitMs + (form.relative ? nowMs : 0)
  return atMs > expireAtMsMax ? undefined : atMs
}

/** The argument of commands that refuse zero and negative times; `command` is named in the error. */
export function positiveTimeMs(
  args: Arguments,
  i: number,
  form: TimeForm,
  nowMs: number,
  command: string,
): number {
  const value = args.integer(i)
  const atMs = timeMs(value, form, nowMs)
  if (value <= 0 || atMs === undefined) throw new ReplyError(errors.invalidExpire(command))
  return atMs
}
