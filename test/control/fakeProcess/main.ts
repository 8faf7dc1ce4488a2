/**
 * A small process that an agent can start: says hello and ready, reports at short intervals, appends what it is told to
 * `$FAKE_LOG`, and stops on SIGTERM. `$FAKE_CRASHES` names one that ends at once.
 */
import { appendFileSync } from 'node:fs'
import type { FromAgent, ToAgent } from '#config/process.ts'
import { AgentLink } from '#runtime/node/agentLink.ts'
import { processArguments } from '#runtime/node/processArguments.ts'
import { silentLogger } from '#test/silentLogger.ts'

const { agentPath, role, name } = processArguments()
if (role !== 'shard' && role !== 'proxy' && role !== 'syncer') throw new Error(`no such role: ${role}`)
if (process.env['FAKE_CRASHES'] === `${role}/${name}`) process.exit(7)

const log = (facts: object) =>
  appendFileSync(process.env['FAKE_LOG'] ?? '/dev/null', `${JSON.stringify({ role, name, ...facts })}\n`)

/** Its status is empty until it has been told what to do. */
let isConfigured = false
const agent = new AgentLink<FromAgent, ToAgent>({
  socketPath: agentPath,
  logger: silentLogger,
  onMessage: (message) => {
    log(message)
    isConfigured ||= message.type === 'config'
  },
})
agent.announce({ type: 'hello', role, name, pid: process.pid })
agent.announce({ type: 'ready' })
if (role === 'syncer') agent.announce({ type: 'peerOffset', peer: 2, offsetMs: 12.5, delayMs: 1 })
/** As a syncer tells it, and something that makes no sense. */
const peers =
  role === 'syncer' ? [{ clusterId: 2, received: { bytes: 3, rawBytes: 4 } }, { clusterId: 3 }] : []
setInterval(() => agent.send({ type: 'status', status: isConfigured ? { fake: name, peers } : {} }), 20)
process.on('SIGTERM', () => {
  log({ type: 'stopped' })
  process.exit(0)
})
