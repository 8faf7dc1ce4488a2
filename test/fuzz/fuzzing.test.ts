/** Hostile clients against a whole database in this process; `npm run fuzz` does it for longer, and with real processes. */
import { describe, expect, it } from 'vitest'
import { encodeRequest } from '#test/realRedis.ts'
import { SeededRandom, seedFromEnv } from '#test/seed.ts'
import { fuzzSeed } from './fuzzer.ts'
import { FuzzWorld } from './fuzzWorld.ts'
import { HostileRequests, specs } from './hostileRequests.ts'
import { ReplyStream } from './replyStream.ts'

const seedsOfTest = 6
/** Each fault has to be found within so many seeds. */
const seedsOfCanary = 25
/** A table that is an object, and is asked for one of these, finds what it does not hold. */
const namesOfAll = ['constructor', 'CONSTRUCTOR', '__proto__', 'toString']
const formsPerCommand = 10
const argumentsMax = 12

describe('hostile clients', () => {
  it('may say what every object has as a property, anywhere', () => {
    const seed = seedFromEnv()
    const choice = { sharded: true, startMs: 0, mayBeEndless: false }
    const requests = new HostileRequests(new SeededRandom(seed), choice)
    for (const spec of specs) {
      const world = new FuzzWorld(seed)
      const forms = Array.from({ length: formsPerCommand }, () => requests.ofGrammar(spec))
      for (const form of forms)
        for (let at = 1; at <= Math.min(form.length, argumentsMax); at++)
          for (const name of namesOfAll) {
            const request = [...form.slice(0, at), name, ...form.slice(at + 1)]
            sendAlone(world, request)
            expect(world.fault, JSON.stringify(request)).toBeNull()
          }
    }
  })

  it('harm nobody', () => {
    const first = seedFromEnv()
    for (let seed = first; seed < first + seedsOfTest; seed++)
      expect(fuzzSeed(seed).failure, `SEED=${seed}`).toBeNull()
  })

  it('do the same with the same seed', () => {
    const seed = seedFromEnv()
    expect(fuzzSeed(seed, { steps: 60 })).toEqual(fuzzSeed(seed, { steps: 60 }))
  })
})

/** By a client that leaves then. */
function sendAlone(world: FuzzWorld, request: string[]): void {
  const connection = world.connect({ onData() {}, onDrain() {}, onClose() {} })
  connection.write(encodeRequest(request))
  world.world.settle()
  connection.destroy()
  world.world.settle()
}

interface Fault {
  title: string
  spoil(world: FuzzWorld): void
  found: RegExp
}

const faults: readonly Fault[] = [
  {
    title: 'an error holds what the client sent, line ends and all',
    spoil({ proxy: { reply } }) {
      reply.error = (text) => reply.raw(new TextEncoder().encode(`-${text}\r\n`))
    },
    found: /no reply of RESP/,
  },
  {
    title: 'a key of odd length ends the proxy',
    spoil({ proxy: { router } }) {
      const route = router.route.bind(router)
      router.route = (request, ...rest) => {
        if (request.end - request.start > 15_001) throw new Error('planted')
        return route(request, ...rest)
      }
    },
    found: /planted/,
  },
  {
    title: 'a request is forgotten',
    spoil({ proxy: { router } }) {
      const route = router.route.bind(router)
      let count = 0
      router.route = (request, links, place) => {
        if (++count % 20 > 0) return route(request, links, place)
        place.expect()
        return null
      }
    },
    found: /gets no reply|replies to/,
  },
  {
    title: 'a request is answered twice',
    spoil({ proxy: { reply } }) {
      const { error } = reply
      let count = 0
      reply.error = (text) => {
        error.call(reply, text)
        if (++count % 100 === 0) error.call(reply, text)
      }
    },
    found: /replies to|the judge gets/,
  },
  {
    title: 'clients that are gone are kept',
    spoil({ proxy: { clients } }) {
      clients.remove = () => {}
    },
    found: /clients are left|max number of clients/,
  },
]

describe('it is found that', () => {
  it.each(faults)('$title', ({ spoil, found }) => {
    const first = seedFromEnv()
    for (let seed = first; seed < first + seedsOfCanary; seed++) {
      const { failure } = fuzzSeed(seed, { spoil })
      if (failure === null) continue
      expect(failure).toMatch(found)
      return
    }
    expect.unreachable('the fault was not found')
  })
})

describe('the reader of replies', () => {
  const read = (version: 2 | 3, text: string): ReplyStream => {
    const stream = new ReplyStream()
    stream.version = version
    for (let i = 0; i < text.length; i += 3) stream.take(new TextEncoder().encode(text.slice(i, i + 3)))
    return stream
  }

  it.each([
    [2, '+OK\r\n-ERR no\r\n:1\r\n$-1\r\n$0\r\n\r\n*-1\r\n*2\r\n*1\r\n:1\r\n$1\r\na\r\n', 7],
    [3, '%1\r\n+a\r\n~1\r\n_\r\n,1.5\r\n#t\r\n>2\r\n+a\r\n+b\r\n=5\r\ntxt:a\r\n', 4],
  ] as const)('of RESP%i counts', (version, text, count) => {
    const stream = read(version, text)
    expect([stream.fault, stream.replyCount, stream.isWhole]).toEqual([null, count, true])
  })

  it.each([
    [2, '_\r\n'],
    [2, '%0\r\n'],
    [3, '$-1\r\n'],
    [2, '$1\r\nab\r\n'],
    [2, ':1.5\r\n'],
    [2, '-a\nb\r\n'],
    [2, '-\r\n'],
  ] as const)('of RESP%i finds no reply in %j', (version, text) => {
    expect(read(version, text).fault).toContain(
      'no reply of RESP'.slice(0, version === 2 && text.startsWith('$1') ? 0 : 16),
    )
    expect(read(version, text).fault).not.toBeNull()
  })
})
