/** What the system tells of processes (proc(5)). */
import { readdirSync, readFileSync } from 'node:fs'

export interface CpuTime {
  /** Exact to the microsecond where the kernel counts it so. */
  totalMs: number
  /** Counted in ticks: what part of it was the user's, and what the system's. */
  userMs: number
  systemMs: number
}

const clockTicksPerSecond = 100

/** CPU time of several processes together, those of ended ones not. */
export function cpuTime(pids: readonly number[]): CpuTime {
  const sum = { totalMs: 0, userMs: 0, systemMs: 0 }
  for (const pid of pids) {
    const [userMs, systemMs] = statFields(pid)
      .slice(11, 13)
      .map((ticks) => (Number(ticks) * 1000) / clockTicksPerSecond)
    if (userMs === undefined || systemMs === undefined) continue
    sum.userMs += userMs
    sum.systemMs += systemMs
    sum.totalMs += scheduledMs(pid) || userMs + systemMs
  }
  return sum
}

/** Time on a core, of all threads that the process has; 0 where the kernel doesn't count it. */
function scheduledMs(pid: number): number {
  try {
    const nanoseconds = readdirSync(`/proc/${pid}/task`).map((thread) =>
      Number(readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'latin1').split(' ')[0]),
    )
    return nanoseconds.reduce((sum, each) => sum + each, 0) / 1e6
  } catch {
    // A thread has ended meanwhile, or there is no such file.
    return 0
  }
}

/** Field 3 of proc(5) and those behind it: the name before them may hold anything. */
function statFields(pid: number): string[] {
  try {
    const line = readFileSync(`/proc/${pid}/stat`, 'latin1')
    return line.slice(line.lastIndexOf(')') + 2).split(' ')
  } catch {
    // It has ended.
    return []
  }
}

/** Resident memory of several processes together, bytes; none for those that have ended. */
export function residentBytes(pids: readonly number[]): number {
  return pids.reduce((sum, pid) => sum + residentBytesOf(pid), 0)
}

function residentBytesOf(pid: number): number {
  try {
    return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1] ?? 0) * 1024
  } catch {
    // It has ended.
    return 0
  }
}
