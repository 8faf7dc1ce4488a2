/**
 * The process of a shard: `node server/main.ts --agent SOCKET --role shard --name DATABASE/INDEX`. It gets its configuration
 * from the agent, reads its log, listens on its Unix socket and serves until it is told to stop. When the agent dies
 * the shard goes on with what it knows.
 */
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import type { FromAgent, ShardConfig, ToAgent } from '#config/process.ts'
import { scriptWatchPath } from '#protocol/frames/scriptWatch.ts'
import { AgentLink } from '#runtime/node/agentLink.ts'
import { keepCompiled } from '#runtime/node/compileCache.ts'
import { nodeClock } from '#runtime/node/nodeClock.ts'
import { NodeDisk } from '#runtime/node/nodeDisk.ts'
import { type Listening, listenUnix } from '#runtime/node/nodeListener.ts'
import { nodeLogger } from '#runtime/node/nodeLogger.ts'
import { nodeRandom } from '#runtime/node/nodeRandom.ts'
import { NodeTimers } from '#runtime/node/nodeTimers.ts'
import { type ProcessArguments, processArguments } from '#runtime/node/processArguments.ts'
import { NodeScriptWatch } from '#runtime/node/scriptWatch.ts'
import { DiskError, type Logger } from '#runtime/ports.ts'
import { LogRefusal } from '#server/log/windowedFile.ts'
import { LuaModule } from '#server/scripts/luaMachine.ts'
import { Shard } from '#server/shard.ts'
import type { ShardProcessFacts } from '#server/shardOptions.ts'

/** The log can't be used as it is: starting again changes nothing, a person must look at it. */
const refusedExitCode = 3
const failedExitCode = 1
const statusMs = 1000
/** Of reading the log, between looks at the event loop. */
const openingSliceMs = 50
const openingReportMs = 1000
/** A disk that takes nothing must not keep the process for ever. */
const drainMsMax = 5000

class ShardProcess {
  readonly #logger: Logger
  readonly #agent: AgentLink<FromAgent, ToAgent>
  #shard: Shard | null = null
  #isOpen = false
  /** Came while the shard was being opened. */
  #newConfig: ShardConfig | null = null
  #listening: Listening | null = null
  #draining = false

  constructor({ agentPath, name }: ProcessArguments) {
    this.#logger = nodeLogger({ role: 'shard', name })
    const onMessage = (message: FromAgent): void => this.#onMessage(message)
    this.#agent = new AgentLink({ socketPath: agentPath, logger: this.#logger, onMessage })
    this.#agent.announce({ type: 'hello', role: 'shard', name, pid: process.pid })
    process.on('SIGTERM', () => this.#drain())
    process.on('SIGINT', () => this.#drain())
    process.on('uncaughtException', (error) => this.#fail(error))
    process.on('unhandledRejection', (error) => this.#fail(error))
  }

  #onMessage(message: FromAgent): void {
    switch (message.type) {
      case 'config':
        if (message.config.role !== 'shard')
          this.#fail(new Error('the agent sent the configuration of another role'))
        else if (this.#shard === null) this.#open(message.config)
        else if (this.#isOpen) this.#shard.configure(message.config)
        else this.#newConfig = message.config
        break
      case 'clock':
        this.#shard?.setClock(message.clock)
        break
      case 'ask': {
        const { id, question } = message
        const answered = (answer: unknown) => this.#agent.send({ type: 'answer', id, answer })
        if (this.#shard === null || !this.#isOpen) answered(null)
        else this.#shard.answer(question, answered)
        break
      }
      case 'drain':
        this.#drain()
        break
    }
  }

  #open(config: ShardConfig): void {
    try {
      this.#shard = new Shard(config, {
        clock: nodeClock,
        random: nodeRandom,
        timers: new NodeTimers(),
        disk: new NodeDisk(config.directory),
        logger: this.#logger,
        processFacts,
        bootId: bootId(),
        scripting: {
          lua: new LuaModule(() => readFileSync(fileURLToPath(import.meta.resolve(luaModule)))),
          watch: new NodeScriptWatch(scriptWatchPath(config.socketPath), this.#logger),
        },
        fatal: (error) => this.#fail(error),
      })
    } catch (error) {
      this.#refuse(error)
      return
    }
    this.#continueOpening(config, this.#shard, this.#shard.opening(), performance.now())
  }

  /** In slices, so that a SIGTERM is heard while a long log is read. */
  #continueOpening(config: ShardConfig, shard: Shard, opening: Generator<number>, reportedMs: number): void {
    const startMs = performance.now()
    try {
      for (;;) {
        const step = opening.next()
        if (step.done === true) break
        const nowMs = performance.now()
        if (nowMs - startMs < openingSliceMs) continue
        const isLate = nowMs - reportedMs >= openingReportMs
        if (isLate) this.#logger.info({ bytesRead: step.value }, 'reading snapshot and log')
        setImmediate(() => this.#continueOpening(config, shard, opening, isLate ? nowMs : reportedMs))
        return
      }
    } catch (error) {
      this.#refuse(error)
      return
    }
    this.#isOpen = true
    // Before anybody is served: members may have changed.
    if (this.#newConfig !== null) shard.configure(this.#newConfig)
    void this.#listen(config, shard)
  }

  async #listen(config: ShardConfig, shard: Shard): Promise<void> {
    keepCompiled()
    const where = { path: config.socketPath, logger: this.#logger }
    this.#listening = await listenUnix(where, (connection) => shard.accept(connection))
    if (this.#draining) return
    this.#agent.announce({ type: 'ready' })
    this.#report(shard)
    setInterval(() => this.#report(shard), statusMs)
  }

  #report(shard: Shard): void {
    const { commands: _, ...status } = shard.status()
    this.#agent.send({ type: 'status', status })
  }

  /** Being told twice is no reason to hurry. */
  #drain(): void {
    if (this.#draining) return
    this.#draining = true
    this.#logger.info({}, 'stopping')
    this.#listening?.close()
    if (this.#shard === null || !this.#isOpen) process.exit(0)
    setTimeout(() => {
      this.#logger.error({ drainMsMax }, 'the log could not be made durable in time')
      process.exit(failedExitCode)
    }, drainMsMax)
    this.#shard.drain(() => {
      this.#logger.info({}, 'stopped')
      this.#agent.close()
      // What was sent needs a moment to leave; the links are closed then.
      setTimeout(() => process.exit(0), lastWordsMs)
    })
  }

  #refuse(error: unknown): void {
    const message = error instanceof Error ? error.message : String(error)
    const place = error instanceof LogRefusal ? { file: error.file, offsetBytes: error.offsetBytes } : {}
    const code = error instanceof DiskError ? { code: error.code } : {}
    this.#logger.error({ ...place, ...code }, `the shard does not start: ${message}`)
    process.exit(refusedExitCode)
  }

  #fail(error: unknown): void {
    const facts =
      error instanceof Error ? { error: error.message, stack: error.stack } : { error: String(error) }
    this.#logger.error(facts, 'the shard stops: it can not go on')
    process.exit(failedExitCode)
  }
}

const lastWordsMs = 50
const luaModule = 'wasmoon-lua5.1/dist/liblua5.1.wasm'

/** Empty where the system doesn't tell. */
function bootId(): string {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim()
  } catch {
    return ''
  }
}

function processFacts(): ShardProcessFacts {
  const { user, system } = process.cpuUsage()
  return {
    memoryRssBytes: process.memoryUsage.rss(),
    cpuUserMs: Math.round(user / 1000),
    cpuSystemMs: Math.round(system / 1000),
  }
}

new ShardProcess(processArguments())
