/** What SCAN, HSCAN and SSCAN have in common: cursors and options. */

import { globMatches, matchesAll } from '#protocol/commands/globPattern.ts'
import { errors, ReplyError } from '#protocol/resp/errors.ts'
import type { Arguments } from './arguments.ts'

export interface ScanOptions {
  count: number
  matches: (text: string) => boolean
  /** In lower case, as TYPE prints it; undefined: any. */
  type: string | undefined
}

const everything = (): boolean => true
const countDefault = 10

/** Reads the options from argument `from` on. */
export function parseScanOptions(args: Arguments, from: number, withType: boolean): ScanOptions {
  const options: ScanOptions = { count: countDefault, matches: everything, type: undefined }
  for (let i = from; i < args.count; i += 2) {
    if (i + 1 >= args.count) throw new ReplyError(errors.syntax)
    if (args.is(i, 'COUNT')) {
      const count = args.integer(i + 1)
      if (count < 1) throw new ReplyError(errors.syntax)
      options.count = Number(count)
    } else if (args.is(i, 'MATCH')) {
      const pattern = args.text(i + 1)
      options.matches = matchesAll(pattern) ? everything : (text) => globMatches(pattern, text)
    } else if (withType && args.is(i, 'TYPE')) options.type = args.text(i + 1).toLowerCase()
    else throw new ReplyError(errors.syntax)
  }
  return options
}

/** A cursor that no scan ever gives; scanning from it finds nothing more. */
export const cursorBehindEnd = Number.MAX_SAFE_INTEGER

/** As `strtoul` reads it: an empty text is 0, a sign may come first, a negative number counts from 2^64 down. */
export function parseCursor(text: string): number {
  if (text === '') return 0
  if (!/^[+-]?[0-9]+$/.test(text)) throw new ReplyError(errors.invalidCursor)
  const number = BigInt(text.replace(/^[+-]/, ''))
  if (number >= 2n ** 64n) throw new ReplyError(errors.invalidCursor)
  if (text.startsWith('-') && number > 0n) return cursorBehindEnd
  return number < BigInt(cursorBehindEnd) ? Number(number) : cursorBehindEnd
}
