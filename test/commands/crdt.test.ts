import { describe, expect, it } from 'vitest'
import { slotOfKey } from '#protocol/slots/crc16.ts'
import { TestDatabase } from './handlerDatabase.ts'

describe('CRDT SLOT', () => {
  it('tells the slot, who has written in it, and a digest that follows the content', () => {
    const db = new TestDatabase()
    const empty = db.ask('CRDT SLOT k')
    expect(empty).toEqual(['slot', slotOfKey('k'), 'vector', [], 'digest', expect.any(String)])
    db.ask('SET k a')
    const written = db.ask('CRDT SLOT k')
    expect(written).toEqual([
      'slot',
      slotOfKey('k'),
      'vector',
      [1, expect.any(Number)],
      'digest',
      expect.any(String),
    ])
    expect(written).not.toEqual(empty)
    db.ask('GET k')
    expect(db.ask('CRDT SLOT k')).toEqual(written)
  })
})
