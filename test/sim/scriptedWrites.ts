/**
 * Operations of the workload done by scripts, which must not show: the laws are the same. What a script calls lies in one buffer that
 * the next call overwrites, and errors that it catches leave what it did before; so each write has other calls and such errors around it.
 */
import type { SeededRandom } from '#test/seed.ts'
import { keyOf, type Operation } from './workload.ts'

/** Arguments: the kind, then commands, each behind the number of its words. */
const script = `
  local kind, at, last = ARGV[1], 2, false
  local function disturb()
    if kind == 'plain' then return end
    redis.call('ECHO', string.rep('overwritten ', 40))
    redis.call('EXISTS', KEYS[1])
    if kind == 'calls' then return end
    redis.pcall('INCRBY', KEYS[1], 'no number')
    redis.pcall('SET', KEYS[1])
    redis.pcall('NOSUCH', string.rep('x', 200))
    pcall(redis.call, 'SETRANGE', KEYS[1], -1, 'x')
  end
  while ARGV[at] do
    local count = tonumber(ARGV[at])
    disturb()
    last = redis.call(unpack(ARGV, at + 1, at + count))
    at = at + count + 1
    disturb()
  end
  if kind == 'late' then error('late') end
  return last`

type ScriptKind = 'plain' | 'calls' | 'errors' | 'late'

/** Of a key that is never there. */
function evaluation(tag: string, kind: ScriptKind, commands: readonly string[][]): string[] {
  const words = commands.flatMap((command) => [String(command.length), ...command])
  return ['EVAL', script, '1', keyOf(tag, 'never'), kind, ...words]
}

/** The same as one script, or with a script in its transaction. */
export function scripted(operation: Operation, random: SeededRandom): Operation {
  const { law, tag, commands } = operation
  // What fails at its end has done all the same, which only keys without a law may show.
  const kinds: ScriptKind[] = ['plain', 'calls', 'errors', ...(law === 'none' ? (['late'] as const) : [])]
  const isTransaction = commands.length > 1
  const writes = isTransaction ? commands.slice(1, -1) : commands
  if (!isTransaction || random.chance(0.5))
    return { ...operation, commands: [evaluation(tag, random.pick(kinds), writes)] }
  const place = random.below(writes.length)
  const within = writes.map((write, i) =>
    i === place ? evaluation(tag, random.pick(kinds), [write]) : write,
  )
  return { ...operation, commands: [['MULTI'], ...within, ['EXEC']] }
}
