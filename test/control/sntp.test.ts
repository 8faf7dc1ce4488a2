import { describe, expect, test } from 'vitest'
import {
  packetBytes,
  readSntpResponse,
  rootDistanceMaxMs,
  sampleOf,
  sntpRequest,
} from '#control/clock/sntp.ts'
import { timeServerOf } from '#control/clock/sntpClient.ts'
import { SeededRandom, seedFromEnv } from '#test/seed.ts'

const cookie = Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8)
const epochSeconds = 2_208_988_800

interface Fields {
  leap?: number
  version?: number
  mode?: number
  stratum?: number
  rootDelayMs?: number
  rootDispersionMs?: number
  reference?: string
  origin?: Uint8Array
  /** Seconds since 1900, modulo 2^32, with a fraction. */
  received?: number
  sent?: number
}

/** An answer as a sound server would give it, but for `fields`. */
function response(fields: Fields = {}): Uint8Array {
  const packet = new Uint8Array(packetBytes)
  const view = new DataView(packet.buffer)
  const { leap = 0, version = 4, mode = 4, stratum = 2, origin = cookie } = fields
  view.setUint8(0, (leap << 6) | (version << 3) | mode)
  view.setUint8(1, stratum)
  view.setUint32(4, ((fields.rootDelayMs ?? 0) / 1000) * 65536)
  view.setUint32(8, ((fields.rootDispersionMs ?? 0) / 1000) * 65536)
  const letters = fields.reference ?? 'GPS\0'
  for (let i = 0; i < 4; i++) view.setUint8(12 + i, letters.charCodeAt(i))
  packet.set(origin, 24)
  const setTime = (at: number, seconds: number): void => {
    view.setUint32(at, Math.floor(seconds))
    view.setUint32(at + 4, (seconds % 1) * 2 ** 32)
  }
  setTime(32, fields.received ?? epochSeconds + 1_800_000_000.25)
  setTime(40, fields.sent ?? epochSeconds + 1_800_000_000.5)
  return packet
}

describe('SNTP packets', () => {
  test('a request is a version 4 client question with the cookie as its time', () => {
    const packet = sntpRequest(cookie)
    expect(packet).toHaveLength(48)
    expect(packet[0]).toBe(0x23)
    expect([...packet.subarray(40)]).toEqual([...cookie])
    expect(packet.subarray(1, 40).every((byte) => byte === 0)).toBe(true)
  })

  test('times, stratum and root distance of an answer', () => {
    expect(readSntpResponse(response({ rootDelayMs: 250, rootDispersionMs: 125 }), cookie)).toEqual({
      stratum: 2,
      receivedMs: 1_800_000_000_250,
      sentMs: 1_800_000_000_500,
      rootDistanceMs: 250,
    })
  })

  test('an answer longer than 48 bytes, as with a key, is read', () => {
    const packet = new Uint8Array(68)
    packet.set(response())
    expect(readSntpResponse(packet, cookie)).toHaveProperty('stratum', 2)
  })

  test.each<[string, Fields, string, string]>([
    ['another cookie', { origin: new Uint8Array(8) }, 'cookie', 'an answer to another question'],
    ['a question instead of an answer', { mode: 3 }, 'malformed', 'mode 3'],
    ['a broadcast', { mode: 5 }, 'malformed', 'mode 5'],
    ['leap alarm', { leap: 3 }, 'unsynchronised', 'leap alarm'],
    ['stratum 16', { stratum: 16 }, 'unsynchronised', 'stratum 16'],
    [
      'a distant root',
      { rootDispersionMs: rootDistanceMaxMs + 10 },
      'unsynchronised',
      'root distance 1510 ms',
    ],
    ['kiss-o-death RATE', { stratum: 0, leap: 3, reference: 'RATE' }, 'kissOfDeath', 'RATE'],
    ['kiss-o-death DENY', { stratum: 0, reference: 'DENY' }, 'kissOfDeath', 'DENY'],
    ['kiss-o-death of bytes', { stratum: 0, reference: '\r\n\x00\x01' }, 'kissOfDeath', 'unknown'],
    ['no time', { received: 0, sent: 0 }, 'malformed', 'times that cannot be'],
    ['times that run backwards', { received: 4e9, sent: 3.9e9 }, 'malformed', 'times that cannot be'],
  ])('%s is refused', (_what, fields, fault, detail) => {
    expect(readSntpResponse(response(fields), cookie)).toEqual({ fault, detail })
  })

  test('short packets are refused', () => {
    for (let length = 0; length < packetBytes; length++)
      expect(readSntpResponse(response().subarray(0, length), cookie)).toEqual({
        fault: 'malformed',
        detail: `${length} bytes`,
      })
  })

  test('the second era begins in February 2036', () => {
    const lastSecond = readSntpResponse(response({ received: 2 ** 32 - 1, sent: 2 ** 32 - 1 }), cookie)
    const second = readSntpResponse(response({ received: 1, sent: 2 }), cookie)
    expect(lastSecond).toHaveProperty('sentMs', Date.UTC(2036, 1, 7, 6, 28, 15))
    expect(second).toHaveProperty('sentMs', Date.UTC(2036, 1, 7, 6, 28, 18))
    expect(readSntpResponse(response({ received: 2 ** 31, sent: 2 ** 31 }), cookie)).toHaveProperty(
      'sentMs',
      Date.UTC(1968, 0, 20, 3, 14, 8),
    )
  })

  test('offset, delay and error', () => {
    const answer = { stratum: 1, receivedMs: 10_530, sentMs: 10_535, rootDistanceMs: 3 }
    // The server is 9,500 ms ahead; 30 there, 5 in it, 10 back.
    expect(sampleOf(answer, 1000, 45)).toEqual({ offsetMs: 9510, delayMs: 40, errorMs: 23 })
  })

  test('random packets give a sample or a fault, never an exception', () => {
    const random = new SeededRandom(seedFromEnv())
    for (let run = 0; run < 20_000; run++) {
      const packet = Uint8Array.from({ length: random.below(60) }, () => random.below(256))
      if (random.chance(0.7) && packet.length >= 32) {
        packet.set(cookie, 24)
        packet[0] = 0x24
      }
      const result = readSntpResponse(packet, cookie)
      if ('fault' in result) expect(result.detail).toMatch(/^[\w .-]+$/)
      else expect(Number.isFinite(sampleOf(result, 0, 1).offsetMs)).toBe(true)
    }
  })
})

test.each([
  ['time.example', { host: 'time.example', port: 123 }],
  ['time.example:1123', { host: 'time.example', port: 1123 }],
  ['127.0.0.1:11123', { host: '127.0.0.1', port: 11123 }],
  ['[::1]:11123', { host: '::1', port: 11123 }],
  ['[::1]', { host: '::1', port: 123 }],
])('the time server %s', (text, server) => {
  expect(timeServerOf(text)).toEqual(server)
})
