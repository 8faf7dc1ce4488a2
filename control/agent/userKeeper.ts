/** Keeps the users of the node's databases for the proxies, and the ACL file of each. */
import { readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { getSystemErrorMessage } from 'node:util'
import { changedUsers, type UserChange, type UsersAnswer, type UsersQuestion } from '#config/users.ts'
import type { StoredDatabase } from '#control/store/storeState.ts'
import { areTexts, isJsonObject } from '#runtime/jsonObject.ts'
import { NodeDisk } from '#runtime/node/nodeDisk.ts'
import { DiskError } from '#runtime/ports.ts'
import { databaseDirectory } from './databaseDirectory.ts'
import type { DecidedChange, KeptLists } from './keptLists.ts'

const aclFileName = 'users.acl'
/** More than the proxies take. */
export const aclFileBytesMax = 1024 * 1024

export const aclFilePath = (dataDirectory: string, database: string): string =>
  join(databaseDirectory(dataDirectory, database), aclFileName)

type Answered = (answer: UsersAnswer) => void

export interface UserKeeperPorts {
  lists: KeptLists
  dataDirectory: string
  /** The proxies are to be told the users of the database. */
  changed(database: string): void
}

export class UserKeeper {
  readonly #ports: UserKeeperPorts

  constructor(ports: UserKeeperPorts) {
    this.#ports = ports
  }

  serve(database: string, question: UsersQuestion, answered: Answered): void {
    switch (question.what) {
      case 'change':
        this.#change(database, question.change, answered)
        return
      case 'writeFile':
        answered(this.#writeFile(database, question.text))
        return
      case 'readFile':
        answered(this.#readFile(database))
    }
  }

  #change(name: string, change: UserChange, answered: Answered): void {
    const { lists, changed } = this.#ports
    const decide = ({ guid, users }: StoredDatabase): DecidedChange => ({
      version: users.version,
      change: changedUsers(users, change) === null ? null : { kind: 'users', guid, change },
    })
    lists.change(name, decide, () => changed(name), answered)
  }

  #writeFile(database: string, text: string): UsersAnswer {
    try {
      const disk = new NodeDisk(databaseDirectory(this.#ports.dataDirectory, database))
      disk.replace(aclFileName, Buffer.from(text, 'latin1'))
      return { text: '' }
    } catch (error) {
      if (!(error instanceof DiskError)) throw error
      return { error: error.message }
    }
  }

  #readFile(database: string): UsersAnswer {
    const path = aclFilePath(this.#ports.dataDirectory, database)
    try {
      if (statSync(path).size > aclFileBytesMax) return { error: `it has more than ${aclFileBytesMax} bytes` }
      return { text: readFileSync(path, 'latin1') }
    } catch (error) {
      return { error: systemWords(error) }
    }
  }
}

/** Those of the system's `strerror`. */
function systemWords(error: unknown): string {
  if (!(error instanceof Error && 'errno' in error && typeof error.errno === 'number')) return String(error)
  const words = getSystemErrorMessage(error.errno)
  return words.charAt(0).toUpperCase() + words.slice(1)
}

/** Null: none that a proxy asks. */
export function readUsersQuestion(value: unknown): UsersQuestion | null {
  if (!isJsonObject(value)) return null
  const { what, change, text } = value
  if (what === 'readFile') return { what }
  if (what === 'writeFile') return typeof text === 'string' ? { what, text } : null
  if (what !== 'change' || !isJsonObject(change)) return null
  const { version, put, remove, replacesAll } = change
  if (typeof version !== 'number' || !Number.isSafeInteger(version) || version < 0) return null
  if (!isJsonObject(put) || !areTexts(remove) || typeof replacesAll !== 'boolean') return null
  const rules = Object.entries(put).map(([name, texts]) =>
    areTexts(texts) ? ([name, texts] as const) : null,
  )
  if (!rules.every((entry) => entry !== null)) return null
  return { what, change: { version, put: Object.fromEntries(rules), remove, replacesAll } }
}
