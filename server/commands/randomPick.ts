/** Picking random elements of hashes, sets and sorted sets. */
import { errors, ReplyError } from '#protocol/resp/errors.ts'
import type { Random } from '#runtime/ports.ts'
import type { Arguments } from './arguments.ts'

/** A negative count of HRANDFIELD and its kin asks for picks with repetition; the reply must fit into memory. */
export const repeatedPicksMax = 2 ** 20

/** As elements with what belongs to each: their number must fit 64 bits. */
const pairsMax = (2n ** 63n - 1n) / 2n

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

/** `count` and the word of HRANDFIELD and ZRANDMEMBER, which asks for what belongs to each element, too. */
export function parsePicks(args: Arguments, word: string): { count: number | bigint; paired: boolean } {
  const count = args.symmetric(2)
  const paired = args.count === 4 && args.is(3, word)
  if (args.count > 3 && !paired) throw new ReplyError(errors.syntax)
  if (paired && (count > pairsMax || count < -pairsMax)) throw new ReplyError(errors.outOfRange)
  return { count, paired }
}

/** `count` elements as HRANDFIELD and its kin give them: different ones, or for a negative count any. */
export function pick(picks: Picks, count: number | bigint, random: Random): string[] {
  if (count >= 0) return pickDistinct(picks, Number(count), random)
  if (-repeatedPicksMax > count) throw new ReplyError(errors.outOfRange)
  return Array.from({ length: -Number(count) }, picks.one)
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
