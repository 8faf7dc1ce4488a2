/** What is measured: a server on a port of this machine, and the processes that it is made of. */
import type { CpuTime } from './processes.ts'

export interface Server {
  /** Unique in a table. */
  name: string
  port: number
  /** CPU time so far by kind of process, such as `proxy`. */
  cpu(): ReadonlyMap<string, CpuTime>
  /** Of the processes that hold data. */
  residentBytes(): number
  stop(): Promise<void>
}

/** One whose data processes can be killed; they are started again. */
export interface Restartable extends Server {
  /** Resolves when they are dead. */
  killData(): Promise<void>
}
