/** Which sums are possible when it is not known of some parts whether they are in. */

/** Whether `rest` is the sum of some of `parts`; of more than `exactMax` only the bounds are looked at. */
export const isSumOfSome = (rest: number, parts: readonly number[], exactMax: number): boolean =>
  isSumOfBeginnings(
    rest,
    parts.map((part) => [part]),
    2 ** exactMax,
  )

/** Whether `rest` is the sum of a beginning of each chain; of more than so many ways to choose only the bounds are looked at. */
export function isSumOfBeginnings(
  rest: number,
  chains: readonly (readonly number[])[],
  waysMax: number,
): boolean {
  const total = chains.flat().reduce((sum, part) => sum + part, 0)
  if (rest < 0 || rest > total) return false
  if (chains.reduce((ways, { length }) => ways * (length + 1), 1) > waysMax) return true
  let sums = new Set([0])
  for (const chain of chains) sums = new Set([...sums].flatMap((sum) => beginningsOf(chain, sum)))
  return sums.has(rest)
}

/** With nothing of the chain, with its first part, and so on. */
function beginningsOf(chain: readonly number[], start: number): number[] {
  let sum = start
  return [
    start,
    ...chain.map((part) => {
      sum += part
      return sum
    }),
  ]
}
