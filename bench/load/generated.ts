/** Load of our own generator, in a process of its own. */
import { spawn } from 'node:child_process'
import { join } from 'node:path'
import type { Outcome, Plan } from '#bench/generator/plan.ts'

export interface GeneratedLoad {
  outcome: Promise<Outcome>
  /** Ends it before its time; the outcome comes when the last reply is there. */
  stop(): void
}

const script = join(import.meta.dirname, '..', 'generator', 'main.ts')

export function startLoad(plan: Plan): GeneratedLoad {
  const child = spawn(process.execPath, [script], { stdio: ['pipe', 'pipe', 'pipe'] })
  let output = ''
  let complaints = ''
  child.stdout.on('data', (chunk: Buffer) => {
    output += chunk.toString()
  })
  child.stderr.on('data', (chunk: Buffer) => {
    complaints += chunk.toString()
  })
  const outcome = new Promise<Outcome>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (code) => {
      if (code === 0 && output !== '') resolve(JSON.parse(output))
      else reject(new Error(`load generator on port ${plan.port}: ${complaints.trim()}`))
    })
  })
  child.stdin.on('error', (error) => {
    // It has ended; the outcome says why.
    complaints += error.message
  })
  child.stdin.write(`${JSON.stringify(plan)}\n`)
  return { outcome, stop: () => child.stdin.end() }
}

export const runLoad = (plan: Plan): Promise<Outcome> => startLoad(plan).outcome

/** Runs each key number from `first` on through `args` (with `{n}`). */
export async function fill(port: number, args: readonly string[], count: number, first = 0): Promise<void> {
  await fillMixed(port, [{ weight: 1, args }], count, first)
}

/** The same, with one of the requests drawn for each key. */
export async function fillMixed(port: number, mix: Plan['mix'], count: number, first = 0): Promise<void> {
  await runLoad({
    port,
    connections: 4,
    mix,
    keys: { first, count, order: 'inTurn' },
    pace: { type: 'closed', pipeline: 50 },
    until: { requests: count },
  })
}
