/** How proxies reach the thread beside a shard that sees and stops its scripts: a socket of its own, a line each way. */
import { areTexts } from '#runtime/jsonObject.ts'

/** Of a shard whose own socket is at `socketPath`. */
export const scriptWatchPath = (socketPath: string): string => `${socketPath}.s`

/** What runs: EVAL and its kin, or a function. */
export type ScriptKind = 'script' | 'function'

export type ScriptWatchQuestion =
  | { kind: 'status' }
  /** The same with the command, of a function. */
  | { kind: 'show' }
  /** Stops what has run for `afterMs`, or waits until it has or ends: only a shard that is busy is to be stopped. */
  | { kind: 'kill'; of: ScriptKind; afterMs: number }

export const scriptWatchLine = (question: ScriptWatchQuestion): string =>
  question.kind === 'kill' ? `kill ${question.of} ${question.afterMs}` : question.kind

/** What the thread says. */
export type ScriptWatchAnswer =
  /** `other`: what runs is not of the kind that is to be stopped. */
  | { state: 'idle' | 'killed' | 'unkillable' | 'other' }
  | { state: 'runs'; of: ScriptKind; forMs: number; command?: readonly string[] }

/** Null: nothing that makes sense. */
export function readScriptWatchAnswer(line: string): ScriptWatchAnswer | null {
  if (line === 'idle' || line === 'killed' || line === 'unkillable' || line === 'other')
    return { state: line }
  const runs = /^runs (script|function) ([0-9]{1,12})(?: (\[.*\]))?$/.exec(line)
  if (runs === null) return null
  const [, of, forMs, json] = runs
  const command = json === undefined ? null : commandIn(json)
  const running = { state: 'runs', of: of as ScriptKind, forMs: Number(forMs) } as const
  return command === null ? running : { ...running, command }
}

function commandIn(json: string): string[] | null {
  try {
    const value: unknown = JSON.parse(json)
    return areTexts(value) ? value : null
  } catch {
    return null
  }
}
