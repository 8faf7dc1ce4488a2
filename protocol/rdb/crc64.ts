/**
 * CRC-64 as Redis puts it at the end of a DUMP payload: the Jones polynomial 0xad93d23594c935a9, bits reflected, initial
 * value 0, nothing inverted. A 64-bit value is two 32-bit halves here: BigInt arithmetic would be a hundred times slower.
 */

/** The polynomial with its bits in reverse order. */
const polynomialHigh = 0x95ac9329
const polynomialLow = 0xac4bc9b5

const tableHigh = new Int32Array(256)
const tableLow = new Int32Array(256)
for (let byte = 0; byte < 256; byte++) {
  let high = 0
  let low = byte
  for (let bit = 0; bit < 8; bit++) {
    const carry = low & 1
    low = (low >>> 1) | (high << 31)
    high >>>= 1
    if (carry) {
      high ^= polynomialHigh
      low ^= polynomialLow
    }
  }
  tableHigh[byte] = high
  tableLow[byte] = low
}

/** Halves of the CRC-64 of the bytes [start, end), each 0..2^32-1. */
export function crc64(bytes: Uint8Array, start: number, end: number): { high: number; low: number } {
  let high = 0
  let low = 0
  for (let at = start; at < end; at++) {
    const index = (low ^ (bytes[at] as number)) & 0xff
    low = (low >>> 8) ^ (high << 24) ^ (tableLow[index] as number)
    high = (high >>> 8) ^ (tableHigh[index] as number)
  }
  return { high: high >>> 0, low: low >>> 0 }
}
