/** How an agent starts its processes: `node <role>/main.ts --agent SOCKET --role ROLE --name NAME`. */
import { parseArgs } from 'node:util'

export interface ProcessArguments {
  agentPath: string
  role: string
  name: string
}

/** Throws an `Error` that says how to call the program. */
export function processArguments(argv: readonly string[] = process.argv.slice(2)): ProcessArguments {
  const { values } = parseArgs({
    args: [...argv],
    options: { agent: { type: 'string' }, role: { type: 'string' }, name: { type: 'string' } },
  })
  const { agent, role, name } = values
  if (agent === undefined || role === undefined || name === undefined)
    throw new Error(
      'usage: --agent SOCKET --role shard|proxy|syncer --name NAME (an agent starts this program)',
    )
  return { agentPath: agent, role, name }
}
