/** The user for whom a script runs, when it is one who may not do everything: what the script calls is judged by its rules. */
import { RuleError } from '#protocol/acl/ruleError.ts'
import { userOf } from '#protocol/acl/rules.ts'
import { sortRefusal } from '#protocol/acl/sortPatterns.ts'
import type { User } from '#protocol/acl/user.ts'
import { denialOf } from '#protocol/acl/verdict.ts'
import type { CommandSpec } from '#protocol/commands/index.ts'
import type { RequestView } from '#protocol/commands/request.ts'
import type { Frame } from '#protocol/frames/frame.ts'
import { readScriptUserRules, type ScriptDenial, type ScriptDenials } from '#protocol/frames/scriptUser.ts'

const refusals = {
  command: "ERR The user executing the script can't run this command or subcommand",
  key: "ERR The user executing the script can't access at least one of the keys mentioned in the command arguments",
  channel: "ERR The user executing the script can't publish to the channel mentioned in the command",
} as const

/** More different ones of one frame are not told, as ACL LOG would not keep them. */
export const denialsMax = 128

/** Of a frame that tells of a user; null: it makes no sense. */
export function scriptUserOf(frame: Frame): User | null {
  const told = readScriptUserRules(frame)
  if (told === null) return null
  try {
    return userOf(told.name, told.rules, { allChannels: false })
  } catch (error) {
    if (error instanceof RuleError) return null
    throw error
  }
}

export class ScriptUser {
  readonly user: User
  /** Names the client to its proxy. */
  readonly session: number
  readonly #denials = new Map<string, ScriptDenial>()

  constructor(user: User, session: number) {
    this.user = user
    this.session = session
  }

  /** What was denied since this was asked last; null: nothing. */
  takeDenied(): ScriptDenials | null {
    if (this.#denials.size === 0) return null
    const denials = [...this.#denials.values()]
    this.#denials.clear()
    return { user: this.user.name, denials }
  }

  /** Null: the user may run it; else an error reply. What is denied is remembered. */
  refusal(spec: CommandSpec, request: RequestView): string | null {
    const denial = denialOf(this.user, spec, request)
    if (denial === null) return sortRefusal(this.user, spec, request)
    const { reason, at } = denial
    this.#note(reason, reason === 'command' ? spec.lowerName : request.text(at))
    return refusals[reason]
  }

  mayRun(spec: CommandSpec, request: RequestView): boolean {
    return denialOf(this.user, spec, request) === null
  }

  #note(reason: ScriptDenial['reason'], object: string): void {
    const id = `${reason} ${object}`
    const before = this.#denials.get(id)
    if (before === undefined && this.#denials.size >= denialsMax) return
    this.#denials.set(id, { reason, object, count: (before?.count ?? 0) + 1 })
  }
}
