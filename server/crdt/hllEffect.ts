/** The effects of HyperLogLogs, as `effect.ts` has the others; what follows the key there is written and read here. */
import type { Stamp } from '#protocol/sync/stamp.ts'
import { type ByteReader, FormatError } from '#runtime/bytes/byteReader.ts'
import type { ByteWriter } from '#runtime/bytes/byteWriter.ts'
import { type Ranked, ranked, rankOf } from './elementHash.ts'
import { readRegisters } from './hll.ts'
import type { HyperLogLog } from './hyperLogLog.ts'
import { registerCount } from './sparseRegisters.ts'

export interface HllEffectSink {
  /** Registers rise to these ranks, in this order. `dense`: the origin's are dense from now on. */
  raiseRegisters(stamp: Stamp, key: string, fresh: boolean, values: readonly Ranked[], dense: boolean): void
  /** All registers of another one, which the sink may keep. */
  joinRegisters(stamp: Stamp, key: string, fresh: boolean, registers: HyperLogLog): void
}

export const HllCode = { raiseRegisters: 40, raiseDenseRegisters: 41, joinRegisters: 42 } as const

export const isHllCode = (code: number): boolean =>
  code >= HllCode.raiseRegisters && code <= HllCode.joinRegisters

/** count varint, then each: register * 64 + rank, as a varint. */
export function writeRanked(writer: ByteWriter, values: readonly Ranked[]): void {
  writer.varint(values.length)
  for (const value of values) writer.varint(value)
}

function readRanked(reader: ByteReader): Ranked[] {
  const values: Ranked[] = []
  for (let count = reader.varint(); count > 0; count--) {
    const value = reader.varint()
    if (value >= ranked(registerCount, 0) || rankOf(value) === 0)
      throw new FormatError(`register and rank ${value}`)
    values.push(value)
  }
  return values
}

export function readHllEffect(
  reader: ByteReader,
  stamp: Stamp,
  key: string,
  code: number,
  fresh: boolean,
  sink: HllEffectSink,
): void {
  if (code === HllCode.joinRegisters) sink.joinRegisters(stamp, key, fresh, readRegisters(reader))
  else sink.raiseRegisters(stamp, key, fresh, readRanked(reader), code === HllCode.raiseDenseRegisters)
}
