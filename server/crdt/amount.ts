/**
 * Amounts are what counters add up: exact decimals, so that a sum is the same in every order and 0.1 + 0.2 is 0.3.
 * Doubles would drift, and replicas that add in different orders would differ in the last bit. Most amounts are small
 * integers, so an amount is a plain number while it is a safe integer and a `Decimal` else; an amount has one
 * representation only, which makes equality and encoded bytes comparable.
 *
 * Text follows Redis: INCR reads as `string2ll` does, INCRBYFLOAT as `strtold` without hexadecimal, infinities and NaN,
 * and at most 17 digits are kept behind the point, which is what Redis prints. Where Redis has the noise of an 80-bit
 * float in those digits, there is none here.
 */

import type { ByteReader } from '#runtime/bytes/byteReader.ts'
import { FormatError } from '#runtime/bytes/byteReader.ts'
import type { ByteWriter } from '#runtime/bytes/byteWriter.ts'
import { parseInteger64 } from '#runtime/integer64.ts'

/** `coefficient / 10 ** scale`; never one that a safe integer could hold. */
export class Decimal {
  readonly coefficient: bigint
  /** 0 to `scaleMax`; above 0 the coefficient's last digit isn't 0. */
  readonly scale: number

  constructor(coefficient: bigint, scale: number) {
    this.coefficient = coefficient
    this.scale = scale
  }
}

/** A safe integer (never -0), or what isn't one. */
export type Amount = number | Decimal

/** Digits kept behind the point. */
const scaleMax = 17
/** Longer texts are no numbers, as in Redis (`MAX_LONG_DOUBLE_CHARS`). */
export const amountTextMax = 5119
/** The greatest power of ten that an 80-bit float holds. */
const exponentMax = 4932
/** Integer counters stay within ±2^59, so that concurrent increments can't leave 64 bits. */
export const counterMax = 2n ** 59n

const powersOfTen: bigint[] = []

function powerOfTen(exponent: number): bigint {
  if (exponent > scaleMax * 2) return 10n ** BigInt(exponent)
  let power = powersOfTen[exponent]
  if (power === undefined) {
    power = 10n ** BigInt(exponent)
    powersOfTen[exponent] = power
  }
  return power
}

/** The one representation of `coefficient / 10 ** scale`; digits behind `scaleMax` are rounded, half away from zero. */
function normal(coefficient: bigint, scale: number): Amount {
  let c = coefficient
  let s = scale
  if (s > scaleMax) {
    const divisor = 10n ** BigInt(s - scaleMax)
    const half = c < 0n ? -divisor / 2n : divisor / 2n
    c = (c + half) / divisor
    s = scaleMax
  }
  while (s > 0 && c % 10n === 0n) {
    c /= 10n
    s--
  }
  if (s > 0) return new Decimal(c, s)
  return isSafe(c) ? Number(c) : new Decimal(c, 0)
}

const isSafe = (value: bigint): boolean =>
  value >= BigInt(Number.MIN_SAFE_INTEGER) && value <= BigInt(Number.MAX_SAFE_INTEGER)

const coefficientOf = (amount: Amount): bigint =>
  typeof amount === 'number' ? BigInt(amount) : amount.coefficient
const scaleOf = (amount: Amount): number => (typeof amount === 'number' ? 0 : amount.scale)

export function addAmounts(a: Amount, b: Amount): Amount {
  if (typeof a === 'number' && typeof b === 'number') {
    const sum = a + b
    if (Number.isSafeInteger(sum)) return sum
  }
  const scale = Math.max(scaleOf(a), scaleOf(b))
  const left = coefficientOf(a) * powerOfTen(scale - scaleOf(a))
  const right = coefficientOf(b) * powerOfTen(scale - scaleOf(b))
  return normal(left + right, scale)
}

export function negateAmount(amount: Amount): Amount {
  if (typeof amount === 'number') return amount === 0 ? 0 : -amount
  return new Decimal(-amount.coefficient, amount.scale)
}

export const subtractAmounts = (a: Amount, b: Amount): Amount => addAmounts(a, negateAmount(b))

export const isIntegerAmount = (amount: Amount): boolean => typeof amount === 'number' || amount.scale === 0

/** For INCR and its kin: the visible result must stay within ±`counterMax`. */
export function isWithinCounterBounds(amount: Amount): boolean {
  if (typeof amount === 'number') return true
  return amount.scale === 0 && amount.coefficient <= counterMax && amount.coefficient >= -counterMax
}

