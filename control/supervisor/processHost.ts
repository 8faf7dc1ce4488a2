/** Starts processes that outlive this one, and finds those that an earlier one has started. */
import { spawn } from 'node:child_process'
import { closeSync, mkdirSync, openSync, renameSync, statSync } from 'node:fs'
import { dirname } from 'node:path'
import { isAlive, PidDirectory, type PidRecord, processStartTime, signalProcess } from './pidFile.ts'

export interface ProcessSpec {
  /** Such as `shard/db1/0`. */
  id: string
  command: string
  arguments: readonly string[]
  /** Besides what this process has. */
  environment: Readonly<Record<string, string>>
  /** Where its standard output and error are appended. */
  logPath: string
}

/** How a process ended, for people. */
export type EndText = string

/** What a supervisor wants of the system; tests have one in memory. */
export interface ProcessHost {
  /** Calls `ended` once, never from inside `start`. */
  start(spec: ProcessSpec, ended: (how: EndText) => void): PidRecord
  isAlive(record: PidRecord): boolean
  signal(record: PidRecord, signal: 'SIGTERM' | 'SIGKILL'): void
  /** Records of earlier processes, dead ones too. */
  records(): PidRecord[]
  /** The process is gone: so is its record. */
  forget(id: string): void
}

export class NodeProcessHost implements ProcessHost {
  readonly #pids: PidDirectory
  /** A greater log file is put aside when its process starts. */
  logBytesMax: number

  constructor(pidDirectory: string, logBytesMax: number) {
    this.#pids = new PidDirectory(pidDirectory)
    this.logBytesMax = logBytesMax
  }

  start(spec: ProcessSpec, ended: (how: EndText) => void): PidRecord {
    this.#pids.write({ id: spec.id, pid: 0, startTime: null })
    const log = this.#openLog(spec.logPath)
    // A session of its own: a Ctrl-C in the terminal is for the one in front, who stops the others in order.
    const child = spawn(spec.command, spec.arguments, {
      detached: true,
      stdio: ['ignore', log, log],
      env: { ...process.env, ...spec.environment },
    })
    closeSync(log)
    let over = false
    const end = (how: EndText) => {
      if (!over) ended(how)
      over = true
    }
    child.once('error', (error) => end(error.message))
    child.once('exit', (code, signal) => end(signal === null ? `exit code ${code}` : `signal ${signal}`))
    const pid = child.pid ?? 0
    const record = { id: spec.id, pid, startTime: pid === 0 ? null : processStartTime(pid) }
    this.#pids.write(record)
    return record
  }

  isAlive(record: PidRecord): boolean {
    return isAlive(record)
  }

  signal(record: PidRecord, signal: 'SIGTERM' | 'SIGKILL'): void {
    signalProcess(record, signal)
  }

  records(): PidRecord[] {
    return this.#pids.read()
  }

  forget(id: string): void {
    this.#pids.remove(id)
  }

  #openLog(path: string): number {
    mkdirSync(dirname(path), { recursive: true })
    const sizeBytes = statSync(path, { throwIfNoEntry: false })?.size ?? 0
    if (sizeBytes > this.logBytesMax) renameSync(path, `${path}.1`)
    return openSync(path, 'a', 0o600)
  }
}
