/**
 * What a DUMP payload holds, whatever encoding a Redis up to 7.2 has written it in:
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
  | { type: 'hash'; entries: readonly (readonly [field: string, value: string])[] }
  | { type: 'zset'; scores: readonly (readonly [member: string, score: number])[] }
  | RdbStream

/** Of Redis 7.2; a later one may hold what is not known here. */
export const rdbVersionMax = 11
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
export const RdbType = { string: 0, list: 1, set: 2, hash: 4, zset: 5, stream: 19 } as const

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
  const entries = pairsOf(texts)
  requireDistinct(entries.map(([field]) => field))
  return { type: 'hash', entries }
}

function sortedSet(found: [string, number][]): RdbValue {
  requireDistinct(found.map(([member]) => member))
  if (found.some(([, score]) => Number.isNaN(score))) throw new FormatError('a score that is no number')
  // -0, which Redis keeps in large sorted sets only, is 0.
  return { type: 'zset', scores: found.map(([member, score]) => [member, score + 0]) }
}
