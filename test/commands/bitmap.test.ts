import { describe, expect, it } from 'vitest'
import { bulkBytesMax } from '#protocol/resp/requestScanner.ts'
import { bytesOf, latin1 } from '#runtime/bytes/bytes.ts'
import { type BitOperation, combineBits, countBits, findBit } from '#server/commands/bits.ts'
import { SeededRandom, seedFromEnv } from '#test/seed.ts'
import { TestDatabase } from './handlerDatabase.ts'

/** A string whose bytes are no UTF-8. */
function bytesAt(db: TestDatabase, key: string): string {
  const reply = latin1(db.raw('GET', key))
  return reply.slice(reply.indexOf('\n') + 1, -2)
}

const badOffset = '-ERR bit offset is not an integer or out of range'
const wrongType = '-WRONGTYPE Operation against a key holding the wrong kind of value'

describe('SETBIT and GETBIT', () => {
  it('count bits from the greatest of the first byte, and let the value grow with zeros', () => {
    const db = new TestDatabase()
    expect(db.ask('SETBIT k 0 1')).toBe(0)
    expect(db.ask('SETBIT k 17 1')).toBe(0)
    expect(db.ask('SETBIT k 17 1')).toBe(1)
    expect(bytesAt(db, 'k')).toBe('\x80\x00\x40')
    expect(db.ask('SETBIT k 0 0')).toBe(1)
    expect(bytesAt(db, 'k')).toBe('\x00\x00\x40')
    expect([0, 17, 18, 24, 4_000_000_000].map((bit) => db.ask(`GETBIT k ${bit}`))).toEqual([0, 1, 0, 0, 0])
    expect(db.ask('GETBIT nokey 3')).toBe(0)
    expect(db.ask('SETBIT zeros 9 0')).toBe(0)
    expect(db.ask('GET zeros')).toBe('\x00\x00')
  })

  it('keep the TTL, take a counter for its text, and refuse other types', () => {
    const db = new TestDatabase()
    db.ask('SET k a EX 100')
    db.ask('SETBIT k 6 1')
    expect(db.ask('GET k')).toBe('c')
    expect(db.ask('TTL k')).toBe(100)
    db.ask('INCRBY n 10')
    expect(db.ask('SETBIT n 15 1')).toBe(0)
    expect(db.ask('INCR n')).toBe(12)
    db.ask('SADD s m')
    expect(db.ask('SETBIT s 0 1')).toBe(wrongType)
    expect(db.ask('GETBIT s 99999')).toBe(wrongType)
  })

  it('write nothing that is so already', () => {
    const db = new TestDatabase()
    const touched: string[] = []
    db.database.keyspace.onTouched = (key) => touched.push(key)
    db.ask('SETBIT k 8 0')
    db.ask('SETBIT k 15 0')
    db.ask('BITFIELD k SET u4 0 0 INCRBY i8 8 0')
    expect(touched).toEqual(['k'])
    db.ask('SETBIT k 16 0')
    expect(touched).toEqual(['k', 'k'])
  })

  it('say what is wrong, the offset first', () => {
    const db = new TestDatabase()
    db.ask('SADD s m')
    const bits = String(bulkBytesMax * 8)
    for (const offset of ['-1', 'x', '', '#1', ' 1', '01', bits, '9223372036854775808']) {
      expect(db.run('SETBIT', 's', offset, '7')).toBe(badOffset)
      expect(db.run('GETBIT', 's', offset)).toBe(badOffset)
    }
    for (const bit of ['2', '-1', 'x', '9223372036854775807', '1.0']) {
      expect(db.run('SETBIT', 's', '1', bit)).toBe('-ERR bit is not an integer or out of range')
    }
    expect(db.run('GETBIT', 'k', String(bulkBytesMax * 8 - 1))).toBe(0)
  })

  it('change long values', () => {
    const db = new TestDatabase()
    db.run('SET', 'k', '\xff'.repeat(100_000))
    expect(db.ask('SETBIT k 777777 0')).toBe(1)
    expect(db.ask('SETBIT k 900000 1')).toBe(0)
    expect(db.ask('BITCOUNT k')).toBe(800_000)
    expect(db.ask('BITPOS k 0')).toBe(777_777)
    expect(db.ask('STRLEN k')).toBe(112_501)
  })
})

