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
import { type Answers, ask, type Deferred, type Question } from './question.ts'
import { TimedCall } from './timedCall.ts'

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
  const { reply } = host
  const command = localCommands.get(spec)
  invariant(command !== undefined, 'a command of the proxy has a handler', { name: spec.name })
  const call = new TimedCall(host, session, spec, args)
  reply.clear()
  reply.resp3 = session.resp3
  const question = call.time(() => questionOf(command, { spec, args, reply, session, host }))
  if (question === null) {
    call.end(reply)
    take.now(reply)
    return
  }
  const { resp3 } = session
  const takeLater = take.later()
  const askNow = (asked: Question): void =>
    ask(host, asked, (answers) => {
      reply.clear()
      reply.resp3 = resp3
      call.time(() => writeAnswer(asked, answers, reply))
      call.end(reply)
      takeLater(reply)
    })
  if ('begin' in question) question.begin(askNow)
  else askNow(question)
}

function writeAnswer(question: Question, answers: Answers, reply: ReplyWriter): void {
  try {
    question.answer(answers, reply)
  } catch (error) {
    if (!(error instanceof ReplyError)) throw error
    reply.clear()
    reply.error(error.text)
  }
}

function questionOf(command: LocalCommand, call: LocalCall): Question | Deferred | null {
  try {
    return command(call)
  } catch (error) {
    if (!(error instanceof ReplyError)) throw error
    call.reply.clear()
    call.reply.error(error.text)
    return null
  }
}
