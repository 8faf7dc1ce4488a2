/**
 * `[[database]]` tables and the config store. At the first start the tables become the databases; later the store alone
 * says what the databases are, and a table that says otherwise is told, with what is in force and how to change it.
 */

import { noLibraries } from '#config/libraries.ts'
import type { DatabaseSettings } from '#config/schema.ts'
import { noUsers } from '#config/users.ts'
import { firstInstance, type Member } from '#control/plan/membership.ts'
import type { StoredDatabase } from './storeState.ts'

/** Fills in what the file leaves open: this cluster as the only member, and a guid. */
export function completeDatabase(
  database: DatabaseSettings,
  cluster: string,
  bind: string,
  makeGuid: () => string,
): StoredDatabase {
  const { joins, ...settings } = database
  const guid = database.guid ?? makeGuid()
  const inFile =
    database.members.length > 0
      ? database.members
      : [{ id: 1, name: cluster, host: bind, port: database.port }]
  const members = inFile.map((member): Member => {
    const state = joins && member.name === cluster ? 'joining' : 'active'
    return { ...member, state, forced: false, instance: firstInstance(guid, member.id), stampFloor: 0 }
  })
  // Who joins learns the list from the member that it knows, whose epoch is higher.
  return {
    ...settings,
    guid,
    members,
    epoch: joins ? 0 : 1,
    promised: null,
    users: noUsers,
    libraries: noLibraries,
  }
}

/** Libraries are not of the file, nor are users, but for the password of the default one: another password there makes it anew. */
export function keepingLists(imported: StoredDatabase, stored: readonly StoredDatabase[]): StoredDatabase {
  const before = stored.find(({ guid }) => guid === imported.guid)
  if (before === undefined) return imported
  const { libraries } = before
  if (before.password === imported.password) return { ...imported, libraries, users: before.users }
  const { default: _, ...users } = before.users.users
  return { ...imported, libraries, users: { version: before.users.version + 1, users } }
}

/** Once a database has members they change by agreement with the others, not by a file; but addresses are of the file. */
export function keepingMembers(imported: StoredDatabase, stored: readonly StoredDatabase[]): StoredDatabase {
  const before = stored.find(({ guid }) => guid === imported.guid)
  // Of one that joins, epoch 0, a file that doesn't say so is older.
  if (before === undefined || before.epoch === imported.epoch) return imported
  const members = before.members.map((member) => {
    const inFile = imported.members.find(({ id, name }) => id === member.id && name === member.name)
    return inFile === undefined ? member : { ...member, host: inFile.host, port: inFile.port }
  })
  return { ...imported, epoch: before.epoch, promised: before.promised, members }
}

/** Settings that the data on the disk, or at the peers, depends on. */
const fixed: readonly (keyof DatabaseSettings & keyof StoredDatabase)[] = ['guid', 'shards', 'sharding']

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
  // Whether it joins matters when it is made, and who the members are is agreed on later.
  open.push('joins')
  if (stored.epoch !== 1) open.push('members')
  const inForce: Record<string, unknown> = {
    ...stored,
    members: stored.members.map(({ id, name, host, port }) => ({ id, name, host, port })),
  }
  return (Object.keys(inFile) as (keyof DatabaseSettings)[])
    .filter((key) => !open.includes(key) && JSON.stringify(inForce[key]) !== JSON.stringify(inFile[key]))
    .map((key) => {
      const where = { database: stored.name, setting: key }
      if (key === 'password') return where
      return { ...where, inForce: JSON.stringify(inForce[key]), inFile: JSON.stringify(inFile[key]) }
    })
}

/** What an import over existing databases must not do; null: it may be done. */
export function importRefusal(
  stored: readonly StoredDatabase[],
  imported: readonly StoredDatabase[],
  cluster: string,
  left: readonly string[] = [],
): string | null {
  for (const database of imported) {
    if (left.includes(database.guid) && database.epoch > 0)
      return `this cluster was removed from database ${database.name}: it can only join it again, with \`joins = true\``
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
