/**
 * The process of a proxy: `node proxy/main.ts --agent SOCKET --role proxy --name DATABASE/WORKER`. It gets its configuration
 * from the agent, connects to the shards and to the other workers, listens on the database port and serves until it is
 * told to stop. When the agent dies the proxy goes on with what it knows.
 */
import { randomBytes } from 'node:crypto'
import { DEFAULT_CIPHERS } from 'node:tls'
import type { FromAgent, ProxyConfig, ToAgent } from '#config/process.ts'
import { syncAlpn } from '#protocol/sync/alpn.ts'
import { type ClientTls, clientAlpn } from '#proxy/clientTls.ts'
import { DatabaseProxy } from '#proxy/proxy.ts'
import { AgentLink } from '#runtime/node/agentLink.ts'
import { keepCompiled } from '#runtime/node/compileCache.ts'
import { nodeClock } from '#runtime/node/nodeClock.ts'
import { checkPortUnused, type Listening, listenPort, listenUnix } from '#runtime/node/nodeListener.ts'
import { nodeLogger } from '#runtime/node/nodeLogger.ts'
import { NodeNet } from '#runtime/node/nodeNet.ts'
import { nodeRandom } from '#runtime/node/nodeRandom.ts'
import { NodeTimers } from '#runtime/node/nodeTimers.ts'
import { type ProcessArguments, processArguments } from '#runtime/node/processArguments.ts'
import type { TlsSettings } from '#runtime/node/tlsAcceptor.ts'
import type { Logger } from '#runtime/ports.ts'
import { Questions } from '#runtime/questions.ts'

/** Null: this node has no certificate that clients could be shown, or none to look at theirs with. */
function tlsSettings({ asks, config }: ClientTls): TlsSettings | null {
  const { server, authorityPath, minVersion, ciphers, cipherSuites } = config
  if (server === null || (asks && authorityPath === null)) return null
  // OpenSSL's list of both: what is not said is as Node has it.
  const lists = [cipherSuites ?? usualSuites, ciphers ?? usualCiphers]
  return {
    ...server,
    authorityPath: asks ? authorityPath : null,
    minVersion: `TLSv${minVersion}`,
    ciphers: cipherSuites === null && ciphers === null ? null : lists.join(':'),
    protocol: clientAlpn,
  }
}

const usual = DEFAULT_CIPHERS.split(':')
const usualSuites = usual.filter((name) => name.startsWith('TLS_')).join(':')
const usualCiphers = usual.filter((name) => !name.startsWith('TLS_')).join(':')

const failedExitCode = 1
const statusMs = 1000
/** A port or a socket that is in use is tried again: a predecessor may be on its way out. */
const listenRetryMs = 100
const listenAttemptsMax = 50
/** An agent that is away answers nothing. */
const agentAnswerMs = 5_000

class ProxyProcess {
  readonly #logger: Logger
  readonly #agent: AgentLink<FromAgent, ToAgent>
  #proxy: DatabaseProxy | null = null
  #isOpening = false
  /** Came before there was a proxy that it could be told to. */
  #newConfig: ProxyConfig | null = null
  readonly #listening: Listening[] = []
  #port: Listening | null = null
  #draining = false
  readonly #questions = new Questions(agentAnswerMs, setTimeout)

