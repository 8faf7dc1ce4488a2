/** Memory per key, by type. */
import { fill } from '#bench/load/generated.ts'
import { formatNumber, formatRatio } from '#bench/report/number.ts'
import type { Cell } from '#bench/report/result.ts'
import { askOnce, infoNumber, supports } from '#bench/servers/client.ts'
import type { Server } from '#bench/servers/server.ts'
import type { Stage } from '#bench/servers/stage.ts'
import { settledResidentBytes } from './residentMemory.ts'
import type { Suite } from './suite.ts'

interface Kind {
  title: string
  /** Makes one key; `{n}` is its number. */
  args: readonly string[]
  count: number
}

const value = 'v'.repeat(32)
const five = (parts: (i: number) => string[]): string[] => [0, 1, 2, 3, 4].flatMap(parts)

/** A key has 16 bytes. */
export const plainString: Kind = {
  title: 'string of 32 bytes',
  args: ['SET', 'key:{n}', value],
  count: 1_000_000,
}

// biome-ignore format: one kind a line
const kinds: readonly Kind[] = [
  plainString,
  { title: 'string of 32 bytes, with TTL', args: ['SET', 'key:{n}', value, 'EX', '100000'], count: 1_000_000 },
  { title: 'integer by SET', args: ['SET', 'key:{n}', '{n}'], count: 1_000_000 },
  { title: 'counter by INCRBY', args: ['INCRBY', 'key:{n}', '1234567'], count: 1_000_000 },
  { title: 'hash of 5 fields', args: ['HSET', 'key:{n}', ...five((i) => [`field:${i}`, `value:{n}`])], count: 200_000 },
  { title: 'set of 5 members', args: ['SADD', 'key:{n}', ...five((i) => [`member:${i}:{n}`])], count: 200_000 },
  { title: 'list of 5 elements', args: ['RPUSH', 'key:{n}', ...five((i) => [`element:${i}:{n}`])], count: 200_000 },
  { title: 'sorted set of 5 members', args: ['ZADD', 'key:{n}', ...five((i) => [`${i}`, `member:${i}:{n}`])], count: 200_000 },
]

export interface KeyMemory {
  /** Growth of resident memory from the empty server, bytes a key. */
  wholeBytes: number
  /** The same from a fifth of the keys on: without what a process takes once. */
  marginalBytes: number
  /** What `used_memory` grew by from a fifth on. */
  accountedBytes: number
}

/** `server` is empty and fresh. */
export async function memoryPerKey(server: Server, { args, count }: Kind): Promise<KeyMemory> {
  const used = async () => infoNumber(await askOnce(server.port, 'INFO', 'memory'), 'used_memory')
  const fifth = Math.floor(count / 5)
  const emptyBytes = await settledResidentBytes(server)
  await fill(server.port, args, fifth)
  const fifthBytes = await settledResidentBytes(server)
  const fifthUsed = await used()
  await fill(server.port, args, count - fifth, fifth)
  const allBytes = await settledResidentBytes(server)
  const allUsed = await used()
  return {
    wholeBytes: (allBytes - emptyBytes) / count,
    marginalBytes: (allBytes - fifthBytes) / (count - fifth),
    accountedBytes: (allUsed - fifthUsed) / (count - fifth),
  }
}

/** Each in a fresh server, ours first. */
async function compare(stage: Stage, kind: Kind): Promise<[own: KeyMemory | null, other: KeyMemory]> {
  const lab = await stage.lab({ name: 'Antipode', clusters: 1, persistence: 'none' })
  const isKnown = await supports(lab.port, kind.args[0] ?? '')
  const own = isKnown ? await memoryPerKey(lab, kind) : null
  await stage.stop(lab)
  const redis = await stage.redis()
  const other = await memoryPerKey(redis, kind)
  await stage.stop(redis)
  return [own, other]
}

export const memorySuite: Suite = {
  name: 'memory',
  title: 'Memory per key',
  description:
    'Growth of resident memory (of the shard, the process that holds the data), keys of 16 bytes, one million of strings and 200,000 of the others; no persistence. *Whole* counts from the empty server, *marginal* from a fifth of the keys on; *accounted* is what `used_memory` of INFO grew by meanwhile, to be compared with *marginal*.',
  async run(stage, options) {
    const rows: Cell[][] = []
    const found: { title: string; own: KeyMemory | null; other: KeyMemory }[] = []
    for (const kind of kinds) {
      const count = options.isQuick ? kind.count / 10 : kind.count
      const [own, other] = await compare(stage, { ...kind, count })
      found.push({ title: kind.title, own, other })
      rows.push([
        kind.title,
        own?.wholeBytes ?? 'not supported yet',
        other.wholeBytes,
        own && formatRatio(own.wholeBytes, other.wholeBytes),
        own?.marginalBytes ?? null,
        other.marginalBytes,
        own && formatRatio(own.marginalBytes, other.marginalBytes),
        own?.accountedBytes ?? null,
        other.accountedBytes,
      ])
      options.say(
        `${kind.title}: ${own ? formatNumber(own.wholeBytes) : '-'} | redis ${formatNumber(other.wholeBytes)} bytes a key`,
      )
    }
    const columns = ['', 'whole', 'redis', 'ratio', 'marginal', 'redis', 'ratio', 'accounted', 'redis']
    return {
      budgets: [],
      tables: [{ title: 'Bytes a key', columns, rows }],
      plots: [
        {
          type: 'bars',
          name: 'memory',
          title: 'Memory per key, whole growth',
          unit: 'bytes',
          categories: kinds.map(({ title }) => title),
          series: [
            { name: 'Antipode', values: found.map(({ own }) => own?.wholeBytes ?? null) },
            { name: 'redis-server', values: found.map(({ other }) => other.wholeBytes) },
          ],
        },
      ],
    }
  },
}
