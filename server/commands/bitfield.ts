/**
 * BITFIELD: integers of 1 to 64 bits anywhere in a string. All arguments are judged first; then the operations run one after
 * the other, and each sees what those before it did.
 */
import { EventClass } from '#protocol/pubsub/keyspaceEvents.ts'
import { errors, ReplyError } from '#protocol/resp/errors.ts'
import { bulkBytesMax } from '#protocol/resp/requestScanner.ts'
import { grownCopy } from '#runtime/bytes/bytes.ts'
import { parseInteger } from '#server/crdt/amount.ts'
import type { Arguments } from './arguments.ts'
import { byteOfBit } from './bits.ts'
import type { CommandContext, Handler } from './context.ts'

const empty = new Uint8Array(0)
/** Fields of a long value that lie further apart are changed one by one: what lies between them isn't sent. */
const windowBytesMax = 64 * 1024

const overflows = ['WRAP', 'SAT', 'FAIL'] as const
type Overflow = (typeof overflows)[number]

interface Field {
  signed: boolean
  bits: number
  /** Of its first bit. */
  offset: number
}

type Operation = Field & ({ kind: 'get' } | { kind: 'set' | 'add'; value: bigint; overflow: Overflow })

export const BITFIELD: Handler = (context) => {
  const operations = parseOperations(context.args)
  const writtenBytes = endOfWrites(operations)
  if (writtenBytes === 0) {
    const key = context.args.text(1)
    if (!context.db.has(key)) context.events.note(EventClass.missed, 'keymiss', key)
    return replyWithFields(context, operations)
  }
  // A field may begin before the longest value's end and leave it.
  if (writtenBytes > bulkBytesMax) throw new ReplyError(errors.bitOffset)
  const { args, db, write, events, reply } = context
  const key = args.text(1)
  // The type is judged before anything is written.
  db.stringBytes(key, 0, 0)
  reply.array(operations.length)
  const { start, end } = extentOf(operations)
  const runs =
    end - start <= windowBytesMax || !write.patches(key, windowBytesMax)
      ? [operations]
      : operations.map((operation) => [operation])
  let changed = false
  for (const run of runs) changed = runInWindow(context, run) || changed
  if (changed) events.note(EventClass.string, 'setbit', key)
}

/**
 * Runs operations one after the other on a copy of the bytes from the first of their fields to the last. False: none has changed
 * anything, though the value may have grown.
 */
function runInWindow({ args, db, write, reply }: CommandContext, operations: readonly Operation[]): boolean {
  const key = args.text(1)
  const length = db.stringBytes(key)?.length ?? 0
  const { start, end } = extentOf(operations)
  const written = endOfWrites(operations)
  const window = grownCopy(db.stringBytes(key, start, end) ?? empty, Math.max(0, written - start))
  const grows = written > length
  let changed = false
  for (const operation of operations) {
    const field = { ...operation, offset: operation.offset - start * 8 }
    const before = fieldAt(window, field)
    const result = field.kind === 'get' ? before : resultOf(field, before)
    if (result === undefined) {
      reply.null()
      continue
    }
    if (result !== before) putField(window, field, result)
    if (result !== before || (grows && field.kind !== 'get')) changed = true
    reply.integer(field.kind === 'add' ? result : before)
  }
  if (changed || grows) write.patchString(key, start, window, 0, written - start)
  return changed
}

/** Behind the last byte that is written; 0: none is. */
const endOfWrites = (operations: readonly Operation[]): number =>
  Math.max(0, ...operations.map((each) => (each.kind === 'get' ? 0 : endByte(each))))

/** The bytes that the fields lie in. */
const extentOf = (operations: readonly Operation[]): { start: number; end: number } => ({
  start: Math.min(...operations.map(({ offset }) => byteOfBit(offset))),
  end: Math.max(...operations.map(endByte)),
})

export const BITFIELD_RO: Handler = (context) => {
  const operations = parseOperations(context.args)
  if (operations.some(({ kind }) => kind !== 'get')) throw new ReplyError(errors.bitfieldReadOnly)
  replyWithFields(context, operations)
}

/** Only what is asked for is read: a long value in a conflict would have to be copied. */
function replyWithFields({ args, db, reply }: CommandContext, fields: readonly Field[]): void {
  const key = args.text(1)
  // Also without any field, the type is judged.
  const isThere = db.stringBytes(key, 0, 0) !== undefined
  reply.array(fields.length)
  for (const field of fields) {
    const start = byteOfBit(field.offset)
    const bytes = (isThere ? db.stringBytes(key, start, endByte(field)) : undefined) ?? empty
    reply.integer(fieldAt(bytes, { ...field, offset: field.offset - start * 8 }))
  }
}

// ---- arguments

