/** SLOWLOG: one log of all workers. */
import { readSlowlog } from '#protocol/frames/slowlog.ts'
import { errors, ReplyError } from '#protocol/resp/errors.ts'
import type { SiblingAnswer } from '#proxy/siblings/siblings.ts'
import { joinedSlowlogs } from '#proxy/slowlog.ts'
import { parseInteger64 } from '#runtime/integer64.ts'
import type { LocalCall, LocalCommand } from './call.ts'
import { helpOf } from './help.ts'

const entriesShown = 10

const entriesOf = ({ host }: LocalCall, workers: readonly SiblingAnswer[]) => {
  const { slowlog } = host.observation
  const others = workers.map(({ value }) => readSlowlog(value))
  return joinedSlowlogs([slowlog.entries, ...others]).slice(0, slowlog.entriesMax)
}

function countOf({ args }: LocalCall): number {
  if (args.argumentCount > 3) throw new ReplyError(errors.wrongSubcommandArity('SLOWLOG', args.text(1)))
  if (args.argumentCount < 3) return entriesShown
  const count = parseInteger64(args.text(2))
  if (count === null || count < -1) throw new ReplyError(errors.slowlogCount)
  return count === -1n ? Number.POSITIVE_INFINITY : Number(count)
}

const GET: LocalCommand = (call) => {
  const count = countOf(call)
  return {
    askWorkers: { what: 'slowlog' },
    answer: ({ workers }, reply) => {
      const entries = entriesOf(call, workers).slice(0, count)
      reply.array(entries.length)
      for (const { id, wallMs, durationUs, arguments: texts, client, clientName } of entries) {
        reply.array(6)
        reply.integer(id)
        reply.integer(Math.floor(wallMs / 1000))
        reply.integer(durationUs)
        reply.array(texts.length)
        for (const text of texts) reply.bulk(text)
        reply.bulk(client)
        reply.bulk(clientName)
      }
    },
  }
}

const LEN: LocalCommand = (call) => ({
  askWorkers: { what: 'slowlog' },
  answer: ({ workers }, reply) => reply.integer(entriesOf(call, workers).length),
})

const RESET: LocalCommand = ({ host }) => {
  host.observation.slowlog.reset()
  return { askWorkers: { what: 'resetSlowlog' }, answer: (_, reply) => reply.ok() }
}

export const slowlogCommands = {
  'SLOWLOG|GET': GET,
  'SLOWLOG|HELP': helpOf('SLOWLOG'),
  'SLOWLOG|LEN': LEN,
  'SLOWLOG|RESET': RESET,
}
