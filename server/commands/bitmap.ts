/** Strings as rows of bits. By its meaning a change is a write of the whole value; what changes nothing is not written, as in Redis. */

import type { bitmapCommands } from '#protocol/commands/bitmap.ts'
import { EventClass } from '#protocol/pubsub/keyspaceEvents.ts'
import { errors, ReplyError } from '#protocol/resp/errors.ts'
import type { Arguments } from './arguments.ts'
import { BITFIELD, BITFIELD_RO, parseBitOffset } from './bitfield.ts'
import { type BitOperation, byteOfBit, combineBits, countBits, findBit } from './bits.ts'
import type { Handler, Handlers } from './context.ts'
import { deleteKey } from './keyEvents.ts'

const clear = { kind: 'clear' } as const
const empty = new Uint8Array(0)

const GETBIT: Handler = ({ args, db, reply }) => {
  const offset = parseBitOffset(args.text(2))
  const at = byteOfBit(offset)
  const byte = db.stringBytes(args.text(1), at, at + 1)?.[0] ?? 0
  reply.integer((byte >> (7 - (offset % 8))) & 1)
}

const SETBIT: Handler = ({ args, db, write, events, reply }) => {
  const offset = parseBitOffset(args.text(2))
  const bit = args.integer(3, errors.bitValue)
  if (bit !== 0 && bit !== 1) throw new ReplyError(errors.bitValue)
  const key = args.text(1)
  const old = db.stringBytes(key) ?? empty
  const at = byteOfBit(offset)
  const byte = old[at] ?? 0
  const place = 7 - (offset % 8)
  const was = (byte >> place) & 1
  if (was !== bit || at >= old.length) {
    const changed = bit === 1 ? byte | (1 << place) : byte & ~(1 << place)
    write.patchString(key, at, Uint8Array.of(changed))
    events.note(EventClass.string, 'setbit', key)
  }
  reply.integer(was)
}

const BITCOUNT: Handler = ({ args, db, reply }) => {
  const value = db.stringBytes(args.text(1))
  // As in Redis up to 7.2, arguments are looked at only when there is a key.
  if (value === undefined) return reply.integer(0)
  if (args.count === 2) return reply.integer(countBits(value, 0, value.length * 8 - 1))
  if (args.count > 5 || args.count === 3) throw new ReplyError(errors.syntax)
  const start = args.integer(2)
  const end = args.integer(3)
  if (start < 0 && end < 0 && start > end) return reply.integer(0)
  const { first, last } = bitRange(start, end, value.length, countsBits(args, 4))
  reply.integer(countBits(value, first, last))
}

const BITPOS: Handler = ({ args, db, reply }) => {
  const bit = args.integer(2)
  if (bit !== 0 && bit !== 1) throw new ReplyError(errors.bitArgument)
  const value = db.stringBytes(args.text(1))
  // Nothing is an endless row of zeros.
  if (value === undefined) return reply.integer(bit === 1 ? -1 : 0)
  if (args.count > 6) throw new ReplyError(errors.syntax)
  const start = args.count > 3 ? args.integer(3) : 0
  const inBits = countsBits(args, 5)
  const end = args.count > 4 ? args.integer(4) : -1
  const { first, last } = bitRange(start, end, value.length, inBits)
  const position = findBit(value, bit, first, last)
  const isOpen = bit === 0 && args.count <= 4 && first <= last
  reply.integer(position < 0 && isOpen ? value.length * 8 : position)
}

/** Whether the word at `i` says that a range counts bits, not bytes. */
function countsBits(args: Arguments, i: number): boolean {
  if (i >= args.count || args.is(i, 'BYTE')) return false
  if (!args.is(i, 'BIT')) throw new ReplyError(errors.syntax)
  return true
}

/** The bits of the range; none when `first` is behind `last`. Negative ends count from the end of the value. */
function bitRange(
  start: number | bigint,
  end: number | bigint,
  lengthBytes: number,
  inBits: boolean,
): { first: number; last: number } {
  const length = inBits ? lengthBytes * 8 : lengthBytes
  const from = placeOf(start, length)
  const to = Math.min(placeOf(end, length), length - 1)
  return inBits ? { first: from, last: to } : { first: from * 8, last: to * 8 + 7 }
}

const placeOf = (index: number | bigint, length: number): number =>
  Math.max(0, index < 0 ? length + Number(index) : Number(index))

const operations = ['AND', 'OR', 'XOR', 'NOT'] as const satisfies readonly BitOperation[]

const BITOP: Handler = (context) => {
  const { args, db, write, events, reply } = context
  const operation = operations.find((name) => args.is(1, name))
  if (operation === undefined) throw new ReplyError(errors.syntax)
  if (operation === 'NOT' && args.count !== 4) throw new ReplyError(errors.bitopNotKeys)
  const operands: Uint8Array[] = []
  for (let i = 3; i < args.count; i++) operands.push(db.stringBytes(args.text(i)) ?? empty)
  const result = combineBits(operation, operands)
  const target = args.text(2)
  if (result.length === 0) deleteKey(context, target)
  else {
    write.setStringBytes(target, result, clear)
    events.note(EventClass.string, 'set', target)
  }
  reply.integer(result.length)
}

export const bitmapHandlers = {
  BITCOUNT,
  BITFIELD,
  BITFIELD_RO,
  BITOP,
  BITPOS,
  GETBIT,
  SETBIT,
} satisfies Handlers<typeof bitmapCommands>