function parseOperations(args: Arguments): Operation[] {
  const operations: Operation[] = []
  let overflow: Overflow = 'WRAP'
  for (let i = 2; i < args.count; ) {
    const following = args.count - i - 1
    if (args.is(i, 'GET') && following >= 2) {
      operations.push({ kind: 'get', ...parseField(args, i + 1) })
      i += 3
    } else if ((args.is(i, 'SET') || args.is(i, 'INCRBY')) && following >= 3) {
      const kind = args.is(i, 'SET') ? 'set' : 'add'
      const field = parseField(args, i + 1)
      operations.push({ kind, ...field, value: BigInt(args.integer(i + 3)), overflow })
      i += 4
    } else if (args.is(i, 'OVERFLOW') && following >= 1) {
      overflow = parseOverflow(args, i + 1)
      i += 2
    } else throw new ReplyError(errors.syntax)
  }
  return operations
}

function parseOverflow(args: Arguments, i: number): Overflow {
  const overflow = overflows.find((name) => args.is(i, name))
  if (overflow === undefined) throw new ReplyError(errors.bitfieldOverflow)
  return overflow
}

const typePattern = /^([iu])([1-9][0-9]?)$/

/** A type such as `i8` or `u63`, and an offset. */
function parseField(args: Arguments, i: number): Field {
  // Redis's text ends at a zero byte.
  const [type = ''] = args.text(i).split('\0', 1)
  const [, sign, digits] = typePattern.exec(type) ?? []
  const signed = sign === 'i'
  const bits = Number(digits)
  if (digits === undefined || bits > (signed ? 64 : 63)) throw new ReplyError(errors.bitfieldType)
  return { signed, bits, offset: parseBitOffset(args.text(i + 1), bits) }
}

/** `#n` counts fields of so many bits; without them it is refused. */
export function parseBitOffset(text: string, fieldBits = 0): number {
  const inFields = fieldBits > 0 && text.startsWith('#')
  const index = parseInteger(inFields ? text.slice(1) : text)
  if (typeof index !== 'number') throw new ReplyError(errors.bitOffset)
  const offset = inFields ? index * fieldBits : index
  if (offset < 0 || byteOfBit(offset) >= bulkBytesMax) throw new ReplyError(errors.bitOffset)
  return offset
}

// ---- fields

/** Behind the last byte that the field touches. */
const endByte = ({ offset, bits }: Field): number => byteOfBit(offset + bits - 1) + 1

/** What the field holds afterwards; undefined: it can't hold that and the operation fails. */
function resultOf(operation: Operation & { kind: 'set' | 'add' }, before: bigint): bigint | undefined {
  const { kind, signed, bits, value, overflow } = operation
  // A negative value for an unsigned field is one of 64 bits that is far too large.
  const wanted = kind === 'add' ? before + value : signed ? value : BigInt.asUintN(64, value)
  const wrapped = signed ? BigInt.asIntN(bits, wanted) : BigInt.asUintN(bits, wanted)
  if (wrapped === wanted || overflow === 'WRAP') return wrapped
  if (overflow === 'FAIL') return undefined
  const greatest = (1n << BigInt(signed ? bits - 1 : bits)) - 1n
  if (wanted > greatest) return greatest
  return signed ? -greatest - 1n : 0n
}

const halfBits = 32

/** Beyond the end of the bytes all bits are 0. */
function fieldAt(bytes: Uint8Array, { signed, bits, offset }: Field): bigint {
  const highBits = Math.max(0, bits - halfBits)
  const low = BigInt(readBits(bytes, offset + highBits, bits - highBits))
  const value = highBits === 0 ? low : (BigInt(readBits(bytes, offset, highBits)) << 32n) | low
  return signed ? BigInt.asIntN(bits, value) : value
}

function putField(bytes: Uint8Array, { bits, offset }: Field, value: bigint): void {
  const highBits = Math.max(0, bits - halfBits)
  writeBits(bytes, offset + highBits, bits - highBits, Number(BigInt.asUintN(halfBits, value)))
  if (highBits > 0) writeBits(bytes, offset, highBits, Number(BigInt.asUintN(halfBits, value >> 32n)))
}

/** Up to 32 bits, which lie in up to five bytes: more than `<<` takes. */
function readBits(bytes: Uint8Array, offset: number, bits: number): number {
  const end = offset + bits
  const last = byteOfBit(end - 1)
  let value = 0
  for (let at = byteOfBit(offset); at <= last; at++) value = value * 256 + (bytes[at] ?? 0)
  return Math.floor(value / 2 ** (last * 8 + 8 - end)) % 2 ** bits
}

/** From the last byte on, what of the value belongs there. */
function writeBits(bytes: Uint8Array, offset: number, bits: number, value: number): void {
  let rest = value
  for (let end = offset + bits; end > offset; ) {
    const at = byteOfBit(end - 1)
    const start = Math.max(offset, at * 8)
    const below = at * 8 + 8 - end
    const count = end - start
    const mask = (2 ** count - 1) << below
    bytes[at] = ((bytes[at] as number) & ~mask) | ((rest << below) & mask)
    rest = Math.floor(rest / 2 ** count)
    end = start
  }
}
