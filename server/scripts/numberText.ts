/** Numbers in the words of C's `printf`. */

/** `%.17g` and its kin: at most so many significant digits, no zeros behind the last one that matters. */
export function generalText(value: number, digits: number): string {
  if (Number.isInteger(value) && Math.abs(value) < 1e14 && digits >= 14 && !Object.is(value, -0))
    return value.toString()
  // The bits of 0/0 have their sign set on the machines that Redis runs on.
  if (Number.isNaN(value)) return '-nan'
  if (!Number.isFinite(value)) return value > 0 ? 'inf' : '-inf'
  if (value === 0) return Object.is(value, -0) ? '-0' : '0'
  const [figures, exponent] = rounded(Math.abs(value), digits)
  const sign = value < 0 ? '-' : ''
  if (exponent >= digits || exponent < -4) {
    const power = Math.abs(exponent).toString().padStart(2, '0')
    return `${sign}${pointed(figures, 1)}e${exponent < 0 ? '-' : '+'}${power}`
  }
  if (exponent >= 0) return sign + pointed(figures, exponent + 1)
  return sign + pointed('0'.repeat(-exponent) + figures, 1)
}

/** Of what lies half-way JavaScript takes the greater, C the even one. */
function rounded(value: number, digits: number): [figures: string, exponent: number] {
  const [next] = figuresOf(value, digits)
  if (next.endsWith('5') && (next.charCodeAt(digits - 1) & 1) === 0) {
    const [all, exponent] = figuresOf(value, digits + exactDigits)
    if (/^50*$/.test(all.slice(digits))) return [all.slice(0, digits), exponent]
  }
  return figuresOf(value, digits - 1)
}

/** One digit before the point, and so many behind it. */
function figuresOf(value: number, behind: number): [figures: string, exponent: number] {
  const [mantissa = '', exponent = '0'] = value.toExponential(behind).split('e')
  return [mantissa.replace('.', ''), Number(exponent)]
}

/** So many further digits tell whether a number lies half-way. */
const exactDigits = 60

function pointed(figures: string, before: number): string {
  const behind = figures.slice(before).replace(/0+$/, '')
  return behind === '' ? figures.slice(0, before) : `${figures.slice(0, before)}.${behind}`
}
