/**
 * Small values as bytes of their key's entry: `count u16`, then the elements, as long as each is one write in no conflict. They
 * are searched from the first to the last, which up to `packedElementsMax` is about as fast as a look-up, and take a third of the
 * memory of objects. What is larger or not as simple is a state on the heap (`server/crdt`).
 */
import type { Stamp } from '#protocol/sync/stamp.ts'
import { covers, type VersionVector } from '#protocol/sync/versionVector.ts'
import type { ByteWriter } from '#runtime/bytes/byteWriter.ts'

export const packedElementsMax = 64
export const packedBytesMax = 1024

/** What may be packed. */
export interface PackLimits {
  elementsMax: number
  bytesMax: number
}

export const packLimits: PackLimits = { elementsMax: packedElementsMax, bytesMax: packedBytesMax }
/** A state that lies on the heap is packed when it is well below the limits, not each time it crosses them. */
export const repackLimits: PackLimits = { elementsMax: packedElementsMax / 2, bytesMax: packedBytesMax / 2 }

const countBytes = 2

/** The elements that lie at [start, end) of `bytes`: a view, good until the next write. */
export abstract class PackedValue {
  protected readonly bytes: Uint8Array
  protected readonly start: number
  protected readonly end: number

  /** Without a place: nothing, to begin with. */
  constructor(bytes: Uint8Array = new Uint8Array(countBytes), start = 0, end = countBytes) {
    this.bytes = bytes
    this.start = start
    this.end = end
  }

  get size(): number {
    return (this.bytes[this.start] as number) | ((this.bytes[this.start + 1] as number) << 8)
  }

  /** Whether `context` covers every element. */
  coveredBy(context: VersionVector): boolean {
    for (let at = this.first; at < this.end; ) {
      at = this.read(at)
      if (!covers(context, this.stamp)) return false
    }
    return true
  }

  /** Where the first element begins. */
  protected get first(): number {
    return this.start + countBytes
  }

  /** Returns where the next one begins. */
  protected abstract read(at: number): number

  /** Of the element that was read last. */
  protected abstract get stamp(): Stamp

  /** Reads the element at a position below `size`. */
  protected readAt(position: number): void {
    let at = this.first
    for (let skip = position; skip >= 0; skip--) at = this.read(at)
  }

  /** Writes to `into` the same without those that `isNamed`, asked of the one read last, and that `context` covers. */
  protected writeRest(into: ByteWriter, context: VersionVector, isNamed: () => boolean): void {
    let count = 0
    into.clear()
    into.u16(0)
    for (let at = this.first; at < this.end; ) {
      const next = this.read(at)
      if (!isNamed() || !covers(context, this.stamp)) {
        into.raw(this.bytes, at, next)
        count++
      }
      at = next
    }
    into.bytes[0] = count
  }
}

/**
 * Writes `size` elements to `into` by `writeElements`, which is false when one of them isn't simple. False: they aren't small
 * and simple.
 */
export function pack(
  into: ByteWriter,
  size: number,
  limits: PackLimits,
  writeElements: () => boolean,
): boolean {
  if (size === 0 || size > limits.elementsMax) return false
  into.clear()
  into.u16(size)
  return writeElements() && into.length <= limits.bytesMax
}
