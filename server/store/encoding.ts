/**
 * What OBJECT ENCODING says: the names that Redis would give, as a function of the present content. (Redis remembers that
 * a value was once larger; here nothing is stored, and nothing lies in memory by these names.)
 */
import { type Amount, parseInteger } from '#server/crdt/amount.ts'
import type { Ref } from './arena.ts'
import type { EntryTable } from './entryTable.ts'
import type { HashView, ListView, SetView, SortedSetView } from './views.ts'

const embstrBytesMax = 44
const integerBytesMax = 20
const intsetMembersMax = 512
const hashListpackFieldsMax = 512
/** Of sets and sorted sets. */
const listpackEntriesMax = 128
const listpackValueBytesMax = 64
/** `list-max-listpack-size` is -2: 8 KiB. */
const listListpackBytesMax = 8192
/** Total length, count and end mark. */
const listpackFrameBytes = 7

/** Of an entry that is live. */
export function encodingOf(tables: EntryTable, ref: Ref): string {
  const state = tables.state(ref)
  switch (tables.typeOf(ref)) {
    case 'zset':
      return sortedSetEncoding((tables.packedScores(ref) ?? state?.zset) as SortedSetView)
    case 'hash':
      return hashEncoding((tables.packed(ref) ?? state?.hash) as HashView)
    case 'list':
      return listEncoding(tables.listElements(ref) as ListView)
    case 'set':
      return setEncoding((tables.packed(ref) ?? state?.set) as SetView)
    case 'stream':
      return 'stream'
    case 'hll':
      return 'raw'
    default:
      return stringEncoding(tables, ref)
  }
}

function stringEncoding(tables: EntryTable, ref: Ref): string {
  // A long text isn't made a string of for that.
  if (tables.holdsText(ref)) {
    tables.readText(ref)
    if (tables.textEnd - tables.textStart > embstrBytesMax) return 'raw'
  }
  const text = tables.stateOf(ref).string?.shown() ?? ''
  if (text.length <= integerBytesMax && parseInteger(text) !== undefined) return 'int'
  return text.length <= embstrBytesMax ? 'embstr' : 'raw'
}

function hashEncoding(hash: HashView): string {
  if (hash.size > hashListpackFieldsMax) return 'hashtable'
  let expires = false
  for (const [field, value] of hash.entries()) {
    if (field.length > listpackValueBytesMax || value.length > listpackValueBytesMax) return 'hashtable'
    expires ||= hash.expireAtMs(field) !== Number.POSITIVE_INFINITY
  }
  // As of Redis 7.4.
  return expires ? 'listpackex' : 'listpack'
}

function sortedSetEncoding(sortedSet: SortedSetView): string {
  if (sortedSet.size > listpackEntriesMax) return 'skiplist'
  for (const [member] of sortedSet.range(0, sortedSet.size)) {
    if (member.length > listpackValueBytesMax) return 'skiplist'
  }
  return 'listpack'
}

function setEncoding(set: SetView): string {
  let integers = set.size <= intsetMembersMax
  let short = set.size <= listpackEntriesMax
  for (const member of set.size <= intsetMembersMax ? set.members() : []) {
    integers &&= parseInteger(member) !== undefined
    short &&= member.length <= listpackValueBytesMax
    if (!integers && !short) break
  }
  if (integers) return 'intset'
  return short ? 'listpack' : 'hashtable'
}

/** As of Redis 7.2: one listpack up to 8 KiB, however many elements that are. */
function listEncoding(list: ListView): string {
  let bytes = listpackFrameBytes
  for (const value of list.range(0, list.size)) {
    bytes += listpackBytes(value)
    if (bytes > listListpackBytesMax) return 'quicklist'
  }
  return 'listpack'
}

/** Of one entry: how it is encoded, the value, and its length once more for who comes from behind. */
function listpackBytes(value: string): number {
  const integer = value.length <= 20 ? parseInteger(value) : undefined
  const bytes = integer === undefined ? textBytes(value.length) : integerBytes(integer)
  return bytes + (bytes < 128 ? 1 : 2)
}

const textBytes = (length: number): number => length + (length < 64 ? 1 : length < 4096 ? 2 : 5)

function integerBytes(integer: Amount): number {
  if (typeof integer !== 'number') return 9
  if (integer >= 0 && integer < 128) return 1
  for (const [bits, bytes] of [
    [12, 2],
    [15, 3],
    [23, 4],
    [31, 5],
  ] as const)
    if (integer >= -(2 ** bits) && integer < 2 ** bits) return bytes
  return 9
}
