/** The clients of this process: what CLIENT LIST shows of them, and what CLIENT KILL chooses by. */
import type { CommandSpec } from '#protocol/commands/index.ts'

export interface ClientAddresses {
  /** `address:port`. */
  remoteAddress: string
  localAddress: string
}

export interface Client extends ClientAddresses {
  readonly id: number
  readonly name: string
  readonly libName: string
  readonly libVersion: string
  readonly resp3: boolean
  readonly noEvict: boolean
  readonly noTouch: boolean
  /** Monotonic. */
  readonly openedMs: number
  readonly lastRequestMs: number
  readonly lastCommand: CommandSpec | null
  /** Commands queued by MULTI; -1 outside of one. */
  readonly queuedCommands: number
  readonly queuedBytes: number
  readonly inputBytes: number
  readonly unreadBytes: number
  readonly pendingRequests: number
  readonly isClosing: boolean
  /** Ends it at once. */
  kill(): void
  /** Ends it when what it has asked has been answered. */
  closeAfterReplies(): void
  /** What held it up may be over. */
  onPauseEnd(): void
}

export class Clients {
  readonly #byId = new Map<number, Client>()
  readonly #idStep: number
  #lastId: number

  /** Workers of one port give different ids. */
  constructor(worker: number, workerCount: number) {
    this.#idStep = Math.max(1, workerCount)
    this.#lastId = worker + 1 - this.#idStep
  }

  nextId(): number {
    this.#lastId += this.#idStep
    return this.#lastId
  }

  get count(): number {
    return this.#byId.size
  }

  add(client: Client): void {
    this.#byId.set(client.id, client)
  }

  remove(client: Client): void {
    this.#byId.delete(client.id)
  }

  get(id: number): Client | undefined {
    return this.#byId.get(id)
  }

  /** In the order in which they came; clients may leave while the list is walked. */
  list(): Client[] {
    return [...this.#byId.values()]
  }
}
