/** Commands that a proxy answers to clients, and a shard to scripts. */
import { errors, ReplyError } from '#protocol/resp/errors.ts'
import type { Handler } from './context.ts'

const ECHO: Handler = ({ args, reply }) => reply.bulk(args.text(1))

const PING: Handler = ({ args, reply }) => {
  if (args.count > 2) throw new ReplyError(errors.wrongArity('ping'))
  if (args.count === 1) reply.simple('PONG')
  else reply.bulk(args.text(1))
}

/** There is one database. */
const SELECT: Handler = ({ args, reply }) => {
  if (args.integer(1) !== 0) throw new ReplyError(errors.databaseOutOfRange)
  reply.ok()
}

/** The same during the whole of a script. */
const TIME: Handler = ({ nowMs, reply }) => {
  reply.array(2)
  reply.bulk(String(Math.floor(nowMs / 1000)))
  reply.bulk(String((nowMs % 1000) * 1000))
}

export const handlersInScripts: Readonly<Record<string, Handler>> = { ECHO, PING, SELECT, TIME }
