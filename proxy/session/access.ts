/** As which user a client is logged in, and what of its requests that user may not do. */
import { sortRefusal } from '#protocol/acl/sortPatterns.ts'
import type { User } from '#protocol/acl/user.ts'
import { defaultUserName } from '#protocol/acl/user.ts'
import { allowsOnlyKey, type Denial, denialOf } from '#protocol/acl/verdict.ts'
import type { CommandSpec } from '#protocol/commands/index.ts'
import type { AclLogEntry } from '#protocol/frames/aclLog.ts'
import { errors } from '#protocol/resp/errors.ts'
import { RequestScanner } from '#protocol/resp/requestScanner.ts'
import type { Client } from '#proxy/clients.ts'
import { clientLine } from '#proxy/local/clientLine.ts'
import { copyOf } from '#runtime/bytes/bytes.ts'
import type { SessionHost } from './host.ts'

export class SessionAccess {
  readonly #host: SessionHost
  readonly #client: Client
  #user: User
  /** Version of the list in which the user was made. */
  #since: number
  #isLoggedIn: boolean
  /** The command that waits at a shard: when the user changes it is looked at again. */
  #blocked: { spec: CommandSpec; bytes: Uint8Array } | null = null

  constructor(host: SessionHost, client: Client) {
    this.#host = host
    this.#client = client
    this.#user = host.users.default
    this.#since = host.users.sinceOf(this.#user.name)
    this.#isLoggedIn = !host.users.authRequired
  }

  get user(): User {
    return this.#user
  }

  /** Where nobody needs to log in everybody counts as logged in. */
  get isAuthenticated(): boolean {
    return this.#isLoggedIn || !this.#host.users.authRequired
  }

  logIn(user: User): void {
    this.#user = user
    this.#since = this.#host.users.sinceOf(user.name)
    this.#isLoggedIn = true
  }

  /** As a connection that has just been made. */
  reset(): void {
    this.logIn(this.#host.users.default)
    this.#isLoggedIn = !this.#host.users.authRequired
  }

  /**
   * Users have changed: ends the connection if its user is gone, or may not have what it has subscribed to any more; returns what a
   * command that waits is to be told, if anything.
   */
  onUsers(mayHear: (user: User) => boolean): string | null {
    const { users } = this.#host
    const { name } = this.#user
    const now = users.find(name)
    const isOther = name !== defaultUserName && users.sinceOf(name) !== this.#since
    if (now === undefined || isOther) {
      this.#end()
      return null
    }
    const before = this.#user
    this.#user = now
    if (now !== before && !mayHear(now)) {
      this.#end()
      return null
    }
    if (this.#blocked === null || now === before) return null
    const { spec, bytes } = this.#blocked
    const request = new RequestScanner(this.#host.requestLimits.authenticated)
    request.scan(bytes, 0, bytes.length)
    return this.refusal(spec, request)
  }

  #end(): void {
    this.reset()
    this.#isLoggedIn = false
    if (this.#host.users.asker === this.#client) this.#client.closeAfterReplies()
    else this.#client.kill()
  }

  /** A command is going to wait, so that its bytes are kept. */
  blocksIn(spec: CommandSpec, bytes: Uint8Array, start: number, end: number): void {
    this.#blocked = { spec, bytes: copyOf(bytes, start, end) }
  }

  unblocked(): void {
    this.#blocked = null
  }

  /** Of a command with one key. False: it may still be allowed, or refused with words. */
  mayForward(spec: CommandSpec, request: RequestScanner): boolean {
    return allowsOnlyKey(this.#user, spec, request)
  }

  /** Null: it may be run; else an error reply. */
  refusal(spec: CommandSpec, request: RequestScanner): string | null {
    const denial = denialOf(this.#user, spec, request)
    if (denial === null) return sortRefusal(this.#user, spec, request)
    this.#noteDenial(denial, spec, request, this.#client.queuedCommands >= 0 ? 'multi' : 'toplevel')
    switch (denial.reason) {
      case 'command':
        return errors.noPermissionForCommand(spec.lowerName)
      case 'key':
        return errors.noPermissionForKey
      case 'channel':
        return errors.noPermissionForChannel
    }
  }

  /** The same of a command that was queued and allowed then. */
  denialSinceQueued(spec: CommandSpec, request: RequestScanner): string | null {
    const denial = denialOf(this.#user, spec, request)
    if (denial === null) return sortRefusal(this.#user, spec, request)
    this.#noteDenial(denial, spec, request, 'multi')
    return errors.noPermissionSinceQueued(denial.reason)
  }

  note(
    reason: AclLogEntry['reason'],
    object: string,
    user = this.#user.name,
    context: AclLogEntry['context'] = 'toplevel',
  ): void {
    const { aclLog, clock } = this.#host
    // Without the end of the line.
    const client = clientLine(this.#client, clock.monotonicMs()).trimEnd()
    aclLog.add({ reason, context, object, user, client, count: 1 }, clock.wallMs())
  }

  #noteDenial(
    { reason, at }: Denial,
    spec: CommandSpec,
    request: RequestScanner,
    context: AclLogEntry['context'],
  ): void {
    this.note(reason, reason === 'command' ? spec.lowerName : request.text(at), this.#user.name, context)
  }
}
