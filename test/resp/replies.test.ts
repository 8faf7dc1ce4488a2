import fc from 'fast-check'
import RedisParser from 'redis-parser'
import { describe, expect, test } from 'vitest'
import { doubleText } from '#protocol/resp/double.ts'
import { errors } from '#protocol/resp/errors.ts'
import { integerReply, isErrorReply, replyElements, replyEnd } from '#protocol/resp/replyScanner.ts'
import { ReplyWriter, replyBytesKept } from '#protocol/resp/replyWriter.ts'
import { FormatError } from '#runtime/bytes/byteReader.ts'
import { bytesOf, latin1 } from '#runtime/bytes/bytes.ts'
import { SeededRandom, seedFromEnv } from '#test/seed.ts'

type Reply =
  | { kind: 'simple' | 'error' | 'bulk'; text: string }
  | { kind: 'integer'; value: number }
  | { kind: 'null' | 'nullArray' | 'ok' }
  | { kind: 'boolean'; value: boolean }
  | { kind: 'double'; value: number }
  | { kind: 'verbatim'; text: string }
  | { kind: 'bigNumber'; value: bigint | string }
  | { kind: 'array' | 'set' | 'push'; items: Reply[] }
  | { kind: 'map'; pairs: [Reply, Reply][] }

const binary = fc.array(fc.nat(255), { maxLength: 50 }).map((codes) => String.fromCharCode(...codes))
const line = binary.map((text) => text.replace(/[\r\n]/g, ''))

const { reply: anyReply } = fc.letrec<{ reply: Reply }>((tie) => ({
  reply: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    fc.record({ kind: fc.constantFrom('simple' as const, 'error' as const), text: line }),
    fc.record({ kind: fc.constant('bulk' as const), text: binary }),
    fc.record({ kind: fc.constant('integer' as const), value: fc.maxSafeInteger() }),
    fc.record({ kind: fc.constantFrom('null' as const, 'nullArray' as const, 'ok' as const) }),
    fc.record({ kind: fc.constant('boolean' as const), value: fc.boolean() }),
    fc.record({ kind: fc.constant('double' as const), value: fc.double() }),
    fc.record({ kind: fc.constant('verbatim' as const), text: binary }),
    fc.record({ kind: fc.constant('bigNumber' as const), value: fc.bigInt() }),
    fc.record({
      kind: fc.constantFrom('array' as const, 'set' as const, 'push' as const),
      items: fc.array(tie('reply'), { maxLength: 5 }),
    }),
    fc.record({
      kind: fc.constant('map' as const),
      pairs: fc.array(fc.tuple(tie('reply'), tie('reply')), { maxLength: 4 }),
    }),
  ),
}))

function write(writer: ReplyWriter, reply: Reply): void {
  switch (reply.kind) {
    case 'ok':
    case 'null':
    case 'nullArray':
      writer[reply.kind]()
      return
    case 'simple':
    case 'error':
    case 'bulk':
      writer[reply.kind](reply.text)
      return
    case 'integer':
      writer.integer(reply.value)
      return
    case 'boolean':
      writer.boolean(reply.value)
      return
    case 'double':
      writer.double(reply.value)
      return
    case 'verbatim':
      writer.verbatim('txt', reply.text)
      return
    case 'bigNumber':
      writer.bigNumber(reply.value)
      return
    case 'map':
      writer.map(reply.pairs.length)
      for (const [key, value] of reply.pairs) {
        write(writer, key)
        write(writer, value)
      }
      return
    default:
      writer[reply.kind](reply.items.length)
      for (const item of reply.items) write(writer, item)
  }
}

/** What a RESP2 client understands. */
function expectedInResp2(reply: Reply): unknown {
  switch (reply.kind) {
    case 'ok':
      return 'OK'
    case 'null':
    case 'nullArray':
      return null
    case 'simple':
    case 'bulk':
    case 'verbatim':
      return reply.text
    case 'error':
      // redis-parser reads errors as UTF-8.
      return new Error(Buffer.from(reply.text, 'latin1').toString('utf8'))
    case 'integer':
      return reply.value === 0 ? 0 : reply.value
    case 'boolean':
      return reply.value ? 1 : 0
    case 'double':
      return doubleText(reply.value)
    case 'bigNumber':
      return reply.value.toString()
    case 'map':
      return reply.pairs.flat().map(expectedInResp2)
    default:
      return reply.items.map(expectedInResp2)
  }
}

const asText = (value: unknown): unknown => {
  if (value instanceof Error) return new Error(value.message)
  if (Buffer.isBuffer(value)) return value.toString('latin1')
  return Array.isArray(value) ? value.map(asText) : value
}

function parse(bytes: Uint8Array): unknown[] {
  const parsed: unknown[] = []
  const parser = new RedisParser({
    returnReply: (reply: unknown) => parsed.push(asText(reply)),
    returnError: (error: Error) => parsed.push(new Error(error.message)),
    returnBuffers: true,
  })
  parser.execute(Buffer.from(bytes))
  return parsed
}

