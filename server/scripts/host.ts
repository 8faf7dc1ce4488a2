/** What scripts need of the shard around them. */
import type { ScriptKind } from '#protocol/frames/scriptWatch.ts'
import type { ReplyWriter } from '#protocol/resp/replyWriter.ts'
import type { Arguments } from '#server/commands/arguments.ts'
import type { CommandContext } from '#server/commands/context.ts'

export type LogLevel = 'debug' | 'verbose' | 'notice' | 'warning'

/** What a script may do; the commands that it calls are judged by it. */
export interface ScriptRights {
  readonly readOnly: boolean
  readonly allowOom: boolean
  /** It says itself what it needs, so it is refused whole before it begins. */
  readonly saysItsNeeds: boolean
}

export interface ScriptHost {
  /** Called before a script runs, with its keys as arguments [firstKey, keysEnd); the error says why it must not. */
  begin(context: CommandContext, rights: ScriptRights, firstKey: number, keysEnd: number): string | null
  /** Runs one command and writes its reply, an error too. False: it would write, and `mayWrite` has said no. */
  call(request: ReplyWriter, reply: ReplyWriter, mayWrite: () => boolean): boolean
  /** Whether the user for whom the script runs may run it; null: there is no such command. */
  allows(request: ReplyWriter): boolean | null
  log(level: LogLevel, text: string): void
}

/** Lets others see what runs and stop it, although the process does nothing else meanwhile. */
export interface ScriptWatch {
  begin(kind: ScriptKind, args: Arguments): void
  /** From now on it can't be stopped: half of what it does would be left. False: it is to be stopped already. */
  mayWrite(): boolean
  /** Somebody has asked to stop what runs. */
  readonly isKilled: boolean
  end(): void
}

/** Where nobody watches. */
export const unwatched: ScriptWatch = { begin() {}, mayWrite: () => true, isKilled: false, end() {} }
