import fc from 'fast-check'
import RedisParser from 'redis-parser'
import { describe, expect, test } from 'vitest'
import {
  bulkBytesMax,
  defaultRequestLimits,
  type RequestLimits,
  RequestScanner,
  unauthenticatedArgumentsMax,
  unauthenticatedBulkBytesMax,
} from '#protocol/resp/requestScanner.ts'
import { bytesOf, latin1 } from '#runtime/bytes/bytes.ts'
import { SeededRandom, seedFromEnv } from '#test/seed.ts'

const scannerWith = (limits: Partial<RequestLimits> = {}) =>
  new RequestScanner({ ...defaultRequestLimits, ...limits })

const argumentsOf = (scanner: RequestScanner) =>
  Array.from({ length: scanner.argumentCount }, (_, i) => scanner.text(i))

/** All requests of a stream that is whole, then the error or `null`. */
function scanAll(text: string, limits: Partial<RequestLimits> = {}) {
  const bytes = bytesOf(text)
  const scanner = scannerWith(limits)
  const requests: string[][] = []
  let at = 0
  for (;;) {
    const behind = scanner.scan(bytes, at, bytes.length)
    if (behind <= 0) return { requests, at, error: behind === 0 ? null : scanner.error }
    requests.push(argumentsOf(scanner))
    at = behind
  }
}

/** The same, one byte more at a time, each time in other memory. */
function scanByteByByte(text: string, limits: Partial<RequestLimits> = {}) {
  const bytes = bytesOf(text)
  const scanner = scannerWith(limits)
  const requests: string[][] = []
  let start = 0
  for (let end = 1; end <= bytes.length; end++) {
    const padding = end % 7
    const moved = new Uint8Array(padding + end - start)
    moved.set(bytes.subarray(start, end), padding)
    const behind = scanner.scan(moved, padding, moved.length)
    if (behind < 0) return { requests, at: start, error: scanner.error }
    if (behind === 0) {
      expect(scanner.lengthAtLeast).toBeGreaterThan(end - start)
      continue
    }
    requests.push(argumentsOf(scanner))
    start += behind - padding
  }
  return { requests, at: start, error: null }
}

const encode = (request: readonly string[]) =>
  `*${request.length}\r\n${request.map((argument) => `$${argument.length}\r\n${argument}\r\n`).join('')}`

const anyText = fc.array(fc.nat(255), { maxLength: 40 }).map((codes) => String.fromCharCode(...codes))
const anyRequest = fc.array(anyText, { minLength: 1, maxLength: 20 })

