/** `antipode lab up`: a lab in this process, until Ctrl-C, SIGTERM or `antipode lab down`. */
import { mkdirSync, realpathSync } from 'node:fs'
import { join } from 'node:path'
import { prepareSocketDirectory, removeSockets, socketDirectory } from '#control/agent/socketDirectory.ts'
import type { LabReply, LabRequest } from '#control/contract/requests.ts'
import { DirectoryInUse, lockDirectory } from '#control/supervisor/directoryLock.ts'
import { nodeLogger } from '#runtime/node/nodeLogger.ts'
import { Lab } from './lab.ts'
import {
  LabError,
  type LabFile,
  type LabWish,
  labLockName,
  labLogName,
  planLab,
  readLabFile,
} from './labFile.ts'
import { labSocketPath, serveLab } from './labSocket.ts'
import { clearLab, stopLeftovers } from './leftovers.ts'

const readyLookMs = 100
/** What is still waited for is told when it has taken so long, and then again. */
const waitingTellMs = 3_000

export interface RunLabOptions {
  directory: string
  wish: LabWish
  fresh: boolean
  agentProgram: readonly string[]
  /** Everything has been started, and nothing needs to serve yet. */
  onStarted(file: LabFile): void
  onWaiting(waits: readonly string[]): void
  onReady(): void
  onStopping(): void
}

/** Resolves when everything that was started has stopped. Throws a `LabError` for what the user can mend. */
export async function runLab(options: RunLabOptions): Promise<void> {
  mkdirSync(options.directory, { recursive: true })
  const directory = realpathSync(options.directory)
  const unlock = lockLab(directory)
  const sockets = socketDirectory(directory)
  try {
    prepareSocketDirectory(sockets)
    const lab = await prepareLab(directory, options)
    const stop = new Stop(options.onStopping)
    await serveUntil(lab, directory, options, stop)
  } finally {
    removeSockets(sockets, directory)
    unlock()
  }
}

/** The wish to stop, from a signal or from `antipode lab down`. */
class Stop {
  readonly wished: Promise<void>
  #requested = false
  #resolve: () => void = () => {}
  readonly #onStopping: () => void

  constructor(onStopping: () => void) {
    this.#onStopping = onStopping
    this.wished = new Promise((resolve) => {
      this.#resolve = resolve
    })
    // Whoever forwards a terminal's Ctrl-C may make two of it, so a second one means no more than the first.
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => this.request())
  }

  get requested(): boolean {
    return this.#requested
  }

  request(): void {
    if (this.#requested) return
    this.#requested = true
    this.#onStopping()
    this.#resolve()
  }
}

function lockLab(directory: string): () => void {
  try {
    return lockDirectory(join(directory, labLockName), 'lab')
  } catch (error) {
    if (!(error instanceof DirectoryInUse)) throw error
    throw new LabError(
      `the lab in ${directory} is running already (process ${error.pid}); see \`antipode lab status\`, or stop it with \`antipode lab down\``,
    )
  }
}

async function prepareLab(directory: string, options: RunLabOptions): Promise<Lab> {
  if (options.fresh) {
    await stopLeftovers(directory)
    clearLab(directory)
  }
  const file = planLab(readLabFile(directory), options.wish)
  const logger = nodeLogger({ role: 'lab' }, 'info', join(directory, labLogName))
  return new Lab(file, { directory, agentProgram: options.agentProgram, logger })
}

async function serveUntil(lab: Lab, directory: string, options: RunLabOptions, stop: Stop): Promise<void> {
  try {
    await lab.start()
    options.onStarted(lab.shape)
    const server = await serveLab(
      labSocketPath(directory),
      (request) => handle(lab, stop, request),
      (error) => lab.logger.error({ error: error.message }, 'a request to the lab is lost'),
    )
    if (await becomesReady(lab, stop, options)) options.onReady()
    await stop.wished
    server.close()
  } finally {
    await lab.stop()
  }
}

/** False: the wish to stop came first. */
async function becomesReady(lab: Lab, stop: Stop, options: RunLabOptions): Promise<boolean> {
  let toldMs = performance.now()
  while (!stop.requested) {
    const { waitingFor } = await lab.status()
    if (waitingFor.length === 0) return true
    if (performance.now() - toldMs > waitingTellMs) {
      options.onWaiting(waitingFor)
      toldMs = performance.now()
    }
    await Promise.race([stop.wished, new Promise((resolve) => setTimeout(resolve, readyLookMs))])
  }
  return false
}

async function handle(lab: Lab, stop: Stop, request: LabRequest): Promise<LabReply> {
  switch (request.type) {
    case 'status':
      return { type: 'status', status: await lab.status() }
    case 'down':
      stop.request()
      return { type: 'done' }
    case 'prepare':
      return { type: 'prepared', cluster: await lab.prepareToJoin(request.cluster) }
    default:
      lab.changeLinks(request)
      return { type: 'done' }
  }
}
