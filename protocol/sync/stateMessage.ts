/**
 * The messages by which a slot state travels (see `message.ts` for what they hold, and for the others). What fits in a step of its source is
 * cut in that step, as a `slotState` in parts; what doesn't is cut while it changes, from `cutBegin` to `cutEnd`.
 */
import { type ByteReader, FormatError } from '#runtime/bytes/byteReader.ts'
import type { ByteWriter } from '#runtime/bytes/byteWriter.ts'
import { readSlot, readVector, writeVector } from './record.ts'
import { emptyVector, type VersionVector } from './versionVector.ts'

/** A slot state travels in parts of at most so many bytes. */
export const slotStatePartBytesMax = 64 * 1024
/** Among the kinds of `message.ts`. */
const StateKind = {
  slotState: 4,
  cutBegin: 10,
  cutKeys: 11,
  cutTail: 12,
  cutEnd: 13,
  statesDue: 14,
  sendStates: 15,
  statesSent: 16,
} as const

/** The last part of a slot state, or of a run of whole keys. */
const lastFlag = 2

export interface SlotStatePart {
  kind: 'slotState'
  slot: number
  part: number
  last: boolean
  /** Of part 0: what the state contains. */
  label: VersionVector | null
  bytes: Uint8Array
  start: number
  end: number
}

/** Bytes of keys of a slot that is cut while it changes. */
export interface CutKeys {
  kind: 'cutKeys'
  slot: number
  /** The keys that came until now are whole. */
  last: boolean
  bytes: Uint8Array
  start: number
  end: number
}

/** Operations in a slot that is being cut, of whatever origin. */
export interface CutTail {
  kind: 'cutTail'
  slot: number
  bytes: Uint8Array
  start: number
  end: number
}

export type StateMessage =
  | SlotStatePart
  | CutKeys
  | CutTail
  | { kind: 'cutBegin'; slot: number; label: VersionVector }
  | { kind: 'cutEnd'; slot: number; reached: VersionVector }
  | { kind: 'statesDue'; number: number }
  | { kind: 'sendStates'; number: number }
  | { kind: 'statesSent' }

export function writeSlotStatePart(
  writer: ByteWriter,
  slot: number,
  part: number,
  last: boolean,
  label: VersionVector,
  bytes: Uint8Array,
  start: number,
  end: number,
): void {
  writer.u8(StateKind.slotState)
  writer.u16(slot)
  writer.varint(part)
  writer.u8(last ? lastFlag : 0)
  if (part === 0) writeVector(writer, label)
  writer.raw(bytes, start, end)
}

export function writeCutBegin(writer: ByteWriter, slot: number, label: VersionVector): void {
  writer.u8(StateKind.cutBegin)
  writer.u16(slot)
  writeVector(writer, label)
}

export function writeCutKeys(
  writer: ByteWriter,
  slot: number,
  last: boolean,
  bytes: Uint8Array,
  start: number,
  end: number,
): void {
  writer.u8(StateKind.cutKeys)
  writer.u16(slot)
  writer.u8(last ? lastFlag : 0)
  writer.raw(bytes, start, end)
}

/** Starts the message; the caller appends whole records. */
export function beginCutTail(writer: ByteWriter, slot: number): void {
  writer.u8(StateKind.cutTail)
  writer.u16(slot)
}

export function writeCutEnd(writer: ByteWriter, slot: number, reached: VersionVector): void {
  writer.u8(StateKind.cutEnd)
  writer.u16(slot)
  writeVector(writer, reached)
}

export function writeStatesDue(writer: ByteWriter, number: number): void {
  writer.u8(StateKind.statesDue)
  writer.varint(number)
}

export function writeSendStates(writer: ByteWriter, number: number): void {
  writer.u8(StateKind.sendStates)
  writer.varint(number)
}

export function writeStatesSent(writer: ByteWriter): void {
  writer.u8(StateKind.statesSent)
}

/** Of a message of this kind, what follows it. */
export function readStateMessage(
  kind: number,
  reader: ByteReader,
  bytes: Uint8Array,
  end: number,
): StateMessage {
  switch (kind) {
    case StateKind.slotState:
      return readSlotStatePart(reader, bytes, end)
    case StateKind.cutBegin:
      return { kind: 'cutBegin', slot: readSlot(reader), label: vectorOf(reader) }
    case StateKind.cutKeys:
      return readCutKeys(reader, bytes, end)
    case StateKind.cutTail:
      return { kind: 'cutTail', slot: readSlot(reader), bytes, start: reader.at, end }
    case StateKind.cutEnd:
      return { kind: 'cutEnd', slot: readSlot(reader), reached: vectorOf(reader) }
    case StateKind.statesDue:
      return { kind: 'statesDue', number: reader.varint() }
    case StateKind.sendStates:
      return { kind: 'sendStates', number: reader.varint() }
    case StateKind.statesSent:
      return { kind: 'statesSent' }
    default:
      throw new FormatError(`sync message of kind ${kind}`)
  }
}

function readSlotStatePart(reader: ByteReader, bytes: Uint8Array, end: number): SlotStatePart {
  const slot = readSlot(reader)
  const part = reader.varint()
  const last = (reader.u8() & lastFlag) !== 0
  const label = part === 0 ? emptyVector() : null
  if (label !== null) readVector(reader, label)
  if (end - reader.at > slotStatePartBytesMax)
    throw new FormatError(`part of a slot state with ${end - reader.at} bytes`)
  return { kind: 'slotState', slot, part, last, label, bytes, start: reader.at, end }
}

function readCutKeys(reader: ByteReader, bytes: Uint8Array, end: number): CutKeys {
  const slot = readSlot(reader)
  const last = (reader.u8() & lastFlag) !== 0
  if (end - reader.at > slotStatePartBytesMax)
    throw new FormatError(`keys of a slot in ${end - reader.at} bytes`)
  return { kind: 'cutKeys', slot, last, bytes, start: reader.at, end }
}

export function vectorOf(reader: ByteReader): VersionVector {
  const vector = emptyVector()
  readVector(reader, vector)
  return vector
}