describe('BITCOUNT and BITPOS', () => {
  it('count in bytes or bits, from either end', () => {
    const db = new TestDatabase()
    db.ask('SET k foobar')
    const counts = [
      '',
      ' 0 0',
      ' 1 1',
      ' 1 1 BYTE',
      ' 5 30 bit',
      ' -2 -1',
      ' -3 -5',
      ' 3 2',
      ' 0 99',
      ' -99 -90',
    ]
    expect(counts.map((range) => db.ask(`BITCOUNT k${range}`))).toEqual([26, 4, 6, 6, 17, 7, 0, 0, 26, 4])
    db.run('SET', 'p', '\xff\xf0\x00')
    expect(db.ask('BITPOS p 0')).toBe(12)
    db.run('SET', 'p', '\x00\xff\xf0')
    const places = ['', ' 0', ' 2', ' 2 -1 BYTE', ' 7 15 BIT', ' 9 -3 BIT', ' 20 20 BIT', ' 5']
    expect(places.map((range) => db.ask(`BITPOS p 1${range}`))).toEqual([8, 8, 16, 16, 8, 9, -1, -1])
  })

  it('take what is behind the end for zeros only when no end is given', () => {
    const db = new TestDatabase()
    db.run('SET', 'ones', '\xff\xff')
    expect(db.ask('BITPOS ones 0')).toBe(16)
    expect(db.ask('BITPOS ones 0 1')).toBe(16)
    expect(db.ask('BITPOS ones 0 0 -1')).toBe(-1)
    expect(db.ask('BITPOS ones 0 2')).toBe(-1)
    expect(db.ask('BITPOS nokey 0')).toBe(0)
    expect(db.ask('BITPOS nokey 1')).toBe(-1)
    db.run('SET', 'empty', '')
    expect(db.ask('BITPOS empty 0')).toBe(-1)
    expect(db.ask('BITCOUNT empty')).toBe(0)
  })

  it('say what is wrong, but not of the range of a key that is not there', () => {
    const db = new TestDatabase()
    db.ask('SET k a')
    const syntax = '-ERR syntax error'
    const notInteger = '-ERR value is not an integer or out of range'
    expect(db.ask('BITCOUNT k 0')).toBe(syntax)
    expect(db.ask('BITCOUNT k 0 1 BITS')).toBe(syntax)
    expect(db.ask('BITCOUNT k 0 1 BIT more')).toBe(syntax)
    expect(db.ask('BITCOUNT k x 1')).toBe(notInteger)
    expect(db.ask('BITCOUNT k 0 x nor')).toBe(notInteger)
    expect(db.ask('BITCOUNT nokey x')).toBe(0)
    expect(db.ask('BITPOS k 2')).toBe('-ERR The bit argument must be 1 or 0.')
    expect(db.ask('BITPOS k x')).toBe(notInteger)
    expect(db.ask('BITPOS k 1 0 x nor')).toBe(syntax)
    expect(db.ask('BITPOS k 1 0 1 BIT more')).toBe(syntax)
    expect(db.ask('BITPOS nokey 0 x')).toBe(0)
    db.ask('SADD s m')
    expect(db.ask('BITCOUNT s')).toBe(wrongType)
    expect(db.ask('BITPOS s 0')).toBe(wrongType)
  })
})

