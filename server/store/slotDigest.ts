/**
 * Digest of a slot for convergence checks: equal at two replicas when what shows and what is hidden (concurrent siblings,
 * dots, counter entries, TTL writes) are equal. Left out is what replicas may forget at different times: baselines of
 * fully reset counter entries, which operation reset an entry, and keys that hold only residues.
 *
 * Elements are hashed one by one and the hashes added up, so that the order they lie in doesn't matter.
 */
import { ByteWriter } from '#runtime/bytes/byteWriter.ts'
import { writeAmount } from '#server/crdt/amount.ts'
import { amountOf } from '#server/crdt/counter.ts'
import { ranked } from '#server/crdt/elementHash.ts'
import type { KeyState } from '#server/crdt/keyState.ts'
import { writeId } from '#server/crdt/listId.ts'
import type { Siblings } from '#server/crdt/register.ts'
import { partOf, restOf, type Score } from '#server/crdt/score.ts'
import { writeExpireAt } from '#server/crdt/stateCodec.ts'
import type { Strnum } from '#server/crdt/strnum.ts'
import type { Ref } from './arena.ts'
import type { SlotTables } from './slotTables.ts'

class Sum {
  #low = 0
  #high = 0

  /** cyrb53: two 32-bit lanes of multiply and rotate. */
  add(bytes: Uint8Array, length: number): void {
    let low = 0xdeadbeef
    let high = 0x41c6ce57
    for (let at = 0; at < length; at++) {
      const byte = bytes[at] as number
      low = Math.imul(low ^ byte, 2654435761)
      high = Math.imul(high ^ byte, 1597334677)
    }
    low = Math.imul(low ^ (low >>> 16), 2246822507) ^ Math.imul(high ^ (high >>> 13), 3266489909)
    high = Math.imul(high ^ (high >>> 16), 2246822507) ^ Math.imul(low ^ (low >>> 13), 3266489909)
    this.#low = (this.#low + low) >>> 0
    this.#high = (this.#high + high) >>> 0
  }

  toString(): string {
    return this.#high.toString(16).padStart(8, '0') + this.#low.toString(16).padStart(8, '0')
  }
}

/** What an element is, so that equal bytes of different meaning differ. */
const Part = {
  string: 1,
  field: 2,
  member: 3,
  ttl: 4,
  score: 5,
  element: 6,
  fieldTtl: 7,
  registers: 8,
  stream: 9,
} as const

export function slotDigest(tables: SlotTables, slot: number): string {
  const sum = new Sum()
  tables.index.forEach(slot, (ref) => {
    if (tables.isLive(ref)) addKey(sum, tables.nameOf(ref), tables.stateOf(ref))
  })
  return sum.toString()
}

/** The same of one key, which is live. */
export function keyDigest(tables: SlotTables, ref: Ref): string {
  const sum = new Sum()
  addKey(sum, tables.nameOf(ref), tables.stateOf(ref))
  return sum.toString()
}

const scratch = new ByteWriter()

function begin(part: number, name: string): void {
  scratch.clear()
  scratch.u8(part)
  scratch.text(name)
}

function addKey(sum: Sum, name: string, state: KeyState): void {
  if (state.string?.live) {
    begin(Part.string, name)
    writeValue(state.string)
    sum.add(scratch.bytes, scratch.length)
  }
  state.hash?.digest((field, value, ttl) => {
    begin(Part.field, name)
    scratch.text(field)
    writeValue(value)
    sum.add(scratch.bytes, scratch.length)
    for (const write of ttl) {
      begin(Part.fieldTtl, name)
      scratch.text(field)
      scratch.f64(write.stamp)
      writeExpireAt(scratch, write.expireAtMs)
      sum.add(scratch.bytes, scratch.length)
    }
  })
  state.set?.digest((member, dots) => {
    begin(Part.member, name)
    scratch.text(member)
    for (const dot of dots) scratch.f64(dot)
    sum.add(scratch.bytes, scratch.length)
  })
  state.zset?.digest((member, score) => {
    begin(Part.score, name)
    scratch.text(member)
    writeScore(score)
    sum.add(scratch.bytes, scratch.length)
  })
  state.list?.digest((id, siblings) => {
    begin(Part.element, name)
    writeId(scratch, id)
    writeSiblings(siblings)
    sum.add(scratch.bytes, scratch.length)
  })
  state.stream?.digest((write) => {
    begin(Part.stream, name)
    write(scratch)
    sum.add(scratch.bytes, scratch.length)
  })
  const registers = state.hll?.payload
  if (registers !== undefined) {
    begin(Part.registers, name)
    scratch.f64(state.hll?.greatest ?? 0)
    registers.eachRank((index, rank) => scratch.varint(ranked(index, rank)))
    sum.add(scratch.bytes, scratch.length)
  }
  for (const write of state.ttl) {
    begin(Part.ttl, name)
    scratch.f64(write.stamp)
    writeExpireAt(scratch, write.expireAtMs)
    sum.add(scratch.bytes, scratch.length)
  }
}

function writeSiblings(siblings: Siblings): void {
  for (const sibling of siblings) {
    scratch.f64(sibling.stamp)
    scratch.u8(sibling.ttlApart ? 1 : 0)
    scratch.text(sibling.text)
  }
}

function writeValue(value: Strnum): void {
  writeSiblings(value.siblings)
  for (const entry of value.entries) {
    if (!entry.live) continue
    scratch.f64(entry.last)
    scratch.f64(entry.from)
    writeAmount(scratch, entry.sum)
    writeAmount(scratch, amountOf(entry))
  }
}

function writeScore({ siblings, entries }: Score): void {
  for (const { stamp, tag, score } of siblings) {
    scratch.f64(stamp)
    scratch.u8(tag)
    scratch.f64(score)
  }
  for (const entry of entries) {
    if (!entry.live) continue
    scratch.f64(entry.last)
    scratch.f64(entry.from)
    scratch.f64(entry.sum)
    scratch.f64(partOf(entry))
    scratch.f64(restOf(entry))
  }
}
