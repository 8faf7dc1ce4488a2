/** `antipode`: the command line. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Command } from 'commander'
import { NodeFileError } from '#control/agent/nodeFile.ts'
import { runAgent } from '#control/agent/runAgent.ts'
import { startNodeClock } from '#control/clock/clockService.ts'
import { LabError } from '#control/lab/labFile.ts'
import { StoreDamage } from '#control/store/configStore.ts'
import { DirectoryInUse } from '#control/supervisor/directoryLock.ts'
import { addLabCommands } from './labCommands.ts'

const root = join(import.meta.dirname, '..', '..')

const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string }

/** Shards and proxies make much short-lived garbage; a larger nursery keeps it from growing old. */
const nurseryFlag = '--max-semi-space-size=32'

const programs = {
  shard: [process.execPath, nurseryFlag, join(root, 'server', 'main.ts')],
  proxy: [process.execPath, nurseryFlag, join(root, 'proxy', 'main.ts')],
  syncer: [process.execPath, join(root, 'syncer', 'main.ts')],
}

const program = new Command('antipode')
  .description('A Redis-protocol database that several clusters write at the same time.')
  .version(version)
  .showHelpAfterError('(antipode --help shows what there is)')

program
  .command('agent')
  .description(
    'Run a node: start its processes, watch over them, stop them on SIGTERM. SIGHUP reads the file again.',
  )
  .requiredOption('--config <file>', "the node's TOML file; see docs/configuration.md")
  .option(
    '--reimport',
    'take the databases of the file over, although the node has been started before',
    false,
  )
  .action(async ({ config, reimport }: { config: string; reimport: boolean }) => {
    await runAgent({ configPath: config, reimport, version, programs, startClock: startNodeClock })
  })

addLabCommands(program, { root, agentProgram: [process.execPath, import.meta.filename, 'agent'] })

/** What the user can mend is told in a line or two, without a trace of calls. */
const isForUser = (error: unknown): error is Error =>
  [LabError, NodeFileError, StoreDamage, DirectoryInUse].some((kind) => error instanceof kind)

try {
  await program.parseAsync()
} catch (error) {
  if (!isForUser(error)) throw error
  console.error(error.message)
  process.exitCode = 1
}
