/** Axes: round numbers to mark them with. Pure. */

/** From 0 to `max` or a little beyond, four to eight marks at 1, 2 or 5 times a power of ten. */
export function linearTicks(max: number): number[] {
  if (!(max > 0)) return [0, 1]
  const rough = max / 5
  const power = 10 ** Math.floor(Math.log10(rough))
  const step = ([1, 2, 5].find((factor) => factor * power >= rough) ?? 10) * power
  const count = Math.ceil(max / step - 1e-9)
  // Multiplied, not summed: sums of tenths drift.
  return Array.from({ length: count + 1 }, (_, i) => Number((i * step).toPrecision(12)))
}
