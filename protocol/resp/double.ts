/**
 * A double as Redis 7.2 prints it (`d2string` with `fpconv_dtoa`): the shortest digits that read back as the same number,
 * integers without a point, powers of ten only where they are far away.
 */
export function doubleText(value: number): string {
  if (Number.isNaN(value)) return 'nan'
  if (value === Infinity) return 'inf'
  if (value === -Infinity) return '-inf'
  if (value === 0) return Object.is(value, -0) ? '-0' : '0'
  if (Number.isInteger(value) && Math.abs(value) <= 2 ** 52) return value.toString()
  return value < 0 ? `-${spell(-value)}` : spell(value)
}

function spell(value: number): string {
  // `d.ddde±x`: the shortest digits, and the exponent of the first one.
  const [mantissa = '', power = ''] = value.toExponential().split('e')
  const digits = mantissa.replace('.', '')
  const leading = Number(power)
  /** Exponent of the last digit. */
  const trailing = leading - digits.length + 1
  if (trailing >= 0 && Math.abs(leading) < digits.length + 7) return digits + '0'.repeat(trailing)
  if (trailing < 0 && (trailing > -7 || Math.abs(leading) < 4)) {
    const point = digits.length + trailing
    if (point > 0) return `${digits.slice(0, point)}.${digits.slice(point)}`
    return `0.${'0'.repeat(-point)}${digits}`
  }
  const fraction = digits.length > 1 ? `.${digits.slice(1)}` : ''
  return `${digits[0]}${fraction}e${leading < 0 ? '-' : '+'}${Math.abs(leading)}`
}