export function amountFromInteger(value: bigint | number): Amount {
  if (typeof value === 'number' && Number.isSafeInteger(value)) return value === 0 ? 0 : value
  return normal(BigInt(value), 0)
}

/** A 64-bit integer in the one form that Redis takes for an integer: no plus sign, space or leading zero. */
export function parseInteger(text: string): Amount | undefined {
  const small = smallInteger(text)
  if (small !== undefined) return small
  const value = parseInteger64(text)
  return value === null ? undefined : normal(value, 0)
}

/** The common case without a regular expression: up to 15 digits in canonical form. */
function smallInteger(text: string): number | undefined {
  const length = text.length
  const negative = text.charCodeAt(0) === 0x2d
  const start = negative ? 1 : 0
  if (length === start || length > 15) return undefined
  const first = text.charCodeAt(start)
  if (first === 0x30) return length === 1 ? 0 : undefined
  let value = 0
  for (let at = start; at < length; at++) {
    const digit = text.charCodeAt(at) - 0x30
    if (digit < 0 || digit > 9) return undefined
    value = value * 10 + digit
  }
  return negative ? -value : value
}

const decimalPattern = /^([+-]?)([0-9]*)(?:\.([0-9]*))?(?:[eE]([+-]?[0-9]{1,6}))?$/

/** Any number that INCRBYFLOAT takes; also what makes a register's text the base of a counter. */
export function parseAmount(text: string): Amount | undefined {
  const small = smallInteger(text)
  if (small !== undefined) return small
  if (text.length > amountTextMax) return undefined
  const match = decimalPattern.exec(text)
  if (match === null) return undefined
  const [, sign, whole = '', fraction = '', exponentText = '0'] = match
  if (whole.length + fraction.length === 0) return undefined
  const digits = (whole + fraction).replace(/^0+/, '')
  if (digits === '') return 0
  const exponent = Number(exponentText) - fraction.length
  if (digits.length + exponent > exponentMax) return undefined
  // Far below the last digit that is kept: no need to build the number only to round it away.
  if (digits.length + exponent < -scaleMax) return 0
  const coefficient = sign === '-' ? -BigInt(digits) : BigInt(digits)
  return exponent >= 0 ? normal(coefficient * powerOfTen(exponent), 0) : normal(coefficient, -exponent)
}

export function formatAmount(amount: Amount): string {
  if (typeof amount === 'number') return String(amount)
  const negative = amount.coefficient < 0n
  const digits = String(negative ? -amount.coefficient : amount.coefficient).padStart(amount.scale + 1, '0')
  const sign = negative ? '-' : ''
  if (amount.scale === 0) return sign + digits
  const point = digits.length - amount.scale
  return `${sign}${digits.slice(0, point)}.${digits.slice(point)}`
}

const AmountKind = { natural: 0, negative: 1, decimal: 2 } as const

export function writeAmount(writer: ByteWriter, amount: Amount): void {
  if (typeof amount !== 'number') {
    writer.u8(AmountKind.decimal)
    writer.u8(amount.scale)
    writer.text(String(amount.coefficient))
  } else if (amount >= 0) {
    writer.u8(AmountKind.natural)
    writer.varint(amount)
  } else {
    writer.u8(AmountKind.negative)
    writer.varint(-amount)
  }
}

const coefficientPattern = /^-?[1-9][0-9]*$/

export function readAmount(reader: ByteReader): Amount {
  const kind = reader.u8()
  if (kind === AmountKind.natural) return reader.varint()
  if (kind === AmountKind.negative) {
    const magnitude = reader.varint()
    if (magnitude === 0) throw new FormatError('amount -0')
    return -magnitude
  }
  if (kind !== AmountKind.decimal) throw new FormatError(`amount kind ${kind}`)
  const scale = reader.u8()
  const digits = reader.text()
  if (scale > scaleMax || digits.length > 2 * amountTextMax || !coefficientPattern.test(digits)) {
    throw new FormatError(`decimal of scale ${scale} with ${digits.length} digits`)
  }
  const coefficient = BigInt(digits)
  // One value, one representation: else equal states would have different bytes.
  if (scale > 0 ? coefficient % 10n === 0n : isSafe(coefficient))
    throw new FormatError('decimal in a second form')
  return new Decimal(coefficient, scale)
}
