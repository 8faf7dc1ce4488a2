/** A value outside the keyspace: what RENAME, COPY and RESTORE put in the place of another. */
import { EventClass } from '#protocol/pubsub/keyspaceEvents.ts'
import { byTime, type RdbValue } from '#protocol/rdb/rdbValue.ts'
import type { Keyspace } from '#server/store/keyspace.ts'
import type { Transaction } from '#server/store/transaction.ts'
import type { HashView } from '#server/store/views.ts'
import { takeStream, writeStream } from './streamValue.ts'

const never = Number.POSITIVE_INFINITY

export type KeyValue = RdbValue | HyperLogLogValue

/** To a payload it is a string; where it is copied to it stays a HyperLogLog. */
interface HyperLogLogValue {
  type: 'string'
  text: string
  isHyperLogLog: true
}

/** The value of a key that is there. A copy: views are live, and the key may be deleted before the value is written. */
export function takeValue(db: Keyspace, key: string): KeyValue {
  switch (db.type(key)) {
    case 'hash':
      return hashValue(db.hash(key))
    case 'set':
      return { type: 'set', members: [...(db.set(key)?.members() ?? [])] }
    case 'zset': {
      const sortedSet = db.sortedSet(key)
      return { type: 'zset', scores: [...(sortedSet?.range(0, sortedSet.size) ?? [])] }
    }
    case 'list': {
      const list = db.list(key)
      return { type: 'list', values: [...(list?.range(0, list.size) ?? [])] }
    }
    case 'stream':
      return takeStream(db, key)
    default: {
      const text = db.string(key) ?? ''
      return db.registers(key) === undefined
        ? { type: 'string', text }
        : { type: 'string', text, isHyperLogLog: true }
    }
  }
}

function hashValue(hash: HashView | undefined): RdbValue {
  const timed: [field: string, atMs: number][] = []
  for (const field of hash?.fields() ?? []) {
    const atMs = hash?.expireAtMs(field) ?? never
    if (atMs !== never) timed.push([field, atMs])
  }
  return { type: 'hash', entries: [...(hash?.entries() ?? [])], expiring: byTime(timed) }
}

/** In place of what is there, whatever its type; `atMs` is Infinity for no TTL. */
export function writeValue(
  db: Keyspace,
  write: Transaction,
  key: string,
  value: KeyValue,
  atMs: number,
): void {
  if (value.type === 'string' && !('isHyperLogLog' in value)) {
    // As what was there goes first: the key is a new one.
    if (db.events.classes !== 0 && db.has(key)) db.events.note(EventClass.created, 'new', key)
    write.setString(key, value.text, atMs === never ? { kind: 'clear' } : { kind: 'at', atMs })
    return
  }
  write.delete(key)
  writeElements(db, write, key, value)
  if (atMs !== never) write.expire(key, atMs)
}

type Elements = Exclude<KeyValue, { type: 'string' }> | HyperLogLogValue

function writeElements(db: Keyspace, write: Transaction, key: string, value: Elements): void {
  switch (value.type) {
    case 'string':
      write.hllPut(key, value.text)
      return
    case 'hash':
      for (const [field, text] of value.entries) write.hashSet(key, field, text)
      for (const [atMs, fields] of value.expiring) write.hashExpire(key, fields, atMs)
      return
    case 'set':
      write.setAdd(key, value.members)
      return
    case 'zset':
      // There is one zero.
      for (const [member, score] of value.scores) write.zsetAdd(key, member, score + 0)
      return
    case 'list':
      write.listPush(key, 'right', value.values)
      return
    case 'stream':
      writeStream(db, write, key, value)
      return
  }
}
