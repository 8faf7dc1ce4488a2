/**
 * A disk that keeps exactly what it promised. What was not synced is lost at a power cut, from any byte on, and what was
 * being written may be there as zeros; a file whose name was not synced may be gone; a truncation that was not synced may
 * not have happened. Syncs take time. It can be full for a while, and an append that fails may leave a part.
 */
import { type Disk, DiskError, type Random } from '#runtime/ports.ts'
import type { SimProcess } from './simProcess.ts'

type Change = { kind: 'append'; bytes: Uint8Array } | { kind: 'truncate'; sizeBytes: number }

interface File {
  /** What a process reads. */
  content: Uint8Array
  /** What is certain to be there after a power cut. */
  durable: Uint8Array
  /** The name itself is durable. */
  entryDurable: boolean
  /** Since `durable`, oldest first; so many came before them. */
  changes: Change[]
  changesBefore: number
}

const joined = (a: Uint8Array, b: Uint8Array): Uint8Array => {
  const both = new Uint8Array(a.length + b.length)
  both.set(a)
  both.set(b, a.length)
  return both
}

const changed = (content: Uint8Array, change: Change): Uint8Array =>
  change.kind === 'append'
    ? joined(content, change.bytes)
    : Uint8Array.from(content.subarray(0, change.sizeBytes))

export class SimDisk {
  /** Nothing more fits. */
  full = false
  /** How often the machine has lost power. */
  powerCuts = 0
  /** How long a sync takes. */
  syncMs: () => number
  readonly #random: Random
  #files = new Map<string, File>()

  constructor(random: Random, syncMs: () => number = () => 1) {
    this.#random = random
    this.syncMs = syncMs
  }

  get isEmpty(): boolean {
    return this.#files.size === 0
  }

  /** The disk as a process sees it while it lives. */
  mount(process: SimProcess): Disk {
    return {
      list: () => [...this.#files.keys()].sort(),
      sizeBytes: (name) => this.#file(name).content.length,
      read: (name, offsetBytes, lengthBytes) =>
        this.#file(name).content.slice(offsetBytes, offsetBytes + lengthBytes),
      append: (name, parts) => this.#append(name, parts),
      truncate: (name, sizeBytes) => this.#change(this.#file(name), { kind: 'truncate', sizeBytes }),
      remove: (name) => {
        this.#file(name)
        this.#files.delete(name)
      },
      replace: (name, content) => this.#replace(name, content),
      sync: (name, done) => this.#sync(process, name, done),
    }
  }

  /** The machine loses power. A process that is merely killed leaves everything it has written. */
  cutPower(): void {
    this.powerCuts++
    const random = this.#random
    const left = new Map<string, File>()
    for (const [name, file] of this.#files) {
      if (!file.entryDurable && random.below(2) === 0) continue
      let content = file.durable
      let survivors = random.below(file.changes.length + 1)
      for (const change of file.changes) {
        if (survivors-- > 0) content = changed(content, change)
        else {
          content = joined(content, this.#torn(change))
          break
        }
      }
      left.set(name, { content, durable: content, entryDurable: true, changes: [], changesBefore: 0 })
    }
    this.#files = left
  }

  /** For a fault: a file is gone that should not be. */
  lose(name: string): void {
    this.#files.delete(name)
  }

  /** The disk itself is lost. */
  wipe(): void {
    this.#files.clear()
  }

  /** What became of a change that was under way. */
  #torn(change: Change): Uint8Array {
    if (change.kind === 'truncate') return new Uint8Array(0)
    const torn = change.bytes.slice(0, this.#random.below(change.bytes.length + 1))
    if (torn.length > 0 && this.#random.below(3) === 0) torn.fill(0, this.#random.below(torn.length))
    return torn
  }

  #file(name: string): File {
    const file = this.#files.get(name)
    if (file === undefined) throw new DiskError('ENOENT', `no such file: ${name}`)
    return file
  }

  #change(file: File, change: Change): void {
    file.content = changed(file.content, change)
    file.changes.push(change)
  }

  #append(name: string, parts: readonly Uint8Array[]): void {
    let bytes: Uint8Array = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0))
    let at = 0
    for (const part of parts) {
      bytes.set(part, at)
      at += part.length
    }
    let file = this.#files.get(name)
    if (file === undefined) {
      if (this.full) throw new DiskError('ENOSPC', 'no space left on device')
      file = {
        content: new Uint8Array(0),
        durable: new Uint8Array(0),
        entryDurable: false,
        changes: [],
        changesBefore: 0,
      }
      this.#files.set(name, file)
    }
    if (this.full) bytes = bytes.subarray(0, this.#random.below(bytes.length + 1))
    if (bytes.length > 0) this.#change(file, { kind: 'append', bytes })
    if (this.full) throw new DiskError('ENOSPC', 'no space left on device')
  }

  #replace(name: string, content: Uint8Array): void {
    if (this.full) throw new DiskError('ENOSPC', 'no space left on device')
    const bytes = Uint8Array.from(content)
    this.#files.set(name, {
      content: bytes,
      durable: bytes,
      entryDurable: true,
      changes: [],
      changesBefore: 0,
    })
  }

  #sync(process: SimProcess, name: string, done: (error: DiskError | null) => void): void {
    const file = this.#files.get(name)
    const content = file?.content
    const covered = file === undefined ? 0 : file.changesBefore + file.changes.length
    process.post(this.syncMs(), () => {
      if (file !== undefined && content !== undefined) {
        file.entryDurable = true
        // Syncs may overtake each other.
        if (covered > file.changesBefore) {
          file.durable = content
          file.changes.splice(0, covered - file.changesBefore)
          file.changesBefore = covered
        }
      }
      done(null)
    })
  }
}
