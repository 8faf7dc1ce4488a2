/**
 * What a client has queued since MULTI. Commands for the shard are kept as the raw bytes that will be sent in one frame;
 * those that the proxy answers itself are kept apart with their place, and run when the shard has answered.
 */
import type { CommandSpec } from '#protocol/commands/index.ts'
import { copyOf } from '#runtime/bytes/bytes.ts'
import { ByteWriter } from '#runtime/bytes/byteWriter.ts'

export interface QueuedLocal {
  /** Its index in the reply of EXEC. */
  place: number
  spec: CommandSpec
  bytes: Uint8Array
}

export class TransactionQueue {
  count = 0
  /** All keys lie in it; -1: no keys so far. */
  slot = -1
  /** A command was refused: EXEC will be, too. */
  isFailed = false
  hasWrites = false
  readonly locals: QueuedLocal[] = []
  #localBytes = 0
  readonly #commands = new ByteWriter(256)

  get sizeBytes(): number {
    return this.#commands.length + this.#localBytes
  }

  get shardCount(): number {
    return this.count - this.locals.length
  }

  /** Raw commands for the shard, valid until the next is added. */
  get shardBytes(): Uint8Array {
    return this.#commands.view()
  }

  addForShard(spec: CommandSpec, bytes: Uint8Array, start: number, end: number): void {
    this.#commands.raw(bytes, start, end)
    this.count++
    if (spec.isWrite) this.hasWrites = true
  }

  addLocal(spec: CommandSpec, bytes: Uint8Array, start: number, end: number): void {
    this.locals.push({ place: this.count, spec, bytes: copyOf(bytes, start, end) })
    this.#localBytes += end - start
    this.count++
  }
}
