/**
 * A client that means harm: what it sends, and the account of what it must get back. It knows of no sockets, so that it
 * can be played to a proxy in this process and to a real one.
 */

import { bytesOf, concatenate, latin1 } from '#runtime/bytes/bytes.ts'
import type { Request } from '#test/compat/side.ts'
import { encodeRequest } from '#test/realRedis.ts'
import type { SeededRandom } from '#test/seed.ts'
import type { HostileRequests } from './hostileRequests.ts'
import { ReplyStream } from './replyStream.ts'

/** What happens behind the bytes: it stays, sends nothing more, or is gone without a word. */
export type Ending = 'stays' | 'ends' | 'vanishes'

export interface Act {
  /** Written one after the other. */
  pieces: Uint8Array[]
  ending: Ending
  /** For a while it reads nothing. */
  stopsReading: boolean
}

/** What comes then is no reply to anything, or more than one. */
const uncounted = /^([PS]?(UN)?SUBSCRIBE|MONITOR)$/
/** A pipeline of them keeps a shard from all others for minutes, as it would Redis. */
const slow = /^(EVAL|PFSELFTEST|LCS)/i
const batchesMax = 30
const sameMax = 500
const piecesMax = 6
/** Whole requests that are remembered, to tell what led to a fault. */
const rememberedMax = 40

export class HostileClient {
  readonly replies = new ReplyStream()
  /** Requests that have to be answered, each by one reply. */
  requestCount = 0
  /** Nobody can say any more how many replies there will be. */
  isCounted = true
  /** It has asked to be disconnected. */
  hasQuit = false
  readonly recent: string[] = []
  readonly #random: SeededRandom
  readonly #requests: HostileRequests
  #isNew = true

  constructor(random: SeededRandom, requests: HostileRequests) {
    this.#random = random
    this.#requests = requests
  }

  act(): Act {
    const random = this.#random
    const roll = random.below(100)
    const greeting = this.#isNew ? this.#greeting() : []
    this.#isNew = false
    const requests = [...greeting, ...this.#pipeline()]
    const ending: Ending = roll < 92 ? 'stays' : roll < 95 ? 'ends' : 'vanishes'
    const stopsReading = random.chance(0.03)
    if (random.chance(0.85)) {
      const bytes = concatenate(requests.map((request) => this.#send(request)))
      if (ending === 'stays' || random.chance(0.5)) return { pieces: this.#cut(bytes), ending, stopsReading }
      this.#loseCount()
      return { pieces: this.#cut(bytes.subarray(0, random.below(bytes.length + 1))), ending, stopsReading }
    }
    this.#loseCount()
    const bytes = random.chance(0.8) ? this.#mutated(concatenate(requests.map(encodeRequest))) : this.#noise()
    this.#remember(`bytes ${JSON.stringify(latin1(bytes).slice(0, 200))}`)
    return { pieces: this.#cut(bytes), ending, stopsReading }
  }

  /** What is wrong with what has come so far. */
  get fault(): string | null {
    const { replies, requestCount, isCounted } = this
    if (replies.fault !== null) return replies.fault
    const isTooMuch = isCounted && replies.replyCount > requestCount
    return isTooMuch ? `${replies.replyCount} replies to ${requestCount} requests` : null
  }

  get isWaiting(): boolean {
    return this.isCounted && this.replies.replyCount < this.requestCount
  }

  #greeting(): Request[] {
    const random = this.#random
    const version = random.chance(0.5) ? 3 : 2
    this.replies.version = version
    const greeting: Request[] = [['HELLO', String(version)]]
    if (random.chance(0.2))
      greeting.push(['AUTH', random.pick(['limited', 'reader', 'nobody']), random.pick(['pass', 'wrong'])])
    return greeting
  }

  #pipeline(): Request[] {
    const random = this.#random
    if (random.chance(0.02)) {
      const request = this.#requests.one()
      if (slow.test(request[0] ?? '')) return [request]
      return Array.from({ length: random.below(sameMax) }, () => request)
    }
    const count = random.chance(0.5) ? 1 : 1 + random.below(batchesMax)
    return Array.from({ length: count }, () => this.#requests.batch()).flat()
  }

  /** Its bytes, and what it means for the account. */
  #send(request: Request): Uint8Array {
    const name = (request[0] ?? '').toUpperCase()
    this.requestCount++
    this.#remember(
      JSON.stringify(
        request.map((text) => (text.length > 200 ? `${text.slice(0, 20)}...${text.length}` : text)),
      ),
    )
    if (uncounted.test(name) || (name === 'CLIENT' && request[1]?.toUpperCase() === 'REPLY'))
      this.isCounted = false
    if (name === 'HELLO' && this.requestCount > 1) this.replies.version = null
    if (name === 'HELLO' && this.requestCount === 1) return encodeRequest(request)
    if (name === 'RESET') this.replies.version = null
    if (name === 'QUIT') this.hasQuit = true
    return this.#random.chance(0.05) &&
      request.every((text) => /^[!#-&(-~]+$/.test(text)) &&
      (request[0] ?? '')[0] !== '*'
      ? bytesOf(`${request.join(' ')}\r\n`)
      : encodeRequest(request)
  }

  #loseCount(): void {
    this.isCounted = false
    this.replies.version = null
  }

  #remember(text: string): void {
    this.recent.push(text)
    if (this.recent.length > rememberedMax) this.recent.shift()
  }

  #cut(bytes: Uint8Array): Uint8Array[] {
    const random = this.#random
    if (bytes.length === 0) return []
    if (random.chance(0.5)) return [bytes]
    const single = bytes.length < 300 && random.chance(0.2)
    const places = single
      ? Array.from({ length: bytes.length }, (_, i) => i)
      : Array.from({ length: random.below(piecesMax) }, () => random.below(bytes.length))
    const cuts = [...new Set([0, ...places])].sort((a, b) => a - b)
    return cuts.map((at, i) => bytes.slice(at, cuts[i + 1] ?? bytes.length))
  }

  #mutated(bytes: Uint8Array): Uint8Array {
    const random = this.#random
    let text = latin1(bytes)
    for (let count = 1 + random.below(4); count > 0; count--) {
      const at = random.below(text.length + 1)
      const length = random.chance(0.7) ? 1 : random.below(20)
      const inserted = random.pick([
        '',
        '',
        '\r',
        '\n',
        '\r\n',
        '$',
        '*',
        '-',
        '0',
        '9',
        '\0',
        '"',
        this.#requests.words.any(),
        text.slice(at, at + length).repeat(2),
      ])
      text = text.slice(0, at) + inserted + text.slice(at + length)
    }
    return bytesOf(text)
  }

  #noise(): Uint8Array {
    const random = this.#random
    if (random.chance(0.3))
      return bytesOf(
        random.pick([
          'GET / HTTP/1.1\r\nHost: x\r\n\r\n',
          '\x16\x03\x01\x02\x00\x01\x00',
          '\r\n\r\n',
          '*1\r\n',
          '*-1\r\n',
          '*0\r\n',
          '$5\r\n',
        ]),
      )
    return bytesOf(this.#requests.words.binary(random.below(300)))
  }
}
