/** A HyperLogLog that clusters add to: registers that rise, under delete-wins. */
import { readStamp } from '#protocol/sync/record.ts'
import type { Stamp } from '#protocol/sync/stamp.ts'
import type { VersionVector } from '#protocol/sync/versionVector.ts'
import { type ByteReader, FormatError } from '#runtime/bytes/byteReader.ts'
import type { ByteWriter } from '#runtime/bytes/byteWriter.ts'
import { DeleteWins, readDeletes, writeDeletes } from './deleteWins.ts'
import type { Ranked } from './elementHash.ts'
import { HyperLogLog } from './hyperLogLog.ts'
import { readFlag } from './stateCodec.ts'

/** Heap of one without registers. */
const stateBytes = 150

export class HllState extends DeleteWins<HyperLogLog> {
  /** Without deletes. */
  static of(registers: HyperLogLog, greatest: Stamp): HllState {
    const state = new HllState()
    state.payload = registers
    state.greatest = greatest
    return state
  }

  /** On the heap. */
  get usedBytes(): number {
    return stateBytes + (this.payload?.usedBytes ?? 0)
  }

  /** PFADD, PFMERGE. `dense`: its origin has gone over to the dense encoding. */
  raise(context: VersionVector, stamp: Stamp, values: readonly Ranked[], dense: boolean): void {
    this.add(context, stamp, (payload) => {
      const registers = payload ?? newRegisters()
      if (dense) registers.toDense()
      registers.raise(values)
      return registers
    })
  }

  /** A whole one at once. Where there is none, these are its very bytes from now on. */
  join(context: VersionVector, stamp: Stamp, registers: HyperLogLog): void {
    this.add(context, stamp, (payload) => {
      if (payload === undefined) return registers
      payload.join(registers)
      return payload
    })
  }

  mergeWith(own: VersionVector, other: HllState, label: VersionVector): void {
    this.merge(own, other, label, (ours, theirs) => {
      ours.join(theirs)
      return ours
    })
  }

  /** deletes | live u8 | [greatest stamp f64 | registers text] */
  encode(writer: ByteWriter): void {
    writeDeletes(writer, this.deletes)
    writer.u8(this.payload === undefined ? 0 : 1)
    if (this.payload === undefined) return
    writer.f64(this.greatest)
    writer.varint(this.payload.length)
    this.payload.writeTo(writer)
  }

  static decode(reader: ByteReader): HllState {
    const state = new HllState()
    state.deletes = readDeletes(reader)
    if (!readFlag(reader)) return state
    state.greatest = readStamp(reader)
    state.payload = readRegisters(reader)
    return state
  }
}

function newRegisters(): HyperLogLog {
  const registers = HyperLogLog.empty()
  registers.outdate()
  return registers
}

export function readRegisters(reader: ByteReader): HyperLogLog {
  const registers = HyperLogLog.of(reader.text())
  if (registers?.isSound !== true) throw new FormatError('registers of a HyperLogLog')
  return registers
}
