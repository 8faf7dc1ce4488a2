/** Many figures made one. */

export function sum<T>(items: readonly T[], figure: (item: T) => number): number {
  return items.reduce((total, item) => total + figure(item), 0)
}

/** At least 0. `Math.max` with very many arguments overflows the stack. */
export function greatest<T>(items: readonly T[], figure: (item: T) => number): number {
  return items.reduce((most, item) => Math.max(most, figure(item)), 0)
}
