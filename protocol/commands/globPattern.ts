/**
 * Redis's glob patterns (`stringmatchlen`), as KEYS and the SCAN family use them: `*`, `?`, `[abc]`, `[^a-c]`, and `\`
 * before a byte that stands for itself. Redis's answer is kept for odd patterns too: a class that isn't closed ends with
 * the pattern, ends of a range may come in either order, and bytes in ranges compare as signed numbers.
 *
 * Every element but `*` takes exactly one byte, so after a mismatch only the last `*` needs to be tried one byte further:
 * what an earlier one could take more, the last one can take too. Hence time is at most pattern times text; the
 * recursion that is natural here takes exponential time on `a*a*a*a*b` (CVE-2022-36021).
 */

const star = 0x2a
const questionMark = 0x3f
const open = 0x5b
const close = 0x5d
const caret = 0x5e
const dash = 0x2d
const backslash = 0x5c

/** What `matchElement` says of a byte that doesn't match. */
const mismatch = -1

export function globMatches(pattern: string, text: string): boolean {
  let at = 0
  let read = 0
  let behindStar = -1
  let starReads = 0
  while (read < text.length) {
    if (pattern.charCodeAt(at) === star) {
      at = skipStars(pattern, at)
      if (at === pattern.length) return true
      behindStar = at
      starReads = read
      continue
    }
    const next = at < pattern.length ? matchElement(pattern, at, text.charCodeAt(read)) : mismatch
    if (next !== mismatch) {
      at = next
      read++
    } else {
      if (behindStar < 0) return false
      at = behindStar
      read = ++starReads
    }
  }
  // Redis doesn't look at the pattern when the text is empty from the start, so `**` doesn't match it.
  return (text.length > 0 ? skipStars(pattern, at) : at) === pattern.length
}

/** A pattern that every key matches; KEYS and SCAN don't look at the keys then. */
export const matchesAll = (pattern: string): boolean => pattern === '*'

function skipStars(pattern: string, from: number): number {
  let at = from
  while (pattern.charCodeAt(at) === star) at++
  return at
}

/** Offset behind the element at `at` when it matches the byte. */
function matchElement(pattern: string, at: number, byte: number): number {
  const element = pattern.charCodeAt(at)
  if (element === questionMark) return at + 1
  if (element === open) return matchClass(pattern, at + 1, byte)
  const literal = element === backslash && at + 1 < pattern.length ? at + 1 : at
  return pattern.charCodeAt(literal) === byte ? literal + 1 : mismatch
}

function matchClass(pattern: string, from: number, byte: number): number {
  const { length } = pattern
  const negated = pattern.charCodeAt(from) === caret
  let at = negated ? from + 1 : from
  let found = false
  while (at < length && pattern.charCodeAt(at) !== close) {
    if (pattern.charCodeAt(at) === backslash && at + 1 < length) {
      found ||= pattern.charCodeAt(at + 1) === byte
      at += 2
    } else if (pattern.charCodeAt(at + 1) === dash && at + 2 < length) {
      found ||= inRange(pattern.charCodeAt(at), pattern.charCodeAt(at + 2), byte)
      at += 3
    } else {
      found ||= pattern.charCodeAt(at) === byte
      at++
    }
  }
  return found === negated ? mismatch : Math.min(at + 1, length)
}

function inRange(one: number, other: number, byte: number): boolean {
  const a = signed(one)
  const b = signed(other)
  const value = signed(byte)
  return a <= b ? a <= value && value <= b : b <= value && value <= a
}

const signed = (byte: number): number => (byte < 128 ? byte : byte - 256)
