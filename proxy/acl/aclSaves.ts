/**
 * Writes of the node's ACL file, one at a time. Those who ask meanwhile share the next one, which holds what the users are then: a flood
 * of ACL SAVE takes no more of the disk than one client does.
 */
import type { UsersAnswer } from '#config/users.ts'
import { aclFileOf } from '#protocol/acl/rules.ts'
import type { SessionHost } from '#proxy/session/host.ts'
import { isJsonObject } from '#runtime/jsonObject.ts'

type Done = (isWritten: boolean) => void

export class AclSaves {
  readonly #host: Pick<SessionHost, 'users' | 'askKeeper' | 'logger'>
  #isWriting = false
  #waiting: Done[] = []

  constructor(host: Pick<SessionHost, 'users' | 'askKeeper' | 'logger'>) {
    this.#host = host
  }

  save(done: Done): void {
    this.#waiting.push(done)
    if (!this.#isWriting) this.#next()
  }

  #next(): void {
    const served = this.#waiting
    this.#waiting = []
    this.#isWriting = served.length > 0
    if (!this.#isWriting) return
    const { users, logger } = this.#host
    this.#host.askKeeper({ what: 'writeFile', text: aclFileOf(users.list()) }, (answer) => {
      const error = keeperError(answer)
      if (error !== null) logger.error({ error }, 'the ACL file was not written')
      for (const done of served) done(error === null)
      this.#next()
    })
  }
}

/** Null: there is none. */
export function keeperError(answer: unknown): string | null {
  if (!isJsonObject(answer)) return 'the agent of the node does not answer'
  const { error } = answer as Extract<UsersAnswer, { error: string }> | { error?: undefined }
  return error ?? null
}
