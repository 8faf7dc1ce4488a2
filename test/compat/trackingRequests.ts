/** Random requests of clients that keep copies, and of those who change what they have copies of. */
import type { SeededRandom } from '#test/seed.ts'
import type { Request } from './side.ts'

const names = ['s', 's', 's', 's2', 's2', 'n', 'l', 'h', 'z', 'set', 'x', 'sx', 'b\x00\xff\r\n']

export class TrackingRequests {
  readonly #random: SeededRandom
  readonly #tag: string
  #members = 0

  /** All keys begin with `tag`. */
  constructor(random: SeededRandom, tag: string) {
    this.#random = random
    this.#tag = tag
  }

  /** What says who tracks what; `ids` are those of clients that may be told instead. */
  tracking(ids: readonly number[], mayNoLoop: boolean): Request {
    const random = this.#random
    if (random.chance(0.15)) return ['CLIENT', 'TRACKING', 'OFF']
    if (random.chance(0.15)) return ['CLIENT', 'CACHING', random.pick(['YES', 'NO', 'no', 'maybe'])]
    if (random.chance(0.15)) return ['CLIENT', random.pick(['GETREDIR', 'TRACKINGINFO', 'trackinginfo'])]
    const options: string[][] = [
      ['OPTIN'],
      ['OPTOUT'],
      ...(mayNoLoop ? [['NOLOOP'], ['noloop']] : []),
      ['BCAST'],
      ['BCAST'],
      ['BCAST', 'PREFIX', this.#prefix()],
      ['BCAST', 'PREFIX', this.#prefix(), 'PREFIX', this.#prefix()],
      ['REDIRECT', String(random.pick(ids))],
    ]
    if (random.chance(0.1))
      options.push(
        ['REDIRECT', '123456'],
        ['REDIRECT', 'x'],
        ['REDIRECT'],
        ['PREFIX', 'a'],
        ['NOTHING'],
        ['PREFIX'],
      )
    // Of three that overlap 7.0 finds two too many, and goes on.
    const chosen = Array.from({ length: random.pick([0, 0, 1, 1, 1, 2, 2, 3]) }, () => random.pick(options))
    const withPrefix = chosen.filter((option) => option.includes('PREFIX'))
    const value = random.chance(0.03) ? random.pick(['maybe', 'off']) : random.pick(['ON', 'on'])
    return [
      'CLIENT',
      'TRACKING',
      value,
      ...chosen.filter((option) => !withPrefix.slice(1).includes(option)).flat(),
    ]
  }

  read(): Request {
    const key = () => this.#key()
    return this.#random.pick<() => Request>([
      () => ['GET', key()],
      () => ['GET', key()],
      () => ['MGET', key(), key(), key()],
      () => ['EXISTS', key(), key()],
      () => ['TTL', key()],
      () => ['TYPE', key()],
      () => ['STRLEN', key()],
      () => ['GETRANGE', key(), '0', '1'],
      () => ['LRANGE', this.#of('l'), '0', '-1'],
      () => ['HGET', this.#of('h'), 'f'],
      () => ['ZRANGE', this.#of('z'), '0', '-1'],
      () => ['SCARD', this.#of('set')],
      () => ['SINTER', this.#of('set'), key()],
      () => ['SINTERCARD', '2', key(), this.#of('set')],
      () => ['TOUCH', key()],
      () => ['XRANGE', this.#of('x'), '-', '+'],
      () => ['XREAD', 'STREAMS', this.#of('x'), this.#of('sx'), '0', '0'],
      () => ['SORT_RO', this.#of('l'), 'ALPHA'],
      () => ['LCS', this.#of('s'), this.#of('s2')],
      () => ['BITCOUNT', this.#of('s')],
      () => ['EVAL', "return redis.pcall('get', KEYS[1])", '1', key()],
    ])()
  }

  write(): Request {
    const key = () => this.#key()
    const value = () => this.#random.pick(['1', 'v', 'long'.repeat(30)])
    return this.#random.pick<() => Request>([
      () => ['SET', key(), value()],
      () => ['SET', key(), value()],
      () => ['SET', this.#of('s'), value(), 'NX'],
      () => ['SET', this.#of('s2'), value(), 'EX', '1000'],
      () => ['MSET', key(), value(), key(), value()],
      () => ['DEL', key()],
      () => ['DEL', key(), key()],
      () => ['UNLINK', key()],
      () => ['INCR', this.#of('n')],
      () => ['INCR', this.#of('s')],
      () => ['APPEND', this.#of('s'), 'x'],
      () => ['EXPIRE', key(), '1000'],
      () => ['PERSIST', key()],
      () => ['GETDEL', this.#of('s2')],
      () => ['GETEX', this.#of('s2'), 'EX', '500'],
      () => ['GETEX', this.#of('s2')],
      () => ['GETSET', this.#of('s'), value()],
      () => ['SETRANGE', this.#of('s'), '3', 'abc'],
      () => ['LPUSH', this.#of('l'), value()],
      () => ['RPOP', this.#of('l')],
      () => ['HSET', this.#of('h'), 'f', value()],
      () => ['HDEL', this.#of('h'), 'f', 'g'],
      () => ['HINCRBY', this.#of('h'), 'g', '2'],
      () => ['ZINCRBY', this.#of('z'), '1', this.#random.pick(['a', 'b', 'c'])],
      () => ['ZREM', this.#of('z'), 'a'],
      // What is there already is added again here, which counts as a change.
      () => ['SADD', this.#of('set'), String(++this.#members)],
      () => ['SREM', this.#of('set'), String(this.#members), 'b'],
      () => ['XDEL', this.#of('x'), '1-1'],
    ])()
  }

  /** With NOLOOP and BCAST Redis takes what a script writes for somebody else's. */
  scriptedWrite(): Request {
    return ['EVAL', "return redis.pcall('set', KEYS[1], ARGV[1])", '1', this.#key(), 'v']
  }

  /** Answered without a look at the data. */
  mistake(): Request {
    return this.#random.pick([['GET'], ['NOSUCH', 'x']])
  }

  #of(name: string): string {
    return this.#tag + name
  }

  #key(): string {
    return this.#of(this.#random.pick(names))
  }

  #prefix(): string {
    const prefix = this.#random.pick(['s', 's', 'a', 'ab', 'b', 'z', 'n', 'nothing'])
    return this.#random.chance(0.05) ? '' : this.#of(prefix)
  }
}
