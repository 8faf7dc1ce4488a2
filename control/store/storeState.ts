/** What the config store holds, and the changes to it. */

import { changedLibraries, type LibraryChange, type LibraryList, noLibraries } from '#config/libraries.ts'
import { type DatabaseSettings, databaseSection } from '#config/schema.ts'
import { camelCase } from '#config/setting.ts'
import { changedUsers, noUsers, type UserChange, type UserList } from '#config/users.ts'
import { firstInstance, type Member, type MemberChange, type MemberList } from '#control/plan/membership.ts'

/** A database with everything decided: what the file left open has been filled in. */
export type StoredDatabase = Omit<DatabaseSettings, 'members' | 'joins'> &
  MemberList & {
    guid: string
    /** The change of the next epoch that this cluster has agreed to, and with which clusters. */
    promised: { change: MemberChange; to: readonly number[] } | null
    users: UserList
    libraries: LibraryList
  }

export interface StoreState {
  /** Whether the databases of the file have been imported. */
  imported: boolean
  databases: readonly StoredDatabase[]
  /** By the database's guid: the shards that have served, and so have held data. */
  initialised: Readonly<Record<string, readonly number[]>>
  /** Guids of databases that this cluster was removed from: it comes back by joining only. */
  left: readonly string[]
}

export type Change =
  | { kind: 'import'; databases: readonly StoredDatabase[] }
  | { kind: 'initialised'; guid: string; shard: number }
  /** On this epoch; `promised` null: it is withdrawn. */
  | { kind: 'promise'; guid: string; epoch: number; promised: StoredDatabase['promised'] }
  /** Of a higher epoch; what was promised is over with it. */
  | { kind: 'members'; guid: string; list: MemberList }
  /** A database that others have, and this cluster joins. */
  | { kind: 'join'; database: StoredDatabase }
  /** The database is gone from this cluster. */
  | { kind: 'drop'; guid: string }
  /** Of the version of the list that the change is of. */
  | { kind: 'users'; guid: string; change: UserChange }
  /** The same of libraries. */
  | { kind: 'libraries'; guid: string; change: LibraryChange }
  /** Where a member is, as seen from here. */
  | { kind: 'address'; guid: string; id: number; host: string; port: number }

export const emptyState: StoreState = { imported: false, databases: [], initialised: {}, left: [] }

/**
 * A store that an earlier release has written lacks the settings that came later: they are at their defaults. Members had no
 * states then: they are those of the first epoch.
 */
export function withNewSettings(database: StoredDatabase): StoredDatabase {
  const defaults = Object.entries(databaseSection.settings)
    .filter(([, { fallback }]) => fallback !== undefined)
    .map(([key, { fallback }]) => [camelCase(key), fallback])
  const members = database.members.map(
    (member): Member => ({ ...newMember(database.guid, member.id), ...member }),
  )
  const { joins: _, ...settings } = Object.fromEntries(defaults)
  return { ...settings, ...firstEpoch, ...database, members }
}

/** By name, for what a store of an earlier release lacks. */
const firstEpoch: Partial<StoredDatabase> = {
  epoch: 1,
  promised: null,
  users: noUsers,
  libraries: noLibraries,
}

const newMember = (guid: string, id: number) => ({
  state: 'active' as const,
  forced: false,
  instance: firstInstance(guid, id),
  stampFloor: 0,
})

export function applyChange(state: StoreState, change: Change): StoreState {
  if (change.kind === 'import') {
    const guids = change.databases.map(({ guid }) => guid)
    const left = state.left.filter((guid) => !guids.includes(guid))
    return { ...state, imported: true, databases: change.databases.map(withNewSettings), left }
  }
  if (change.kind === 'join') {
    const { database } = change
    const left = state.left.filter((guid) => guid !== database.guid)
    return { ...state, databases: [...state.databases, withNewSettings(database)], left }
  }
  if (change.kind === 'drop') {
    const { [change.guid]: _, ...initialised } = state.initialised
    const databases = state.databases.filter(({ guid }) => guid !== change.guid)
    return { ...state, databases, initialised, left: [...state.left, change.guid] }
  }
  if (change.kind !== 'initialised') return { ...state, databases: state.databases.map(changeOf(change)) }
  const before = state.initialised[change.guid] ?? []
  if (before.includes(change.shard)) return state
  return { ...state, initialised: { ...state.initialised, [change.guid]: [...before, change.shard] } }
}

const changeOf =
  (change: Extract<Change, { kind: 'promise' | 'members' | 'users' | 'libraries' | 'address' }>) =>
  (database: StoredDatabase): StoredDatabase => {
    if (database.guid !== change.guid) return database
    // Changes may queue up: what one was decided on may be past when it is made.
    if (change.kind === 'promise')
      return change.epoch === database.epoch ? { ...database, promised: change.promised } : database
    if (change.kind === 'members')
      return change.list.epoch > database.epoch ? { ...database, ...change.list, promised: null } : database
    if (change.kind === 'users')
      return { ...database, users: changedUsers(database.users, change.change) ?? database.users }
    if (change.kind === 'libraries') {
      const libraries = changedLibraries(database.libraries, change.change) ?? database.libraries
      return { ...database, libraries }
    }
    const { id, host, port } = change
    const members = database.members.map((member) => (member.id === id ? { ...member, host, port } : member))
    return { ...database, members }
  }

export const isInitialised = (state: StoreState, guid: string, shard: number): boolean =>
  state.initialised[guid]?.includes(shard) ?? false
