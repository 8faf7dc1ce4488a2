/** The users of a database as the config store and the proxies have them: rules that nobody but a proxy reads. */

export interface StoredUser {
  /** As `SETUSER` takes them, passwords hashed. */
  readonly rules: readonly string[]
  /** Version of the list in which it was made, or loaded from a file: connections of an earlier one have ended. */
  readonly since: number
}

export interface UserList {
  /** Of two lists the one with the higher version is right. */
  readonly version: number
  /** Where nobody has said what the user `default` is, it is as the setting `password` says. */
  readonly users: Readonly<Record<string, StoredUser>>
}

export const noUsers: UserList = { version: 0, users: {} }

/** Of the list of one version, which it needs to be made of. */
export interface UserChange {
  readonly version: number
  /** Rules by name. */
  readonly put: Readonly<Record<string, readonly string[]>>
  readonly remove: readonly string[]
  /** All users that are not put go, and those whose rules change are new ones. */
  readonly replacesAll: boolean
}

/** What a proxy asks the agent of its node. */
export type UsersQuestion =
  | { what: 'change'; change: UserChange }
  | { what: 'writeFile'; text: string }
  | { what: 'readFile' }

export type UsersAnswer = KeptAnswer | { text: string }

/** Of a change of a list that the agent keeps. */
export type KeptAnswer =
  /** The version that the list has now; `done` false: it had another one before, and has it still. */
  | { done: boolean; version: number }
  /** The system's words. */
  | { error: string }

/** Null: the change is of another version. */
export function changedUsers(
  list: UserList,
  { version, put, remove, replacesAll }: UserChange,
): UserList | null {
  if (version !== list.version) return null
  const next = version + 1
  const users = new Map(Object.entries(replacesAll ? {} : list.users))
  for (const name of remove) users.delete(name)
  for (const [name, rules] of Object.entries(put)) {
    const before = Object.hasOwn(list.users, name) ? list.users[name] : undefined
    const isSame = before !== undefined && before.rules.join('\n') === rules.join('\n')
    const since = before === undefined || (replacesAll && !isSame) ? next : before.since
    users.set(name, { rules, since })
  }
  return { version: next, users: Object.fromEntries(users) }
}
