/** The handlers as a side: with the least of a session around them, so that MULTI, WATCH and HELLO work. */

import { errors } from '#protocol/resp/errors.ts'
import { ReplyWriter } from '#protocol/resp/replyWriter.ts'
import { bytesOf, concatenate } from '#runtime/bytes/bytes.ts'
import { type HandlerDatabase, refusalOf } from '#test/commands/handlerDatabase.ts'
import type { Request, Side } from './side.ts'

export class HandlerSide implements Side {
  readonly #database: HandlerDatabase
  readonly #reply = new ReplyWriter()
  #queue: Request[] | null = null
  #aborted = false
  readonly #watched = new Set<string>()
  #touched = false

  constructor(database: HandlerDatabase) {
    this.#database = database
    database.keyspace.onTouched = (key) => {
      if (this.#watched.has(key)) this.#touched = true
    }
  }

  async send(requests: readonly Request[]): Promise<Uint8Array[]> {
    return requests.map((request) => this.#answer(request))
  }

  #answer(request: Request): Uint8Array {
    const name = request[0]?.toUpperCase() ?? ''
    const refusal = refusalOf(request)
    if (refusal !== null) {
      this.#aborted = true
      return this.#write((reply) => reply.error(refusal))
    }
    const session = this.#answerSession(name, request)
    if (session !== null) return session
    if (this.#queue !== null) {
      this.#queue.push(request)
      return this.#write((reply) => reply.simple('QUEUED'))
    }
    this.#database.mayWait = true
    const [reply] = this.#run([request])
    this.#database.mayWait = false
    return reply as Uint8Array
  }

  /** null: not a command of the session. */
  #answerSession(name: string, request: Request): Uint8Array | null {
    switch (name) {
      case 'HELLO':
        this.#database.resp3 = request[1] === '3'
        return this.#write((reply) => reply.ok())
      case 'MULTI':
        if (this.#queue !== null) return this.#write((reply) => reply.error(errors.nestedMulti))
        this.#queue = []
        this.#aborted = false
        return this.#write((reply) => reply.ok())
      case 'DISCARD':
      case 'EXEC':
        return this.#endTransaction(name)
      case 'WATCH':
        if (this.#queue !== null) return this.#write((reply) => reply.error(errors.watchInsideMulti))
        for (const key of request.slice(1)) this.#watched.add(key)
        return this.#write((reply) => reply.ok())
      case 'UNWATCH':
        if (this.#queue !== null) return null
        this.#unwatch()
        return this.#write((reply) => reply.ok())
      default:
        return null
    }
  }

  #endTransaction(name: 'EXEC' | 'DISCARD'): Uint8Array {
    const queue = this.#queue
    if (queue === null)
      return this.#write((reply) =>
        reply.error(name === 'EXEC' ? errors.execWithoutMulti : errors.discardWithoutMulti),
      )
    this.#queue = null
    const stale = this.#touched
    this.#unwatch()
    if (name === 'DISCARD') return this.#write((reply) => reply.ok())
    if (this.#aborted) return this.#write((reply) => reply.error(errors.execAborted))
    if (stale) return this.#write((reply) => reply.nullArray())
    return concatenate([bytesOf(`*${queue.length}\r\n`), ...this.#run(queue)])
  }

  #unwatch(): void {
    this.#watched.clear()
    this.#touched = false
  }

  #run(requests: readonly Request[]): Uint8Array[] {
    return this.#database.execute(requests, Date.now())
  }

  #write(answer: (reply: ReplyWriter) => void): Uint8Array {
    this.#reply.clear()
    this.#reply.resp3 = this.#database.resp3
    answer(this.#reply)
    return this.#reply.take()
  }
}
