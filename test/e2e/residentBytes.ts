/** What a process of this machine takes. */
import { readFileSync } from 'node:fs'

/** 0 where it is not known. */
export function residentBytesOf(pid: number): number {
  try {
    return 1024 * Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1])
  } catch {
    return 0
  }
}
