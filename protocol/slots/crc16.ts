/**
 * The hash slot of a key, as in Redis Cluster: CRC16 (XMODEM: polynomial 0x1021, initial value 0, nothing reflected)
 * of the key modulo 16384. When the key holds `{tag}` with at least one byte between the first `{` and the first `}`
 * behind it, only the tag counts, so that a client can put keys into one slot.
 */
export const slotCount = 16384

const slotMask = slotCount - 1
const openBrace = 0x7b
const closeBrace = 0x7d

/** For who computes another sum in the same pass (`server/store`). */
export const crc16Table = new Uint16Array(256)
for (let byte = 0; byte < 256; byte++) {
  let crc = byte << 8
  for (let bit = 0; bit < 8; bit++) crc = crc & 0x8000 ? (crc << 1) ^ 0x1021 : crc << 1
  crc16Table[byte] = crc
}

/** CRC16/XMODEM of the bytes [start, end). */
export function crc16(bytes: Uint8Array, start: number, end: number): number {
  let crc = 0
  for (let at = start; at < end; at++) {
    crc = ((crc << 8) & 0xffff) ^ (crc16Table[(crc >>> 8) ^ (bytes[at] as number)] as number)
  }
  return crc
}

/** The slot of the key that is the bytes [start, end). */
export function slotOf(bytes: Uint8Array, start: number, end: number): number {
  // The common key has no brace: the search for one runs in the same pass as the checksum.
  let crc = 0
  for (let at = start; at < end; at++) {
    const byte = bytes[at] as number
    if (byte === openBrace) return slotOfTagged(bytes, start, end, at)
    crc = ((crc << 8) & 0xffff) ^ (crc16Table[(crc >>> 8) ^ byte] as number)
  }
  return crc & slotMask
}

function slotOfTagged(bytes: Uint8Array, start: number, end: number, open: number): number {
  let close = open + 1
  while (close < end && bytes[close] !== closeBrace) close++
  const tagged = close < end && close > open + 1
  return (tagged ? crc16(bytes, open + 1, close) : crc16(bytes, start, end)) & slotMask
}

/** The same for a key held as latin1 text. */
export function slotOfKey(key: string): number {
  let crc = 0
  for (let at = 0; at < key.length; at++) {
    const code = key.charCodeAt(at)
    if (code === openBrace) return slotOfTaggedKey(key, at)
    crc = ((crc << 8) & 0xffff) ^ (crc16Table[(crc >>> 8) ^ code] as number)
  }
  return crc & slotMask
}

function slotOfTaggedKey(key: string, open: number): number {
  const close = key.indexOf('}', open + 1)
  const tagged = close > open + 1
  let crc = 0
  for (let at = tagged ? open + 1 : 0, end = tagged ? close : key.length; at < end; at++) {
    crc = ((crc << 8) & 0xffff) ^ (crc16Table[(crc >>> 8) ^ key.charCodeAt(at)] as number)
  }
  return crc & slotMask
}
