/** Resident memory when it has come to rest: garbage is collected and memory given back a little after the load. */
import type { Server } from '#bench/servers/server.ts'

const lookMs = 500
const settleMs = 5_000
const restPart = 0.005

/** Looks until it stays within half a percent, for five seconds at most. */
export async function settledResidentBytes(server: Server): Promise<number> {
  const deadlineMs = performance.now() + settleMs
  let before = server.residentBytes()
  for (;;) {
    await new Promise((resolve) => setTimeout(resolve, lookMs))
    const bytes = server.residentBytes()
    if (Math.abs(bytes - before) <= before * restPart || performance.now() > deadlineMs) return bytes
    before = bytes
  }
}
