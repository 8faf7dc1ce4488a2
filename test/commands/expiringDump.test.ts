/** DUMP and RESTORE of hashes whose fields expire: the formats of Redis 7.4 (`rdb.c`), which no redis-server here can check. */
import { describe, expect, it } from 'vitest'
import { readPayload } from '#protocol/rdb/rdbValue.ts'
import { bytesOf, latin1 } from '#runtime/bytes/bytes.ts'
import { TestDatabase } from './handlerDatabase.ts'
import { listpack, rdbLength, rdbMilliseconds, rdbText, sealed } from './payloads.ts'

const second = 1000

/** The payload, without the bulk's header and end. */
function dumped(db: TestDatabase, key: string): string {
  const reply = latin1(db.raw('DUMP', key))
  return reply.slice(reply.indexOf('\r\n') + 2, -2)
}

const times = (db: TestDatabase, key: string, ...fields: string[]) =>
  db.run('HPEXPIRETIME', key, 'FIELDS', String(fields.length), ...fields)

describe('a hash with fields that expire', () => {
  it('comes back with its times', () => {
    const db = new TestDatabase()
    db.ask('HSET h a 1 b two c 3 d 4')
    db.ask('HEXPIRE h 100 FIELDS 2 a b')
    db.ask('HPEXPIRE h 5000000000 FIELDS 1 c')
    const before = times(db, 'h', 'a', 'b', 'c', 'd')
    expect(db.run('RESTORE', 'copy', '0', dumped(db, 'h'))).toBe('OK')
    expect(db.ask('HGETALL copy')).toEqual(db.ask('HGETALL h'))
    expect(times(db, 'copy', 'a', 'b', 'c', 'd')).toEqual(before)
    expect(db.ask('OBJECT ENCODING copy')).toBe('listpackex')
    db.nowMs += 101 * second
    expect(db.ask('HKEYS copy')).toEqual(['c', 'd'])
  })

  it('is written as 7.4 reads it: the earliest time, then each field behind its distance from there', () => {
    const db = new TestDatabase()
    db.ask('HSET h a 1')
    db.ask('HPEXPIRE h 300 FIELDS 1 a')
    const pair = `${rdbText('a')}\xc0\x01`
    expect(dumped(db, 'h')).toBe(sealed(`\x18${rdbMilliseconds(db.nowMs + 300)}\x01\x01${pair}`, 12))
    db.ask('HSET h b 2')
    expect(dumped(db, 'h')).toContain(`\x00${rdbText('b')}\xc0\x02`)
    db.ask('HDEL h b')
    db.ask('HPERSIST h FIELDS 1 a')
    // Whoever reads 7.0 gets what it knows.
    expect(dumped(db, 'h')).toBe(sealed(`\x04\x01${pair}`, 10))
    expect(db.ask('OBJECT ENCODING h')).toBe('listpack')
  })

  it('may be far apart', () => {
    const db = new TestDatabase()
    db.ask('HSET h a 1 b 2')
    db.ask('HPEXPIRE h 1000 FIELDS 1 a')
    db.ask('HPEXPIREAT h 562949953421312 FIELDS 1 b')
    expect(db.run('RESTORE', 'copy', '0', dumped(db, 'h'))).toBe('OK')
    expect(times(db, 'copy', 'a', 'b')).toEqual([db.nowMs + 1000, 562949953421312])
  })

  const db = new TestDatabase()
  const late = db.nowMs + 60 * second
  const table = (...fields: readonly string[]) => `\x18${rdbMilliseconds(late)}\x02${fields.join('')}`
  const packed = (...items: readonly (string | number)[]) =>
    `\x19${rdbMilliseconds(late)}${rdbText(listpack(items))}`

  it.each([
    [
      'a table',
      table(`\x01${rdbText('f')}${rdbText('v')}`, `${rdbLength(5001)}${rdbText('g')}${rdbText('w')}`),
    ],
    ['a listpack', packed('f', 'v', late, 'g', 'w', late + 5000)],
  ])('is read from %s', (_, body) => {
    expect(db.run('RESTORE', 'r', '0', sealed(body, 12), 'REPLACE')).toBe('OK')
    expect(db.ask('HGETALL r')).toEqual(['f', 'v', 'g', 'w'])
    expect(times(db, 'r', 'f', 'g')).toEqual([late, late + 5000])
  })

  it('loses the fields whose time is over, and itself with the last', () => {
    const past = db.nowMs - 1
    expect(db.run('RESTORE', 'r', '0', sealed(packed('f', 'v', past, 'g', 'w', 0), 12), 'REPLACE')).toBe('OK')
    expect(db.ask('HGETALL r')).toEqual(['g', 'w'])
    expect(db.run('RESTORE', 'r', '0', sealed(packed('f', 'v', past), 12), 'REPLACE')).toBe('OK')
    expect(db.ask('EXISTS r')).toBe(0)
  })

  it.each([
    ['a field twice', packed('f', 'v', late, 'f', 'w', 0)],
    ['a field without a time', packed('f', 'v', late, 'g', 'w')],
    ['a time that is a text', packed('f', 'v', 'x')],
    ['a time that is nothing', packed('f', 'v', '')],
    ['a negative time', packed('f', 'v', -5)],
    ['a time beyond all', `\x18${'\xff'.repeat(8)}\x01\x01${rdbText('f')}${rdbText('v')}`],
    ['no fields', `\x18${rdbMilliseconds(late)}\x00`],
    ['fewer fields than it says', `\x18${rdbMilliseconds(late)}\x03\x00${rdbText('f')}${rdbText('v')}`],
    ['the form of before 7.4.0', `\x16\x01\x00${rdbText('f')}${rdbText('v')}`],
    ['no end', `\x18${rdbMilliseconds(late).slice(0, 5)}`],
  ])('is refused with %s', (_, body) => {
    expect(db.run('RESTORE', 'bad', '0', sealed(body, 12))).toBe('-ERR Bad data format')
  })

  it('is refused in a version that is not known', () => {
    const body = packed('f', 'v', late)
    expect(db.run('RESTORE', 'bad', '0', sealed(body, 13))).toBe(
      '-ERR DUMP payload version or checksum are wrong',
    )
    expect(readPayload(bytesOf(sealed(body, 12))).type).toBe('hash')
  })
})