describe('BITOP', () => {
  it('works byte by byte, short strings being zeros behind their end', () => {
    const db = new TestDatabase()
    db.run('MSET', 'a', '\xf0\xff\x01', 'b', '\x3c', 'c', '\xff\x0f')
    const results: unknown[] = []
    for (const words of ['AND to a b', 'or to a b c', 'Xor to a b c nokey', 'NOT to a', 'AND to a nokey']) {
      results.push(db.ask(`BITOP ${words}`), bytesAt(db, 'to'))
    }
    const expected = ['\x30\x00\x00', '\xff\xff\x01', '\x33\xf0\x01', '\x0f\x00\xfe', '\x00\x00\x00']
    expect(results).toEqual(expected.flatMap((text) => [3, text]))
  })

  it('replaces its target, of whatever type, and its TTL; an empty result deletes it', () => {
    const db = new TestDatabase()
    db.ask('SET a x')
    db.ask('SADD to m')
    db.ask('EXPIRE to 100')
    expect(db.ask('BITOP OR to a')).toBe(1)
    expect(db.ask('TTL to')).toBe(-1)
    db.ask('BITOP NOT a a')
    expect(bytesAt(db, 'a')).toBe('\x87')
    expect(db.ask('BITOP AND to nokey nokey2')).toBe(0)
    expect(db.ask('EXISTS to')).toBe(0)
    expect(db.ask('BITOP AND to nokey')).toBe(0)
  })

  it('says what is wrong', () => {
    const db = new TestDatabase()
    db.ask('SADD s m')
    expect(db.ask('BITOP NOT to a b')).toBe('-ERR BITOP NOT must be called with a single source key.')
    expect(db.ask('BITOP NAND to a b')).toBe('-ERR syntax error')
    expect(db.ask('BITOP OR to nokey s')).toBe(wrongType)
    expect(db.ask('EXISTS to')).toBe(0)
  })
})

