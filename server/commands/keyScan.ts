/**
 * Finding keys. A SCAN cursor is `slot + 16384 * position in the slot`: slots are scanned in ascending order, and a shard
 * that comes to a slot it doesn't own answers with that slot as the cursor, which leads to the slot's owner. So a scan
 * needs no memory anywhere and survives a slot's move.
 */

import { globMatches, matchesAll } from '#protocol/commands/globPattern.ts'
import { slotCount } from '#protocol/slots/crc16.ts'
import type { Keyspace } from '#server/store/keyspace.ts'
import type { Handler } from './context.ts'
import { cursorBehindEnd, parseCursor, parseScanOptions, replyWithScan } from './scanOptions.ts'

/** Of `Keyspace.scan`. */
const positionMax = 2 ** 32

export const SCAN: Handler = ({ args, db, reply }) => {
  const cursor = parseCursor(args.text(1))
  const { count, matches, type } = parseScanOptions(args, 2, true)
  const found: string[] = []
  const next = scanSlots(db, cursor, count, (key) => {
    if (matches(key) && (type === undefined || db.type(key) === type)) found.push(key)
  })
  replyWithScan(reply, next, found)
}

/** Returns the cursor to go on with, 0 behind the last slot. */
function scanSlots(db: Keyspace, cursor: number, count: number, visit: (key: string) => void): number {
  if (cursor === cursorBehindEnd) return 0
  let slot = cursor % slotCount
  let position = Math.min(Math.floor(cursor / slotCount), positionMax)
  let left = count
  const visitCounted = (key: string): void => {
    left--
    visit(key)
  }
  const range = db.ranges.find(({ first, last }) => first <= slot && slot <= last)
  for (; range !== undefined && slot <= range.last; slot++) {
    if (left <= 0) return slot + slotCount * position
    if (db.slotSize(slot) > 0) {
      position = db.scan(slot, position, left, visitCounted)
      if (position > 0) return slot + slotCount * position
    }
    position = 0
  }
  return slot % slotCount
}

export const KEYS: Handler = ({ args, db, reply }) => {
  const pattern = args.text(1)
  const all = matchesAll(pattern)
  const found: string[] = []
  for (const slot of db.occupiedSlots()) {
    for (const key of db.keysInSlot(slot)) if (all || globMatches(pattern, key)) found.push(key)
  }
  reply.bulks(found)
}

export const RANDOMKEY: Handler = ({ db, reply, random }) => {
  const key = db.randomKey(random)
  if (key === undefined) reply.null()
  else reply.bulk(key)
}
