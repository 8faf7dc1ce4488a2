/** The libraries of functions of a database, as the config store, the proxies and the shards have them. */
import { areTexts, isJsonObject } from '#runtime/jsonObject.ts'

export interface StoredLibrary {
  readonly name: string
  /** With its first line, as it was given. */
  readonly code: string
  /** What it registers. */
  readonly functions: readonly {
    readonly name: string
    readonly description: string | null
    readonly flags: readonly string[]
  }[]
}

export interface LibraryList {
  /** Of two lists the one with the higher version is right. */
  readonly version: number
  readonly libraries: readonly StoredLibrary[]
}

export const noLibraries: LibraryList = { version: 0, libraries: [] }

/** Of the list of one version, which it needs to be made of. */
export interface LibraryChange {
  readonly version: number
  /** In the place of those of the same name. */
  readonly put: readonly StoredLibrary[]
  /** By name. */
  readonly remove: readonly string[]
}

/** Null: the change is of another version. */
export function changedLibraries(
  { version, libraries }: LibraryList,
  change: LibraryChange,
): LibraryList | null {
  if (change.version !== version) return null
  const gone = new Set([...change.remove, ...change.put.map(({ name }) => name)])
  return {
    version: version + 1,
    libraries: [...libraries.filter(({ name }) => !gone.has(name)), ...change.put],
  }
}

function isLibrary(value: unknown): value is StoredLibrary {
  if (!isJsonObject(value)) return false
  const { name, code, functions } = value
  if (typeof name !== 'string' || typeof code !== 'string' || !Array.isArray(functions)) return false
  return functions.every(
    (one: unknown) =>
      isJsonObject(one) &&
      typeof one['name'] === 'string' &&
      (one['description'] === null || typeof one['description'] === 'string') &&
      areTexts(one['flags']),
  )
}

/** Null: none that a proxy asks for. */
export function readLibraryChange(value: unknown): LibraryChange | null {
  if (!isJsonObject(value)) return null
  const { version, put, remove } = value
  if (typeof version !== 'number' || !Number.isSafeInteger(version) || version < 0) return null
  if (!Array.isArray(put) || !put.every(isLibrary) || !areTexts(remove)) return null
  return { version, put, remove }
}
