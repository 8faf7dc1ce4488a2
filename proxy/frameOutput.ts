/**
 * Frames on their way out: gathered over a turn in one block of memory and written at its end, or earlier in a busy turn,
 * so that both sides work at the same time. A block is filled once; what is written of it belongs to the connection.
 */
import { frameHeaderBytes, writeFrameHeader, writeU32 } from '#protocol/frames/frame.ts'
import { allocate, copyBytes } from '#runtime/bytes/bytes.ts'
import type { Connection } from '#runtime/ports.ts'
import type { Flushable, Turn } from './turn.ts'

/** A busy turn does not wait for its end: so many commands or bytes go at once. */
const flushCommands = 48
const flushBytes = 16 * 1024
const blockBytes = 128 * 1024
/** Copying a payload of this size costs more than a write of its own. */
const largePayloadBytes = 32 * 1024

export const noPrefix = -1

const empty = new Uint8Array(0)

export class FrameOutput implements Flushable {
  /** Null: what is written is lost. */
  connection: Pick<Connection, 'write' | 'bufferedBytes'> | null = null
  readonly #turn: Turn
  /** What is gathered is [#start, #length) of the block. */
  #block: Uint8Array = empty
  #start = 0
  #length = 0
  #commands = 0
  #inTurn = false

  constructor(turn: Turn) {
    this.#turn = turn
  }

  /** Gathered, or written and not yet taken by the system. */
  get unsentBytes(): number {
    return this.#length - this.#start + (this.connection?.bufferedBytes ?? 0)
  }

  /**
   * A frame of `count` commands whose payload is `prefix` as u32 (unless it is `noPrefix`) and [start, end) of `bytes`;
   * `isFixed`: which nobody changes any more.
   */
  add(
    kind: number,
    tag: number,
    slot: number,
    flags: number,
    prefix: number,
    bytes: Uint8Array,
    start: number,
    end: number,
    isFixed: boolean,
    count = 1,
  ): void {
    const prefixBytes = prefix === noPrefix ? 0 : 4
    const size = end - start
    const isLarge = isFixed && size >= largePayloadBytes
    let at = this.#reserve(frameHeaderBytes + prefixBytes + (isLarge ? 0 : size))
    at = writeFrameHeader(this.#block, at, kind, tag, slot, flags, prefixBytes + size)
    if (prefixBytes > 0) {
      writeU32(this.#block, at, prefix)
      at += prefixBytes
    }
    if (isLarge) {
      this.#length = at
      this.#writeOut()
      this.connection?.write(bytes.subarray(start, end))
      return
    }
    copyBytes(this.#block, at, bytes, start, end)
    this.#length = at + size
    this.#added(count)
  }

  /** A whole frame. */
  addFrame(frame: Uint8Array): void {
    const at = this.#reserve(frame.length)
    copyBytes(this.#block, at, frame, 0, frame.length)
    this.#length = at + frame.length
    this.#added(1)
  }

  flush(): void {
    this.#inTurn = false
    this.#writeOut()
  }

  /** Forgets what was gathered. */
  clear(): void {
    this.#start = this.#length
    this.#commands = 0
  }

  #added(count: number): void {
    this.#commands += count
    if (this.#commands >= flushCommands || this.#length - this.#start >= flushBytes) this.#writeOut()
    else if (!this.#inTurn) {
      this.#inTurn = true
      this.#turn.add(this)
    }
  }

  #writeOut(): void {
    this.#commands = 0
    if (this.#length === this.#start) return
    this.connection?.write(this.#block.subarray(this.#start, this.#length))
    this.#start = this.#length
  }

  /** Offset in the block with room for `count` bytes. */
  #reserve(count: number): number {
    if (this.#length + count > this.#block.length) {
      this.#writeOut()
      this.#block = allocate(Math.max(blockBytes, count))
      this.#start = 0
      this.#length = 0
    }
    return this.#length
  }
}
