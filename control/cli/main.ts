/** `antipode`: the command line. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Command } from 'commander'
import { MendableError } from '#control/contract/mendableError.ts'
import { addLabCommands } from './labCommands.ts'
import { addMemberCommands } from './memberCommands.ts'
import { addNodeCommands } from './nodeCommands.ts'

const root = join(import.meta.dirname, '..', '..')

const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string }

/** Shards and proxies make much short-lived garbage; a larger nursery keeps it from growing old. */
const nurseryFlag = '--max-semi-space-size=32'
/** With one helper thread: a collection waits for every thread that has a part of it, and many processes leave those without a core (ADR 35). */
const node = [process.execPath, '--v8-pool-size=1']

const programs = {
  shard: [...node, nurseryFlag, join(root, 'server', 'main.ts')],
  proxy: [...node, nurseryFlag, join(root, 'proxy', 'main.ts')],
  syncer: [...node, join(root, 'syncer', 'main.ts')],
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
    // Loaded when needed: `antipode lab cut` should not take the time that an agent takes.
    const { runAgent } = await import('#control/agent/runAgent.ts')
    const { startNodeClock } = await import('#control/clock/clockService.ts')
    await runAgent({ configPath: config, reimport, version, programs, startClock: startNodeClock })
  })

addNodeCommands(program)
addMemberCommands(program)
addLabCommands(program, { root, agentProgram: [process.execPath, import.meta.filename, 'agent'] })

try {
  await program.parseAsync()
  // What has been stopped must not keep the process by a handle that it forgot.
  process.exit(0)
} catch (error) {
  if (!(error instanceof MendableError)) throw error
  console.error(error.message)
  process.exit(1)
}
