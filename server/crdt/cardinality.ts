/**
 * How many elements the ranks of a HyperLogLog's registers stand for: Otmar Ertl, "New cardinality estimation algorithms for
 * HyperLogLog sketches" (2017), with the corrections for small and large numbers, and rounded as Redis rounds it.
 */
import { rankBits } from './elementHash.ts'
import { registerCount } from './sparseRegisters.ts'

/** 1 / (2 ln 2) */
const alpha = 0.7213475204444817

/** `registers[r]`: how many registers have the rank r. */
export function cardinality(registers: ArrayLike<number>): number {
  const m = registerCount
  let z = m * tau((m - (registers[rankBits + 1] as number)) / m)
  for (let rank = rankBits; rank >= 1; rank--) {
    z += registers[rank] as number
    z *= 0.5
  }
  z += m * sigma((registers[0] as number) / m)
  return Math.round((alpha * m * m) / z)
}

function sigma(share: number): number {
  if (share === 1) return Number.POSITIVE_INFINITY
  let x = share
  let y = 1
  let z = x
  for (let before = Number.NaN; before !== z; ) {
    x *= x
    before = z
    z += x * y
    y += y
  }
  return z
}

function tau(share: number): number {
  if (share === 0 || share === 1) return 0
  let x = share
  let y = 1
  let z = 1 - x
  for (let before = Number.NaN; before !== z; ) {
    x = Math.sqrt(x)
    before = z
    y *= 0.5
    z -= (1 - x) ** 2 * y
  }
  return z / 3
}
