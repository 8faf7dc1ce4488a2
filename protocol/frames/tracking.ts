/**
 * What proxies and shards tell each other for clients that keep copies of what they read (CLIENT TRACKING).
 *
 * A shard that has news for clients of a proxy sends a frame `invalidated`, in order with its replies:
 *
 *     read       1 u8 | key text | session u32 ...             these clients have read the key, and it has changed
 *     changed    2 u8 | (key text | writer u32) ...            keys that begin with one of the proxy's prefixes; 0: no client
 *                                                              of this proxy that has said who it is wrote it last
 *     flushed    3 u8                                          everything has changed
 *
 * Which prefixes the clients of a proxy have, and which of its clients are gone, is in `admin` frames (`tracking`, see
 * `admin.ts`), where they are latin1 text.
 */
import { ByteReader, FormatError } from '#runtime/bytes/byteReader.ts'
import { ByteWriter } from '#runtime/bytes/byteWriter.ts'
import { isJsonObject } from '#runtime/jsonObject.ts'

/** No client. */
export const noSession = 0

export interface ChangedKey {
  key: string
  /** The client of the proxy that wrote it last, if it has said who it is. */
  writer: number
}

export type Invalidated =
  | { what: 'read'; key: string; sessions: readonly number[] }
  | { what: 'changed'; keys: readonly ChangedKey[] }
  | { what: 'flushed' }

export interface TrackedPrefix {
  prefix: string
  /** A client of the proxy has it. */
  isWanted: boolean
}

export interface TrackingChange {
  prefixes: readonly TrackedPrefix[]
  /** Sessions that have ended. */
  gone: readonly number[]
}

const readCode = 1
const changedCode = 2
const flushedCode = 3

export function invalidatedPayload(invalidated: Invalidated): Uint8Array {
  const writer = new ByteWriter(64)
  switch (invalidated.what) {
    case 'read':
      writer.u8(readCode)
      writer.text(invalidated.key)
      for (const session of invalidated.sessions) writer.u32(session)
      break
    case 'changed':
      writer.u8(changedCode)
      for (const { key, writer: session } of invalidated.keys) {
        writer.text(key)
        writer.u32(session)
      }
      break
    case 'flushed':
      writer.u8(flushedCode)
  }
  return writer.take()
}

/** Throws `FormatError` when it is none. */
export function readInvalidated(bytes: Uint8Array, start: number, end: number): Invalidated {
  const reader = new ByteReader(bytes, start, end)
  const code = reader.u8()
  switch (code) {
    case readCode: {
      const key = reader.text()
      const sessions: number[] = []
      while (!reader.atEnd) sessions.push(reader.u32())
      return { what: 'read', key, sessions }
    }
    case changedCode: {
      const keys: ChangedKey[] = []
      while (!reader.atEnd) keys.push({ key: reader.text(), writer: reader.u32() })
      return { what: 'changed', keys }
    }
    case flushedCode:
      return { what: 'flushed' }
    default:
      throw new FormatError(`an invalidation of kind ${code}`)
  }
}

/** What a question tells; null: it is another, or makes no sense. */
export function readTrackingChange(question: unknown): TrackingChange | null {
  if (!isJsonObject(question) || question['what'] !== 'tracking') return null
  const { prefixes, gone } = question
  if (!Array.isArray(prefixes) || !prefixes.every(isTrackedPrefix)) return null
  if (!Array.isArray(gone) || !gone.every((session) => Number.isSafeInteger(session))) return null
  return { prefixes, gone }
}

const isTrackedPrefix = (value: unknown): value is TrackedPrefix =>
  isJsonObject(value) && typeof value['prefix'] === 'string' && typeof value['isWanted'] === 'boolean'
