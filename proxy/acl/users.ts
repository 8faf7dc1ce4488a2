/** The users of the database, as this worker knows them. */
import type { ProxyConfig } from '#config/process.ts'
import type { StoredUser } from '#config/users.ts'
import { RuleError } from '#protocol/acl/ruleError.ts'
import { userOf } from '#protocol/acl/rules.ts'
import { defaultUserName, openRules, User, type UserDefaults } from '#protocol/acl/user.ts'
import type { Client } from '#proxy/clients.ts'
import { VersionWaits } from '#proxy/versionWaits.ts'
import { sha256 } from '#runtime/bytes/sha256.ts'
import type { Logger } from '#runtime/ports.ts'

interface KnownUser {
  readonly user: User
  readonly stored: StoredUser
}

export class Users {
  /** What new users have before their rules; changed in place. */
  readonly defaults: UserDefaults = { allChannels: false }
  readonly waits = new VersionWaits()
  /** Asked for the change that is under way: it is told the outcome even if that is its end. */
  asker: Client | null = null
  readonly #logger: Logger
  #byName = new Map<string, KnownUser>()

  constructor(config: ProxyConfig, logger: Logger) {
    this.#logger = logger
    this.configure(config)
  }

  get default(): User {
    return this.#byName.get(defaultUserName)?.user as User
  }

  /** Whether who has not logged in may do next to nothing. */
  get authRequired(): boolean {
    const { isOn, needsNoPassword } = this.default
    return !isOn || !needsNoPassword
  }

  get version(): number {
    return this.waits.version
  }

  find(name: string): User | undefined {
    return this.#byName.get(name)?.user
  }

  /** Version in which the user was made; -1: there is none. */
  sinceOf(name: string): number {
    return this.#byName.get(name)?.stored.since ?? -1
  }

  /** By name, in the order of bytes. */
  list(): User[] {
    return [...this.#byName.values()].map(({ user }) => user)
  }

  /** Users whose rules stay the same stay the same objects. */
  configure({ users, database }: ProxyConfig): void {
    if (users.version < this.version) return
    const all = new Map(Object.entries(users.users))
    if (!all.has(defaultUserName)) all.set(defaultUserName, { rules: rulesOf(database.password), since: 0 })
    const before = this.#byName
    const names = [...all.keys()].sort(byBytes)
    this.#byName = new Map(
      names.map((name) => [name, this.#known(name, all.get(name) as StoredUser, before.get(name))]),
    )
    this.waits.version = users.version
  }

  #known(name: string, stored: StoredUser, before: KnownUser | undefined): KnownUser {
    const isSame = before !== undefined && before.stored.rules.join('\n') === stored.rules.join('\n')
    return { user: isSame ? before.user : this.#made(name, stored), stored }
  }

  /** Rules that a later release has written may mean nothing here: who has them may do nothing. */
  #made(name: string, { rules }: StoredUser): User {
    try {
      return userOf(name, rules, this.defaults)
    } catch (error) {
      if (!(error instanceof RuleError)) throw error
      this.#logger.error({ error: error.message }, 'the rules of a user make no sense: it is off')
      return new User(name, this.defaults)
    }
  }
}

/** Of the default user. */
function rulesOf(password: string | null): readonly string[] {
  return password === null ? openRules : [...openRules, 'resetpass', `#${sha256(password)}`]
}

const byBytes = (one: string, other: string): number => (one < other ? -1 : 1)
