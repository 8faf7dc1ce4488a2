import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { ByteReader } from '#runtime/bytes/byteReader.ts'
import { ByteWriter } from '#runtime/bytes/byteWriter.ts'
import {
  type Amount,
  addAmounts,
  amountFromInteger,
  amountTextMax,
  counterMax,
  formatAmount,
  isIntegerAmount,
  isWithinCounterBounds,
  negateAmount,
  parseAmount,
  parseInteger,
  readAmount,
  writeAmount,
} from '#server/crdt/amount.ts'

const sum = (...texts: string[]): string =>
  formatAmount(texts.map((text) => parseAmount(text) as Amount).reduce(addAmounts))

describe('decimals are exact', () => {
  test.each([
    [['0.1', '0.2'], '0.3'],
    [['10.50', '0.1'], '10.6'],
    [['5.0e3', '2.0e2'], '5200'],
    [['3', '-1.5', '-1.5'], '0'],
    [['-0.5', '0.25'], '-0.25'],
    [['9007199254740991', '1'], '9007199254740992'],
    [['9007199254740993', '-2'], '9007199254740991'],
    [['1e20', '0.00000000000000001'], '100000000000000000000.00000000000000001'],
    [['0.000000000000000004'], '0'],
    [['0.000000000000000005'], '0.00000000000000001'],
    [['-0'], '0'],
  ])('%j is %s', (texts, expected) => {
    expect(sum(...texts)).toBe(expected)
  })
})

describe('what is a number', () => {
  test.each(['0', '-1', '+1', '007', '.5', '5.', '1e5', '1E-5', '-3.25e2', '9'.repeat(30)])('%s', (text) => {
    expect(parseAmount(text)).toBeDefined()
  })

  test.each([
    '',
    ' 1',
    '1 ',
    'x',
    '1x',
    '.',
    'e5',
    '1e',
    'inf',
    'nan',
    '0x10',
    '--1',
    '1e99999',
    '1,5',
    '1e9999999999',
  ])('not %j', (text) => {
    expect(parseAmount(text)).toBeUndefined()
  })

  test('the longest text, and one more', () => {
    expect(parseAmount('0'.repeat(amountTextMax - 1).concat('1'))).toBe(1)
    expect(parseAmount('0'.repeat(amountTextMax).concat('1'))).toBeUndefined()
  })

  test.each([
    ['9223372036854775807', true],
    ['-9223372036854775808', true],
    ['9223372036854775808', false],
    ['01', false],
    ['+1', false],
    ['-0', false],
    ['1.0', false],
    ['', false],
    ['-', false],
  ])('an integer in 64 bits: %s %s', (text, is) => {
    expect(parseInteger(text) !== undefined).toBe(is)
  })
})

test('counters end at ±2^59', () => {
  expect(isWithinCounterBounds(amountFromInteger(counterMax))).toBe(true)
  expect(isWithinCounterBounds(amountFromInteger(-counterMax))).toBe(true)
  expect(isWithinCounterBounds(amountFromInteger(counterMax + 1n))).toBe(false)
  expect(isWithinCounterBounds(amountFromInteger(-counterMax - 1n))).toBe(false)
  expect(isIntegerAmount(parseAmount('2.50') as Amount)).toBe(false)
  expect(isIntegerAmount(parseAmount('2.0') as Amount)).toBe(true)
})

const amounts = fc
  .tuple(fc.bigInt({ min: -(2n ** 80n), max: 2n ** 80n }), fc.integer({ min: 0, max: 17 }))
  .map(([coefficient, scale]) => parseAmount(`${coefficient}e-${scale}`) as Amount)

describe('laws', () => {
  test('addition commutes, associates and has negatives', () => {
    fc.assert(
      fc.property(amounts, amounts, amounts, (a, b, c) => {
        expect(addAmounts(a, b)).toEqual(addAmounts(b, a))
        expect(addAmounts(addAmounts(a, b), c)).toEqual(addAmounts(a, addAmounts(b, c)))
        expect(addAmounts(a, negateAmount(a))).toBe(0)
      }),
    )
  })

  test('text and bytes give the same amount back', () => {
    fc.assert(
      fc.property(amounts, (amount) => {
        expect(parseAmount(formatAmount(amount))).toEqual(amount)
        const writer = new ByteWriter()
        writeAmount(writer, amount)
        expect(readAmount(new ByteReader(writer.view()))).toEqual(amount)
      }),
    )
  })

  test('one value has one encoding: others are refused', () => {
    const refused = (...bytes: number[]): void => {
      expect(() => readAmount(new ByteReader(Uint8Array.from(bytes)))).toThrow()
    }
    const digits = (text: string): number[] =>
      [text.length, ...text].map((c) => (typeof c === 'number' ? c : c.charCodeAt(0)))
    refused(2, 1, ...digits('10'))
    refused(2, 0, ...digits('5'))
    refused(2, 18, ...digits('5'))
    refused(2, 1, ...digits('-'))
    refused(2, 1, ...digits('05'))
    refused(1, 0)
    refused(3, 1)
    refused(0)
  })
})
