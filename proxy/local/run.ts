/** Runs a command that the proxy answers itself. */
import type { CommandSpec } from '#protocol/commands/index.ts'
import { ReplyError } from '#protocol/resp/errors.ts'
import type { ReplyWriter } from '#protocol/resp/replyWriter.ts'
import type { RequestScanner } from '#protocol/resp/requestScanner.ts'
import type { SessionHost } from '#proxy/session/host.ts'
import type { Session } from '#proxy/session/session.ts'
import { invariant } from '#runtime/invariant.ts'
import type { LocalCall, LocalCommand } from './call.ts'
import { localCommands } from './index.ts'
import { ask, type Question } from './question.ts'

/** The reply is valid during the call only. */
type TakeReply = (reply: ReplyWriter) => void

export interface ReplyTaker {
  /** The command has answered. */
  now: TakeReply
  /** Others must be asked first: what it returns takes the reply then. */
  later: () => TakeReply
}

export function runLocally(
  host: SessionHost,
  session: Session,
  spec: CommandSpec,
  args: RequestScanner,
  take: ReplyTaker,
): void {
  const { reply, counters } = host
  const command = localCommands.get(spec)
  invariant(command !== undefined, 'a command of the proxy has a handler', { name: spec.name })
  counters.countCall(spec)
  reply.clear()
  reply.resp3 = session.resp3
  const question = questionOf(command, { spec, args, reply, session, host })
  if (question === null) {
    take.now(reply)
    return
  }
  const { resp3 } = session
  const takeLater = take.later()
  ask(host, question, (answers) => {
    reply.clear()
    reply.resp3 = resp3
    question.answer(answers, reply)
    takeLater(reply)
  })
}

function questionOf(command: LocalCommand, call: LocalCall): Question | null {
  try {
    return command(call)
  } catch (error) {
    if (!(error instanceof ReplyError)) throw error
    call.reply.clear()
    call.reply.error(error.text)
    return null
  }
}
