/** Picking random elements of hashes and sets. */
import type { Random } from '#runtime/ports.ts'

/** A negative count of HRANDFIELD or SRANDMEMBER asks for picks with repetition; the reply must fit into memory. */
export const repeatedPicksMax = 2 ** 20

/** Where elements are picked from. */
export interface Picks {
  readonly size: number
  all(): Iterable<string>
  one(): string
}

/** With so many picks out of the whole, or more, it is cheaper to shuffle everything than to draw until all differ. */
const shuffledShare = 1 / 3

/** `count` different elements, or all when there are fewer. */
export function pickDistinct({ size, all, one }: Picks, count: number, random: Random): string[] {
  if (count >= size) return [...all()]
  if (count >= size * shuffledShare) return shuffledStart([...all()], count, random)
  const picked = new Set<string>()
  while (picked.size < count) picked.add(one())
  return [...picked]
}

/** The first `count` elements after a Fisher-Yates shuffle that goes no further. */
function shuffledStart(elements: string[], count: number, random: Random): string[] {
  for (let i = 0; i < count; i++) {
    const j = i + random.below(elements.length - i)
    const element = elements[i] as string
    elements[i] = elements[j] as string
    elements[j] = element
  }
  elements.length = count
  return elements
}
