/** One process at a time on a directory, by a file with the owner's pid and start time. */
import { closeSync, openSync, readFileSync, rmSync, writeSync } from 'node:fs'
import { MendableError } from '#control/contract/mendableError.ts'
import { formatPidRecord, isAlive, type PidRecord, parsePidRecord, processStartTime } from './pidFile.ts'

/** Somebody else, who lives, has the directory. */
export class DirectoryInUse extends MendableError {
  readonly pid: number

  constructor(path: string, pid: number) {
    super(`${path} is held by process ${pid}, and there can be one only`)
    this.pid = pid
  }
}

/** Attempts to take a file that dead owners left behind; more than one only when others try at the same time. */
const attemptsMax = 5

/** Takes the lock, or throws `DirectoryInUse`. The returned function gives it back. */
export function lockDirectory(path: string, id: string): () => void {
  const own: PidRecord = { id, pid: process.pid, startTime: processStartTime(process.pid) }
  for (let attempt = 0; attempt < attemptsMax; attempt++) {
    if (createLock(path, own)) return () => rmSync(path, { force: true })
    const owner = lockOwner(path)
    if (owner !== null) throw new DirectoryInUse(path, owner.pid)
    rmSync(path, { force: true })
  }
  throw new Error(`${path} can't be taken: other processes try the same`)
}

/** The living owner of a lock; null when nobody has it. */
export function lockOwner(path: string): PidRecord | null {
  let content: string
  try {
    content = readFileSync(path, 'utf8')
  } catch {
    return null
  }
  const record = parsePidRecord(content)
  return record !== null && isAlive(record) ? record : null
}

function createLock(path: string, own: PidRecord): boolean {
  let file: number
  try {
    file = openSync(path, 'wx', 0o600)
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'EEXIST') return false
    throw error
  }
  writeSync(file, formatPidRecord(own))
  closeSync(file)
  return lockOwner(path)?.pid === own.pid
}
