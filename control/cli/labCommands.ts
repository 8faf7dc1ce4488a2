/** `antipode lab ...` */
import { fork } from 'node:child_process'
import { closeSync, mkdirSync, openSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { type Command, InvalidArgumentError, Option } from 'commander'
import type { Persistence } from '#config/process.ts'
import type { LabRequest } from '#control/contract/requests.ts'
import type { ClusterStatus, LabStatus } from '#control/contract/status.ts'
import { type KillRole, killProcess, killRoles } from '#control/lab/kill.ts'
import {
  clusterName,
  clusterNumbers,
  databasePort,
  LabError,
  type LabFile,
  type LabWish,
  labLockName,
  labLogName,
} from '#control/lab/labFile.ts'
import { askLab, type LabAnswer } from '#control/lab/labSocket.ts'
import { clearRun, stopLeftovers } from '#control/lab/leftovers.ts'
import { labDatabase } from '#control/lab/nodeToml.ts'
import { lockOwner } from '#control/supervisor/directoryLock.ts'
import { wish } from './memberCommands.ts'
import { statusText } from './statusText.ts'

export interface CliPlaces {
  /** Of the project. */
  root: string
  /** Program and leading arguments of an agent. */
  agentProgram: readonly string[]
}

/** The process of the lab ends within it. */
const downMs = 30_000
const lookMs = 25

export function addLabCommands(program: Command, places: CliPlaces): void {
  const lab = program
    .command('lab')
    .description('Clusters on this machine, with links that can be cut: to try things, and to test.')
  const defaultDirectory = join(places.root, '.lab')
  const subcommand = (usage: string, description: string) =>
    lab
      .command(usage)
      .description(description)
      .option('--dir <path>', 'where the lab keeps everything', defaultDirectory)
  addUp(subcommand, places, defaultDirectory)
  addControl(subcommand)
  addLinks(subcommand)
  addMembers(subcommand)
}

type Subcommand = (usage: string, description: string) => Command

interface UpOptions {
  dir: string
  clusters?: number
  shards?: number
  persistence?: Persistence
  basePort?: number
  set?: Record<string, string>
  fresh: boolean
  detach: boolean
  background: boolean
}

function addUp(subcommand: Subcommand, places: CliPlaces, defaultDirectory: string): void {
  subcommand(
    'up',
    'Start a lab, or start it again with its data. Ctrl-C stops it. Prints `ready` when it is.',
  )
    .option('--clusters <n>', 'how many clusters (default: 2)', wholeNumber(1, 8))
    .option('--shards <n>', 'shard processes of each cluster (default: 2)', wholeNumber(1, 256))
    .addOption(
      new Option('--persistence <how>', 'how writes are kept (default: everysec)').choices([
        'none',
        'everysec',
        'always',
      ]),
    )
    .option(
      '--base-port <port>',
      'cluster 1 serves on this port, cluster 2 on the next but one, ... (default: 12000)',
      wholeNumber(1, 65_535),
    )
    .option(
      '--set <section.key=value>',
      'a setting of every node, such as limits.backlog_bytes_max=1048576; may be repeated',
      collect,
    )
    .option('--fresh', 'forget the data of the last time', false)
    .option('--detach', 'return when ready; `antipode lab down` stops it', false)
    .addOption(new Option('--background', 'what --detach starts').default(false).hideHelp())
    .action(async (options: UpOptions) => {
      if (options.detach) await upDetached(resolve(options.dir))
      else await upHere(options, places, defaultDirectory)
    })
}

async function upHere(options: UpOptions, places: CliPlaces, defaultDirectory: string): Promise<void> {
  const { dir, clusters, shards, persistence, basePort, set, fresh } = options
  const directory = resolve(dir)
  const wish: LabWish = { clusters, shards, persistence, basePort, set }
  // Whoever read our output may have gone; the lab goes on.
  process.stdout.on('error', () => {})
  const say = (line: string) => {
    if (!options.background) console.log(line)
    else if (process.connected) process.send?.(line)
  }
  const { runLab } = await import('#control/lab/runLab.ts')
  const run = runLab({
    directory,
    wish,
    fresh,
    agentProgram: places.agentProgram,
    onStarted: (file) => {
      for (const line of welcome(file, directory, defaultDirectory)) say(line)
    },
    onWaiting: (waits) => say(`waiting for ${waits.join(', ')}`),
    onReady: () => {
      say('ready')
      if (options.background && process.connected) process.disconnect?.()
    },
    onStopping: () => say('stopping'),
  })
  await run.catch((error: unknown) => {
    if (options.background && error instanceof LabError) say(error.message)
    throw error
  })
}

function welcome(file: LabFile, directory: string, defaultDirectory: string): string[] {
  const lines = clusterNumbers(file).map(
    (number) => `${clusterName(number)}  127.0.0.1:${databasePort(file, number)}`,
  )
  const where = directory === defaultDirectory ? '' : ` --dir ${directory}`
  const second = file.clusters > 1 ? 2 : 1
  lines.push(
    `${file.shards} shard${file.shards === 1 ? '' : 's'} each, persistence ${file.persistence}, everything in ${directory}`,
    '',
    `  redis-cli -p ${databasePort(file, 1)} set key1 123`,
    `  redis-cli -p ${databasePort(file, second)} get key1`,
  )
  if (file.clusters > 1)
    lines.push(`  bin/antipode lab cut 1 2${where}`, `  bin/antipode lab heal all${where}`)
  lines.push(`  bin/antipode lab status${where}`, '')
  return lines
}

/** Runs the same command in a process of its own, and shows what that says until it is ready. */
async function upDetached(directory: string): Promise<void> {
  mkdirSync(directory, { recursive: true })
  const log = openSync(join(directory, labLogName), 'a', 0o600)
  const [, script = '', ...words] = process.argv
  const child = fork(script, [...words.filter((word) => word !== '--detach'), '--background'], {
    detached: true,
    stdio: ['ignore', log, log, 'ipc'],
  })
  closeSync(log)
  const abandon = () => child.kill('SIGTERM')
  process.on('SIGINT', abandon)
  process.on('SIGTERM', abandon)
  let ready = false
  child.on('message', (line) => {
    ready = line === 'ready'
    console.log(String(line))
  })
  await new Promise<void>((resolve) => {
    child.once('disconnect', resolve)
  })
  process.off('SIGINT', abandon)
  process.off('SIGTERM', abandon)
  child.unref()
  if (!ready)
    throw new LabError(`the lab ended before it was ready; ${join(directory, labLogName)} may say more`)
}

function addControl(subcommand: Subcommand): void {
  subcommand('down', 'Stop the lab, and whatever an earlier one has left running. The data stays.').action(
    async ({ dir }: { dir: string }) => down(resolve(dir)),
  )
  subcommand('status', 'Show clusters, processes, links and clocks.')
    .option('--json', 'as JSON', false)
    .action(async ({ dir, json }: { dir: string; json: boolean }) => {
      const reply = await request(resolve(dir), { type: 'status' })
      if (reply.type !== 'status') return
      console.log(json ? JSON.stringify(reply.status, null, 2) : statusText(reply.status))
    })
  subcommand('kill', 'End a process with SIGKILL. It is started again.')
    .argument('<cluster>', 'number of the cluster', wholeNumber(1, 8))
    .argument('<role>', killRoles.join(', '), oneOf(killRoles))
    .argument('[number]', 'which of several, counted from 0', wholeNumber(0, 255), 0)
    .action(async (cluster: number, role: KillRole, number: number, { dir }: { dir: string }) => {
      const { id, pid } = await killProcess(resolve(dir), cluster, role, number)
      console.log(`killed ${id} of ${clusterName(cluster)}, process ${pid}`)
    })
}

function addLinks(subcommand: Subcommand): void {
  const clusterNumber = wholeNumber(1, 8)
  for (const [type, description] of [
    ['cut', 'Cut the link between two clusters: bytes vanish, connections stay.'],
    ['heal', 'Mend the link between two clusters, or all links (and take their delays and limits away).'],
  ] as const) {
    const command = subcommand(type, description)
      .argument(
        '<one>',
        type === 'cut' ? 'a cluster' : 'a cluster, or `all`',
        type === 'cut' ? clusterNumber : String,
      )
      .argument(type === 'cut' ? '<other>' : '[other]', 'another', clusterNumber)
      .option('--one-way', 'only bytes from the first to the second', false)
    command.action(
      async (
        one: number | string,
        other: number | undefined,
        { dir, oneWay }: { dir: string; oneWay: boolean },
      ) => {
        await changeLink(resolve(dir), type, one, other, oneWay)
      },
    )
  }
  subcommand(
    'delay',
    'Delay every byte between two clusters, in both directions: a round trip takes twice as long.',
  )
    .argument('<one>', 'a cluster', clusterNumber)
    .argument('<other>', 'another', clusterNumber)
    .argument('<ms>', 'milliseconds', wholeNumber(0, 60_000))
    .action(async (one: number, other: number, delayMs: number, { dir }: { dir: string }) => {
      await request(resolve(dir), { type: 'delay', one, other, delayMs })
    })
  subcommand('rate', 'Let a link between two clusters carry so much and no more, in each direction.')
    .argument('<one>', 'a cluster', clusterNumber)
    .argument('<other>', 'another', clusterNumber)
    .argument('<mbit>', 'megabits a second; 0: as fast as it goes', wholeNumber(0, 100_000))
    .action(async (one: number, other: number, megabitsPerSecond: number, { dir }: { dir: string }) => {
      await request(resolve(dir), { type: 'rate', one, other, megabitsPerSecond })
    })
}

function addMembers(subcommand: Subcommand): void {
  const clusterNumber = wholeNumber(1, 8)
  subcommand('add', 'Add a cluster to the lab while it runs, or let one in again that was removed.')
    .argument('[cluster]', 'number of one that was removed; a new one when left out', clusterNumber)
    .action(async (cluster: number | undefined, { dir }: { dir: string }) => await add(resolve(dir), cluster))
  subcommand('remove', 'Remove clusters from the database while it runs; their processes stay.')
    .argument('<cluster...>', 'which; several only with --force', numbers)
    .option('--force', 'without their help, as if they were dead', false)
    .action(async (clusters: number[], { dir, force }: { dir: string; force: boolean }) => {
      const directory = resolve(dir)
      const config = configOf(directory, await activeCluster(directory, clusters))
      const names = clusters.map(clusterName)
      await wish({ config }, { type: 'removeMembers', database: labDatabase, names, forced: force })
    })
}

const configOf = (directory: string, cluster: number): string =>
  join(directory, clusterName(cluster), 'node.toml')

async function labStatus(directory: string): Promise<LabStatus> {
  const reply = await request(directory, { type: 'status' })
  if (reply.type !== 'status') throw new LabError('the lab does not tell its status')
  return reply.status
}

const stateOf = ({ name, node }: ClusterStatus): string | undefined =>
  node?.databases[0]?.members.find((member) => member.name === name)?.state

/** A member that can be asked to change the others. */
async function activeCluster(directory: string, others: readonly number[]): Promise<number> {
  const { clusters } = await labStatus(directory)
  const active = clusters.find((cluster) => !others.includes(cluster.number) && stateOf(cluster) === 'active')
  if (active === undefined) throw new LabError('there is no other cluster that is a member and answers')
  return active.number
}

async function add(directory: string, wished: number | undefined): Promise<void> {
  const before = (await labStatus(directory)).clusters.find(({ number }) => number === wished)
  if (before !== undefined && stateOf(before) === 'removed')
    await wish(
      { config: configOf(directory, before.number) },
      { type: 'purgeDatabase', database: labDatabase },
    )
  const prepared = await request(directory, { type: 'prepare', cluster: wished ?? null })
  if (prepared.type !== 'prepared') return
  const { cluster } = prepared
  const { links, clusters } = await labStatus(directory)
  const name = clusterName(cluster)
  const place = (from: number) => {
    const port = links.find((link) => link.from === from && link.to === cluster)?.relayPort ?? 0
    return { database: labDatabase, name, host: '127.0.0.1', port }
  }
  const first = await activeCluster(directory, [cluster])
  const joining = { type: 'addMember', ...place(first), id: cluster } as const
  await wish({ config: configOf(directory, first) }, joining)
  // Each of the others over a link of its own, so that it can be cut.
  for (const other of clusters) {
    if (other.number === first || other.number === cluster || stateOf(other) !== 'active') continue
    await wish({ config: configOf(directory, other.number) }, { type: 'moveMember', ...place(other.number) })
  }
  console.log(`${name}  127.0.0.1:${clusters.find(({ number }) => number === cluster)?.port}`)
}

async function changeLink(
  directory: string,
  type: 'cut' | 'heal',
  one: number | string,
  other: number | undefined,
  oneWay: boolean,
): Promise<void> {
  if (type === 'heal' && one === 'all') {
    await request(directory, { type: 'healAll' })
    return
  }
  const first = Number(one)
  if (!Number.isInteger(first) || other === undefined) {
    throw new LabError('name two clusters, such as `heal 1 2`, or `heal all`')
  }
  await request(directory, { type, one: first, other, oneWay })
}

/** Asks the lab that runs. */
async function request(directory: string, message: LabRequest): Promise<LabAnswer> {
  if (lockOwner(join(directory, labLockName)) === null) {
    throw new LabError(`no lab is running in ${directory}; start it with \`antipode lab up\``)
  }
  return await askLab(directory, message)
}

async function down(directory: string): Promise<void> {
  const owner = lockOwner(join(directory, labLockName))
  if (owner !== null) {
    await request(directory, { type: 'down' })
    const deadlineMs = performance.now() + downMs
    while (lockOwner(join(directory, labLockName))?.pid === owner.pid) {
      if (performance.now() > deadlineMs) throw new LabError(`the lab, process ${owner.pid}, does not stop`)
      await new Promise((wake) => setTimeout(wake, lookMs))
    }
  }
  const found = await stopLeftovers(directory)
  clearRun(directory)
  if (owner !== null) console.log('stopped')
  else if (found.length > 0) console.log(`stopped what was left over: ${found.join(', ')}`)
  else console.log(`nothing is running in ${directory}`)
}

const wholeNumber =
  (min: number, max: number) =>
  (text: string): number => {
    const value = Number(text)
    if (/^\d+$/.test(text) && value >= min && value <= max) return value
    throw new InvalidArgumentError(`A whole number from ${min} to ${max} is needed.`)
  }

const numbers = (text: string, before: number[] = []): number[] => [...before, wholeNumber(1, 8)(text)]

const oneOf =
  <T extends string>(words: readonly T[]) =>
  (text: string): T => {
    const found = words.find((word) => word === text)
    if (found === undefined) throw new InvalidArgumentError(`It is one of ${words.join(', ')}.`)
    return found
  }

function collect(text: string, before: Record<string, string> = {}): Record<string, string> {
  const equals = text.indexOf('=')
  if (equals <= 0) throw new InvalidArgumentError('It is written SECTION.KEY=VALUE.')
  return { ...before, [text.slice(0, equals)]: text.slice(equals + 1) }
}
