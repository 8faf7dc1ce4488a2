/**
 * Bytes that states and effects of several types share (`keyState.ts` has the layout of a key). Versioned by
 * `recordVersion` and the sync version, like all of `protocol/sync`. Every count and stamp is checked when read.
 */

import { readStamp } from '#protocol/sync/record.ts'
import { type Origin, originsMax, type Stamp } from '#protocol/sync/stamp.ts'
import { type ByteReader, FormatError } from '#runtime/bytes/byteReader.ts'
import type { ByteWriter } from '#runtime/bytes/byteWriter.ts'
import type { TtlWrite, TtlWrites } from './ttl.ts'

export function writeTexts(writer: ByteWriter, texts: readonly string[]): void {
  writer.varint(texts.length)
  for (const text of texts) writer.text(text)
}

export function readTexts(reader: ByteReader): string[] {
  const texts: string[] = []
  for (let count = reader.varint(); count > 0; count--) texts.push(reader.text())
  return texts
}

/** At most one of a kind an origin. */
export function readCount(reader: ByteReader): number {
  const count = reader.u8()
  if (count > originsMax) throw new FormatError(`${count} of what an origin has once`)
  return count
}

/** What some origins have: a bit for each of them u8 | what each has, in turn. */
export function writeByOrigin<T>(
  writer: ByteWriter,
  values: readonly (T | undefined)[],
  write: (writer: ByteWriter, value: T) => void,
): void {
  let mask = 0
  for (const [origin, value] of values.entries()) if (value !== undefined) mask |= 1 << origin
  writer.u8(mask)
  for (const value of values) if (value !== undefined) write(writer, value)
}

export function readByOrigin<T>(
  reader: ByteReader,
  read: (reader: ByteReader, origin: Origin) => T,
): (T | undefined)[] {
  const mask = reader.u8()
  const values: (T | undefined)[] = []
  for (let origin = 0; origin < originsMax; origin++)
    values.push(mask & (1 << origin) ? read(reader, origin) : undefined)
  return values
}

export function readOrigin(reader: ByteReader): Origin {
  const origin = reader.u8()
  if (origin >= originsMax) throw new FormatError(`origin ${origin}`)
  return origin
}

export function readFlag(reader: ByteReader): boolean {
  const flag = reader.u8()
  if (flag > 1) throw new FormatError(`flag ${flag}`)
  return flag === 1
}

export function readDouble(reader: ByteReader): number {
  const value = reader.f64()
  if (Number.isNaN(value)) throw new FormatError('a score that is not a number')
  return value
}

export function requireAscending(values: readonly Stamp[]): void {
  for (let at = 1; at < values.length; at++) {
    if ((values[at] as Stamp) <= (values[at - 1] as Stamp)) throw new FormatError('not in ascending order')
  }
}

export function writeTtlWrites(writer: ByteWriter, writes: TtlWrites): void {
  writer.u8(writes.length)
  for (const { stamp, expireAtMs } of writes) {
    writer.f64(stamp)
    writeExpireAt(writer, expireAtMs)
  }
}

export function readTtlWrites(reader: ByteReader): TtlWrites {
  const writes: TtlWrite[] = []
  for (let count = readCount(reader); count > 0; count--) {
    const stamp = readStamp(reader)
    writes.push({ stamp, expireAtMs: readExpireAt(reader) })
  }
  if (writes.length === 0) throw new FormatError('no TTL writes')
  requireAscending(writes.map((write) => write.stamp))
  return writes
}

/** 0 stands for Infinity: no key expires in 1970. */
export function writeExpireAt(writer: ByteWriter, expireAtMs: number): void {
  writer.varint(expireAtMs === Number.POSITIVE_INFINITY ? 0 : expireAtMs)
}

export function readExpireAt(reader: ByteReader): number {
  const value = reader.varint()
  return value === 0 ? Number.POSITIVE_INFINITY : value
}
