/**
 * REG, a last-writer-wins register with observed remove (`DESIGN.md`). The state is the set of writes that no write or
 * delete has covered yet: one normally, up to one an origin after concurrent writes. The greatest stamp shows.
 *
 * A write that loses is not dropped on arrival: a delete that saw only the winner would then leave the loser visible
 * where it was kept and nothing where it was not.
 */
import type { Stamp } from '#protocol/sync/stamp.ts'
import { covers, type VersionVector } from '#protocol/sync/versionVector.ts'

/** Of a text: as long as an argument may be, `bulkBytesMax`. */
export const textBytesMax: number = 2 ** 29 - 24

export class Sibling {
  readonly stamp: Stamp
  readonly text: string
  /**
   * Whether the write left the TTL, of the key or of the field, to explicit TTL siblings. False: the sibling is itself the
   * TTL write "none" (see `ttl.ts`).
   */
  ttlApart: boolean

  constructor(stamp: Stamp, text: string, ttlApart: boolean) {
    this.stamp = stamp
    this.text = text
    this.ttlApart = ttlApart
  }
}

/** A text or a score (`score.ts`) that was written at `stamp`. */
export interface Write {
  readonly stamp: Stamp
}

/** Ascending by stamp, so that the last one shows. Never changed in place: shared when empty. */
export type Siblings<W extends Write = Sibling> = readonly W[]

export const noSiblings: Siblings<never> = []

export const withoutCovered = <W extends Write>(
  siblings: Siblings<W>,
  context: VersionVector,
): Siblings<W> =>
  siblings.length === 0 ? siblings : siblings.filter((sibling) => !covers(context, sibling.stamp))

export function withSibling<W extends Write>(siblings: Siblings<W>, added: W): Siblings<W> {
  const at = siblings.findIndex((sibling) => sibling.stamp >= added.stamp)
  if (at < 0) return [...siblings, added]
  // The same write again, by a second path: nothing changes.
  if ((siblings[at] as W).stamp === added.stamp) return siblings
  return [...siblings.slice(0, at), added, ...siblings.slice(at)]
}

/** Kept: what both have (joined), and what only one has and the other's context doesn't cover. */
export function mergeSiblings<W extends Write>(
  a: Siblings<W>,
  aContext: VersionVector,
  b: Siblings<W>,
  bContext: VersionVector,
  join: (a: W, b: W) => W,
): Siblings<W> {
  if (a.length === 0 && b.length === 0) return noSiblings
  const merged: W[] = []
  for (const sibling of a) {
    const twin = b.find((other) => other.stamp === sibling.stamp)
    if (twin !== undefined) merged.push(join(sibling, twin))
    else if (!covers(bContext, sibling.stamp)) merged.push(sibling)
  }
  for (const sibling of b) {
    const inBoth = a.some((other) => other.stamp === sibling.stamp)
    if (!inBoth && !covers(aContext, sibling.stamp)) merged.push(sibling)
  }
  return merged.sort((x, y) => x.stamp - y.stamp)
}
