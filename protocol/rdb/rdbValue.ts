/**
 * What a DUMP payload holds, whatever encoding a Redis up to 7.4 has written it in:
 *
 *     payload := type u8 | value | RDB version u16 | CRC-64 of all before it u64
 *
 * Payloads come from clients: every length is checked, elements that are there twice are refused as Redis refuses them.
 */
import { FormatError } from '#runtime/bytes/byteReader.ts'
import { crc64 } from './crc64.ts'
import { readListpack } from './listpack.ts'
import { parseScore, RdbReader } from './rdbReader.ts'
import { type RdbStream, readStream } from './rdbStream.ts'
import { readIntset, readZipmap } from './smallMaps.ts'
import { readZiplist } from './ziplist.ts'

export type RdbValue =
  | { type: 'string'; text: string }
  | { type: 'list'; values: readonly string[] }
  | { type: 'set'; members: readonly string[] }
  | HashValue
  | { type: 'zset'; scores: readonly (readonly [member: string, score: number])[] }
  | RdbStream

interface HashValue {
  type: 'hash'
  entries: readonly (readonly [field: string, value: string])[]
  /** Fields that expire, by when: milliseconds since 1970. */
  expiring: ReadonlyMap<number, readonly string[]>
}

/** Of Redis 7.4; a later one may hold what is not known here. */
const rdbVersionMax = 12
const footerBytes = 10

/** Whether the payload's end says that it is whole, and of a version that can be read. */
export function isSoundPayload(bytes: Uint8Array): boolean {
  const footer = bytes.length - footerBytes
  if (footer < 0) return false
  const reader = new RdbReader(bytes, footer)
  if (reader.u16() > rdbVersionMax) return false
  const { low, high } = crc64(bytes, 0, bytes.length - 8)
  return reader.u32() === low && reader.u32() === high
}

/** Of a sound payload. Throws `FormatError`. */
export function readPayload(bytes: Uint8Array): RdbValue {
  const reader = new RdbReader(bytes, 0, bytes.length - footerBytes)
  const type = reader.u8()
  const read = readers[type]
  if (read === undefined) throw new FormatError(`values of RDB type ${type} can't be read`)
  const value = read(reader)
  if (!reader.atEnd) throw new FormatError('bytes behind a value')
  return value
}

type Read = (reader: RdbReader) => RdbValue

/** Type bytes of `rdb.h` for the plain encodings; of streams that of Redis 7.0. */
export const RdbType = { string: 0, list: 1, set: 2, hash: 4, zset: 5, stream: 19, expiringHash: 24 } as const

/** By the type byte. */
const readers: Readonly<Record<number, Read>> = {
  [RdbType.string]: (reader) => ({ type: 'string', text: reader.string() }),
  [RdbType.list]: (reader) => list(strings(reader, 1)),
  [RdbType.set]: (reader) => set(strings(reader, 1)),
  3: (reader) => sortedSet(scores(reader, () => reader.textScore())),
  [RdbType.hash]: (reader) => hash(strings(reader, 2)),
  [RdbType.zset]: (reader) => sortedSet(scores(reader, () => reader.f64())),
  9: (reader) => hash(readZipmap(reader.blob())),
  10: (reader) => list(readZiplist(reader.blob())),
  11: (reader) => set(readIntset(reader.blob())),
  12: (reader) => sortedSet(textScores(readZiplist(reader.blob()))),
  13: (reader) => hash(readZiplist(reader.blob())),
  14: (reader) => list(nodes(reader, () => readZiplist(reader.blob()))),
  15: (reader) => readStream(reader, { counts: false, activeTimes: false }),
  16: (reader) => hash(readListpack(reader.blob())),
  17: (reader) => sortedSet(textScores(readListpack(reader.blob()))),
  18: (reader) => list(nodes(reader, () => quicklistNode(reader))),
  [RdbType.stream]: (reader) => readStream(reader, { counts: true, activeTimes: false }),
  20: (reader) => set(readListpack(reader.blob())),
  21: (reader) => readStream(reader, { counts: true, activeTimes: true }),
  [RdbType.expiringHash]: (reader) => expiringHash(reader),
  25: (reader) => {
    // The earliest, again.
    reader.skip(8)
    return timedHash(triplesOf(readListpack(reader.blob())))
  },
}

