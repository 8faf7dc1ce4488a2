/**
 * DW, delete-wins: a payload that joins (registers that rise, a consumer group) and no dots in it, which is what makes it cheap. So
 * a delete can't tell what it saw from what it didn't, and takes all: of adds and a delete that don't know of each other,
 * the delete wins.
 *
 *     live adds := adds that have every delete in their past
 *
 * What makes this a function of the set of operations, whatever their order:
 *
 * - Every delete leaves its stamp, the greatest of each origin. An add whose context lacks one of them comes to nothing.
 * - A delete clears the payload.
 * - Of two states that are merged, the one whose vector lacks a delete stamp of the other is void: none of its adds can have
 *   seen that delete, while those of the other side all have.
 *
 * A delete stamp is forgotten when every member has acknowledged it: then every add that lacks it has been applied here, for
 * nothing. What could still bring such an add is a state that was cut before. So a slot keeps a floor, what was forgotten in
 * it (`server/store/deleteFloors.ts`), and the floor goes with the slot's states (rules D6, A5).
 */
import { readStamp } from '#protocol/sync/record.ts'
import { originOf, type Stamp } from '#protocol/sync/stamp.ts'
import { covers, type VersionVector } from '#protocol/sync/versionVector.ts'
import { type ByteReader, FormatError } from '#runtime/bytes/byteReader.ts'
import type { ByteWriter } from '#runtime/bytes/byteWriter.ts'
import { readCount } from './stateCodec.ts'

/** The latest delete of each origin that has one, in no order. Never changed in place; shared when empty. */
export type DeleteStamps = readonly Stamp[]

export const noDeletes: DeleteStamps = []

export function withDelete(deletes: DeleteStamps, stamp: Stamp): DeleteStamps {
  const origin = originOf(stamp)
  const same = deletes.find((other) => originOf(other) === origin)
  if (same === undefined) return [...deletes, stamp]
  return same >= stamp ? deletes : deletes.map((other) => (other === same ? stamp : other))
}

/** Whether an add counts: it has seen every delete, its own command's included. */
export const maySurvive = (context: VersionVector, stamp: Stamp, deletes: DeleteStamps): boolean =>
  deletes.every((other) => other === stamp || covers(context, other))

/** Whether a side of a merge counts. */
export const seesDeletes = (vector: VersionVector, deletes: DeleteStamps): boolean =>
  deletes.every((stamp) => covers(vector, stamp))

export const mergeDeletes = (a: DeleteStamps, b: DeleteStamps): DeleteStamps => b.reduce(withDelete, a)

/** Those that must be kept. */
export function withoutForgotten(deletes: DeleteStamps, mayForget: (stamp: Stamp) => boolean): DeleteStamps {
  if (deletes.length === 0) return deletes
  const left = deletes.filter((stamp) => !mayForget(stamp))
  return left.length === 0 ? noDeletes : left
}

export function writeDeletes(writer: ByteWriter, deletes: DeleteStamps): void {
  writer.u8(deletes.length)
  for (const stamp of [...deletes].sort((a, b) => a - b)) writer.f64(stamp)
}

export function readDeletes(reader: ByteReader): DeleteStamps {
  let deletes = noDeletes
  for (let count = readCount(reader); count > 0; count--) {
    const stamp = readStamp(reader)
    if (deletes.some((other) => originOf(other) === originOf(stamp)))
      throw new FormatError('two delete stamps of one origin')
    deletes = [...deletes, stamp]
  }
  return deletes
}

/** One payload and its deletes. A payload is live from its first add on, even if that added nothing. */
export class DeleteWins<P> {
  payload: P | undefined = undefined
  /** The greatest stamp of an add in the payload (rule B4); 0 without one. */
  greatest: Stamp = 0
  deletes: DeleteStamps = noDeletes

  get live(): boolean {
    return this.payload !== undefined
  }

  /** Neither value nor residue. */
  get nothing(): boolean {
    return this.payload === undefined && this.deletes.length === 0
  }

  /** `join` gets what is there, if anything is, and gives what the add makes of it. */
  add(context: VersionVector, stamp: Stamp, join: (payload: P | undefined) => P): void {
    if (!maySurvive(context, stamp, this.deletes)) return
    this.payload = join(this.payload)
    if (stamp > this.greatest) this.greatest = stamp
  }

  delete(stamp: Stamp): void {
    this.deletes = withDelete(this.deletes, stamp)
    this.clear()
  }

  /** What is here has been deleted elsewhere. */
  clear(): void {
    this.payload = undefined
    this.greatest = 0
  }

  /** Joins `other`, labelled `label`, into this, which `own` labels. `join` may use up the second payload. */
  merge(own: VersionVector, other: DeleteWins<P>, label: VersionVector, join: (a: P, b: P) => P): void {
    const theirs = seesDeletes(label, this.deletes) ? other.payload : undefined
    if (!seesDeletes(own, other.deletes)) this.clear()
    this.deletes = mergeDeletes(this.deletes, other.deletes)
    if (theirs === undefined) return
    this.payload = this.payload === undefined ? theirs : join(this.payload, theirs)
    if (other.greatest > this.greatest) this.greatest = other.greatest
  }

  /** Returns whether some deletes are left. */
  forget(mayForget: (stamp: Stamp) => boolean): boolean {
    this.deletes = withoutForgotten(this.deletes, mayForget)
    return this.deletes.length > 0
  }
}
