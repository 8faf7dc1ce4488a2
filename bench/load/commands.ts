/**
 * The commands that are measured: one line each. Where redis-benchmark has a test of the name its shape is kept. A command
 * that a server doesn't know yet is told so and left out.
 */
export interface MeasuredCommand {
  /** In tables. */
  title: string
  /** As redis-benchmark takes them: `__rand_int__` is a random number of the key space. */
  args: readonly string[]
  /** What must be there before, for every number of the key space: `{n}`. */
  needs?: readonly string[]
  /** Counts for the budgets. */
  isBudgeted?: true
}

const key = 'key:__rand_int__'
const value = 'v'.repeat(32)
const ten = <T>(item: readonly T[]): T[] => Array.from({ length: 10 }, () => item).flat()

export const setCommand = (valueBytes: number): MeasuredCommand => ({
  title: 'SET',
  args: ['SET', key, 'v'.repeat(valueBytes)],
})

export const getCommand = (valueBytes: number): MeasuredCommand => ({
  title: 'GET',
  args: ['GET', key],
  needs: ['SET', 'key:{n}', 'v'.repeat(valueBytes)],
})

// biome-ignore format: one command a line
export const measuredCommands: readonly MeasuredCommand[] = [
  { ...getCommand(32), isBudgeted: true },
  { ...setCommand(32), isBudgeted: true },
  { title: 'INCR', args: ['INCR', 'counter:__rand_int__'], isBudgeted: true },
  { title: 'MGET 10 keys', args: ['MGET', ...ten([key])], needs: ['SET', 'key:{n}', value] },
  { title: 'MSET 10 keys', args: ['MSET', ...ten([key, value])] },
  { title: 'EXPIRE', args: ['EXPIRE', key, '100000'], needs: ['SET', 'key:{n}', value] },
  { title: 'HSET', args: ['HSET', 'myhash', 'element:__rand_int__', value], isBudgeted: true },
  { title: 'HGET', args: ['HGET', 'myhash', 'element:__rand_int__'], needs: ['HSET', 'myhash', 'element:{n}', value] },
  { title: 'HSET, many hashes', args: ['HSET', 'hash:__rand_int__', 'field', value] },
  { title: 'SADD', args: ['SADD', 'myset', 'element:__rand_int__'], isBudgeted: true },
  { title: 'SISMEMBER', args: ['SISMEMBER', 'myset', 'element:__rand_int__'], needs: ['SADD', 'myset', 'element:{n}'] },
  { title: 'LPUSH', args: ['LPUSH', 'mylist', value], isBudgeted: true },
  { title: 'LRANGE 0 9', args: ['LRANGE', 'list:__rand_int__', '0', '9'], needs: ['RPUSH', 'list:{n}', ...ten([value])] },
  { title: 'ZADD', args: ['ZADD', 'myzset', '__rand_int__', 'element:__rand_int__'], isBudgeted: true },
  { title: 'ZSCORE', args: ['ZSCORE', 'myzset', 'element:__rand_int__'], needs: ['ZADD', 'myzset', '1', 'element:{n}'] },
]
