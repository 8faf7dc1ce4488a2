/**
 * The hash by which names of keys, fields and members are found: FNV-1a with MurmurHash3's finish, which spreads it over all
 * 32 bits. Signed: an unsigned one wouldn't always be a small integer of the engine.
 *
 * Where names lie differs (a text, bytes, bytes of which another sum is made in the same pass), so whoever has them makes the
 * sum: from `hashStart`, for each byte `Math.imul(sum ^ byte, hashPrime)`, then `hashOfSum`.
 */
export const hashPrime = 0x01000193

/** Who could compute hashes beforehand could send names that all have the same one: `seed` is what they don't know. */
export const hashStart = (seed: number): number => (0x811c9dc5 ^ seed) | 0

export function hashOfSum(sum: number): number {
  let hash = Math.imul(sum ^ (sum >>> 16), 0x85ebca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
  return hash ^ (hash >>> 16)
}
