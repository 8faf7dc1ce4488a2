/**
 * A database's directory on this node. The guid of the database that it belongs to lies in it: the config store may be lost,
 * or a database may be dropped and another of the same name be made, and the data must never become that of the other.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { MendableError } from '#control/contract/mendableError.ts'

const guidFileName = 'guid'

export const databaseDirectory = (dataDirectory: string, name: string): string =>
  join(dataDirectory, 'databases', name)

/** Of the database whose data is there; null when there is none. */
export function guidOf(directory: string): string | null {
  const path = join(directory, guidFileName)
  if (existsSync(path)) return readFileSync(path, 'utf8').trim()
  if (!existsSync(directory) || readdirSync(directory).length === 0) return null
  throw new MendableError(
    `${directory} holds data, but not the file ${guidFileName} that says of which database`,
  )
}

/** Makes the directory that of a database, or refuses because it is that of another. */
export function claimDirectory(directory: string, guid: string): void {
  const before = guidOf(directory)
  if (before === guid) return
  if (before !== null) {
    throw new MendableError(
      `${directory} holds the data of another database, guid ${before}; the new one has ${guid}. Move it away, or use another name`,
    )
  }
  mkdirSync(directory, { recursive: true, mode: 0o700 })
  const path = join(directory, guidFileName)
  writeFileSync(`${path}.new`, `${guid}\n`, { flush: true })
  renameSync(`${path}.new`, path)
}
