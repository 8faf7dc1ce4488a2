/**
 * A large state in pieces, cut while it changes: each is written and taken in a small step. A piece has the layout of a state and
 * some of its elements; the first has what isn't elements as well (texts, TTLs, registers, a stream's marks and groups).
 *
 *     piece := first u8 | mask u8 | what the mask names, as in `keyStateCodec.ts`
 *
 * A cut goes through the types and, within each, through the elements in an order that no change alters, so an element that
 * is there all the time is in one of the pieces. One that is changed meanwhile is there as it was when its piece was cut, and
 * whoever puts the pieces together applies all operations behind the first cut once more. That is right as effects on one
 * element depend on no other, nor on what else the key has; and it is why an element of a piece replaces what is there.
 */
import type { ByteReader } from '#runtime/bytes/byteReader.ts'
import type { ByteWriter } from '#runtime/bytes/byteWriter.ts'
import type { ElementPosition } from './elementPieces.ts'
import { type KeyState, TypeBit } from './keyState.ts'
import { readSome, writeHead } from './keyStateCodec.ts'
import type { ListId } from './listId.ts'
import { readFlag } from './stateCodec.ts'
import type { StreamPosition } from './stream.ts'

const elementTypes = ['hash', 'set', 'zset', 'list', 'stream'] as const
type ElementType = (typeof elementTypes)[number]

/** Where the next piece begins: with the first elements of a type, or further on. */
export type PiecePosition =
  | { readonly type: ElementType; readonly from: undefined }
  | { readonly type: 'hash' | 'set' | 'zset'; readonly from: ElementPosition }
  | { readonly type: 'list'; readonly from: ListId }
  | { readonly type: 'stream'; readonly from: StreamPosition }

export interface KeyPiece {
  readonly isFirst: boolean
  readonly state: KeyState
}

/** Whether there are elements to cut between. */
export const hasElements = (state: KeyState): boolean =>
  elementTypes.some((type) => state[type] !== undefined)

/** What isn't elements. */
export function writeFirstPiece(writer: ByteWriter, state: KeyState): PiecePosition {
  writer.u8(1)
  writeHead(writer, state)
  return { type: 'hash', from: undefined }
}

/** A further piece, of about so many bytes. Returns where the next begins; undefined: it is the last. */
export function writePiece(
  writer: ByteWriter,
  state: KeyState,
  at: PiecePosition,
  bytesWanted: number,
): PiecePosition | undefined {
  writer.u8(0)
  const type = state[at.type] === undefined ? nextType(state, at.type) : at.type
  if (type === undefined) {
    writer.u8(0)
    return undefined
  }
  writer.u8(TypeBit[type])
  const position: PiecePosition = type === at.type ? at : { type, from: undefined }
  const next = writeElements(writer, state, position, bytesWanted)
  if (next !== undefined) return next
  const following = nextType(state, type)
  return following === undefined ? undefined : { type: following, from: undefined }
}

function writeElements(
  writer: ByteWriter,
  state: KeyState,
  { type, from }: PiecePosition,
  bytesWanted: number,
): PiecePosition | undefined {
  switch (type) {
    case 'list': {
      const next = state.list?.encodePiece(writer, from, bytesWanted)
      return next && { type, from: next }
    }
    case 'stream': {
      const next = state.stream?.encodePiece(writer, from, bytesWanted)
      return next && { type, from: next }
    }
    default: {
      const next = state[type]?.encodePiece(writer, from, bytesWanted)
      return next && { type, from: next }
    }
  }
}

function nextType(state: KeyState, after: ElementType): ElementType | undefined {
  return elementTypes.slice(elementTypes.indexOf(after) + 1).find((type) => state[type] !== undefined)
}

/** Throws `FormatError`. */
export function readPiece(reader: ByteReader): KeyPiece {
  const isFirst = readFlag(reader)
  return { isFirst, state: readSome(reader) }
}

/** Puts the elements of a piece that isn't the first into the state, in the place of the same ones. */
export function takePiece(into: KeyState, piece: KeyState): void {
  if (into.hash !== undefined && piece.hash !== undefined) into.hash.takeFrom(piece.hash)
  else into.hash ??= piece.hash
  if (into.set !== undefined && piece.set !== undefined) into.set.takeFrom(piece.set)
  else into.set ??= piece.set
  if (into.zset !== undefined && piece.zset !== undefined) into.zset.takeFrom(piece.zset)
  else into.zset ??= piece.zset
  if (into.list !== undefined && piece.list !== undefined) into.list.takeFrom(piece.list)
  else into.list ??= piece.list
  if (into.stream !== undefined && piece.stream !== undefined) into.stream.takeFrom(piece.stream)
  else into.stream ??= piece.stream
}
