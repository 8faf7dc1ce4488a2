/** How long one command on a huge value takes: nothing may hold a shard that Redis does in passing. */
import { median } from '#bench/figures/median.ts'
import { fill } from '#bench/load/generated.ts'
import { formatNumber } from '#bench/report/number.ts'
import type { BudgetRow, Cell } from '#bench/report/result.ts'
import { Client } from '#bench/servers/client.ts'
import type { Server } from '#bench/servers/server.ts'
import { bulkBytesMax } from '#protocol/resp/requestScanner.ts'
import type { Suite } from './suite.ts'

interface Probe {
  /** Begins with the command's name. */
  title: string
  /** What follows the key in the request for the `i`-th time; `size` is that of the value. */
  rest: (i: number, size: number) => (string | number)[]
  times: number
}

interface LargeValue {
  title: string
  /** Run `count` times, `{n}` being the number of the turn. */
  filling: readonly [command: string, key: string, ...string[]]
  count: number
  /** Elements, or bytes, that it has then. */
  size: number
  probes: readonly Probe[]
}

const holdMsMax = 50
const timesUsual = 30
const listStep = 10

/** Numbers all over [0, size), none twice. */
const somewhere = (i: number, size: number): number => (i * 7_368_787 + 1_234_567) % size
const member = (i: number, size: number): string => `member:${String(somewhere(i, size)).padStart(12, '0')}`
const fresh = (i: number): string => `fresh:${i}`
const middle = (size: number): number => Math.floor(size / 2)

const probe = (title: string, rest: Probe['rest'] = () => [], times = timesUsual): Probe => ({
  title,
  rest,
  times,
})

const unlink = probe('UNLINK', () => [], 1)

const million = 1_000_000
/** Leaves room for what is appended. */
const textBytes = bulkBytesMax - million

const largeValues: readonly LargeValue[] = [
  {
    title: 'set of 5 million members',
    filling: ['SADD', 'set', 'member:{n}'],
    count: 5 * million,
    size: 5 * million,
    probes: [
      probe('SISMEMBER', (i, size) => [member(i, size)]),
      probe('SADD of a new member', (i) => [fresh(i)]),
      probe('SREM', (i, size) => [member(i, size)]),
      probe('SPOP 100', () => [100]),
      probe('SRANDMEMBER 100', () => [100]),
      probe('SSCAN COUNT 100', (i) => [0, 'COUNT', 100 + i]),
      unlink,
    ],
  },
  {
    title: 'sorted set of a million members',
    filling: ['ZADD', 'zset', '{n}', 'member:{n}'],
    count: million,
    size: million,
    probes: [
      probe('ZRANK', (i, size) => [member(i, size)]),
      probe('ZADD of another score', (i, size) => [somewhere(i + 1, size), member(i, size)]),
      probe('ZINCRBY', (i, size) => [1.5, member(i, size)]),
      probe('ZRANGE of 100 in the middle', (_, size) => [middle(size), middle(size) + 99]),
      probe('ZCOUNT of a third', (_, size) => [Math.floor(size / 3), Math.floor((size * 2) / 3)]),
      probe('ZREM', (i, size) => [member(i + timesUsual, size)]),
      probe('ZPOPMIN 100', () => [100]),
      probe('ZRANDMEMBER 100', () => [100]),
      probe('ZSCAN COUNT 100', (i) => [0, 'COUNT', 100 + i]),
      probe('ZREMRANGEBYRANK of 1,000', (_, size) => [middle(size), middle(size) + 999], 10),
      unlink,
    ],
  },
  {
    title: 'list of 10 million elements',
    filling: ['RPUSH', 'list', ...Array.from({ length: listStep }, (_, i) => `${i}:{n}`)],
    count: million,
    size: listStep * million,
    probes: [
      probe('LINDEX in the middle', (i, size) => [middle(size) + i]),
      probe('LSET in the middle', (i, size) => [middle(size) + i, 'set']),
      probe('LRANGE of 100 in the middle', (_, size) => [middle(size), middle(size) + 99]),
      probe('LINSERT behind the tenth', (i) => ['AFTER', '9:000000000000', fresh(i)]),
      probe('LPUSH', (i) => [fresh(i)]),
      probe('RPOP 100', () => [100]),
      probe('LTRIM by a thousand at each end', () => [1000, -1001], 10),
      unlink,
    ],
  },
  {
    title: 'hash of a million fields',
    filling: ['HSET', 'hash', 'member:{n}', 'value:{n}'],
    count: million,
    size: million,
    probes: [
      probe('HGET', (i, size) => [member(i, size)]),
      probe('HSET of a new field', (i) => [fresh(i), 'value']),
      probe('HINCRBY of a new field', (i) => [`counter:${i}`, 1]),
      probe('HDEL', (i, size) => [member(i, size)]),
      probe('HRANDFIELD 100', () => [100]),
      probe('HSCAN COUNT 100', (i) => [0, 'COUNT', 100 + i]),
      unlink,
    ],
  },
  {
    title: 'string of 512 MB',
    filling: ['SETRANGE', 'text', String(textBytes - 1), 'x'],
    count: 1,
    size: textBytes,
    probes: [
      probe('STRLEN'),
      probe('GETRANGE of 100 bytes in the middle', (_, size) => [middle(size), middle(size) + 99]),
      probe('GETBIT', (i, size) => [somewhere(i, size)]),
      probe('SETBIT', (i, size) => [somewhere(i, size), 1]),
      probe('SETRANGE of 100 bytes in the middle', (_, size) => [middle(size), 'x'.repeat(100)]),
      probe('APPEND of 100 bytes', () => ['x'.repeat(100)]),
      probe('BITFIELD of two far fields', (i, size) => [
        ...['INCRBY', 'u16', somewhere(i, size), 1],
        ...['SET', 'i64', size * 8 - 64, i],
      ]),
      probe('EXPIRE', (i) => [1000 + i]),
      probe('SETBIT while it has a TTL', (i, size) => [somewhere(i + timesUsual, size), 1]),
      probe('PERSIST', () => [], 1),
      probe('BITCOUNT', () => [], 3),
      probe('BITPOS', () => [1], 3),
      unlink,
    ],
  },
]