describe('BITFIELD', () => {
  it('reads, writes and adds in order, each operation seeing those before it', () => {
    const db = new TestDatabase()
    expect(db.ask('BITFIELD k SET u8 0 200 GET i8 0 INCRBY u5 100 1 GET u4 0')).toEqual([0, -56, 1, 12])
    expect(db.ask('STRLEN k')).toBe(14)
    expect(db.ask('BITFIELD k GET u8 #0 GET u5 #20 GET u1 9999')).toEqual([200, 1, 0])
    expect(db.ask('BITFIELD k')).toEqual([])
    expect(db.ask('BITFIELD nokey GET i64 7')).toEqual([0])
    expect(db.ask('EXISTS nokey')).toBe(0)
  })

  it('handles overflow as asked, from that word on', () => {
    const db = new TestDatabase()
    const add = 'INCRBY u2 0 3 INCRBY u2 0 3'
    expect(db.ask(`BITFIELD a ${add}`)).toEqual([3, 2])
    expect(db.ask(`BITFIELD b OVERFLOW SAT ${add} OVERFLOW WRAP INCRBY u2 0 2`)).toEqual([3, 3, 1])
    expect(db.ask(`BITFIELD c OVERFLOW FAIL ${add} SET i4 8 9`)).toEqual([3, null, null])
    expect(db.ask('BITFIELD c GET u2 0')).toEqual([3])
    expect(db.ask('BITFIELD d SET i8 0 127 INCRBY i8 0 1 OVERFLOW SAT INCRBY i8 0 -5 SET u8 8 -1')).toEqual([
      0, -128, -128, 0,
    ])
    expect(db.ask('BITFIELD d GET u8 8')).toEqual([255])
    expect(db.raw3('BITFIELD', 'e', 'OVERFLOW', 'FAIL', 'INCRBY', 'i1', '0', '1')).toBe('*1\r\n_\r\n')
    // As in Redis, the value has grown all the same.
    expect(db.ask('STRLEN e')).toBe(1)
  })

  it('is exact at 64 bits', () => {
    const db = new TestDatabase()
    const max = 2n ** 63n - 1n
    const raw = (...words: string[]) => db.raw3('BITFIELD', 'k', ...words)
    expect(raw('SET', 'i64', '3', `${max}`, 'GET', 'i64', '3')).toBe(`*2\r\n:0\r\n:${max}\r\n`)
    expect(raw('INCRBY', 'i64', '3', '1')).toBe(`*1\r\n:${-max - 1n}\r\n`)
    expect(raw('OVERFLOW', 'SAT', 'INCRBY', 'i64', '3', `${-max}`)).toBe(`*1\r\n:${-max - 1n}\r\n`)
    expect(raw('SET', 'u63', '4', `${max}`, 'GET', 'u63', '4')).toBe(`*2\r\n:0\r\n:${max}\r\n`)
    expect(raw('INCRBY', 'u63', '4', '2', 'GET', 'i64', '3')).toBe(`*2\r\n:1\r\n:${-max}\r\n`)
    expect(raw('GET', 'u1', '2', 'GET', 'u8', '67')).toBe('*2\r\n:0\r\n:0\r\n')
  })

  it('keeps the TTL', () => {
    const db = new TestDatabase()
    db.ask('SET k abc EX 100')
    db.ask('BITFIELD k SET u8 #1 120')
    expect([db.ask('GET k'), db.ask('TTL k')]).toEqual(['axc', 100])
  })

  it('does to fields of a long value, near each other or not, what it does where nothing is patched', () => {
    const random = new SeededRandom(seedFromEnv())
    const [patching, plain] = [
      new TestDatabase(),
      new TestDatabase({ patchedBytesMin: Number.POSITIVE_INFINITY }),
    ]
    const lengthBytes = 200_000
    const offsets = [0, 7, 100, lengthBytes * 4, lengthBytes * 8 - 9, lengthBytes * 8 + 5, lengthBytes * 9]
    const operation = (): string[] => {
      const field = [`${random.pick(['i', 'u'])}${1 + random.below(63)}`, String(random.pick(offsets))]
      const value = String(random.below(2 ** 31))
      return random.pick([
        ['GET', ...field],
        ['SET', ...field, value],
        ['OVERFLOW', random.pick(['SAT', 'FAIL', 'WRAP']), 'INCRBY', ...field, value],
      ])
    }
    for (let round = 0; round < 200; round++) {
      const request =
        round % 20 === 0
          ? ['SETRANGE', 'k', String(lengthBytes - 1), 'x']
          : ['BITFIELD', 'k', ...Array.from({ length: 1 + random.below(4) }, operation).flat()]
      if (round % 50 === 0) for (const db of [patching, plain]) db.ask('DEL k')
      expect(patching.run(...request), request.join(' ')).toEqual(plain.run(...request))
      expect(Buffer.compare(patching.raw('GET', 'k'), plain.raw('GET', 'k')), request.join(' ')).toBe(0)
    }
  })

  it('says what is wrong before it does anything', () => {
    const db = new TestDatabase()
    db.ask('SADD s m')
    const set = 'BITFIELD k SET u8 0 1'
    const badType =
      '-ERR Invalid bitfield type. Use something like i16 u8. Note that u64 is not supported but i64 is.'
    for (const type of ['u64', 'i65', 'u0', 'i', '8', 'I8', 'u08', 'u-1', 'u8x']) {
      expect(db.ask(`${set} GET ${type} 0`)).toBe(badType)
    }
    expect(db.run('BITFIELD', 'k', 'GET', 'u8\0x', '0')).toEqual([0])
    for (const offset of ['-1', '#-1', '#', 'x', '4294967296', '#99999999999', '9223372036854775807']) {
      expect(db.ask(`${set} GET u8 ${offset}`)).toBe(badOffset)
    }
    expect(db.ask(`BITFIELD k SET u8 ${bulkBytesMax * 8 - 1} 1`)).toBe(badOffset)
    expect(db.ask(`BITFIELD k GET u8 ${bulkBytesMax * 8 - 1}`)).toEqual([0])
    expect(db.ask(`${set} OVERFLOW NONE`)).toBe('-ERR Invalid OVERFLOW type specified')
    for (const words of ['OVERFLOW', 'GET u8', 'SET u8 0', 'INCRBY u8 0', 'PUT u8 0 1']) {
      expect(db.ask(`${set} ${words}`)).toBe('-ERR syntax error')
    }
    expect(db.ask(`${set} SET u8 0 x`)).toBe('-ERR value is not an integer or out of range')
    expect(db.ask('EXISTS k')).toBe(0)
    expect(db.ask('BITFIELD s')).toBe(wrongType)
    expect(db.ask('BITFIELD s SET u8 0 1')).toBe(wrongType)
    expect(db.ask('BITFIELD_RO s GET u8 0')).toBe(wrongType)
    expect(db.ask('BITFIELD_RO s SET u8 0 1')).toBe('-ERR BITFIELD_RO only supports the GET subcommand')
    expect(db.ask('BITFIELD_RO s OVERFLOW FAIL')).toBe(wrongType)
  })
})

