/**
 * How the pure middle sees the world. Every port has a real form in `runtime/node` and a simulated one in `test/sim`;
 * both pass the same suite. Nothing behind `server`, `proxy` and `syncer` (their `main.ts` files excepted) may reach
 * the world another way.
 */

export interface Clock {
  /** Wall clock, milliseconds since 1970. May step in either direction. */
  wallMs(): number
  /** Never goes back, unrelated to the wall clock; for intervals and time-outs. Milliseconds with a fraction. */
  monotonicMs(): number
}

export interface Random {
  /** Uniform integer in [0, limit), limit at most 2^32. */
  below(limit: number): number
}

export interface Timers {
  /** Calls `run` once after `delayMs`. The returned function cancels it and may be called at any time. */
  after(delayMs: number, run: () => void): () => void
  /** Calls `run` once when everything that has arrived by now has been handled: the place to write what was gathered. */
  atTurnEnd(run: () => void): void
}

/** A structured log line: ids and figures, never keys, values or secrets. */
export interface Logger {
  debug(facts: Readonly<Record<string, unknown>>, message: string): void
  info(facts: Readonly<Record<string, unknown>>, message: string): void
  warn(facts: Readonly<Record<string, unknown>>, message: string): void
  error(facts: Readonly<Record<string, unknown>>, message: string): void
}

/**
 * A directory of append-only files. Everything but `sync` is synchronous: one write per event-loop turn into the page
 * cache costs microseconds, and a synchronous core can't interleave two commands. `sync` runs elsewhere and calls back.
 * Any call may throw a `DiskError`.
 */
export interface Disk {
  /** Names of the files, sorted. */
  list(): string[]
  sizeBytes(name: string): number
  /** Reads up to `lengthBytes` from `offsetBytes`; shorter at the end of the file. */
  read(name: string, offsetBytes: number, lengthBytes: number): Uint8Array
  /** Appends all parts in one write; creates the file if needed. A crash may leave any prefix. */
  append(name: string, parts: readonly Uint8Array[]): void
  truncate(name: string, sizeBytes: number): void
  remove(name: string): void
  /** Writes a small file whole, durably and atomically (temporary file, fsync, rename, fsync of the directory). */
  replace(name: string, content: Uint8Array): void
  /** Makes everything appended to `name` so far (and its directory entry) durable, then calls `done`. */
  sync(name: string, done: (error: DiskError | null) => void): void
}

export class DiskError extends Error {
  /** The system's code, such as `ENOSPC`. */
  readonly code: string

  constructor(code: string, message: string) {
    super(message)
    this.name = 'DiskError'
    this.code = code
  }
}

/** What the owner of a connection wants to hear. Calls never come from inside `write`, `close` or `connect`. */
export interface ConnectionHandler {
  /** The bytes may be kept; nobody else writes to them. */
  onData(chunk: Uint8Array): void
  /** All that was written has left this process, after `bufferedBytes` had been above zero. */
  onDrain(): void
  /**
   * The other side sends nothing more but still reads (`nc` at the end of its input): answer what has come, then `close`.
   * Without this method the connection is closed.
   */
  onEnd?(): void
  /** Once, whoever closed; null for an orderly end. Nothing comes after it. */
  onClose(error: Error | null): void
}

/** One side of a byte stream: a TCP or Unix socket, a TLS session, or a simulated pipe. */
export interface Connection {
  /** Set by the owner before the turn in which it got the connection ends. */
  handler: ConnectionHandler
  /** Takes the bytes over (the caller must not change them any more). Never throws; after the end it does nothing. */
  write(bytes: Uint8Array): void
  /** Written, not yet taken by the system. Who writes to a slow reader looks here. */
  readonly bufferedBytes: number
  /** Stops `onData` (and so, in time, the other side's writes) until `resume`. */
  pause(): void
  resume(): void
  /**
   * Asks the other side's machine after so much silence whether it is still there; 0: never. Absent where it would be on the
   * same one.
   */
  keepAlive?(silentMs: number): void
  /** Ends after what was written has left. */
  close(): void
  /** Ends at once; unsent bytes are lost. */
  destroy(): void
}

/** Where to connect: a Unix socket, or a TCP port with or without mutual TLS. */
export type Target =
  | { kind: 'unix'; path: string }
  | { kind: 'tcp'; host: string; port: number }
  | { kind: 'tls'; host: string; port: number; alpn: string; serverName: string; identity: TlsIdentity }

/** Paths of PEM files; read at each connection, so that certificates can be replaced in place. */
export interface TlsIdentity {
  certificatePath: string
  keyPath: string
  authorityPath: string
}

export interface Net {
  /** Failure to connect is an `onClose` with the error; success is an `onOpen`. */
  connect(target: Target, handler: ConnectionHandler & { onOpen(): void }): Connection
}
