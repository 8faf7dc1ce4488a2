/** HyperLogLogs: what the comparison with redis-server (`test/compat`) can't tell, and a few facts to look at. */
import { describe, expect, it } from 'vitest'
import { latin1 } from '#runtime/bytes/bytes.ts'
import { selfTest } from '#server/commands/hyperLogLogSelfTest.ts'
import { TestDatabase } from './handlerDatabase.ts'

const notOne = '-WRONGTYPE Key is not a valid HyperLogLog string value.'
const corrupt = '-INVALIDOBJ Corrupted HLL object detected'
const wrongType = '-WRONGTYPE Operation against a key holding the wrong kind of value'

/** A bulk reply with all its bytes. */
function bulk(db: TestDatabase, ...request: string[]): string {
  const reply = latin1(db.raw(...request))
  return reply.slice(reply.indexOf('\r\n') + 2, -2)
}

describe('HyperLogLogs', () => {
  it('count what was added, alone and together', () => {
    const db = new TestDatabase()
    expect(db.ask('PFADD a x y z')).toBe(1)
    expect(db.ask('PFADD a x')).toBe(0)
    expect(db.ask('PFADD b z w')).toBe(1)
    expect(db.ask('PFADD empty')).toBe(1)
    expect(db.ask('PFADD empty')).toBe(0)
    expect(['a', 'b', 'empty', 'none'].map((key) => db.ask(`PFCOUNT ${key}`))).toEqual([3, 2, 0, 0])
    expect(db.ask('PFCOUNT a b none')).toBe(4)
    expect(db.ask('PFMERGE all a b none')).toBe('OK')
    expect(db.ask('PFCOUNT all')).toBe(4)
    expect(db.ask('EXISTS none')).toBe(0)
  })

  it('are looked into', () => {
    const db = new TestDatabase()
    db.ask('PFADD k a b')
    expect(db.ask('PFDEBUG encoding k')).toBe('sparse')
    expect(db.ask('PFDEBUG DECODE k')).toBe('Z:12711 v:2,1 Z:3068 v:1,1 Z:603')
    expect(db.ask('PFDEBUG TODENSE k')).toBe(1)
    expect(db.ask('PFDEBUG TODENSE k')).toBe(0)
    expect(db.ask('PFDEBUG ENCODING k')).toBe('dense')
    expect(db.ask('PFDEBUG DECODE k')).toBe('-ERR HLL encoding is not sparse')
    expect((db.ask('PFDEBUG GETREG k') as number[]).reduce((a, b) => a + b)).toBe(3)
    expect(db.ask('PFDEBUG nosuch k')).toBe("-ERR Unknown PFDEBUG subcommand 'nosuch'")
    expect(db.ask('PFDEBUG DECODE none')).toBe('-ERR The specified key does not exist')
    expect(db.ask('PFSELFTEST')).toBe('OK')
    expect(selfTest()).toBeNull()
  })

  it('are strings to other commands, and stay what they are where they are moved to', () => {
    const db = new TestDatabase()
    db.ask('PFADD k a b')
    const bytes = bulk(db, 'GET', 'k')
    const dumped = bulk(db, 'DUMP', 'k')
    expect(db.ask('COPY k copy')).toBe(1)
    expect(db.ask('RENAME k moved')).toBe('OK')
    expect(db.run('RESTORE', 'restored', '0', dumped)).toBe('OK')
    for (const key of ['copy', 'moved', 'restored']) {
      expect(db.ask(`TYPE ${key}`)).toBe('string')
      expect(db.ask(`OBJECT ENCODING ${key}`)).toBe('raw')
      expect(bulk(db, 'GET', key)).toBe(bytes)
      expect(db.database.keyspace.registers(key)).toBeDefined()
    }
  })

  it('become strings where the bytes are changed to something else', () => {
    const db = new TestDatabase()
    db.ask('PFADD k a b')
    db.ask('EXPIRE k 100')
    expect(db.ask('APPEND k x')).toBe(25)
    expect(db.database.keyspace.registers('k')).toBeUndefined()
    expect(db.ask('TTL k')).toBe(100)
    expect(db.ask('PFCOUNT k')).toBe(corrupt)
    // As in Redis, elements find their place before the damage.
    expect(db.ask('PFADD k c')).toBe(1)
    expect(db.ask('PFADD k c')).toBe(0)
    expect(db.ask('PFMERGE other k')).toBe(corrupt)
    expect(db.ask('EXISTS other')).toBe(0)
    expect(db.ask('INCR k')).toBe('-ERR value is not an integer or out of range')
  })

  it('are no other strings, and no other types', () => {
    const db = new TestDatabase()
    db.ask('SET text abc')
    db.ask('SADD set a')
    for (const command of [
      'PFADD text a',
      'PFCOUNT text',
      'PFMERGE k text',
      'PFMERGE text',
      'PFDEBUG DECODE text',
    ])
      expect(db.ask(command)).toBe(notOne)
    for (const command of ['PFADD set a', 'PFCOUNT none set', 'PFMERGE k set', 'PFDEBUG DECODE set'])
      expect(db.ask(command)).toBe(wrongType)
  })

  it('keep the estimate with the registers, which of a string that only spells one is no write', () => {
    const db = new TestDatabase()
    db.ask('PFADD k a b')
    const outdated = bulk(db, 'GET', 'k')
    db.run('SET', 'text', outdated)
    expect(db.ask('PFCOUNT text')).toBe(2)
    expect(bulk(db, 'GET', 'text')).toBe(outdated)
    expect(db.database.keyspace.registers('text')).toBeUndefined()
    expect(db.ask('PFCOUNT k')).toBe(2)
    expect(bulk(db, 'GET', 'k')).not.toBe(outdated)
  })

  it('go over to dense registers for many elements, and are sent whole when they are merged', () => {
    const db = new TestDatabase()
    const elements = Array.from({ length: 6_000 }, (_, i) => `e${i}`)
    expect(db.run('PFADD', 'many', ...elements)).toBe(1)
    expect(db.ask('PFDEBUG ENCODING many')).toBe('dense')
    expect(db.ask('PFMERGE copy many')).toBe('OK')
    const counted = db.ask('PFCOUNT many')
    expect(db.ask('PFCOUNT copy')).toBe(counted)
    expect(bulk(db, 'GET', 'copy')).toBe(bulk(db, 'GET', 'many'))
  })
})
