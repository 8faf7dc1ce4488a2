/** A client of one cluster that goes on whatever happens to it, and says what became of each thing it asked. */
import { Redis, type RedisOptions } from 'ioredis'
import { outcomeOfError } from '#test/outcome.ts'
import type { Answer, LawSession } from './laws/law.ts'
import type { Life, Write } from './laws/life.ts'

/** Told of everything that was asked. */
export type Historian = (session: string, words: readonly string[], answer: Answer) => void

/** A stopped process does not answer, and a cut link loses what is under way. */
const answerMs = 3_000
const redialMs = 50
/** So long it is waited for another cluster to have a write. */
const confirmMs = 500

export class Session implements LawSession {
  readonly name: string
  readonly life: Life
  readonly #client: Redis
  readonly #record: Historian
  /** The last that was done over this connection. */
  #last: Write | null = null

  constructor(name: string, life: Life, host: string, port: number, record: Historian) {
    this.name = name
    this.life = life
    this.#record = record
    const options: RedisOptions & { replyMapping?: 'legacy' } = {
      host,
      port,
      protocol: 2,
      commandTimeout: answerMs,
      connectTimeout: answerMs,
      enableOfflineQueue: false,
      maxRetriesPerRequest: null,
      autoResendUnfulfilledCommands: false,
      retryStrategy: () => redialMs,
    }
    this.#client = new Redis(options)
    this.#client.on('close', () => {
      this.#last = null
    })
    this.#client.on('error', () => {
      // Told by the command that was under way.
    })
  }

  async ask(...words: string[]): Promise<Answer> {
    const [command = '', ...rest] = words
    return await this.#do(words, rest[0], async () => await this.#client.call(command, ...rest))
  }

  async transaction(...commands: string[][]): Promise<Answer> {
    const answer = await this.#do(['MULTI', ...commands.flat()], commands[0]?.[1], async () => {
      const pipeline = this.#client.multi()
      for (const [command = '', ...rest] of commands) pipeline.call(command, ...rest)
      return await pipeline.exec()
    })
    if (answer.outcome !== 'done') return answer
    if (answer.reply === null) return { ...answer, outcome: 'refused' }
    const replies = answer.reply as [Error | null, unknown][]
    const failed = replies.find(([error]) => error !== null)
    if (failed !== undefined) return { ...answer, outcome: 'unknown', reply: failed[0] }
    return { ...answer, reply: replies.map(([, reply]) => reply) }
  }

  /** Waits a little for another cluster to have what was written here last. */
  async confirm(): Promise<void> {
    const write = this.#last
    if (write === null) return
    const { outcome, reply } = await this.ask('CRDT.WAIT', '1', String(confirmMs))
    if (outcome === 'done' && Number(reply) >= 1) write.confirm()
  }

  close(): void {
    this.#client.disconnect()
  }

  async #do(words: readonly string[], key = '', run: () => Promise<unknown>): Promise<Answer> {
    const write = this.life.begin(key)
    const answer = await this.#attempt(write, run)
    this.#record(this.name, words, answer)
    if (answer.outcome !== 'done') return answer
    write.acknowledge()
    if (words[0] !== 'CRDT.WAIT') this.#last = write
    return answer
  }

  async #attempt(write: Write, run: () => Promise<unknown>): Promise<Answer> {
    if (this.#client.status !== 'ready') {
      await new Promise((resolve) => setTimeout(resolve, redialMs))
      return { outcome: 'refused', reply: new Error('not connected'), write }
    }
    try {
      return { outcome: 'done', reply: await run(), write }
    } catch (error) {
      if (!(error instanceof Error) || error instanceof TypeError) throw error
      // An answer that comes late would be taken for that of the next command.
      if (error.message.includes('timed out')) this.#client.disconnect(true)
      return { outcome: outcomeOfError(error), reply: error, write }
    }
  }
}
