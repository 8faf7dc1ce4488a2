const pattern = /^(?:0|-?[1-9][0-9]{0,18})$/
const integer64Max = 2n ** 63n - 1n
const integer64Min = -(2n ** 63n)

/** A 64-bit integer in the one form that Redis takes for an integer: no plus sign, space or leading zero. Null: it is none. */
export function parseInteger64(text: string): bigint | null {
  if (!pattern.test(text)) return null
  const value = BigInt(text)
  return value > integer64Max || value < integer64Min ? null : value
}