describe('ReplyWriter', () => {
  test('redis-parser reads in RESP2 what was written', () => {
    fc.assert(
      fc.property(fc.array(anyReply, { maxLength: 5 }), (replies) => {
        const writer = new ReplyWriter(16)
        for (const reply of replies) write(writer, reply)
        expect(parse(writer.view())).toEqual(replies.map(expectedInResp2))
      }),
    )
  })

  test.each<[Reply, string, string]>([
    [{ kind: 'null' }, '$-1\r\n', '_\r\n'],
    [{ kind: 'nullArray' }, '*-1\r\n', '_\r\n'],
    [{ kind: 'boolean', value: true }, ':1\r\n', '#t\r\n'],
    [{ kind: 'boolean', value: false }, ':0\r\n', '#f\r\n'],
    [{ kind: 'double', value: 1.5 }, '$3\r\n1.5\r\n', ',1.5\r\n'],
    [{ kind: 'double', value: -Infinity }, '$4\r\n-inf\r\n', ',-inf\r\n'],
    [
      { kind: 'bigNumber', value: '1180591620717411303424' },
      '$22\r\n1180591620717411303424\r\n',
      '(1180591620717411303424\r\n',
    ],
    [{ kind: 'verbatim', text: 'ab' }, '$2\r\nab\r\n', '=6\r\ntxt:ab\r\n'],
    [
      { kind: 'map', pairs: [[{ kind: 'ok' }, { kind: 'ok' }]] },
      '*2\r\n+OK\r\n+OK\r\n',
      '%1\r\n+OK\r\n+OK\r\n',
    ],
    [{ kind: 'set', items: [{ kind: 'ok' }] }, '*1\r\n+OK\r\n', '~1\r\n+OK\r\n'],
    [{ kind: 'push', items: [{ kind: 'ok' }] }, '*1\r\n+OK\r\n', '>1\r\n+OK\r\n'],
    [{ kind: 'integer', value: -7 }, ':-7\r\n', ':-7\r\n'],
    [{ kind: 'integer', value: 999_999 }, ':999999\r\n', ':999999\r\n'],
    [{ kind: 'integer', value: 1_000_000 }, ':1000000\r\n', ':1000000\r\n'],
  ])('%j', (reply, resp2, resp3) => {
    const writer = new ReplyWriter()
    write(writer, reply)
    expect(writer.toString()).toBe(resp2)
    writer.clear()
    writer.resp3 = true
    write(writer, reply)
    expect(writer.toString()).toBe(resp3)
  })

  test('integers of every length', () => {
    const writer = new ReplyWriter()
    for (let value = 1; value < Number.MAX_SAFE_INTEGER; value *= 10) {
      for (const near of [value - 1, value, value + 1, -value]) {
        writer.clear()
        writer.integer(near)
        expect(writer.toString()).toBe(`:${near === 0 ? 0 : near}\r\n`)
      }
    }
    writer.clear()
    writer.integer(-(2n ** 63n))
    expect(writer.toString()).toBe(':-9223372036854775808\r\n')
  })

  test('bulkBytes, raw, truncate and take', () => {
    const writer = new ReplyWriter(4)
    const source = bytesOf('0123456789'.repeat(20))
    writer.bulkBytes(source, 2, 5)
    writer.bulkBytes(source)
    const kept = writer.length
    writer.raw(source)
    writer.raw(source, 3, 4)
    writer.truncate(kept)
    expect(latin1(writer.take())).toBe(`$3\r\n234\r\n$200\r\n${latin1(source)}\r\n`)
  })

  test('line ends in an error text do not end the reply', () => {
    const writer = new ReplyWriter()
    writer.error('ERR a\r\nb')
    expect(writer.toString()).toBe('-ERR a  b\r\n')
  })

  test('a writer that was large gives the memory back', () => {
    const writer = new ReplyWriter()
    writer.bulk('x'.repeat(replyBytesKept + 1))
    writer.clear()
    expect(writer.bytes.length).toBe(1024)
  })
})

describe('doubles', () => {
  test.each<[number, string]>([
    [0, '0'],
    [-0, '-0'],
    [3, '3'],
    [-17, '-17'],
    [0.1, '0.1'],
    [3.25, '3.25'],
    [1e15, '1000000000000000'],
    [2 ** 53, '9007199254740992'],
    [1e21, '1e+21'],
    [1.5e300, '1.5e+300'],
    [1e-5, '0.00001'],
    [1.5e-7, '1.5e-7'],
    [0.30000000000000004, '0.30000000000000004'],
    [Number.NaN, 'nan'],
    [Infinity, 'inf'],
    [-Infinity, '-inf'],
  ])('%d', (value, text) => {
    expect(doubleText(value)).toBe(text)
  })

  test('reads back as the same number', () => {
    fc.assert(
      fc.property(fc.double({ noNaN: true, noDefaultInfinity: true }), (value) => {
        expect(Number(doubleText(value))).toBe(value)
      }),
    )
  })
})

