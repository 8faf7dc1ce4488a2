/** `antipode member ...`: which clusters hold a database. */
import { join } from 'node:path'
import { type Command, InvalidArgumentError } from 'commander'
import { ask, converse } from '#control/agent/jsonLines.ts'
import { agentSocketName } from '#control/agent/nodeDirectory.ts'
import { readNodeFile } from '#control/agent/nodeFile.ts'
import { socketDirectory } from '#control/agent/socketDirectory.ts'
import { MendableError } from '#control/contract/mendableError.ts'
import type { AgentReply, AgentRequest, MemberRequest } from '#control/contract/requests.ts'
import { memberLines } from './statusText.ts'

/** An agent answers at once, or it is not well. */
const answerMs = 2_000

interface Options {
  config: string
  database: string
}

export function addMemberCommands(program: Command): void {
  const member = program
    .command('member')
    .description(
      'Which clusters hold a database: add one, remove one. Given at a cluster that stays; docs/members.md has it step by step.',
    )
  const subcommand = (usage: string, description: string) =>
    member
      .command(usage)
      .description(description)
      .requiredOption('--config <file>', "the TOML file of this cluster's node")
      .option('--database <name>', 'which database, when there are several', '')
  subcommand('list', 'Show the members as this cluster knows them.').action(list)
  subcommand(
    'add',
    'Let another cluster in. Prints its id and the guid of the database, with which it is then started (`joins = true` in its file); ' +
      'waits until it has all data, and makes it a full member. Given again, it goes on where it was.',
  )
    .requiredOption('--name <name>', "the cluster's name, as in its file and its certificate")
    .requiredOption('--address <host:port>', 'where its database port is', address)
    .option('--id <n>', '1 to 8; the smallest that is free when left out', wholeNumber)
    .action(async (options: Options & { name: string; address: Address; id?: number }) => {
      const { name, address: place, id = null, database } = options
      await wish(options, { type: 'addMember', database, name, ...place, id })
    })
  subcommand(
    'remove',
    'Remove a cluster. It takes no writes any more, all others get everything that it has written, then it is out.',
  )
    .argument('<name...>', 'the cluster; with --force several')
    .option(
      '--force',
      'without its help, because it is dead or cut off for good: what it has written and sent to nobody is lost, and it may ' +
        'come back only after `member purge`. The other members must all be reachable; name those that are dead, too',
      false,
    )
    .action(async (names: string[], options: Options & { force: boolean }) => {
      await wish(options, {
        type: 'removeMembers',
        database: options.database,
        names,
        forced: options.force,
      })
    })
  subcommand(
    'cancel',
    'Call off a change that has not ended, such as a removal that waits for somebody.',
  ).action(async (options: Options) => {
    await wish(options, { type: 'cancelMemberChange', database: options.database })
  })
  subcommand('move', 'Tell this cluster, and only it, where another member is reached from here.')
    .argument('<name>', 'the other cluster')
    .requiredOption('--address <host:port>', 'where its database port is', address)
    .action(async (name: string, options: Options & { address: Address }) => {
      await wish(options, { type: 'moveMember', database: options.database, name, ...options.address })
    })
  subcommand(
    'rejoin',
    'At a cluster whose data is lost or not to be trusted: give up what it has, and get everything anew from the others, as a new ' +
      'member. What only it has is lost. All others must answer.',
  )
    .option(
      '--force',
      'force out, too, those that do not answer, as `member remove --force` does: what only they have is lost, operations of this ' +
        'cluster among it, and they may come back only after `member purge`',
      false,
    )
    .action(async (options: Options & { force: boolean }) => {
      await wish(options, { type: 'rejoin', database: options.database, forced: options.force })
    })
  subcommand(
    'purge',
    'At a cluster that has been removed: forget the database and delete its data, so that the cluster can join again.',
  ).action(async (options: Options) => {
    await wish(options, { type: 'purgeDatabase', database: options.database })
  })
}

interface Address {
  host: string
  port: number
}

function address(text: string): Address {
  const [, host, port] = /^\[?([^\s/[\]]+)\]?:(\d{1,5})$/.exec(text) ?? []
  if (host === undefined || Number(port) < 1 || Number(port) > 65_535)
    throw new InvalidArgumentError('It is written HOST:PORT.')
  return { host, port: Number(port) }
}

function wholeNumber(text: string): number {
  if (!/^[1-8]$/.test(text)) throw new InvalidArgumentError('A whole number from 1 to 8 is needed.')
  return Number(text)
}

async function list({ config, database: wanted }: Options): Promise<void> {
  const request: AgentRequest = { type: 'status' }
  const reply = (await reach(
    config,
    async (path) => await ask(path, request, answerMs),
  )) as unknown as AgentReply
  if (reply.type !== 'status') return
  for (const database of reply.status.databases) {
    if (wanted !== '' && database.name !== wanted) continue
    for (const line of memberLines(database)) console.log(line)
  }
}

/** Shows what the agent tells; what it refuses is thrown. */
export async function wish({ config }: { config: string }, request: MemberRequest): Promise<void> {
  let refusal: string | null = null
  await reach(config, async (path) => {
    await converse(path, request, (message) => {
      const reply = message as unknown as AgentReply
      if (reply.type === 'refused') refusal = reply.message
      else if (reply.type !== 'status') console.log(reply.text)
      return reply.type !== 'progress'
    })
  })
  if (refusal !== null) throw new MendableError(refusal)
}

async function reach<T>(config: string, act: (socketPath: string) => Promise<T>): Promise<T> {
  const path = join(socketDirectory(readNodeFile(config).dataDirectory), agentSocketName)
  try {
    return await act(path)
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    throw new MendableError(`the agent of ${config} does not answer: ${reason}; is it running?`)
  }
}
