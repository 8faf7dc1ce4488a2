/**
 * The users who may not do everything, as the shard at the other end of a link knows them: it is told their rules once, and
 * then only whose scripts come next. A user whose rules change is another object, so that a script is judged by the rules
 * that the proxy has let it pass with.
 */
import type { User } from '#protocol/acl/user.ts'
import { FrameKind, sessionBytes, writeU32 } from '#protocol/frames/frame.ts'
import { jsonFrame } from '#protocol/frames/hello.ts'
import type { ScriptUserRules } from '#protocol/frames/scriptUser.ts'
import { allocate } from '#runtime/bytes/bytes.ts'
import { type FrameOutput, noPrefix } from './frameOutput.ts'

/** Whose scripts a shard is to judge. */
export interface ScriptActor {
  readonly user: User
  /** Names the client to the shards. */
  readonly shardSession: number
}

export class LinkUsers {
  readonly #output: FrameOutput
  readonly #numbers = new Map<User, number>()
  readonly #session = allocate(sessionBytes)

  constructor(output: FrameOutput) {
    this.#output = output
  }

  /** What is added to the output next is done for this client. */
  actFor({ user, shardSession }: ScriptActor): void {
    let number = this.#numbers.get(user)
    if (number === undefined) {
      number = this.#numbers.size
      this.#numbers.set(user, number)
      const { name, accessRules: rules } = user
      this.#output.addFrame(jsonFrame(FrameKind.user, number, { name, rules } satisfies ScriptUserRules))
    }
    writeU32(this.#session, 0, shardSession)
    this.#output.add(FrameKind.actFor, number, 0, 0, noPrefix, this.#session, 0, sessionBytes, false)
  }

  /** Numbers begin anew: the shard has been started again, or users have changed. */
  forget(): void {
    this.#numbers.clear()
  }
}
