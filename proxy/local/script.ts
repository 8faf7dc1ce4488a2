/** What of SCRIPT the proxy answers itself. */
import type { ScriptKind, ScriptWatchAnswer } from '#protocol/frames/scriptWatch.ts'
import { errors, ReplyError } from '#protocol/resp/errors.ts'
import type { ReplyWriter } from '#protocol/resp/replyWriter.ts'
import type { LocalCommand } from './call.ts'
import { helpOf } from './help.ts'

const notBusy = 'NOTBUSY No scripts in execution right now.'
const unkillable =
  'UNKILLABLE Sorry the script already executed write commands against the dataset. You can either wait the script termination or kill the server in a hard way using the SHUTDOWN NOSAVE command.'

/** One that was stopped is enough; then what stands in the way. */
function writeKilled(
  of: ScriptKind,
  watches: readonly (ScriptWatchAnswer | null)[],
  reply: ReplyWriter,
): void {
  const states = new Set(watches.map((answer) => answer?.state))
  if (states.has('killed')) reply.ok()
  else if (states.has('unkillable')) reply.error(unkillable)
  else if (states.has('other')) reply.error(errors.busy(of === 'script' ? 'function' : 'script'))
  else reply.error(notBusy)
}

/** `SCRIPT KILL`, `FUNCTION KILL`. */
export const killing =
  (of: ScriptKind): LocalCommand =>
  ({ host }) => ({
    askWatches: { kind: 'kill', of, afterMs: host.limits.busyReplyMs },
    answer: ({ watches }, reply) => writeKilled(of, watches, reply),
  })

const DEBUG: LocalCommand = ({ args, reply }) => {
  const mode = args.text(2).toUpperCase()
  if (mode === 'YES' || mode === 'SYNC')
    throw new ReplyError('ERR there is no debugger of scripts here: a script would stop a whole shard')
  if (mode !== 'NO') throw new ReplyError('ERR Use SCRIPT DEBUG YES/SYNC/NO')
  reply.ok()
  return null
}

export const scriptCommands = {
  'SCRIPT|DEBUG': DEBUG,
  'SCRIPT|HELP': helpOf('SCRIPT'),
  'SCRIPT|KILL': killing('script'),
}
