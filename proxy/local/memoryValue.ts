/** Amounts of memory as Redis's settings have them: `64mb`, `1000k`, `1g`. */
import { kibibyte } from '#config/units.ts'

const memoryUnits: Readonly<Record<string, number>> = {
  '': 1,
  b: 1,
  k: 1000,
  kb: kibibyte,
  m: 1000 ** 2,
  mb: kibibyte ** 2,
  g: 1000 ** 3,
  gb: kibibyte ** 3,
}

/** Null: it is none. */
export function parseMemory(text: string): number | null {
  const [, digits = '', unit = ''] = /^([0-9]{1,15})([a-z]{0,2})$/.exec(text.toLowerCase()) ?? []
  const scale = memoryUnits[unit]
  return digits === '' || scale === undefined ? null : Number(digits) * scale
}
