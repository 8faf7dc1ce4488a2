/** How long the data is away when its process is killed. */
import { fill } from '#bench/load/generated.ts'
import { formatNumber, formatRatio } from '#bench/report/number.ts'
import type { BudgetRow, Cell } from '#bench/report/result.ts'
import { askOnce, askUntil, infoNumber, supports } from '#bench/servers/client.ts'
import type { Restartable } from '#bench/servers/server.ts'
import type { Stage } from '#bench/servers/stage.ts'
import { plainString } from './memory.ts'
import type { Suite } from './suite.ts'

const restartMs = 300_000
const compactMs = 300_000

/** From the kill until all keys are served again, milliseconds. */
export async function restartTime(server: Restartable): Promise<number> {
  const size = await askOnce(server.port, 'DBSIZE')
  const startMs = performance.now()
  await server.killData()
  await askUntil(server.port, ['DBSIZE'], (reply) => reply === size, restartMs)
  return performance.now() - startMs
}

/**
 * Has the server write its data down as compactly as it can, where it has a command for it: an append-only file rewritten
 * with an RDB at its head, or a snapshot. Waits until it is done.
 */
async function compact(server: Restartable): Promise<void> {
  for (const command of ['BGREWRITEAOF', 'BGSAVE']) {
    if (!(await supports(server.port, command))) continue
    await askOnce(server.port, command)
    break
  }
  const isDone = (info: string) =>
    // A field that isn't there counts nothing.
    !(infoNumber(info, 'rdb_bgsave_in_progress') > 0) &&
    !(infoNumber(info, 'aof_rewrite_in_progress') > 0) &&
    !(infoNumber(info, 'aof_rewrite_scheduled') > 0)
  await askUntil(server.port, ['INFO', 'persistence'], isDone, compactMs)
}

interface Restarts {
  /** Right after the writes: what they left in the log is read. */
  writtenMs: number
  compactMs: number
}

async function restarts(server: Restartable, keys: number, times: number): Promise<Restarts> {
  for (let i = 0; i < times; i++) await fill(server.port, plainString.args, keys)
  const writtenMs = await restartTime(server)
  await compact(server)
  return { writtenMs, compactMs: await restartTime(server) }
}

const startPair = async (stage: Stage): Promise<[own: Restartable, other: Restartable]> => [
  await stage.lab({ name: 'Antipode', clusters: 1, persistence: 'everysec' }),
  await stage.redis({ appendOnly: true }),
]

/** Both servers hold `keys` keys on disk. */
export async function restartBudget(own: Restartable, other: Restartable, keys: number): Promise<BudgetRow> {
  await compact(own)
  await compact(other)
  const [ownMs, otherMs] = [await restartTime(own), await restartTime(other)]
  return {
    what: `restart with ${keys.toLocaleString('en-US')} keys`,
    budget: '2 x the time',
    measured: `${formatRatio(ownMs, otherMs)} (${formatNumber(ownMs)} ms, ${formatNumber(otherMs)} ms)`,
    isMet: ownMs <= 2 * otherMs,
  }
}

export const restartSuite: Suite = {
  name: 'restart',
  title: 'Restart',
  description:
    'From `kill -9` of the process that holds the data until all keys are served again, with `everysec`; the files are still in the page cache. *Compact*: after redis-server has rewritten its append-only file (with an RDB at its head) and Antipode has written a snapshot, where it has a command for it.',
  async run(stage, options) {
    const keys = options.keys ?? (options.isQuick ? 100_000 : 1_000_000)
    const rows: Cell[][] = []
    for (const times of [1, 4]) {
      const [own, other] = await startPair(stage)
      const ownTimes = await restarts(own, keys, times)
      const otherTimes = await restarts(other, keys, times)
      const label = `${keys.toLocaleString('en-US')} keys, written ${times === 1 ? 'once' : `${times} times`}`
      for (const [kind, ownMs, otherMs] of [
        ['', ownTimes.writtenMs, otherTimes.writtenMs],
        [', compact', ownTimes.compactMs, otherTimes.compactMs],
      ] as const) {
        rows.push([`${label}${kind}`, ownMs, otherMs, formatRatio(ownMs, otherMs)])
        options.say(`${label}${kind}: ${formatNumber(ownMs)} ms | redis ${formatNumber(otherMs)} ms`)
      }
      await stage.stop(own)
      await stage.stop(other)
    }
    return {
      budgets: [],
      tables: [{ title: 'Milliseconds', columns: ['', 'Antipode', 'redis-server', 'ratio'], rows }],
      plots: [],
    }
  },
}
