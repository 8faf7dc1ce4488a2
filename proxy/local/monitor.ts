/** MONITOR, and what else tells about the server in a line. */
import type { ShardInfo } from '#protocol/frames/admin.ts'
import { errors, ReplyError } from '#protocol/resp/errors.ts'
import { parseInteger64 } from '#runtime/integer64.ts'
import type { LocalCommand } from './call.ts'
import { sum } from './figures.ts'
import { infoOf } from './shardInfos.ts'
import { antipodeVersion, compatibleVersion } from './version.ts'

/** Answered when every shard and every worker knows of it. One that monitors already gets no answer, as in Redis. */
const MONITOR: LocalCommand = ({ session, host }) => {
  if (session.transactions.isRunning) throw new ReplyError(errors.monitorInMulti)
  if (session.isMonitor) return null
  const { observation } = host
  observation.monitors.add(session)
  session.refreshPath()
  return {
    askShards: observation.question,
    askWorkers: host.siblings.news(),
    answer: (_, reply) => {
      observation.monitors.listen(session)
      reply.ok()
    },
  }
}

/** Where the logs of the shards end, together. */
export const replicationOffset = (shards: readonly ShardInfo[]): number =>
  sum(shards, ({ log }) => log.endPosition)

const ROLE: LocalCommand = () => ({
  askShards: { what: 'info' },
  answer: ({ shards }, reply) => {
    reply.array(3)
    reply.bulk('master')
    reply.integer(replicationOffset(infoOf(shards).shards))
    reply.array(0)
  },
})

const LOLWUT: LocalCommand = ({ args, reply }) => {
  if (args.argumentCount > 2 && args.text(1).toUpperCase() === 'VERSION') {
    const version = parseInteger64(args.text(2))
    if (version === null) throw new ReplyError(errors.notInteger)
  }
  reply.verbatim('txt', `Antipode ver. ${antipodeVersion}, Redis ver. ${compatibleVersion}\n`)
  return null
}

export const monitorCommands = { MONITOR, ROLE, LOLWUT }
