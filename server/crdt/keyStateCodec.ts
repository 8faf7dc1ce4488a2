/** The state of a key as bytes: mask u8, then what it names. */
import { type ByteReader, FormatError } from '#runtime/bytes/byteReader.ts'
import type { ByteWriter } from '#runtime/bytes/byteWriter.ts'
import { HashState } from './hash.ts'
import { HllState } from './hll.ts'
import { allTypes, deleteWinsTypes, KeyState, TypeBit } from './keyState.ts'
import { ListState } from './list.ts'
import { SetState } from './set.ts'
import { SortedSetState } from './sortedSet.ts'
import { readTtlWrites, writeTtlWrites } from './stateCodec.ts'
import { StreamState } from './stream.ts'
import { readStrnum, writeStrnum } from './strnumCodec.ts'

/** Beside the bits of types. */
const ttlBit = 8

export function writeKeyState(writer: ByteWriter, state: KeyState): void {
  const { string, hash, set, zset, list, stream, hll, ttl } = state
  writer.u8(state.presentTypes | (ttl.length === 0 ? 0 : ttlBit))
  if (string !== undefined) writeStrnum(writer, string)
  hash?.encode(writer)
  set?.encode(writer)
  zset?.encode(writer)
  list?.encode(writer)
  stream?.encode(writer)
  hll?.encode(writer)
  if (ttl.length > 0) writeTtlWrites(writer, ttl)
}

/** The same without elements: what is not cut (`keyPiece.ts`). */
export function writeHead(writer: ByteWriter, { string, stream, hll, ttl }: KeyState): void {
  writer.u8(
    (string === undefined ? 0 : TypeBit.string) |
      (stream === undefined ? 0 : TypeBit.stream) |
      (hll === undefined ? 0 : TypeBit.hll) |
      (ttl.length === 0 ? 0 : ttlBit),
  )
  if (string !== undefined) writeStrnum(writer, string)
  stream?.encodeHead(writer)
  hll?.encode(writer)
  if (ttl.length > 0) writeTtlWrites(writer, ttl)
}

/** Throws `FormatError`. */
export function readKeyState(reader: ByteReader): KeyState {
  const state = readSome(reader)
  if (state.nothing) throw new FormatError('a key without types')
  state.dropEmpty()
  return state
}

/** Of a piece, which may have no type at all, or what makes no state alone. */
export function readSome(reader: ByteReader): KeyState {
  const state = new KeyState()
  const mask = reader.u8()
  if ((mask & ~(allTypes | deleteWinsTypes | ttlBit)) !== 0) throw new FormatError(`types ${mask} of a key`)
  if (mask & TypeBit.string) state.string = readStrnum(reader)
  if (mask & TypeBit.hash) state.hash = HashState.decode(reader)
  if (mask & TypeBit.set) state.set = SetState.decode(reader)
  if (mask & TypeBit.zset) state.zset = SortedSetState.decode(reader)
  if (mask & TypeBit.list) state.list = ListState.decode(reader)
  if (mask & TypeBit.stream) state.stream = StreamState.decode(reader)
  if (mask & TypeBit.hll) state.hll = HllState.decode(reader)
  if (mask & ttlBit) state.ttl = readTtlWrites(reader)
  return state
}
