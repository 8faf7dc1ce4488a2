/** Numbers in text as C's `strtod` reads them, which Redis takes for scores, weights, coordinates and distances. */
import { cString } from '#protocol/resp/cString.ts'

const decimal = /^[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?$/
const infinity = /^[+-]?inf(?:inity)?$/i
const hexadecimal = /^([+-]?)0x(?=\.?[0-9a-f])([0-9a-f]*)\.?([0-9a-f]*)(?:p([+-]?[0-9]+))?$/i
/** Nothing but zeros before the exponent. */
const zero = /^[+-]?(?:0x)?[0.]*(?:[ep]|$)/i

/** undefined when the text is no number, is NaN, or lies beyond what a double holds (`1e400`, `1e-400`). */
export function parseDouble(text: string): number | undefined {
  const value = readDouble(text)
  if (value === 0 && !zero.test(text)) return undefined
  return value === undefined || Number.isFinite(value) || infinity.test(text) ? value : undefined
}

/** As `parseDouble`, but what a double can't hold is an infinity or zero. */
function readDouble(text: string): number | undefined {
  if (decimal.test(text)) return Number(text)
  if (infinity.test(text)) return text.startsWith('-') ? -Infinity : Infinity
  return readHexadecimal(text)
}

const leadingSpace = /^[ \t\n\v\f\r]+/

/**
 * The bound of a range, where Redis asks only that the number ends where the text does: leading space is skipped, nothing
 * at all is 0, and a NUL byte ends the text.
 */
export function parseLooseDouble(text: string): number | undefined {
  const read = cString(text)
  return read === '' ? 0 : readDouble(read.replace(leadingSpace, ''))
}

const leastNormal = 2 ** -1022

/** What SORT compares: read as loosely, but a number is refused that a double can't hold with all its digits. */
export function parseSortWeight(text: string): number | undefined {
  const value = parseLooseDouble(text)
  if (value === undefined) return undefined
  const read = cString(text).replace(leadingSpace, '')
  const isHeld = value === 0 ? zero.test(read) : Math.abs(value) >= leastNormal
  return isHeld && (Number.isFinite(value) || infinity.test(read)) ? value : undefined
}

/** 80 bits: what follows them only decides whether they are exactly half-way between two doubles. */
const digitsKept = 20
/** Beyond it everything is 0 or infinite. */
const exponentMax = 1_000_000_000

function readHexadecimal(text: string): number | undefined {
  const match = hexadecimal.exec(text)
  if (match === null) return undefined
  const [, sign, whole = '', fraction = '', power = '0'] = match
  const digits = (whole + fraction).replace(/^0+/, '')
  const rest = digits.slice(digitsKept)
  const kept = digits.slice(0, digitsKept) + (/[1-9a-f]/i.test(rest) ? '1' : '')
  const dropped = digits.length - kept.length
  const exponent = Math.max(-exponentMax, Math.min(exponentMax, Number(power)))
  const magnitude = timesPowerOfTwo(Number(BigInt(`0x0${kept}`)), exponent + 4 * (dropped - fraction.length))
  return sign === '-' ? -magnitude : magnitude
}

/** In steps, because the power alone may be beyond a double where the product isn't. */
function timesPowerOfTwo(value: number, exponent: number): number {
  let product = value
  let left = exponent
  while (left !== 0 && product !== 0 && Number.isFinite(product)) {
    const step = Math.max(-1000, Math.min(1000, left))
    product *= 2 ** step
    left -= step
  }
  return product
}
