/** The syncer process of one database on one node: started by the agent, told by it what to do. */
import { randomUUID } from 'node:crypto'
import type { FromAgent, ToAgent } from '#config/process.ts'
import { AgentLink } from '#runtime/node/agentLink.ts'
import { keepCompiled } from '#runtime/node/compileCache.ts'
import { nodeClock } from '#runtime/node/nodeClock.ts'
import { nodeLogger } from '#runtime/node/nodeLogger.ts'
import { NodeNet } from '#runtime/node/nodeNet.ts'
import { nodeRandom } from '#runtime/node/nodeRandom.ts'
import { NodeTimers } from '#runtime/node/nodeTimers.ts'
import { processArguments } from '#runtime/node/processArguments.ts'
import { Syncer } from './syncer.ts'

const statusMs = 1000
/** A peer that does not confirm the end must not keep the process alive. */
const drainMs = 2000

const { agentPath, role, name } = processArguments()
const logger = nodeLogger({ role, name })
const instance = randomUUID()
let syncer: Syncer | null = null
let draining = false

const agent = new AgentLink<FromAgent, ToAgent>({ socketPath: agentPath, logger, onMessage })
agent.announce({ type: 'hello', role: 'syncer', name, pid: process.pid })

function onMessage(message: FromAgent): void {
  if (draining) return
  if (message.type === 'drain') drain()
  else if (message.type === 'ask') {
    const { id, peer, question } = message
    const answered = (answer: unknown) => agent.send({ type: 'answer', id, answer })
    if (syncer === null) answered(null)
    else syncer.ask(peer, question, answered)
  } else if (message.type === 'config' && message.config.role === 'syncer') {
    if (syncer !== null) {
      syncer.configure(message.config)
      return
    }
    syncer = new Syncer(message.config, instance, {
      clock: nodeClock,
      random: nodeRandom,
      timers: new NodeTimers(),
      net: new NodeNet(),
      logger,
      onPeerOffset: (peer, offsetMs, delayMs) => agent.send({ type: 'peerOffset', peer, offsetMs, delayMs }),
      onPeerRefused: (peer, list) => agent.send({ type: 'refused', peer, list }),
    })
    keepCompiled()
    syncer.start()
    agent.announce({ type: 'ready' })
  }
}

setInterval(() => {
  if (syncer !== null) agent.send({ type: 'status', status: { ...syncer.status() } })
}, statusMs)

function drain(): void {
  if (draining) return
  draining = true
  logger.info({}, 'draining')
  setTimeout(() => process.exit(0), drainMs).unref()
  if (syncer === null) process.exit(0)
  else syncer.drain(() => process.exit(0))
}

process.on('SIGTERM', drain)
process.on('SIGINT', drain)
