/**
 * A map from text to values that grows without pauses and can be scanned in steps, in place of one large `Map`: a `Map`
 * of millions stops for a second when it rehashes, ends at 2^24 entries, and can't be entered at a position.
 *
 * Extendible hashing (Fagin et al. 1979) over buckets that are `Map`s. A bucket of depth d holds one interval of 2^(32-d)
 * hashes; the directory, indexed by the hash's upper bits, names the bucket of each interval. A full bucket is cut in two
 * halves; nothing else moves. Up to `bucketMax` entries there is one `Map` and no hash is computed.
 *
 * A scan's position is a hash. A step visits the whole bucket that the position lies in and goes on at the end of its
 * interval. Cutting and joining buckets never moves an entry to another hash, so whatever stays during a scan is met.
 *
 * The hash isn't keyed: who crafts colliding texts gets one large bucket (a depth limit keeps the directory in
 * proportion), which costs smooth growth and short scan steps, not lookups: those are the `Map`'s.
 */
import type { Random } from '#runtime/ports.ts'

/** A bucket is cut above this. Also the most that one scan step visits beyond its count. */
export const bucketMax = 512
const hashes = 2 ** 32
/** How much deeper a bucket may lie than if hashes were spread evenly. */
const unevenDepthMax = 4

interface Bucket<V> {
  readonly map: Map<string, V>
  depth: number
  /** The least hash of its interval. */
  first: number
}

/** Spread over 32 bits (FNV-1a with MurmurHash3's finish). */
export function hashOf(text: string): number {
  let hash = 0x811c9dc5
  for (let at = 0; at < text.length; at++) hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193)
  hash ^= hash >>> 16
  hash = Math.imul(hash, 0x85ebca6b)
  hash ^= hash >>> 13
  hash = Math.imul(hash, 0xc2b2ae35)
  return (hash ^ (hash >>> 16)) >>> 0
}

/** A get and the set behind it ask for one text's hash. */
let hashedText = ''
let hashOfHashed = hashOf('')

function hashOfKey(key: string): number {
  if (key !== hashedText) {
    hashedText = key
    hashOfHashed = hashOf(key)
  }
  return hashOfHashed
}

export class Dictionary<V> {
  /** All entries while there is no directory. */
  #root: Map<string, V> = new Map()
  #directory: Bucket<V>[] | undefined = undefined
  /** The directory's length is 2 ** bits. */
  #bits = 0
  #size = 0

  get size(): number {
    return this.#directory === undefined ? this.#root.size : this.#size
  }

  get(key: string): V | undefined {
    return this.#directory === undefined ? this.#root.get(key) : this.#bucketAt(hashOfKey(key)).map.get(key)
  }

  has(key: string): boolean {
    return this.#directory === undefined ? this.#root.has(key) : this.#bucketAt(hashOfKey(key)).map.has(key)
  }

  set(key: string, value: V): void {
    if (this.#directory === undefined) {
      this.#root.set(key, value)
      if (this.#root.size > bucketMax) this.#grow()
      return
    }
    const bucket = this.#bucketAt(hashOfKey(key))
    const before = bucket.map.size
    bucket.map.set(key, value)
    if (bucket.map.size === before) return
    this.#size++
    if (before >= bucketMax) this.#cut(bucket)
  }

  delete(key: string): boolean {
    if (this.#directory === undefined) return this.#root.delete(key)
    if (!this.#bucketAt(hashOfKey(key)).map.delete(key)) return false
    this.#size--
    if (this.#size < bucketMax / 4) this.#join()
    return true
  }

  clear(): void {
    this.#root = new Map()
    this.#directory = undefined
    this.#bits = 0
    this.#size = 0
  }

  /** Entries may be deleted by `visit`, but not added. */
  forEach(visit: (value: V, key: string) => void): void {
    if (this.#directory === undefined) this.#root.forEach(visit)
    // A list of its own: deletions may join the buckets meanwhile, which leaves their maps as they were.
    else for (const bucket of [...this.#buckets()]) bucket.map.forEach(visit)
  }

  *entries(): IterableIterator<[string, V]> {
    if (this.#directory === undefined) yield* this.#root.entries()
    else for (const bucket of this.#buckets()) yield* bucket.map.entries()
  }

  *keys(): IterableIterator<string> {
    if (this.#directory === undefined) yield* this.#root.keys()
    else for (const bucket of this.#buckets()) yield* bucket.map.keys()
  }

  /** Visits about `count` entries from `position` on; returns where to go on, 0 at the end. `visit` must not write. */
  scan(position: number, count: number, visit: (value: V, key: string) => void): number {
    if (this.#directory === undefined) {
      this.#root.forEach(visit)
      return 0
    }
    let at = position
    let visited = 0
    while (at < hashes) {
      const bucket = this.#bucketAt(at)
      bucket.map.forEach(visit)
      visited += bucket.map.size
      at = bucket.first + hashes / 2 ** bucket.depth
      if (visited >= count) break
    }
    return at < hashes ? at : 0
  }

  /** Every entry is about equally likely; undefined when empty. */
  randomKey(random: Random): string | undefined {
    if (this.size === 0) return undefined
    let map = this.#root
    if (this.#directory !== undefined) {
      // A bucket is met as often as its interval is wide, and so is each of its entries, up to the noise of hashing.
      do map = this.#bucketAt(random.below(hashes)).map
      while (map.size === 0)
    }
    let skip = random.below(map.size)
    for (const key of map.keys()) if (skip-- === 0) return key
    return undefined
  }

  #bucketAt(hash: number): Bucket<V> {
    const directory = this.#directory as Bucket<V>[]
    return directory[this.#bits === 0 ? 0 : hash >>> (32 - this.#bits)] as Bucket<V>
  }

  *#buckets(): IterableIterator<Bucket<V>> {
    const directory = this.#directory as Bucket<V>[]
    for (let at = 0; at < directory.length; ) {
      const bucket = directory[at] as Bucket<V>
      yield bucket
      at += 2 ** (this.#bits - bucket.depth)
    }
  }

  #grow(): void {
    const bucket: Bucket<V> = { map: this.#root, depth: 0, first: 0 }
    this.#size = this.#root.size
    this.#root = new Map()
    this.#bits = 0
    this.#directory = [bucket]
    this.#cut(bucket)
  }

  #cut(bucket: Bucket<V>): void {
    if (bucket.depth >= Math.min(28, Math.ceil(Math.log2(this.#size / bucketMax)) + unevenDepthMax)) return
    if (bucket.depth === this.#bits) this.#double()
    const directory = this.#directory as Bucket<V>[]
    const half = hashes / 2 ** (bucket.depth + 1)
    const upper: Bucket<V> = { map: new Map(), depth: bucket.depth + 1, first: bucket.first + half }
    bucket.depth++
    for (const [key, value] of bucket.map) {
      if (hashOf(key) < upper.first) continue
      bucket.map.delete(key)
      upper.map.set(key, value)
    }
    const width = 2 ** (this.#bits - upper.depth)
    const start = upper.first / (hashes / 2 ** this.#bits)
    for (let at = start; at < start + width; at++) directory[at] = upper
  }

  #double(): void {
    const doubled: Bucket<V>[] = []
    for (const bucket of this.#directory as Bucket<V>[]) doubled.push(bucket, bucket)
    this.#directory = doubled
    this.#bits++
  }

  /** Back to one map when few are left. */
  #join(): void {
    const root = new Map<string, V>()
    this.forEach((value, key) => {
      root.set(key, value)
    })
    this.clear()
    this.#root = root
  }
}
