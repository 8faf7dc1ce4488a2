/**
 * What travels between clusters may be compressed: frames of kind `compressed`, each with a piece of the stream of frames:
 * `size u32 | zstd`, at most `pieceBytesMax` when it is unpacked. Pieces may end anywhere, so that a frame can be larger than
 * one; whoever sends a frame as it is has sent the end of the last one before. Each piece is packed by itself: what has
 * been lost or changed on the way spoils no other, and neither side keeps anything in memory between two (ADR 20).
 */
import { FormatError } from '#runtime/bytes/byteReader.ts'
import { allocate, copyBytes } from '#runtime/bytes/bytes.ts'
import { ByteWriter } from '#runtime/bytes/byteWriter.ts'
import { zstdBlockBytesMax, zstdCompress, zstdDecompress } from '#runtime/bytes/zstd.ts'
import {
  type Frame,
  FrameKind,
  FrameReader,
  frameHeaderBytes,
  readU32,
  writeFrameHeader,
  writeU32,
} from './frame.ts'

export const pieceBytesMax = zstdBlockBytesMax
/** In the hello of who reads such frames. */
export const compressionName = 'zstd'

const sizeBytes = 4

/** A whole frame with the piece [start, end) of `bytes`. */
export function compressedFrame(
  bytes: Uint8Array,
  start: number,
  end: number,
  zstdLevel: number,
): Uint8Array {
  const packed = zstdCompress(bytes.subarray(start, end), zstdLevel)
  const frame = allocate(frameHeaderBytes + sizeBytes + packed.length)
  const at = writeFrameHeader(frame, 0, FrameKind.compressed, 0, 0, 0, sizeBytes + packed.length)
  writeU32(frame, at, end - start)
  copyBytes(frame, at + sizeBytes, packed, 0, packed.length)
  return frame
}

/** The piece in a frame; throws `FormatError` when there is none. */
function pieceOf({ bytes, payloadStart, payloadEnd }: Frame): Uint8Array {
  if (payloadEnd - payloadStart <= sizeBytes) throw new FormatError('a compressed frame without content')
  const pieceBytes = readU32(bytes, payloadStart)
  if (pieceBytes === 0 || pieceBytes > pieceBytesMax)
    throw new FormatError(`a compressed frame of ${pieceBytes} bytes; at most ${pieceBytesMax} are allowed`)
  return zstdDecompress(bytes, payloadStart + sizeBytes, payloadEnd, pieceBytes)
}

/** What has gone over a link in one direction, and what it would have been without compression. */
export interface LinkTraffic {
  bytes: number
  rawBytes: number
}

/**
 * Cuts a byte stream into frames as `FrameReader` does, and unpacks those that are compressed. A few bytes can be unpacked to
 * very many, so who can't take more says so (`isHeld`) and gets the rest of what has come when it asks (`release`).
 */
export class UnpackingReader {
  /** Nothing is given away; what comes meanwhile waits. */
  isHeld = false
  readonly #traffic: LinkTraffic
  readonly #outer = new FrameReader()
  readonly #inner = new FrameReader()
  readonly #take: (frame: Frame) => void
  /** Whole frames that came while it was held. */
  #waiting = new ByteWriter(0)
  #error: string | null = null

  constructor(traffic: LinkTraffic, take: (frame: Frame) => void) {
    this.#traffic = traffic
    this.#take = take
  }

  /** Gives every whole frame away; returns an error text when the stream can't be one of frames (close it then). */
  feed(chunk: Uint8Array): string | null {
    this.#traffic.bytes += chunk.length
    this.#traffic.rawBytes += chunk.length
    return this.#outer.feed(chunk, this.#takeOuter) ?? this.#error
  }

  /** Goes on with what waits, until it is held again. */
  release(): string | null {
    this.isHeld = false
    const waiting = this.#waiting
    if (waiting.length === 0) return null
    this.#waiting = new ByteWriter(0)
    return new FrameReader().feed(waiting.take(), this.#takeOuter) ?? this.#error
  }

  readonly #takeOuter = (frame: Frame): void => {
    if (this.#error !== null) return
    if (this.isHeld) this.#keep(frame)
    else if (frame.kind === FrameKind.compressed) this.#unpack(frame)
    else if (this.#inner.isWithinFrame) this.#error = `frame of kind ${frame.kind} within a compressed one`
    else this.#take(frame)
  }

  #keep({ bytes, payloadStart, payloadEnd }: Frame): void {
    this.#waiting.raw(bytes, payloadStart - frameHeaderBytes, payloadEnd)
  }

  #unpack(frame: Frame): void {
    try {
      const piece = pieceOf(frame)
      this.#traffic.rawBytes += piece.length - (frameHeaderBytes + frame.payloadEnd - frame.payloadStart)
      const error = this.#inner.feed(piece, this.#takeInner)
      if (error !== null) this.#error = error
    } catch (error) {
      if (!(error instanceof FormatError)) throw error
      this.#error = error.message
    }
  }

  readonly #takeInner = (frame: Frame): void => {
    if (this.#error !== null) return
    if (frame.kind === FrameKind.compressed) this.#error = 'a compressed frame within another one'
    else this.#take(frame)
  }
}
