/** Child processes, their ports and their directories. */
import type { ChildProcess } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

export const host = '127.0.0.1'

const packages = {
  'redis-server': 'redis-server',
  'redis-benchmark': 'redis-tools',
  nutcracker: 'nutcracker',
}

export async function freePort(): Promise<number> {
  return await new Promise((resolve, reject) => {
    const server = createServer()
    server.once('error', reject)
    server.listen(0, host, () => {
      const address = server.address()
      server.close(() => resolve(typeof address === 'object' && address ? address.port : 0))
    })
  })
}

export const makeDirectory = (name: string): string => mkdtempSync(join(tmpdir(), `bench-${name}-`))

export const removeDirectory = (path: string): void =>
  rmSync(path, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 })

export async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  await new Promise((resolve) => child.once('exit', resolve))
}

/** Debian's packages of the programs that are not here. */
export function missingPackages(): string[] {
  const folders = (process.env['PATH'] ?? '').split(':')
  const isHere = (name: string) => folders.some((folder) => existsSync(join(folder, name)))
  return Object.entries(packages).flatMap(([program, name]) => (isHere(program) ? [] : [name]))
}
