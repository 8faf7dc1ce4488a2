/** What an entry says without its state being made is what the state says. */
import { describe, expect, test } from 'vitest'
import { originOfCluster, type Stamp, stampStep } from '#protocol/sync/stamp.ts'
import { emptyVector } from '#protocol/sync/versionVector.ts'
import { KeyState, keepTtl } from '#server/crdt/keyState.ts'
import { EntryTable } from '#server/store/entryTable.ts'

const stampOf = (cluster: number, tick: number): Stamp => tick * stampStep + originOfCluster(cluster)
const nothingSeen = emptyVector()
/** Covers what cluster 1 has written in its first hundred ticks. */
const ownSeen = emptyVector()
ownSeen[originOfCluster(1)] = stampOf(1, 100)

const never = Number.POSITIVE_INFINITY
const atMs = Date.UTC(2026, 0, 1)

/** What is under the key before a TTL is written: each lies in another way. */
const values: Record<string, (state: KeyState) => void> = {
  'a text': (state) => state.setText(nothingSeen, stampOf(1, 1), 'value', never, []),
  'a counter': (state) => state.increment(stampOf(1, 2), stampOf(1, 1), 7),
  'a counter on a text': (state) => {
    state.setText(nothingSeen, stampOf(1, 1), '35', never, [])
    state.increment(stampOf(1, 3), stampOf(1, 2), 7)
  },
  'a counter on a text that left the TTL': (state) => {
    state.setText(nothingSeen, stampOf(1, 1), '35', keepTtl, [])
    state.increment(stampOf(1, 3), stampOf(1, 2), 7)
  },
  'a hash': (state) => state.setField(nothingSeen, stampOf(1, 1), 'field', 'value', []),
  'a set': (state) => state.addMembers(nothingSeen, stampOf(1, 1), ['one', 'two']),
}

/** TTL writes, of the cluster itself and of a peer, which may have seen the value or not. */
const ttls: Record<string, (state: KeyState) => void> = {
  'no TTL': () => undefined,
  'its own TTL': (state) => state.writeTtl(ownSeen, stampOf(1, 50), atMs),
  "a peer's TTL": (state) => state.writeTtl(ownSeen, stampOf(2, 50), atMs),
  'a concurrent TTL': (state) => state.writeTtl(nothingSeen, stampOf(2, 50), atMs),
  PERSIST: (state) => state.writeTtl(ownSeen, stampOf(2, 50), never),
  'two TTLs': (state) => {
    state.writeTtl(ownSeen, stampOf(1, 50), atMs)
    state.writeTtl(nothingSeen, stampOf(2, 50), atMs + 1)
  },
}

function stateWith(value: string, ttl: string): KeyState {
  const state = new KeyState()
  values[value]?.(state)
  ttls[ttl]?.(state)
  return state
}

describe.each(Object.keys(values))('%s', (value) => {
  test.each(Object.keys(ttls))('with %s', (ttl) => {
    const table = new EntryTable(1)
    table.aim('key')
    table.tidy(stateWith(value, ttl))
    const ref = table.find()
    const state = stateWith(value, ttl)
    expect(table.expireAt(ref)).toBe(state.expireAtMs())
    expect(table.expiryOwner(ref)).toBe(state.expiryOwner())
    expect(table.stateOf(ref).ttl).toEqual(state.ttl)
    expect(table.stateOf(ref).string?.shown()).toEqual(state.string?.shown())
    expect(table.typeOf(ref)).toBe(state.visibleType())
  })
})

test('a counter that is added to keeps its TTL', () => {
  const table = new EntryTable(1)
  table.aim('key')
  table.tidy(stateWith('a counter on a text', 'its own TTL'))
  const ref = table.find()
  expect(table.sumWith(ref, 8)).toBe(50)
  table.addToCounter(ref, stampOf(1, 60), 8)
  expect(table.counterText(ref)).toBe('50')
  expect(table.expireAt(ref)).toBe(atMs)
  expect(table.expiryOwner(ref)).toBe(originOfCluster(1))
})