describe('bits of long strings', () => {
  const random = new SeededRandom(seedFromEnv())
  const bitAt = (bytes: Uint8Array, bit: number): number =>
    ((bytes[bit >> 3] as number) >> (7 - (bit & 7))) & 1

  /** At any alignment; mostly one byte again and again, so that something is passed over. */
  function someBytes(): Uint8Array {
    const start = random.below(9)
    const bytes = new Uint8Array(start + random.below(80)).subarray(start)
    bytes.fill(random.pick([0, 0, 0xff, 0xff, 0x55]))
    for (let changes = random.below(3); changes > 0 && bytes.length > 0; changes--)
      bytes[random.below(bytes.length)] = random.below(256)
    return bytes
  }

  it('are counted and found as one by one', () => {
    for (let round = 0; round < 20_000; round++) {
      const bytes = someBytes()
      const bits = Array.from({ length: bytes.length * 8 }, (_, bit) => bitAt(bytes, bit))
      if (bits.length === 0) continue
      const first = random.below(bits.length)
      const last = first + random.below(bits.length - first)
      const range = bits.slice(first, last + 1)
      expect(countBits(bytes, first, last)).toBe(range.filter((bit) => bit === 1).length)
      for (const bit of [0, 1] as const) {
        const found = range.indexOf(bit)
        expect(findBit(bytes, bit, first, last)).toBe(found < 0 ? -1 : first + found)
      }
    }
    expect(countBits(bytesOf('\xff'), 1, 0)).toBe(0)
    expect(findBit(bytesOf('\xff'), 1, 1, 0)).toBe(-1)
  })

  it('are combined as one by one', () => {
    const rules: Readonly<Record<BitOperation, (bytes: number[]) => number>> = {
      AND: (bytes) => bytes.reduce((a, b) => a & b),
      OR: (bytes) => bytes.reduce((a, b) => a | b),
      XOR: (bytes) => bytes.reduce((a, b) => a ^ b),
      NOT: ([byte = 0]) => ~byte & 0xff,
    }
    for (let round = 0; round < 2000; round++) {
      const operation = random.pick(['AND', 'OR', 'XOR', 'NOT'] as const)
      const operands = Array.from({ length: operation === 'NOT' ? 1 : 1 + random.below(4) }, someBytes)
      const length = Math.max(...operands.map((each) => each.length))
      const expected = Array.from({ length }, (_, at) =>
        rules[operation](operands.map((each) => each[at] ?? 0)),
      )
      expect([...combineBits(operation, operands)]).toEqual(expected)
    }
    const [long, short] = [
      new Uint8Array(40_001).fill(0xf0),
      new Uint8Array(40_003).subarray(3, 20_002).fill(0x3c),
    ]
    for (const [operation, byte] of [
      ['AND', 0x30],
      ['OR', 0xfc],
      ['XOR', 0xcc],
    ] as const) {
      const expected = new Uint8Array(40_001).fill(operation === 'AND' ? 0 : 0xf0).fill(byte, 0, 19_999)
      for (const operands of [
        [long, short],
        [short, long],
      ])
        expect(Uint8Array.from(combineBits(operation, operands))).toEqual(expected)
    }
  })
})
