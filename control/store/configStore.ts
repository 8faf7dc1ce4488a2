/**
 * The config store of a cluster of one node: the databases, and which shards have ever held data. A JSON snapshot and
 * a journal of the changes since, appended and fsynced one by one; when the journal has grown, a new snapshot takes its
 * place. Each line carries a checksum. A line cut short at the end of the journal is a change that was never confirmed:
 * it is dropped and told. Any other damage stops the node, for it would run with databases that nobody has asked for.
 *
 *     snapshot := "antipode-config 4\n" line          the whole state
 *     journal  := "antipode-config-journal 4\n" line*  a few changes each
 *     line     := crc32 of the JSON, eight hex digits | space | JSON | "\n"
 *
 * A line holds the changes that were asked for while the line before was on its way to the disk, so a power cut can damage
 * the last line only. Lines have sequence numbers; those at or below the snapshot's are skipped, so a crash between
 * writing a snapshot and emptying the journal is harmless. Version 1 knew no changes of members, version 2 none of
 * users, and version 3 none of libraries; a release of then would misread them: files of these versions are read, and replaced at once.
 */
import { crc32 } from 'node:zlib'
import { parseLine } from '#control/agent/jsonLines.ts'
import { MendableError } from '#control/contract/mendableError.ts'
import { type Disk, DiskError, type Logger } from '#runtime/ports.ts'
import { applyChange, type Change, emptyState, type StoreState, withNewSettings } from './storeState.ts'

const snapshotName = 'snapshot'
const journalName = 'journal'
const snapshotHeader = 'antipode-config 4'
const journalHeader = 'antipode-config-journal 4'
const formerSnapshotHeaders = ['antipode-config 1', 'antipode-config 2', 'antipode-config 3']
const formerJournalHeaders = [
  'antipode-config-journal 1',
  'antipode-config-journal 2',
  'antipode-config-journal 3',
]
/** A journal above this is replaced by a snapshot at the next start. */
export const journalBytesMax = 256 * 1024

/** The store can't be read; the message says what and where. */
export class StoreDamage extends MendableError {}

interface Snapshot {
  sequence: number
  state: StoreState
}

interface Entry {
  sequence: number
  changes: readonly Change[]
}

interface Commit {
  changes: readonly Change[]
  done: (error: DiskError | null) => void
}

export class ConfigStore {
  readonly #disk: Disk
  readonly #logger: Logger
  #state = emptyState
  #sequence = 0
  #queue: Commit[] = []
  #writing = false
  /** Of the journal, as far as it is whole. */
  #journalBytes = 0
  /** An append failed: there may be something behind the whole part. */
  #mayHaveTail = false
  /** A file of an earlier version was read. */
  #isFormer = false

  private constructor(disk: Disk, logger: Logger) {
    this.#disk = disk
    this.#logger = logger
  }