  constructor({ agentPath, name }: ProcessArguments) {
    this.#logger = nodeLogger({ role: 'proxy', name })
    const onMessage = (message: FromAgent): void => this.#onMessage(message)
    this.#agent = new AgentLink({ socketPath: agentPath, logger: this.#logger, onMessage })
    this.#agent.announce({ type: 'hello', role: 'proxy', name, pid: process.pid })
    process.on('SIGTERM', () => this.#drain())
    process.on('SIGINT', () => this.#drain())
    process.on('uncaughtException', (error) => this.#fail(error))
    process.on('unhandledRejection', (error) => this.#fail(error))
  }

  #onMessage(message: FromAgent): void {
    switch (message.type) {
      case 'config':
        if (message.config.role !== 'proxy')
          this.#fail(new Error('the agent sent the configuration of another role'))
        else if (this.#proxy !== null) this.#proxy.reconfigure(message.config)
        else if (this.#isOpening) this.#newConfig = message.config
        else this.#open(message.config).catch((error: unknown) => this.#fail(error))
        break
      case 'answer':
        this.#questions.answer(message.id, message.answer)
        break
      case 'pulled':
        this.#proxy?.setPulled(message.peers)
        break
      case 'kept':
        this.#questions.answer(message.id, message.answer)
        break
      case 'drain':
        this.#drain()
        break
      case 'clock':
        // Shards judge the clock; INFO shows what they say.
        break
    }
  }

  /** The other workers come first: they know what a worker must know before it takes its first client. */
  async #open(config: ProxyConfig): Promise<void> {
    this.#isOpening = true
    const path = config.workers[config.worker]?.socketPath ?? ''
    await this.#listen(() =>
      listenUnix({ path, logger: this.#logger }, (connection) => this.#proxy?.acceptSibling(connection)),
    )
    if (this.#draining) return
    const proxy = new DatabaseProxy(config, {
      clock: nodeClock,
      random: nodeRandom,
      timers: new NodeTimers(),
      net: new NodeNet(),
      logger: this.#logger,
      process: processFigures,
      certificate: () => this.#port?.certificate ?? null,
      askAgent: (peer, question, answered) => {
        const id = this.#questions.ask(answered)
        this.#agent.send({ type: 'asked', id, peer, question })
      },
      askKeeper: (question, answered) => {
        const id = this.#questions.ask(answered)
        this.#agent.send({ type: 'keep', id, question })
      },
      secretDigits: (count) =>
        randomBytes(Math.ceil(count / 2))
          .toString('hex')
          .slice(0, count),
    })
    this.#proxy = proxy
    if (this.#newConfig !== null) proxy.reconfigure(this.#newConfig)
    keepCompiled()
    await new Promise<void>((resolve) => proxy.whenMet(resolve))
    await this.#listen(() => this.#listenPort(config, proxy))
    if (this.#draining) return
    const { bind, port } = config.database
    this.#logger.info({ bind, port }, 'listening')
    proxy.setListening(true)
    proxy.whenReady(() => this.#agent.announce({ type: 'ready' }))
    setInterval(() => this.#agent.send({ type: 'status', status: proxy.status() }), statusMs)
  }

  async #listenPort(config: ProxyConfig, proxy: DatabaseProxy): Promise<Listening> {
    const { bind: host, port } = config.database
    const logger = this.#logger
    // A port that no worker of ours has yet is shared with nobody else.
    if (config.sharesPort && !proxy.siblings.isAnyListening) await checkPortUnused({ host, port, logger })
    this.#port = await listenPort(
      {
        host,
        port,
        reusePort: config.sharesPort,
        peers: config.tls === null ? null : { identity: config.tls, protocol: syncAlpn },
        clients: () => tlsSettings(proxy.clientTls),
        logger,
        limits: proxy.limits,
        onHandshakeFailed: (remoteAddress, reason) => proxy.onHandshakeFailed(remoteAddress, reason),
      },
      (connection, facts) => proxy.accept(connection, facts),
    )
    return this.#port
  }

  async #listen(open: () => Promise<Listening>): Promise<void> {
    for (let attempt = 1; !this.#draining; attempt++) {
      try {
        const listening = await open()
        if (this.#draining) listening.close()
        this.#listening.push(listening)
        return
      } catch (error) {
        const isInUse = error instanceof Error && 'code' in error && error.code === 'EADDRINUSE'
        if (!isInUse || attempt >= listenAttemptsMax) throw error
        await new Promise((resolve) => setTimeout(resolve, listenRetryMs))
      }
    }
  }

  /** Being told twice is no reason to hurry. */
  #drain(): void {
    if (this.#draining) return
    this.#draining = true
    this.#logger.info({}, 'stopping')
    for (const listening of this.#listening) listening.close()
    if (this.#proxy === null) process.exit(0)
    this.#proxy.drain(() => {
      this.#logger.info({}, 'stopped')
      this.#agent.close()
      process.exit(0)
    })
  }

  #fail(error: unknown): void {
    const facts =
      error instanceof Error ? { error: error.message, stack: error.stack } : { error: String(error) }
    this.#logger.error(facts, 'the proxy stops: it can not go on')
    process.exit(failedExitCode)
  }
}

function processFigures() {
  const { user, system } = process.cpuUsage()
  return {
    processId: process.pid,
    residentBytes: process.memoryUsage.rss(),
    cpuUserMs: user / 1000,
    cpuSystemMs: system / 1000,
  }
}

new ProxyProcess(processArguments())
