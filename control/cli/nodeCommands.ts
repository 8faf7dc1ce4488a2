/** `antipode certificates` and `antipode health`: what whoever runs nodes needs beside `antipode agent`. */
import { join, resolve } from 'node:path'
import { type Command, InvalidArgumentError } from 'commander'
import { schema } from '#config/schema.ts'
import { ask } from '#control/agent/jsonLines.ts'
import { agentSocketName } from '#control/agent/nodeDirectory.ts'
import { readNodeFile } from '#control/agent/nodeFile.ts'
import { socketDirectory } from '#control/agent/socketDirectory.ts'
import { ensureCertificates } from '#control/certificates/certificates.ts'
import type { AgentReply } from '#control/contract/requests.ts'
import { nodeFaults } from './nodeHealth.ts'

/** An agent answers at once, or it is not well. */
const answerMs = 2_000

export function addNodeCommands(program: Command): void {
  program
    .command('certificates')
    .description(
      'Make an authority and a certificate for each cluster, signed by it. What is there and still good is kept.',
    )
    .requiredOption('--dir <path>', 'where the files are: authority.crt, NAME.crt, NAME.key, ...')
    .argument('<name...>', "names of clusters, as `node.cluster` in the clusters' TOML files", clusterNames)
    .action(async (names: string[], { dir }: { dir: string }) => certificates(resolve(dir), names))
  program
    .command('health')
    .description(
      'Ask the agent of a node whether all is well: every process runs, every shard takes writes. ' +
        'If not, say what is amiss and exit with 1. Links to other clusters do not matter.',
    )
    .requiredOption('--config <file>', "the node's TOML file")
    .action(async ({ config }: { config: string }) => health(config))
}

/** Called for each of the names, with those before it. */
function clusterNames(name: string, before: string[] = []): string[] {
  const { pattern, form, max } = schema.node.settings.cluster
  if (name === 'authority') throw new InvalidArgumentError("The files of that name are the authority's own.")
  if (name.length > max || pattern?.test(name) === false)
    throw new InvalidArgumentError(`A name is ${form}, ${max} at most.`)
  return [...before, name]
}

async function certificates(directory: string, names: readonly string[]): Promise<void> {
  try {
    const identities = await ensureCertificates(directory, names)
    for (const [name, { certificatePath }] of identities) console.log(`${name}: ${certificatePath}`)
  } catch (error) {
    // Of the file system, such as a directory of somebody else.
    if (!(error instanceof Error && 'code' in error)) throw error
    fail(error.message)
  }
}

async function health(configPath: string): Promise<void> {
  const { dataDirectory } = readNodeFile(configPath)
  let reply: AgentReply
  try {
    const socketPath = join(socketDirectory(dataDirectory), agentSocketName)
    reply = (await ask(socketPath, { type: 'status' }, answerMs)) as unknown as AgentReply
  } catch (error) {
    return fail(
      `the agent of ${configPath} does not answer: ${error instanceof Error ? error.message : error}`,
    )
  }
  const faults = reply.type === 'status' ? nodeFaults(reply.status) : ['its agent does not tell its status']
  if (faults.length > 0) fail(faults.join('\n'))
  console.log('healthy')
}

function fail(message: string): never {
  console.error(message)
  process.exit(1)
}
