/**
 * Which process is whose, on disk. A pid alone says little: it may belong to another process by now. So the time at
 * which the process started is kept with it, as the system tells it; only a process with both is ours.
 *
 * The file is written twice: with pid 0 before the process is started, with its pid after. A starter that dies between
 * the two leaves the former behind, and whoever comes next knows that a process may be about.
 */
import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

export interface PidRecord {
  id: string
  /** 0: about to be started. */
  pid: number
  /** Opaque; equal for the same process. Null for pid 0. */
  startTime: string | null
}

const suffix = '.pid'

/** When the living process `pid` started; null when there is none. */
export function processStartTime(pid: number): string | null {
  return process.platform === 'linux' ? linuxStartTime(pid) : otherStartTime(pid)
}

function linuxStartTime(pid: number): string | null {
  let line: string
  try {
    line = readFileSync(`/proc/${pid}/stat`, 'latin1')
  } catch {
    return null
  }
  // The name, in parentheses, may hold anything; the fields behind it are the 3rd and following of proc(5).
  const fields = line.slice(line.lastIndexOf(')') + 2).split(' ')
  const [state] = fields
  if (state === 'Z' || state === 'X') return null
  // Counted from the start of the machine, so only together with it is it the same after a reboot.
  return `${bootId()} ${fields[19]}`
}

let knownBootId: string | null = null

function bootId(): string {
  knownBootId ??= readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim()
  return knownBootId
}

function otherStartTime(pid: number): string | null {
  try {
    const line = execFileSync('ps', ['-o', 'state=,lstart=', '-p', String(pid)], { encoding: 'utf8' }).trim()
    return line === '' || line.startsWith('Z') ? null : line.slice(line.indexOf(' ')).trim()
  } catch {
    return null
  }
}

export const isAlive = ({ pid, startTime }: PidRecord): boolean =>
  pid > 0 && startTime !== null && processStartTime(pid) === startTime

/** Sends a signal if the process is still the one that was recorded. */
export function signalProcess(record: PidRecord, signal: 'SIGTERM' | 'SIGKILL'): boolean {
  if (!isAlive(record)) return false
  try {
    process.kill(record.pid, signal)
    return true
  } catch {
    // It ended between the question and the signal.
    return false
  }
}

/** The pid files of one directory. */
export class PidDirectory {
  readonly #path: string

  constructor(path: string) {
    this.#path = path
  }

  #file(id: string): string {
    return join(this.#path, id.replaceAll('/', '-') + suffix)
  }

  write(record: PidRecord): void {
    mkdirSync(this.#path, { recursive: true })
    const file = this.#file(record.id)
    writeFileSync(`${file}.new`, formatPidRecord(record))
    renameSync(`${file}.new`, file)
  }

  remove(id: string): void {
    rmSync(this.#file(id), { force: true })
  }

  /** All records, those of dead processes too. A file that is none is left out. */
  read(): PidRecord[] {
    if (!existsSync(this.#path)) return []
    return readdirSync(this.#path)
      .filter((name) => name.endsWith(suffix))
      .flatMap((name) => {
        const record = parsePidRecord(readFileSync(join(this.#path, name), 'utf8'))
        return record === null ? [] : [record]
      })
  }
}

/** Three lines: the pid, when the process started, what it is. */
export function formatPidRecord({ id, pid, startTime }: PidRecord): string {
  return `${pid}\n${startTime ?? ''}\n${id}\n`
}

/** Null: the content is no pid file. */
export function parsePidRecord(content: string): PidRecord | null {
  const [pidLine = '', startTime, id] = content.split('\n')
  if (!/^\d{1,10}$/.test(pidLine) || startTime === undefined || id === undefined || id === '') return null
  return { id, pid: Number(pidLine), startTime: startTime === '' ? null : startTime }
}
