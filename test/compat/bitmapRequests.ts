/** Random requests of the bitmap group. */
import type { Make } from './generator.ts'
import type { Request } from './side.ts'
import { plain, type Step } from './step.ts'
import type { Vocabulary } from './vocabulary.ts'

/** Of a bit: mostly near the start, or values would only grow. */
function bitOffset(v: Vocabulary): string {
  const roll = v.below(40)
  if (roll === 0) return v.oddText()
  if (roll === 1) return v.pick(['-1', '4294967296', '9007199254740993', '#1', '#', '-9223372036854775808'])
  return String(v.below(roll < 5 ? 2000 : 100))
}

function bit(v: Vocabulary): string {
  return v.chance(0.95) ? v.pick(['0', '1']) : v.pick(['2', '-1', '1.0', '9223372036854775807', v.oddText()])
}

/** Of a range, in bytes or bits. */
const end = (v: Vocabulary): string => (v.chance(0.7) ? v.offset() : String(v.below(400) - 200))

const unit = (v: Vocabulary): string => (v.chance(0.95) ? v.cased(v.pick(['BIT', 'BYTE'])) : v.oddText())

function count(v: Vocabulary): Request {
  const range = v.chance(0.97) ? [end(v), end(v), ...v.maybe(0.6, unit(v))] : [end(v)]
  return ['BITCOUNT', v.bitmapKey(), ...v.maybe(0.8, ...range)]
}

function position(v: Vocabulary): Request {
  const words = [end(v), end(v), unit(v)].slice(0, v.below(4))
  return ['BITPOS', v.bitmapKey(), bit(v), ...words]
}

function combine(v: Vocabulary): Request {
  const operation = v.chance(0.97) ? v.cased(v.pick(['AND', 'OR', 'XOR', 'NOT'])) : v.oddText()
  const sources = operation.toUpperCase() === 'NOT' && v.chance(0.9) ? 1 : 1 + v.below(4)
  const keys = Array.from({ length: sources }, () => v.bitmapKey())
  return ['BITOP', operation, v.chance(0.9) ? v.bitmapKey() : v.anyKey(), ...keys]
}

function fieldType(v: Vocabulary): string {
  const roll = v.below(40)
  if (roll === 0)
    return v.pick([
      'u64',
      'i65',
      'i0',
      'u0',
      'I8',
      'U8',
      'i08',
      'u',
      '8',
      'i-1',
      'u8\x00',
      'i8x',
      v.oddText(),
    ])
  if (roll < 8) return v.pick(['u63', 'i64', 'u32', 'i33', 'u1', 'i1'])
  return `${v.pick(['i', 'u'])}${1 + v.below(roll < 20 ? 63 : 16)}`
}

/** Around the bounds of fields of all widths, but for what differs (`saturated`). */
function fieldValue(v: Vocabulary, name: string): string {
  const roll = v.below(20)
  if (roll === 0) return v.integerArgument()
  if (roll === 1) return v.pick(['9223372036854775807', '4611686018427387904', '-4611686018427387904'])
  if (roll === 2 && name === 'INCRBY') return v.pick(['-9223372036854775808', '-9223372036854775807'])
  const width = BigInt(v.below(62))
  return String((v.chance(0.5) ? 1n : -1n) * ((1n << width) - BigInt(v.below(3)) + 1n))
}

function fieldOffset(v: Vocabulary): string {
  return v.chance(0.3) ? `#${v.chance(0.9) ? v.below(20) : v.pick(['-1', '99999999999', 'x'])}` : bitOffset(v)
}

const getField = (v: Vocabulary): string[] => [v.cased('GET'), fieldType(v), fieldOffset(v)]

function fieldOperation(v: Vocabulary): string[] {
  const overflow = v.chance(0.95) ? v.cased(v.pick(['WRAP', 'SAT', 'FAIL'])) : v.oddText()
  if (v.chance(0.25)) return getField(v)
  const name = v.chance(0.4) ? 'SET' : 'INCRBY'
  return [
    ...v.maybe(0.5, v.cased('OVERFLOW'), overflow),
    v.cased(name),
    fieldType(v),
    fieldOffset(v),
    fieldValue(v, name),
  ]
}

const operations = (v: Vocabulary, make: (v: Vocabulary) => string[]): string[] =>
  v.chance(0.02) ? [] : v.some(4, () => make(v)).flat()

function readFields(v: Vocabulary): Request {
  const make = v.chance(0.9) ? getField : fieldOperation
  return ['BITFIELD_RO', v.bitmapKey(), ...operations(v, make), ...v.maybe(0.02, v.oddText())]
}

/** A known difference, and the key goes away. */
function saturated(v: Vocabulary): Step {
  const key = v.bitmapKey()
  const type = `i${1 + v.below(62)}`
  const set = ['OVERFLOW', 'SAT', 'SET', type, '0', '-9223372036854775808']
  return plain(['DEL', key], ['BITFIELD', key, ...set, 'GET', type, '0'], ['DEL', key])
}

function fields(v: Vocabulary): Request | Step {
  if (v.chance(0.08)) return saturated(v)
  return ['BITFIELD', v.bitmapKey(), ...operations(v, fieldOperation), ...v.maybe(0.02, v.oddText())]
}

function setBit(v: Vocabulary): Request {
  // Values must not grow for ever, and some have TTLs.
  if (v.chance(0.05)) return ['SET', v.bitmapKey(), v.value(), ...v.maybe(0.5, 'EX', String(v.seconds()))]
  // Long ones are changed in another way.
  if (v.chance(0.05)) return ['SETRANGE', v.bitmapKey(), String(10_000 + v.below(15_000)), v.part()]
  if (v.chance(0.05)) return ['APPEND', v.bitmapKey(), v.part()]
  return ['SETBIT', v.bitmapKey(), bitOffset(v), bit(v)]
}

export const bitmapRequests: Readonly<Record<string, Make>> = {
  BITCOUNT: count,
  BITFIELD: fields,
  BITFIELD_RO: readFields,
  BITOP: combine,
  BITPOS: position,
  GETBIT: (v) => ['GETBIT', v.bitmapKey(), bitOffset(v)],
  SETBIT: setBit,
}
