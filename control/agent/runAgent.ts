/** `antipode agent`: the agent of one node in this process, until SIGTERM or SIGINT. */
import { mkdirSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { ConfigStore } from '#control/store/configStore.ts'
import { lockDirectory } from '#control/supervisor/directoryLock.ts'
import { NodeProcessHost } from '#control/supervisor/processHost.ts'
import { keepCompiled } from '#runtime/node/compileCache.ts'
import { nodeClock } from '#runtime/node/nodeClock.ts'
import { NodeDisk } from '#runtime/node/nodeDisk.ts'
import { canSharePorts } from '#runtime/node/nodeListener.ts'
import { nodeLogger } from '#runtime/node/nodeLogger.ts'
import { NodeTimers } from '#runtime/node/nodeTimers.ts'
import type { Logger } from '#runtime/ports.ts'
import { Agent, type AgentPorts } from './agent.ts'
import { lockFileName, pidDirectoryName } from './nodeDirectory.ts'
import { type NodeFile, readNodeFile } from './nodeFile.ts'
import type { Machine } from './proxyWorkers.ts'
import { prepareSocketDirectory, removeSockets, socketDirectory } from './socketDirectory.ts'

export interface RunAgentOptions {
  configPath: string
  reimport: boolean
  version: string
  programs: ConstructorParameters<typeof Agent>[0]['programs']
  /** Found out when absent. */
  machine?: Machine
  startClock: (logger: Logger) => AgentPorts['startClock']
}

/** Resolves when the agent and all its processes have stopped. */
export async function runAgent(options: RunAgentOptions): Promise<void> {
  const file = readNodeFile(options.configPath)
  const { dataDirectory } = file
  mkdirSync(dataDirectory, { recursive: true, mode: 0o700 })
  const unlock = lockDirectory(join(dataDirectory, lockFileName), 'agent')
  const sockets = socketDirectory(dataDirectory)
  try {
    prepareSocketDirectory(sockets)
    const machine = options.machine ?? (await thisMachine())
    await serve(options, file, sockets, machine)
  } finally {
    removeSockets(sockets, dataDirectory)
    unlock()
  }
}

/** Cores as the system allots them to this process: affinity and control groups count. */
const thisMachine = async (): Promise<Machine> => ({
  cores: availableParallelism(),
  sharesPorts: await canSharePorts(),
})

async function serve(
  options: RunAgentOptions,
  file: NodeFile,
  sockets: string,
  machine: Machine,
): Promise<void> {
  const { agent, host } = makeAgent(options, file, sockets, machine)
  const reload = () => {
    const next = readNodeFile(options.configPath)
    host.logBytesMax = next.settings.agent.logBytesMax
    agent.reload(next)
  }
  await new Promise<void>((resolve, reject) => {
    const stop = () => void agent.drain().then(resolve, reject)
    // A second signal is as good as one: draining has a time limit of its own.
    process.on('SIGTERM', stop)
    process.on('SIGINT', stop)
    process.on('SIGHUP', () => guardReload(reload, file))
    // The processes it has started are getting ready meanwhile.
    agent.start(options.reimport).then(keepCompiled).catch(reject)
  })
}

function makeAgent(options: RunAgentOptions, file: NodeFile, sockets: string, machine: Machine) {
  const { dataDirectory, settings } = file
  const logger = loggerOf(file)
  const host = new NodeProcessHost(join(dataDirectory, pidDirectoryName), settings.agent.logBytesMax)
  const store = ConfigStore.open(new NodeDisk(join(dataDirectory, 'config')), logger)
  const agent = new Agent(
    { file, socketDirectory: sockets, machine, programs: options.programs, version: options.version },
    {
      host,
      clock: nodeClock,
      timers: new NodeTimers(),
      logger,
      store,
      startClock: options.startClock(logger),
    },
  )
  return { agent, host }
}

const loggerOf = ({ settings }: NodeFile) =>
  nodeLogger({ role: 'agent', cluster: settings.node.cluster }, settings.node.logLevel)

/** A file that can't be used changes nothing. */
function guardReload(reload: () => void, file: NodeFile): void {
  try {
    reload()
  } catch (error) {
    loggerOf(file).error({ error: String(error) }, 'the file was not read again')
  }
}