describe('reply scanner', () => {
  test('finds the end of any reply, and says 0 for every proper prefix', () => {
    fc.assert(
      fc.property(anyReply, fc.boolean(), (reply, resp3) => {
        const writer = new ReplyWriter()
        writer.resp3 = resp3
        writer.raw(bytesOf('__'))
        write(writer, reply)
        const length = writer.length
        writer.raw(bytesOf('+next'))
        const bytes = writer.take()
        expect(replyEnd(bytes, 2, bytes.length)).toBe(length)
        for (let end = 2; end < length; end++) expect(replyEnd(bytes.slice(0, end), 2, end)).toBe(0)
      }),
    )
  })

  test('gives the elements of an aggregate', () => {
    fc.assert(
      fc.property(fc.array(anyReply, { maxLength: 6 }), fc.boolean(), (items, resp3) => {
        const writer = new ReplyWriter()
        writer.resp3 = resp3
        write(writer, { kind: 'array', items })
        const parts: string[] = []
        const count = replyElements(writer.bytes, 0, writer.length, (start, end) =>
          parts.push(latin1(writer.bytes, start, end)),
        )
        expect(count).toBe(items.length)
        const single = items.map((item) => {
          const one = new ReplyWriter()
          one.resp3 = resp3
          write(one, item)
          return one.toString()
        })
        expect(parts).toEqual(single)
      }),
    )
  })

  test('an attribute belongs to the reply behind it', () => {
    const bytes = bytesOf('|1\r\n+ttl\r\n:3600\r\n*1\r\n:1\r\n:2\r\n')
    expect(replyEnd(bytes, 0, bytes.length)).toBe(bytes.length - 4)
    const empty = bytesOf('|0\r\n:1\r\n')
    expect(replyEnd(empty, 0, empty.length)).toBe(empty.length)
  })

  test('maps, nulls, numbers and errors', () => {
    const map = bytesOf('%1\r\n+a\r\n:1\r\n')
    const parts: string[] = []
    expect(replyElements(map, 0, map.length, (start, end) => parts.push(latin1(map, start, end)))).toBe(2)
    expect(parts).toEqual(['+a\r\n', ':1\r\n'])
    for (const none of ['*-1\r\n', '+OK\r\n', '_\r\n'])
      expect(replyElements(bytesOf(none), 0, none.length, () => {})).toBe(-1)
    expect(integerReply(bytesOf(':-42\r\n'), 0)).toBe(-42)
    expect(() => integerReply(bytesOf('+OK\r\n'), 0)).toThrow(FormatError)
    expect(isErrorReply(bytesOf('-ERR\r\n'), 0)).toBe(true)
    expect(isErrorReply(bytesOf('!3\r\nERR\r\n'), 0)).toBe(true)
    expect(isErrorReply(bytesOf('+OK\r\n'), 0)).toBe(false)
  })

  test.each(['x\r\n', '$x\r\n', '*-2\r\n', '$99999999999\r\n', '*\r\n', '$1x\r\n'])(
    '%j is no reply',
    (text) => {
      const bytes = bytesOf(text)
      expect(() => replyEnd(bytes, 0, bytes.length)).toThrow(FormatError)
    },
  )

  test('deep nesting costs no stack', () => {
    const bytes = bytesOf(`${'*1\r\n'.repeat(1_000_000)}:1\r\n`)
    expect(replyEnd(bytes, 0, bytes.length)).toBe(bytes.length)
  })

  test('random bytes give an end inside them, 0 or a FormatError', () => {
    const random = new SeededRandom(seedFromEnv())
    const alphabet = '*$+-:~%|>=!_#,(\r\n\r\n0123-1'
    for (let run = 0; run < 20_000; run++) {
      const bytes = bytesOf(
        Array.from({ length: random.below(30) }, () => alphabet[random.below(alphabet.length)]).join(''),
      )
      try {
        const end = replyEnd(bytes, 0, bytes.length)
        expect(end >= 0 && end <= bytes.length).toBe(true)
      } catch (error) {
        expect(error).toBeInstanceOf(FormatError)
      }
    }
  })
})

describe('error texts with names in them', () => {
  test('as Redis writes them', () => {
    expect(errors.wrongArity('GET')).toBe("ERR wrong number of arguments for 'get' command")
    expect(errors.unknownCommand('foo', ['a', 'b'])).toBe(
      "ERR unknown command 'foo', with args beginning with: 'a' 'b' ",
    )
    expect(errors.unknownSubcommand('object', 'foo')).toBe("ERR unknown subcommand 'foo'. Try OBJECT HELP.")
    expect(errors.invalidExpire('SET')).toBe("ERR invalid expire time in 'set' command")
  })

  test('a client cannot make them long', () => {
    const long = 'x'.repeat(10_000)
    expect(errors.unknownCommand(long, [long, long]).length).toBeLessThan(400)
    expect(errors.unknownSubcommand('object', long).length).toBeLessThan(400)
  })
})
