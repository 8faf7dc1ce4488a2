/** What the config store holds, and the changes to it. */
import { type DatabaseSettings, databaseSection } from '#config/schema.ts'
import { camelCase } from '#config/setting.ts'

/** A database with everything decided: what the file left open has been filled in. */
export type StoredDatabase = DatabaseSettings & { guid: string }

export interface StoreState {
  /** Whether the databases of the file have been imported. */
  imported: boolean
  databases: readonly StoredDatabase[]
  /** By the database's guid: the shards that have served, and so have held data. */
  initialised: Readonly<Record<string, readonly number[]>>
}

export type Change =
  | { kind: 'import'; databases: readonly StoredDatabase[] }
  | { kind: 'initialised'; guid: string; shard: number }

export const emptyState: StoreState = { imported: false, databases: [], initialised: {} }

/** A store that an earlier release has written lacks the settings that came later: they are at their defaults. */
export function withNewSettings(database: StoredDatabase): StoredDatabase {
  const defaults = Object.entries(databaseSection.settings)
    .filter(([, { fallback }]) => fallback !== undefined)
    .map(([key, { fallback }]) => [camelCase(key), fallback])
  return { ...Object.fromEntries(defaults), ...database }
}

export function applyChange(state: StoreState, change: Change): StoreState {
  if (change.kind === 'import')
    return { ...state, imported: true, databases: change.databases.map(withNewSettings) }
  const before = state.initialised[change.guid] ?? []
  if (before.includes(change.shard)) return state
  return { ...state, initialised: { ...state.initialised, [change.guid]: [...before, change.shard] } }
}

export const isInitialised = (state: StoreState, guid: string, shard: number): boolean =>
  state.initialised[guid]?.includes(shard) ?? false
