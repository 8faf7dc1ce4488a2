/**
 * Where a node's Unix sockets lie. The system limits their paths to about a hundred bytes, so below a long data directory
 * they don't fit: then they lie in a short one under the system's temporary directory, named after the data directory.
 */
import { createHash } from 'node:crypto'
import { existsSync, lstatSync, mkdirSync, readdirSync, realpathSync, rmdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { MendableError } from '#control/contract/mendableError.ts'

/** `sun_path` has 108 bytes on Linux and 104 on others, a zero at the end included. */
export const socketPathBytesMax = 103
/** Room for the longest file name in the directory. */
export const socketNameBytesMax = 40

/** The directory for the sockets of `directory`, which must exist; nothing is created. */
export function socketDirectory(directory: string, temporary = tmpdir()): string {
  const real = realpathSync(directory)
  if (fits(real)) return real
  const hash = createHash('sha256').update(real).digest('hex').slice(0, 16)
  for (const parent of [temporary, '/tmp']) {
    const short = join(parent, `antipode-${hash}`)
    if (fits(short)) return short
  }
  throw new MendableError(
    `no short enough directory for the sockets of ${directory}: set TMPDIR to a shorter one`,
  )
}

const fits = (path: string): boolean => Buffer.byteLength(path) + 1 + socketNameBytesMax <= socketPathBytesMax

/** Creates it when needed. Under a directory that others write to, it must be ours alone. */
export function prepareSocketDirectory(path: string): void {
  mkdirSync(path, { recursive: true, mode: 0o700 })
  const facts = lstatSync(path)
  const user = process.getuid?.() ?? facts.uid
  if (!facts.isDirectory() || facts.uid !== user) {
    throw new MendableError(`${path} is not a directory of this user; remove it`)
  }
}

/** Removes the sockets, and with them a directory under the temporary one; for when nobody listens any more. */
export function removeSockets(path: string, directory: string): void {
  if (!existsSync(path)) return
  for (const name of readdirSync(path)) if (name.endsWith('.sock')) rmSync(join(path, name), { force: true })
  if (path !== realpathSync(directory) && readdirSync(path).length === 0) rmdirSync(path)
}
