/**
 * `[[database]]` tables and the config store. At the first start the tables become the databases; later the store alone
 * says what the databases are, and a table that says otherwise is told, with what is in force and how to change it.
 */
import type { DatabaseSettings } from '#config/schema.ts'
import type { StoredDatabase } from './storeState.ts'

/** Fills in what the file leaves open: this cluster as the only member, and a guid. */
export function completeDatabase(
  database: DatabaseSettings,
  cluster: string,
  bind: string,
  makeGuid: () => string,
): StoredDatabase {
  const members =
    database.members.length > 0
      ? database.members
      : [{ id: 1, name: cluster, host: bind, port: database.port }]
  return { ...database, members, guid: database.guid ?? makeGuid() }
}

/** Settings that the data on the disk, or at the peers, depends on. */
const fixed: readonly (keyof DatabaseSettings)[] = ['guid', 'shards', 'sharding']

export interface Difference {
  database: string
  setting: string
  /** As JSON; absent for secrets. */
  inForce?: string
  inFile?: string
}

/** Where the file says something else than the store. */
export function differences(
  stored: readonly StoredDatabase[],
  inFile: readonly DatabaseSettings[],
): Difference[] {
  const found: Difference[] = []
  for (const database of inFile) {
    const before = stored.find(({ name }) => name === database.name)
    if (before === undefined) {
      found.push({
        database: database.name,
        setting: 'name',
        inForce: 'no such database',
        inFile: 'a database',
      })
    } else found.push(...settingDifferences(before, database))
  }
  for (const { name } of stored) {
    if (!inFile.some((database) => database.name === name)) {
      found.push({ database: name, setting: 'name', inForce: 'a database', inFile: 'no such database' })
    }
  }
  return found
}

function settingDifferences(stored: StoredDatabase, inFile: DatabaseSettings): Difference[] {
  // What the file leaves open was filled in once and is no difference.
  const open: (keyof DatabaseSettings)[] = []
  if (inFile.guid === null) open.push('guid')
  if (inFile.members.length === 0 && stored.members.length === 1) open.push('members')
  return (Object.keys(inFile) as (keyof DatabaseSettings)[])
    .filter((key) => !open.includes(key) && JSON.stringify(stored[key]) !== JSON.stringify(inFile[key]))
    .map((key) => {
      const where = { database: stored.name, setting: key }
      if (key === 'password') return where
      return { ...where, inForce: JSON.stringify(stored[key]), inFile: JSON.stringify(inFile[key]) }
    })
}

/** What an import over existing databases must not do; null: it may be done. */
export function importRefusal(
  stored: readonly StoredDatabase[],
  imported: readonly StoredDatabase[],
  cluster: string,
): string | null {
  for (const database of imported) {
    const before = stored.find(({ name }) => name === database.name)
    if (before === undefined) continue
    for (const key of fixed) {
      if (before[key] !== database[key]) {
        return `${key} of database ${database.name} is ${before[key]} and can't become ${database[key]}: its data depends on it`
      }
    }
    const idBefore = before.members.find(({ name }) => name === cluster)?.id
    const id = database.members.find(({ name }) => name === cluster)?.id
    if (idBefore !== id) {
      return `the id of ${cluster} in database ${database.name} is ${idBefore} and can't become ${id}: its data depends on it`
    }
  }
  return null
}