describe('arrays', () => {
  test('any requests come back as they were sent, in one piece and byte by byte', () => {
    fc.assert(
      fc.property(fc.array(anyRequest, { maxLength: 6 }), (requests) => {
        const stream = requests.map(encode).join('')
        expect(scanAll(stream)).toEqual({ requests, at: stream.length, error: null })
        expect(scanByteByByte(stream)).toEqual({ requests, at: stream.length, error: null })
      }),
    )
  })

  test('agrees with redis-parser', () => {
    fc.assert(
      fc.property(fc.array(anyRequest, { minLength: 1, maxLength: 6 }), (requests) => {
        const parsed: Buffer[][] = []
        const parser = new RedisParser({
          returnReply: (reply: Buffer[]) => parsed.push(reply),
          returnError: (error: Error) => expect.fail(error.message),
          returnBuffers: true,
        })
        const stream = requests.map(encode).join('')
        parser.execute(Buffer.from(stream, 'latin1'))
        expect(scanAll(stream).requests).toEqual(
          parsed.map((request) => request.map((argument) => argument.toString('latin1'))),
        )
      }),
    )
  })

  test('empty and negative arrays are requests without arguments', () => {
    expect(scanAll('*0\r\n*-1\r\n*1\r\n$4\r\nPING\r\n').requests).toEqual([[], [], ['PING']])
  })

  test('arguments are offsets into the given bytes', () => {
    const bytes = bytesOf('xx*2\r\n$3\r\nGET\r\n$1\r\nk\r\nyy')
    const scanner = scannerWith()
    expect(scanner.scan(bytes, 2, bytes.length)).toBe(bytes.length - 2)
    expect(scanner.bytes).toBe(bytes)
    expect(latin1(bytes, scanner.start(1), scanner.endOf(1))).toBe('k')
    expect(scanner.inline).toBe(false)
  })

  test('a large value in small pieces costs one step a piece', () => {
    const length = 8 * 1024 * 1024
    const header = `*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$${length}\r\n`
    const bytes = new Uint8Array(header.length + length + 2)
    bytes.set(bytesOf(header))
    const reads: number[] = []
    const watched = new Proxy(bytes, {
      get: (target, name) => {
        if (typeof name === 'string' && /^\d+$/.test(name)) reads.push(Number(name))
        return Reflect.get(target, name, target)
      },
    })
    const scanner = scannerWith()
    for (let end = 64; end < bytes.length; end += 65536) expect(scanner.scan(watched, 0, end)).toBe(0)
    expect(scanner.lengthAtLeast).toBe(bytes.length)
    expect(scanner.scan(watched, 0, bytes.length)).toBe(bytes.length)
    expect(reads.length).toBeLessThan(100)
  })

  test('a header that never ends is read once', () => {
    const bytes = new Uint8Array(65536).fill(0x31)
    bytes[0] = 0x2a
    let reads = 0
    const watched = new Proxy(bytes, {
      get: (target, name) => {
        if (typeof name === 'string' && /^\d+$/.test(name)) reads++
        return Reflect.get(target, name, target)
      },
    })
    const scanner = scannerWith()
    for (let end = 1; end <= 4096; end++) expect(scanner.scan(watched, 0, end)).toBe(0)
    expect(reads).toBeLessThan(4096 * 20)
  })

  test('memory follows what has arrived, not what was announced', () => {
    const before = process.memoryUsage().arrayBuffers
    const scanners = Array.from({ length: 50 }, () => {
      const scanner = scannerWith()
      const bytes = bytesOf(`*1048576\r\n$${bulkBytesMax}\r\nx`)
      expect(scanner.scan(bytes, 0, bytes.length)).toBe(0)
      return scanner
    })
    expect(scanners).toHaveLength(50)
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(1024 * 1024)
  })
})

describe('protocol errors', () => {
  const cases: [string, string, Partial<RequestLimits>?][] = [
    ['*x\r\n', 'invalid multibulk length'],
    ['*1048577\r\n', 'invalid multibulk length'],
    ['*99999999999999999999999999\r\n', 'invalid multibulk length'],
    ['*01\r\n', 'invalid multibulk length'],
    ['*+1\r\n', 'invalid multibulk length'],
    ['*\r\n', 'invalid multibulk length'],
    ['*3\r\n', 'invalid multibulk length', { argumentsMax: 2 }],
    ['*1\r\n!3\r\nfoo\r\n', "expected '$', got '!'"],
    ['*1\r\n$x\r\n', 'invalid bulk length'],
    ['*1\r\n$-1\r\n', 'invalid bulk length'],
    [`*1\r\n$${bulkBytesMax + 1}\r\n`, 'invalid bulk length'],
    ['*1\r\n$99999999999999999999999999\r\n', 'invalid bulk length'],
    ['*1\r\n$9\r\n', 'invalid bulk length', { bulkBytesMax: 8 }],
    [`*${'1'.repeat(101)}`, 'too big mbulk count string', { inlineBytesMax: 100 }],
    [`*1\r\n$${'1'.repeat(101)}`, 'too big bulk count string', { inlineBytesMax: 100 }],
    ['abcde', 'too big inline request', { inlineBytesMax: 4 }],
    ['abcde\n', 'too big inline request', { inlineBytesMax: 4 }],
    ['SET "a\r\n', 'unbalanced quotes in request'],
    ["SET 'a\r\n", 'unbalanced quotes in request'],
    ['SET "a"b\r\n', 'unbalanced quotes in request'],
    ['*11\r\n', 'unauthenticated multibulk length', { authenticated: false }],
    ['*1\r\n$16385\r\n', 'unauthenticated bulk length', { authenticated: false }],
    ['*2\r\n$5\r\naaaaa\r\n$100\r\n', 'request larger than 100 bytes', { requestBytesMax: 100 }],
  ]
  test.each(cases)('%j', (stream, error, limits = {}) => {
    expect(scanAll(stream, limits).error).toBe(`ERR Protocol error: ${error}`)
    expect(scanByteByByte(stream, limits).error).toBe(`ERR Protocol error: ${error}`)
  })

  test('the limits that Redis has by default', () => {
    const long = '1'.repeat(65536)
    expect(scanAll(`*${long}`).error).toBeNull()
    expect(scanAll(`*${long}1`).error).toBe('ERR Protocol error: too big mbulk count string')
    expect(scanAll(`*1\r\n$${long}1`).error).toBe('ERR Protocol error: too big bulk count string')
    expect(scanAll(`${long}\n`).requests).toEqual([[long]])
    expect(scanAll(`${long}1\n`).error).toBe('ERR Protocol error: too big inline request')
  })

  test('what is allowed before authentication', () => {
    const request = Array.from({ length: unauthenticatedArgumentsMax }, () => 'a')
    request[0] = 'a'.repeat(unauthenticatedBulkBytesMax)
    expect(scanAll(encode(request), { authenticated: false }).requests).toEqual([request])
  })

  test('a scanner can be used again after an error and after reset', () => {
    const scanner = scannerWith()
    expect(scanner.scan(bytesOf('*1\r\n$x\r\n'), 0, 8)).toBe(-1)
    const ping = bytesOf('*1\r\n$4\r\nPING\r\n')
    expect(scanner.scan(ping, 0, ping.length)).toBe(ping.length)
    expect(scanner.scan(ping, 0, 9)).toBe(0)
    scanner.reset()
    expect(scanner.scan(ping, 0, ping.length)).toBe(ping.length)
    expect(argumentsOf(scanner)).toEqual(['PING'])
  })
})

