/**
 * MONITOR: clients of this worker that are shown every request, and those of the other workers, which are sent the lines of the
 * clients here. What scripts call is shown by the shards, to each worker that has clients who monitor.
 *
 * While nobody monitors it costs nothing: the fast path of sessions is not taken while somebody does.
 */
import type { CommandSpec } from '#protocol/commands/index.ts'
import type { RequestView } from '#protocol/commands/request.ts'
import { defaultRequestLimits, RequestScanner } from '#protocol/resp/requestScanner.ts'
import { bytesOf } from '#runtime/bytes/bytes.ts'
import type { Clock } from '#runtime/ports.ts'
import { redactedRequest } from './redaction.ts'
import type { Flushable, Turn } from './turn.ts'

/** A client that monitors. */
interface Viewer {
  push(bytes: Uint8Array, length: number): void
}

export interface MonitorsOwner {
  /** `isOn` may have changed. */
  onMonitors(): void
  /** The number of those here has changed. */
  onLocalMonitors(): void
  /** Lines for the workers whose clients monitor. */
  sendLines(lines: string): void
}

const escapes: Readonly<Record<string, string>> = {
  '\\': '\\\\',
  '"': '\\"',
  '\n': '\\n',
  '\r': '\\r',
  '\t': '\\t',
  '\x07': '\\a',
  '\b': '\\b',
}

const quoted = (text: string): string =>
  `"${text.replace(/[^\x20-\x7e]|["\\]/g, (character) => escapes[character] ?? hexadecimal(character))}"`

const hexadecimal = (character: string): string =>
  `\\x${character.charCodeAt(0).toString(16).padStart(2, '0')}`

/** What a client that monitors may not run: it counts as a replica in Redis. */
export const mayNotMonitor = ({ row, mayWrite, name }: CommandSpec): boolean =>
  mayWrite || row.flags.includes('readonly') || touching.has(name)

/** Neither reads nor writes of keys, and yet refused. */
const touching: ReadonlySet<string> = new Set(['PUBLISH', 'SPUBLISH', 'EVAL_RO', 'EVALSHA_RO', 'FCALL_RO'])

export class Monitors implements Flushable {
  readonly #clock: Clock
  readonly #turn: Turn
  readonly #owner: MonitorsOwner
  readonly #scanner = new RequestScanner(defaultRequestLimits)
  /** Here, those that are not shown anything yet included. */
  readonly #clients = new Set<Viewer>()
  readonly #viewers = new Set<Viewer>()
  /** At the other workers. */
  #others = 0
  #forOthers: string[] = []

  constructor(clock: Clock, turn: Turn, owner: MonitorsOwner) {
    this.#clock = clock
    this.#turn = turn
    this.#owner = owner
  }

  /** Somebody is to be shown requests. */
  get isOn(): boolean {
    return this.#clients.size > 0 || this.#others > 0
  }

  has(client: Viewer): boolean {
    return this.#clients.has(client)
  }

  /** Of this worker. */
  get count(): number {
    return this.#clients.size
  }

  set others(count: number) {
    const wasOn = this.isOn
    this.#others = count
    if (wasOn !== this.isOn) this.#owner.onMonitors()
  }

  /** It is shown nothing before `show`: all shards and workers are to know of it then. */
  add(client: Viewer): void {
    this.#change(() => this.#clients.add(client))
  }

  listen(client: Viewer): void {
    if (this.#clients.has(client)) this.#viewers.add(client)
  }

  remove(client: Viewer): void {
    if (!this.#clients.has(client)) return
    this.#viewers.delete(client)
    this.#change(() => this.#clients.delete(client))
  }

  #change(change: () => void): void {
    const wasOn = this.isOn
    change()
    this.#owner.onLocalMonitors()
    if (wasOn !== this.isOn) this.#owner.onMonitors()
  }

  /**
   * What a client here asks for, if it is one of the commands that are shown. Scripts are, though `skip_monitor` is among their
   * flags: Redis shows them another way.
   */
  show(spec: CommandSpec, request: RequestView, address: string): void {
    if (spec.row.flags.includes('admin')) return
    const line = this.#line(address, redactedRequest(spec, request))
    this.take(line)
    if (this.#others === 0) return
    if (this.#forOthers.push(line) === 1) this.#turn.add(this)
  }

  /** What a script calls: each worker is shown it by the shard. */
  onScriptCall(bytes: Uint8Array, start: number, end: number): void {
    if (this.#viewers.size === 0 || this.#scanner.scan(bytes, start, end) <= 0) return
    this.take(this.#line('lua', this.#scanner))
    this.#scanner.reset()
  }

  /** Lines for the clients here. */
  take(lines: string): void {
    if (this.#viewers.size === 0) return
    const bytes = bytesOf(lines)
    for (const viewer of [...this.#viewers]) viewer.push(bytes, bytes.length)
  }

  flush(): void {
    const lines = this.#forOthers.join('')
    this.#forOthers = []
    if (this.#others > 0) this.#owner.sendLines(lines)
  }

  #line(from: string, request: RequestView): string {
    const wallMs = this.#clock.wallMs()
    const seconds = Math.floor(wallMs / 1000)
    const microseconds = String(Math.floor((wallMs % 1000) * 1000)).padStart(6, '0')
    const words: string[] = []
    for (let i = 0; i < request.argumentCount; i++) words.push(quoted(request.text(i)))
    return `+${seconds}.${microseconds} [0 ${from}] ${words.join(' ')}\r\n`
  }
}
