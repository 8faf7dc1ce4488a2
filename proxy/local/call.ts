/** A command that the proxy answers itself. */
import type { CommandSpec } from '#protocol/commands/index.ts'
import type { ReplyWriter } from '#protocol/resp/replyWriter.ts'
import type { RequestScanner } from '#protocol/resp/requestScanner.ts'
import type { SessionHost } from '#proxy/session/host.ts'
import type { Session } from '#proxy/session/session.ts'
import type { Deferred, Question } from './question.ts'

export interface LocalCall {
  readonly spec: CommandSpec
  readonly args: RequestScanner
  readonly reply: ReplyWriter
  readonly session: Session
  readonly host: SessionHost
}

/** Writes one reply, or returns what will lead to one; may throw `ReplyError` instead. */
export type LocalCommand = (call: LocalCall) => Question | Deferred | null