describe('inline requests', () => {
  const cases: [string, string[]][] = [
    ['PING\r\n', ['PING']],
    ['PING\n', ['PING']],
    ['\r\n', []],
    ['  \t \r\n', []],
    ['  SET  k\tv  \r\n', ['SET', 'k', 'v']],
    ['SET k "a b"\r\n', ['SET', 'k', 'a b']],
    ['SET k ""\r\n', ['SET', 'k', '']],
    ['SET k "\\x00\\xfF\\n\\r\\t\\b\\a\\"\\\\\\q\\xzz"\r\n', ['SET', 'k', '\0\xff\n\r\t\b\x07"\\qxzz']],
    ["SET k 'a\\'b\\n'\r\n", ['SET', 'k', "a'b\\n"]],
    ['SET a"b c" d\r\n', ['SET', 'ab c', 'd']],
    ['SET \x0bk\r\n', ['SET', 'k']],
    ['SET k\x0b v\r\n', ['SET', 'k\x0b', 'v']],
  ]
  test.each(cases)('%j', (line, words) => {
    expect(scanAll(line)).toEqual({ requests: [words], at: line.length, error: null })
    expect(scanByteByByte(line).requests).toEqual([words])
  })

  test('inline and array requests mix', () => {
    expect(scanAll('PING\r\n*1\r\n$4\r\nPING\r\nECHO "x"\n').requests).toEqual([
      ['PING'],
      ['PING'],
      ['ECHO', 'x'],
    ])
  })

  test('more words than the first room for offsets', () => {
    const words = Array.from({ length: 500 }, (_, i) => `w${i}`)
    expect(scanAll(`${words.join(' ')}\r\n`).requests).toEqual([words])
  })

  test('arguments lie in a buffer of the scanner', () => {
    const scanner = scannerWith()
    const line = bytesOf('GET k\r\n')
    scanner.scan(line, 0, line.length)
    expect(scanner.inline).toBe(true)
    expect(scanner.bytes).not.toBe(line)
  })
})

describe('hostile bytes', () => {
  test('random bytes end in an error or are waited for, the same way in one piece and byte by byte', () => {
    const random = new SeededRandom(seedFromEnv())
    const alphabet = '*$\r\n\r\n0123459-"\' \\xaSET\0\xff'
    for (let run = 0; run < 3000; run++) {
      let stream = random.chance(0.5) ? '*2\r\n' : ''
      const length = random.below(60)
      for (let i = 0; i < length; i++) stream += alphabet[random.below(alphabet.length)]
      const limits = { authenticated: random.chance(0.5), bulkBytesMax: 100, argumentsMax: 12 }
      expect(scanByteByByte(stream, limits)).toEqual(scanAll(stream, limits))
    }
  })
})
