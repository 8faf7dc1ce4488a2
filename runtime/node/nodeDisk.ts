/**
 * The disk port on one directory. Files that are appended to stay open, `openFilesMax` at most. A new file is durable only
 * with its directory entry, so the first `sync` of a file syncs the directory too (see `fsync(2)`). Files whose names start
 * with a dot are ours, and nobody else sees them: half-written replacements that a crash left behind, and what was removed.
 */
import fs from 'node:fs'
import path from 'node:path'
import { allocate } from '#runtime/bytes/bytes.ts'
import { invariant } from '#runtime/invariant.ts'
import { type Disk, DiskError } from '#runtime/ports.ts'

const removedSuffix = '.removed'
/** Files kept open for appending. */
export const openFilesMax = 8

interface OpenFile {
  descriptor: number
  /** Syncs under way: the descriptor must not be closed (and given to another file) under them. */
  syncing: number
  unwanted: boolean
}

export class NodeDisk implements Disk {
  readonly #directory: string
  /** In the order of their last use. */
  readonly #open = new Map<string, OpenFile>()
  /** Files whose directory entry is known to be durable; of those found at the start nothing is known. */
  readonly #durableNames = new Set<string>()
  #removals = 0

  constructor(directory: string) {
    this.#directory = directory
    guard(() => {
      const created = fs.mkdirSync(directory, { recursive: true, mode: 0o700 })
      if (created !== undefined) syncDirectory(path.dirname(created))
      for (const name of fs.readdirSync(directory)) if (name.endsWith(removedSuffix)) this.#unlinkLater(name)
    })
  }

  list(): string[] {
    return guard(() =>
      fs
        .readdirSync(this.#directory)
        .filter((name) => !name.startsWith('.'))
        .sort(),
    )
  }

  sizeBytes(name: string): number {
    return guard(() => fs.statSync(this.#path(name)).size)
  }

  read(name: string, offsetBytes: number, lengthBytes: number): Uint8Array {
    return guard(() => {
      const descriptor = fs.openSync(this.#path(name), 'r')
      try {
        const left = Math.max(0, fs.fstatSync(descriptor).size - offsetBytes)
        const bytes = allocate(Math.min(lengthBytes, left))
        let length = 0
        while (length < bytes.length) {
          const count = fs.readSync(descriptor, bytes, length, bytes.length - length, offsetBytes + length)
          if (count === 0) break
          length += count
        }
        return bytes.subarray(0, length)
      } finally {
        fs.closeSync(descriptor)
      }
    })
  }

  append(name: string, parts: readonly Uint8Array[]): void {
    guard(() => {
      const { descriptor } = this.#opened(name)
      const total = parts.reduce((sum, part) => sum + part.length, 0)
      let written = 0
      try {
        // The system takes it all, unless the disk is almost full or a signal comes.
        if (total > 0) written = fs.writevSync(descriptor, parts)
        while (written < total) written += fs.writeSync(descriptor, restOf(parts, written))
      } catch (error) {
        // A full disk may have taken a part. Take it back, so that the next append continues what is whole.
        if (written > 0) fs.ftruncateSync(descriptor, fs.fstatSync(descriptor).size - written)
        throw error
      }
    })
  }

  truncate(name: string, sizeBytes: number): void {
    guard(() => fs.truncateSync(this.#path(name), sizeBytes))
  }

  remove(name: string): void {
    guard(() => {
      this.#release(name)
      this.#durableNames.delete(name)
      // Freeing a large file takes the system tens of milliseconds: it is out of sight at once, and freed by another thread.
      const removed = `.${name}.${process.pid}.${this.#removals++}${removedSuffix}`
      fs.renameSync(this.#path(name), path.join(this.#directory, removed))
      this.#unlinkLater(removed)
    })
  }

  /** What could not be unlinked is met again at the next start. */
  #unlinkLater(name: string): void {
    fs.unlink(path.join(this.#directory, name), () => {})
  }

  replace(name: string, content: Uint8Array): void {
    guard(() => {
      this.#release(name)
      const temporary = path.join(this.#directory, `.${name}.new`)
      fs.writeFileSync(temporary, content, { flush: true, mode: 0o600 })
      fs.renameSync(temporary, this.#path(name))
      syncDirectory(this.#directory)
      this.#durableNames.add(name)
    })
  }

  sync(name: string, done: (error: DiskError | null) => void): void {
    const file = guard(() => this.#opened(name))
    const newName = !this.#durableNames.has(name)
    file.syncing++
    const finish = (error: Error | null): void => {
      file.syncing--
      if (file.unwanted && file.syncing === 0) fs.closeSync(file.descriptor)
      if (error === null && !file.unwanted) this.#durableNames.add(name)
      done(error === null ? null : asDiskError(error))
    }
    fs.fdatasync(file.descriptor, (error) => {
      if (error !== null || !newName) finish(error)
      else syncDirectoryLater(this.#directory, finish)
    })
  }

  /** Closes the files that are open; the disk can be used on. */
  close(): void {
    for (const name of [...this.#open.keys()]) this.#release(name)
  }

  #path(name: string): string {
    invariant(/^[\w-][\w.-]*$/.test(name), 'a plain file name', { name })
    return path.join(this.#directory, name)
  }

  #opened(name: string): OpenFile {
    const open = this.#open.get(name)
    if (open !== undefined) {
      if (this.#open.size > 1) {
        this.#open.delete(name)
        this.#open.set(name, open)
      }
      return open
    }
    for (const oldest of this.#open.keys()) {
      if (this.#open.size < openFilesMax) break
      this.#release(oldest)
    }
    const file = { descriptor: fs.openSync(this.#path(name), 'a', 0o600), syncing: 0, unwanted: false }
    this.#open.set(name, file)
    return file
  }

  #release(name: string): void {
    const file = this.#open.get(name)
    if (file === undefined) return
    this.#open.delete(name)
    if (file.syncing > 0) file.unwanted = true
    else fs.closeSync(file.descriptor)
  }
}

function restOf(parts: readonly Uint8Array[], written: number): Uint8Array {
  let before = 0
  for (const part of parts) {
    if (written < before + part.length) return part.subarray(written - before)
    before += part.length
  }
  return new Uint8Array(0)
}

function syncDirectory(directory: string): void {
  const descriptor = fs.openSync(directory, 'r')
  try {
    fs.fsyncSync(descriptor)
  } finally {
    fs.closeSync(descriptor)
  }
}

function syncDirectoryLater(directory: string, done: (error: Error | null) => void): void {
  fs.open(directory, 'r', (openError, descriptor) => {
    if (openError !== null) return done(openError)
    fs.fsync(descriptor, (error) => {
      fs.closeSync(descriptor)
      done(error)
    })
  })
}

function asDiskError(error: unknown): DiskError {
  if (error instanceof DiskError) return error
  const code = error instanceof Error && 'code' in error ? String(error.code) : 'EIO'
  return new DiskError(code, error instanceof Error ? error.message : String(error))
}

function guard<T>(run: () => T): T {
  try {
    return run()
  } catch (error) {
    // Only the system's errors carry a code and a call; ours must stop the process.
    if (error instanceof Error && 'syscall' in error) throw asDiskError(error)
    throw error
  }
}