  static open(disk: Disk, logger: Logger): ConfigStore {
    const store = new ConfigStore(disk, logger)
    const files = disk.list()
    if (files.includes(snapshotName)) store.#loadSnapshot()
    if (files.includes(journalName)) store.#loadJournal()
    if (store.#isFormer) store.#compact()
    return store
  }

  get state(): StoreState {
    return this.#state
  }

  /** Makes a change; `done` when it is on the disk, or with the reason why it isn't. */
  commit(change: Change, done: (error: DiskError | null) => void): void {
    this.commitTogether([change], done)
  }

  /** All of them or none, whatever happens. */
  commitTogether(changes: readonly Change[], done: (error: DiskError | null) => void): void {
    this.#queue.push({ changes, done })
    if (!this.#writing) this.#write()
  }

  #write(): void {
    const commits = this.#queue
    this.#queue = []
    this.#writing = true
    const finish = (error: DiskError | null) => {
      this.#writing = false
      for (const { done } of commits) done(error)
      if (this.#queue.length > 0 && !this.#writing) this.#write()
    }
    try {
      this.#append(commits.flatMap(({ changes }) => changes))
      this.#disk.sync(journalName, finish)
    } catch (error) {
      if (!(error instanceof DiskError)) throw error
      finish(error)
    }
  }

  /** What was appended counts, whether or not it is durable yet: the next line goes behind it. */
  #append(changes: readonly Change[]): void {
    if (this.#journalBytes === 0) {
      const header = encode(`${journalHeader}\n`)
      this.#disk.replace(journalName, header)
      this.#journalBytes = header.length
    }
    if (this.#mayHaveTail) this.#disk.truncate(journalName, this.#journalBytes)
    const line = encodeLine({ sequence: this.#sequence + 1, changes } satisfies Entry)
    this.#mayHaveTail = true
    this.#disk.append(journalName, [line])
    this.#mayHaveTail = false
    this.#journalBytes += line.length
    this.#sequence++
    this.#state = changes.reduce(applyChange, this.#state)
  }

  #loadSnapshot(): void {
    const [header, line] = this.#read(snapshotName).split('\n')
    this.#isFormer = formerSnapshotHeaders.includes(header ?? '')
    if (header !== snapshotHeader && !this.#isFormer)
      throw this.#damage(snapshotName, 0, `does not begin with "${snapshotHeader}"`)
    const content = decodeLine(line ?? '')
    if (content === null) throw this.#damage(snapshotName, snapshotHeader.length + 1, 'has a wrong checksum')
    const { sequence, state } = content as unknown as Snapshot
    this.#sequence = sequence
    this.#state = { ...emptyState, ...state, databases: state.databases.map(withNewSettings) }
  }

  #loadJournal(): void {
    const text = this.#read(journalName)
    const isFormer = formerJournalHeaders.some((header) => text.startsWith(`${header}\n`))
    if (isFormer) this.#isFormer = true
    else if (!text.startsWith(`${journalHeader}\n`))
      throw this.#damage(journalName, 0, `does not begin with "${journalHeader}"`)
    // All headers are equally long.
    let at = journalHeader.length + 1
    while (at < text.length) {
      const end = text.indexOf('\n', at)
      const content = end < 0 ? null : decodeLine(text.slice(at, end))
      if (content === null) {
        if (end >= 0 && end + 1 < text.length) throw this.#damage(journalName, at, 'has a wrong checksum')
        this.#cutTail(at, text.length)
        break
      }
      this.#replay(content as unknown as Entry, at)
      at = end + 1
    }
    this.#journalBytes = at
    if (at > journalBytesMax) this.#compact()
  }

  #replay({ sequence, changes }: Entry, at: number): void {
    if (sequence <= this.#sequence) return
    if (sequence !== this.#sequence + 1) {
      throw this.#damage(journalName, at, `has line ${sequence} after line ${this.#sequence}`)
    }
    this.#sequence = sequence
    this.#state = changes.reduce(applyChange, this.#state)
  }

  #cutTail(at: number, end: number): void {
    this.#logger.warn(
      { file: journalName, offset: at, bytes: end - at },
      'dropped an unfinished change at the end',
    )
    this.#disk.truncate(journalName, at)
  }

  #compact(): void {
    const snapshot: Snapshot = { sequence: this.#sequence, state: this.#state }
    const line = encodeLine({ ...snapshot })
    const header = encode(`${snapshotHeader}\n`)
    const content = new Uint8Array(header.length + line.length)
    content.set(header)
    content.set(line, header.length)
    this.#disk.replace(snapshotName, content)
    if (this.#disk.list().includes(journalName)) this.#disk.remove(journalName)
    this.#journalBytes = 0
  }

  /** As latin1: offsets into the text are offsets into the file. */
  #read(name: string): string {
    const bytes = this.#disk.read(name, 0, this.#disk.sizeBytes(name))
    return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('latin1')
  }

  #damage(file: string, offset: number, what: string): StoreDamage {
    return new StoreDamage(`the config store is damaged: ${file} at byte ${offset} ${what}`)
  }
}

const encode = (text: string): Uint8Array => Buffer.from(text, 'utf8')

const checksum = (json: Uint8Array): string => crc32(json).toString(16).padStart(8, '0')

function encodeLine(value: object): Uint8Array {
  const json = encode(JSON.stringify(value))
  return Buffer.concat([encode(`${checksum(json)} `), json, encode('\n')])
}

function decodeLine(line: string): Readonly<Record<string, unknown>> | null {
  const json = Buffer.from(line.slice(9), 'latin1')
  if (line.length < 10 || line[8] !== ' ' || checksum(json) !== line.slice(0, 8)) return null
  return parseLine(json.toString('utf8'))
}
