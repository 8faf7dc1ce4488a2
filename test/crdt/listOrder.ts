/**
 * Ids of list elements as the design tells them, step by step, for the history to judge by; none of the production code. The
 * second model check (rule D9) is where it comes from.
 */
import { originOf, type Stamp } from '#protocol/sync/stamp.ts'

export interface Step {
  side: number
  key: number
  offset: number
}

export type Path = readonly Step[]

export interface Run {
  path: Path
  key: number
  least: number
  greatest: number
}

const shallow = 4

/** The time of the stamp, then the cluster id: 8 minus the origin. */
export const keyOf = (stamp: Stamp): number => stamp - originOf(stamp) + (8 - originOf(stamp))

export const pushedPath = (side: 'left' | 'right', stamp: Stamp, number: number): Path => [
  side === 'right'
    ? { side: 1, key: keyOf(stamp), offset: number }
    : { side: -1, key: -keyOf(stamp), offset: 0 - number },
]

const compareSteps = (a: Step, b: Step): number => a.side - b.side || a.key - b.key || a.offset - b.offset

export function comparePaths(a: Path, b: Path): number {
  for (const [at, step] of a.entries()) {
    const other = b[at]
    // b is at an end: a goes on, to the left of it or to the right.
    if (other === undefined) return step.side
    const difference = compareSteps(step, other)
    if (difference !== 0) return difference
  }
  const next = b[a.length]
  return next === undefined ? 0 : -next.side
}

export const isStrictlyBetween = (left: Path | undefined, path: Path, right: Path | undefined): boolean =>
  (left === undefined || comparePaths(left, path) < 0) &&
  (right === undefined || comparePaths(path, right) < 0)

const isInRightSubtree = (left: Path, right: Path): boolean =>
  right.length > left.length &&
  left.every((step, at) => compareSteps(step, right[at] as Step) === 0) &&
  (right[left.length] as Step).side === 1

export function pathBetween(
  left: Path | undefined,
  right: Path | undefined,
  key: number,
  run: Run | undefined,
): Path {
  if (right === undefined) return [{ side: 1, key, offset: 0 }]
  if (left === undefined) return [{ side: -1, key: -key, offset: 0 }]
  const last = run?.path.at(-1)
  if (run !== undefined && last !== undefined && run.path.length <= shallow) {
    for (const [neighbour, offset] of [
      [left, run.greatest + 1],
      [right, run.least - 1],
    ] as const) {
      if (comparePaths(neighbour, run.path) !== 0) continue
      const path = [...run.path.slice(0, -1), { ...last, offset }]
      if (isStrictlyBetween(left, path, right)) return path
    }
  }
  const child = isInRightSubtree(left, right)
    ? [...right, { side: -1, key, offset: 0 }]
    : [...left, { side: 1, key, offset: 0 }]
  if (child.length <= shallow) return child
  for (let level = 0; level < child.length - 1; level++) {
    const [r, l] = [right[level], left[level]]
    const siblings: Path[] = []
    if (r !== undefined) siblings.push([...right.slice(0, level), { side: r.side, key: -key, offset: 0 }])
    if (l !== undefined) siblings.push([...left.slice(0, level), { side: l.side, key, offset: 0 }])
    for (const path of siblings) if (isStrictlyBetween(left, path, right)) return path
  }
  return child
}

export function runWith(run: Run | undefined, path: Path): Run {
  const { key, offset } = path.at(-1) as Step
  if (run === undefined || run.key !== key || run.path.length !== path.length)
    return { path, key, least: offset, greatest: offset }
  return { path, key, least: Math.min(run.least, offset), greatest: Math.max(run.greatest, offset) }
}

/** As the production code has them: the numbers of all steps in a row. */
export const flat = (path: Path): number[] => path.flatMap(({ side, key, offset }) => [side, key, offset])

export function pathOf(numbers: readonly number[]): Path {
  const path: Step[] = []
  for (let at = 0; at < numbers.length; at += 3)
    path.push({
      side: numbers[at] as number,
      key: numbers[at + 1] as number,
      offset: numbers[at + 2] as number,
    })
  return path
}

/** The same name for the same path only. */
export const nameOf = (path: Path): string => JSON.stringify(flat(path))
export const pathNamed = (name: string): Path => pathOf(JSON.parse(name) as number[])
