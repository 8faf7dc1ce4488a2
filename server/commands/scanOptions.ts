/** What SCAN, HSCAN, SSCAN and ZSCAN have in common: cursors and options, and of the last three the rest, too. */

import { globMatches, matchesAll } from '#protocol/commands/globPattern.ts'
import { errors, ReplyError } from '#protocol/resp/errors.ts'
import type { Arguments } from './arguments.ts'
import type { CommandContext } from './context.ts'

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

/** A scan's reply: where to go on, and what was found. */
export function replyWithScan(reply: CommandContext['reply'], next: number, found: readonly string[]): void {
  reply.array(2)
  reply.bulk(String(next))
  reply.bulks(found)
}

/** What is scanned: it shows elements from `position` on, with what is told of each, and returns where to go on. */
type ScanElements = (
  position: number,
  count: number,
  visit: (name: string, ...told: readonly string[]) => void,
) => number

/** HSCAN and its kin: `open` gives what is scanned, undefined when there is no such key. */
export function scanElements({ args, reply }: CommandContext, open: () => ScanElements | undefined): void {
  const cursor = parseCursor(args.text(2))
  const scan = open()
  const found: string[] = []
  let next = 0
  if (scan !== undefined) {
    const { count, matches } = parseScanOptions(args, 3, false)
    if (cursor !== cursorBehindEnd)
      next = scan(cursor, count, (name, ...told) => {
        if (matches(name)) found.push(name, ...told)
      })
  }
  replyWithScan(reply, next, found)
}