interface Taken {
  medianMs: number
  longestMs: number
}

async function take(
  client: Client,
  key: string,
  { title, rest, times }: Probe,
  size: number,
): Promise<Taken> {
  const [name = ''] = title.split(' ', 1)
  const tookMs: number[] = []
  for (let i = 0; i < times; i++) {
    const startMs = performance.now()
    const reply = await client.ask(name, key, ...rest(i, size).map(String))
    tookMs.push(performance.now() - startMs)
    if (reply.startsWith('-')) throw new Error(`${title}: ${reply.trim()}`)
  }
  return { medianMs: median(tookMs), longestMs: Math.max(...tookMs) }
}

/** Probe by probe, one server after the other. */
async function compare(
  own: Server,
  other: Server,
  { filling, count, size, probes }: LargeValue,
): Promise<(readonly [own: Taken, other: Taken])[]> {
  const [, key] = filling
  for (const { port } of [own, other]) await fill(port, filling, count)
  const clients = [await Client.connect(own.port), await Client.connect(other.port)] as const
  const found: (readonly [Taken, Taken])[] = []
  for (const probe of probes)
    found.push([await take(clients[0], key, probe, size), await take(clients[1], key, probe, size)])
  for (const client of clients) client.close()
  return found
}

const holds = ([own, other]: readonly [Taken, Taken]): boolean =>
  own.medianMs > holdMsMax && other.medianMs <= holdMsMax

export const largeSuite: Suite = {
  name: 'large',
  title: 'Huge values',
  description: `One command at a time on one huge value, from one client: how long it takes, which is how long others wait. ${timesUsual} times each; UNLINK once.`,
  async run(stage, options) {
    const own = await stage.lab({ name: 'Antipode', clusters: 1, persistence: 'none' })
    const other = await stage.redis()
    const rows: Cell[][] = []
    const tooLong: string[] = []
    for (const whole of largeValues) {
      const part = options.isQuick && whole.count > 1 ? 10 : 1
      const value = { ...whole, count: whole.count / part, size: whole.size / part }
      const found = await compare(own, other, value)
      for (const [at, pair] of found.entries()) {
        const title = value.probes[at]?.title ?? ''
        const [ours, theirs] = pair
        rows.push([value.title, title, ours.medianMs, ours.longestMs, theirs.medianMs, theirs.longestMs])
        options.say(
          `${value.title}: ${title} ${formatNumber(ours.medianMs)} ms | redis ${formatNumber(theirs.medianMs)} ms`,
        )
        if (holds(pair)) tooLong.push(`${title} of a ${value.title}`)
      }
    }
    const budget: BudgetRow = {
      what: 'commands on huge values',
      budget: `none over ${holdMsMax} ms that redis-server runs in less`,
      measured: tooLong.length === 0 ? 'none' : tooLong.join(', '),
      isMet: tooLong.length === 0,
    }
    const columns = ['', 'command', 'median ms', 'longest ms', 'redis median ms', 'redis longest ms']
    return { budgets: [budget], tables: [{ title: 'Milliseconds', columns, rows }], plots: [] }
  },
}
