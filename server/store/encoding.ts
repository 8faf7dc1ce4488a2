/**
 * What OBJECT ENCODING says: the names that Redis would give, as a function of the present content. (Redis remembers that
 * a value was once larger; here nothing is stored, and nothing lies in memory by these names.)
 */
import { parseInteger } from '#server/crdt/amount.ts'
import type { HashView, SetView, SortedSetView } from './views.ts'

const embstrBytesMax = 44
const intsetMembersMax = 512
const listpackEntriesMax = 128
const listpackValueBytesMax = 64

export function stringEncoding(text: string): string {
  if (text.length <= 20 && parseInteger(text) !== undefined) return 'int'
  return text.length <= embstrBytesMax ? 'embstr' : 'raw'
}

export function hashEncoding(hash: HashView): string {
  if (hash.size > listpackEntriesMax) return 'hashtable'
  for (const [field, value] of hash.entries()) {
    if (field.length > listpackValueBytesMax || value.length > listpackValueBytesMax) return 'hashtable'
  }
  return 'listpack'
}

export function sortedSetEncoding(sortedSet: SortedSetView): string {
  if (sortedSet.size > listpackEntriesMax) return 'skiplist'
  for (const [member] of sortedSet.range(0, sortedSet.size)) {
    if (member.length > listpackValueBytesMax) return 'skiplist'
  }
  return 'listpack'
}

export function setEncoding(set: SetView): string {
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
