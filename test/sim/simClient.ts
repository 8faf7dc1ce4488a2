/** A RESP client of one cluster: one operation at a time, a new connection when the old one is gone or silent. */
import RedisParser from 'redis-parser'
import { bytesOf } from '#runtime/bytes/bytes.ts'
import type { Connection } from '#runtime/ports.ts'
import { type Outcome, outcomeOfError } from '#test/outcome.ts'
import { SimProcess } from './simProcess.ts'
import type { SimCluster } from './world.ts'

export type Reply = string | number | null | Error | Reply[]

const timeoutMs = 1500
const redialMs = 30

export class SimClient {
  readonly cluster: SimCluster
  readonly name: string
  readonly #process: SimProcess
  /** So many connections it has had. */
  connections = 0
  #connection: Connection | null = null
  #open = false
  #replies: Reply[] = []
  #parser: RedisParser | null = null
  #pending: { expected: number; done: (outcome: Outcome, replies: Reply[]) => void } | null = null
  #cancelTimeout: () => void = () => {}

  constructor(cluster: SimCluster, name: string) {
    this.cluster = cluster
    this.name = name
    this.#process = new SimProcess(name, cluster.world.events, cluster.clock)
    this.#dial()
  }

  /** It can take an operation. */
  get isFree(): boolean {
    return this.#open && this.#pending === null
  }

  /** Sends the commands in one go; `done` gets their replies. */
  send(commands: readonly (readonly string[])[], done: (outcome: Outcome, replies: Reply[]) => void): void {
    this.#pending = { expected: commands.length, done }
    this.#replies = []
    this.#connection?.write(bytesOf(commands.map(encoded).join('')))
    this.#cancelTimeout = this.#process.after(timeoutMs, () => this.#connection?.destroy())
  }

  #dial(): void {
    const network = this.cluster.world.network
    this.#parser = new RedisParser({
      returnReply: (reply: Reply) => this.#take(reply),
      returnError: (error: Error) => this.#take(error),
    })
    this.#connection = network.net(this.#process, this.cluster.site).connect(
      { kind: 'unix', path: this.cluster.clientPath },
      {
        onOpen: () => {
          this.#open = true
          this.connections++
        },
        onData: (chunk) => this.#parser?.execute(chunk),
        onDrain() {},
        onClose: () => {
          this.#open = false
          this.#connection = null
          this.#settle('unknown')
          this.#process.after(redialMs, () => this.#dial())
        },
      },
    )
  }

  #take(reply: Reply): void {
    this.#replies.push(reply)
    if (this.#replies.length === this.#pending?.expected) this.#settle(outcomeOf(this.#replies))
  }

  #settle(outcome: Outcome): void {
    const pending = this.#pending
    this.#pending = null
    this.#cancelTimeout()
    pending?.done(outcome, this.#replies)
  }
}

function outcomeOf(replies: readonly Reply[]): Outcome {
  const last = replies.at(-1)
  const errors = [last, ...(Array.isArray(last) ? last : [])].filter((reply) => reply instanceof Error)
  if (errors.length === 0) return 'done'
  if (Array.isArray(last)) return 'unknown'
  return outcomeOfError(errors[0] as Error)
}

const encoded = (command: readonly string[]): string =>
  `*${command.length}\r\n${command.map((argument) => `$${argument.length}\r\n${argument}\r\n`).join('')}`
