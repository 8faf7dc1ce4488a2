/** Scripts: what they do is in `server/scripts`. */
import type { scriptCommands } from '#protocol/commands/script.ts'
import { ReplyError } from '#protocol/resp/errors.ts'
import type { Handler, Handlers } from './context.ts'

const EVAL: Handler = (context) => context.scripts.evaluate(context, { bySha: false, readOnly: false })
const EVALSHA: Handler = (context) => context.scripts.evaluate(context, { bySha: true, readOnly: false })
const EVAL_RO: Handler = (context) => context.scripts.evaluate(context, { bySha: false, readOnly: true })
const EVALSHA_RO: Handler = (context) => context.scripts.evaluate(context, { bySha: true, readOnly: true })

const FCALL: Handler = (context) => context.functions.call(context, false)
const FCALL_RO: Handler = (context) => context.functions.call(context, true)

const SCRIPT_EXISTS: Handler = ({ args, reply, scripts }) => {
  reply.array(args.count - 2)
  for (let i = 2; i < args.count; i++) reply.integer(scripts.has(args.text(i)) ? 1 : 0)
}

const SCRIPT_FLUSH: Handler = ({ args, reply, scripts }) => {
  if (args.count > 3 || (args.count === 3 && !args.is(2, 'SYNC') && !args.is(2, 'ASYNC')))
    throw new ReplyError('ERR SCRIPT FLUSH only support SYNC|ASYNC option')
  scripts.flush()
  reply.ok()
}

const SCRIPT_LOAD: Handler = ({ args, reply, scripts }) => reply.bulk(scripts.load(args.text(2)))

export const scriptHandlers = {
  EVAL,
  EVALSHA,
  EVALSHA_RO,
  EVAL_RO,
  FCALL,
  FCALL_RO,
  'SCRIPT|EXISTS': SCRIPT_EXISTS,
  'SCRIPT|FLUSH': SCRIPT_FLUSH,
  'SCRIPT|LOAD': SCRIPT_LOAD,
} satisfies Handlers<typeof scriptCommands>