function strings(reader: RdbReader, each: number): string[] {
  const found: string[] = []
  for (let left = reader.count() * each; left > 0; left--) found.push(reader.string())
  return found
}

function scores(reader: RdbReader, readScore: () => number): [string, number][] {
  const found: [string, number][] = []
  for (let left = reader.count(); left > 0; left--) {
    const member = reader.string()
    found.push([member, readScore()])
  }
  return found
}

function nodes(reader: RdbReader, readNode: () => string[]): string[] {
  const found: string[] = []
  for (let left = reader.count(); left > 0; left--) for (const value of readNode()) found.push(value)
  return found
}

const Container = { plain: 1, packed: 2 } as const

function quicklistNode(reader: RdbReader): string[] {
  const container = reader.u8()
  if (container === Container.plain) return [reader.string()]
  if (container === Container.packed) return readListpack(reader.blob())
  throw new FormatError(`list node of form ${container}`)
}

function pairsOf(texts: readonly string[]): [string, string][] {
  if (texts.length % 2 === 1) throw new FormatError('an odd number of texts where pairs are expected')
  const pairs: [string, string][] = []
  for (let at = 0; at < texts.length; at += 2) pairs.push([texts[at] as string, texts[at + 1] as string])
  return pairs
}

const textScores = (texts: readonly string[]): [string, number][] =>
  pairsOf(texts).map(([member, score]) => [member, parseScore(score)])

/** No key of Redis is empty, and no element is there twice. */
function requireDistinct(names: readonly string[]): void {
  if (names.length === 0) throw new FormatError('a value without elements')
  if (new Set(names).size < names.length) throw new FormatError('an element twice')
}

function list(values: string[]): RdbValue {
  if (values.length === 0) throw new FormatError('a value without elements')
  return { type: 'list', values }
}

function set(members: string[]): RdbValue {
  requireDistinct(members)
  return { type: 'set', members }
}

function hash(texts: string[]): RdbValue {
  return timedHash(pairsOf(texts).map(([field, value]) => [field, value, neverMs]))
}

type TimedField = readonly [field: string, value: string, atMs: number]

/** In place of a time. */
const neverMs = 0
/** The latest that this server takes: any that Redis writes is earlier. */
const expireMsMax = 2 ** 49

function timedHash(fields: readonly TimedField[]): RdbValue {
  requireDistinct(fields.map(([field]) => field))
  const timed = fields.filter(([, , atMs]) => atMs !== neverMs)
  if (!timed.every(([, , atMs]) => Number.isInteger(atMs) && atMs > 0 && atMs <= expireMsMax))
    throw new FormatError('a field that expires out of time')
  const expiring = byTime(timed.map(([field, , atMs]) => [field, atMs]))
  return { type: 'hash', entries: fields.map(([field, value]) => [field, value]), expiring }
}

/** Those that expire at the same time together. */
export function byTime(fields: Iterable<readonly [field: string, atMs: number]>): Map<number, string[]> {
  const expiring = new Map<number, string[]>()
  for (const [field, atMs] of fields) {
    const together = expiring.get(atMs)
    if (together === undefined) expiring.set(atMs, [field])
    else together.push(field)
  }
  return expiring
}

/** Of Redis 7.4: the earliest time, then each field behind its time, from there on and plus one. */
function expiringHash(reader: RdbReader): RdbValue {
  const earliestMs = reader.u32() + reader.u32() * 2 ** 32
  const fields: TimedField[] = []
  for (let left = reader.count(); left > 0; left--) {
    const offset = reader.length()
    const field = reader.string()
    fields.push([field, reader.string(), offset === 0 ? neverMs : earliestMs + offset - 1])
  }
  return timedHash(fields)
}

const timeOf = (text: string): number => (/^\d+$/.test(text) ? Number(text) : Number.NaN)

function triplesOf(texts: readonly string[]): TimedField[] {
  if (texts.length % 3 > 0) throw new FormatError('fields without their times')
  const fields: TimedField[] = []
  for (let at = 0; at < texts.length; at += 3)
    fields.push([texts[at] as string, texts[at + 1] as string, timeOf(texts[at + 2] as string)])
  return fields
}

function sortedSet(found: [string, number][]): RdbValue {
  requireDistinct(found.map(([member]) => member))
  if (found.some(([, score]) => Number.isNaN(score))) throw new FormatError('a score that is no number')
  return { type: 'zset', scores: found }
}
