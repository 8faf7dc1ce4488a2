/** DUMP payloads by hand: encodings that no Redis of today writes any more, and damage behind a sound checksum. */
import { crc64 } from '#protocol/rdb/crc64.ts'
import { bytesOf, latin1 } from '#runtime/bytes/bytes.ts'
import { ByteWriter } from '#runtime/bytes/byteWriter.ts'

/** `body` with a version and a checksum, as a request holds it. */
export function sealed(body: string, version = 10): string {
  const writer = new ByteWriter()
  writer.raw(bytesOf(body))
  writer.u16(version)
  const { high, low } = crc64(writer.bytes, 0, writer.length)
  writer.u32(low)
  writer.u32(high)
  return latin1(writer.take())
}

const little = (value: number, bytes: number): string => {
  let text = ''
  for (let at = 0; at < bytes; at++) text += String.fromCharCode(Math.floor(value / 2 ** (8 * at)) & 0xff)
  return text
}

const big = (value: number, bytes: number): string => [...little(value, bytes)].reverse().join('')

export const rdbLength = (length: number): string => {
  if (length < 64) return String.fromCharCode(length)
  return length < 16_384 ? big(0x4000 + length, 2) : `\x80${big(length, 4)}`
}

export const rdbText = (text: string): string => rdbLength(text.length) + text

/** Of a ziplist: an integer encoding where `number` is one. */
function ziplistEntry(item: string | number): string {
  if (typeof item === 'number') {
    if (item >= 0 && item <= 12) return String.fromCharCode(0xf1 + item)
    if (item >= -128 && item < 128) return `\xfe${little(item, 1)}`
    if (item >= -(2 ** 15) && item < 2 ** 15) return `\xc0${little(item, 2)}`
    if (item >= -(2 ** 23) && item < 2 ** 23) return `\xf0${little(item, 3)}`
    if (item >= -(2 ** 31) && item < 2 ** 31) return `\xd0${little(item, 4)}`
    return `\xe0${little(item, 4)}${little(Math.floor(item / 2 ** 32), 4)}`
  }
  if (item.length < 64) return String.fromCharCode(item.length) + item
  if (item.length < 16_384) return big(0x4000 + item.length, 2) + item
  return `\x80${big(item.length, 4)}${item}`
}

export function ziplist(items: readonly (string | number)[]): string {
  let body = ''
  let before = 0
  let last = 10
  for (const item of items) {
    last = 10 + body.length
    const entry = (before < 254 ? little(before, 1) : `\xfe${little(before, 4)}`) + ziplistEntry(item)
    body += entry
    before = entry.length
  }
  return `${little(11 + body.length, 4)}${little(last, 4)}${little(items.length, 2)}${body}\xff`
}

export const intset = (width: 2 | 4, values: readonly number[]): string =>
  little(width, 4) + little(values.length, 4) + values.map((value) => little(value, width)).join('')

export function zipmap(pairs: readonly (readonly [string, string])[]): string {
  const length = (text: string): string =>
    text.length < 254 ? little(text.length, 1) : `\xfe${little(text.length, 4)}`
  const body = pairs.map(([field, value]) => `${length(field)}${field}${length(value)}\0${value}`).join('')
  return `${little(pairs.length, 1)}${body}\xff`
}

/** Type byte and value. */
export const rdb = (type: number, ...parts: readonly string[]): string =>
  sealed(String.fromCharCode(type) + parts.join(''))

/** Texts of less than 64 bytes, and integers as 64 bits. */
export function listpack(items: readonly (string | number)[]): string {
  const body = items
    .map((item) => {
      const entry =
        typeof item === 'string'
          ? String.fromCharCode(0x80 | item.length) + item
          : `\xf4${little(item, 4)}${little(Math.floor(item / 2 ** 32), 4)}`
      return entry + little(entry.length, 1)
    })
    .join('')
  return `${little(7 + body.length, 4)}${little(items.length, 2)}${body}\xff`
}

/** A 64-bit number, as times are written. */
export const rdbMilliseconds = (ms: number): string => little(ms, 4) + little(Math.floor(ms / 2 ** 32), 4)
