/** A sibling that asks this worker, over a connection that it dialled. */
import { type Frame, FrameKind, FrameReader } from '#protocol/frames/frame.ts'
import { type Hello, helloFrame, jsonFrame, readHello, readJson } from '#protocol/frames/hello.ts'
import { readWorkerQuestion, type WorkerQuestion } from '#protocol/frames/worker.ts'
import type { Connection, ConnectionHandler, Logger } from '#runtime/ports.ts'

export interface SiblingCallerOwner {
  readonly hello: Extract<Hello, { role: 'worker' }>
  readonly logger: Logger
  onCaller(caller: SiblingCaller): void
  onCallerGone(caller: SiblingCaller): void
  answer(caller: SiblingCaller, question: WorkerQuestion, done: (answer: object) => void): void
}

/** Answers that the sibling does not read. Beyond, the connection ends. */
export const callerUnreadBytesMax = 256 * 1024 * 1024

export class SiblingCaller implements ConnectionHandler {
  /** -1: it has not said yet. */
  worker = -1
  readonly #owner: SiblingCallerOwner
  readonly #connection: Connection
  readonly #reader = new FrameReader()
  #isClosed = false

  constructor(owner: SiblingCallerOwner, connection: Connection) {
    this.#owner = owner
    this.#connection = connection
  }

  close(): void {
    this.#connection.close()
  }

  onData(chunk: Uint8Array): void {
    const error = this.#reader.feed(chunk, (frame) => {
      if (!this.#isClosed) this.#take(frame)
    })
    if (error !== null) this.#reject(error)
  }

  onDrain(): void {}

  onClose(): void {
    this.#isClosed = true
    this.#owner.onCallerGone(this)
  }

  #take(frame: Frame): void {
    if (this.worker < 0) {
      this.#takeHello(frame)
      return
    }
    const question = frame.kind === FrameKind.admin ? readWorkerQuestion(readJson(frame)) : 'not a question'
    if (typeof question === 'string') {
      this.#reject(question)
      return
    }
    const { tag } = frame
    this.#owner.answer(this, question, (answer) => {
      if (this.#isClosed) return
      this.#connection.write(jsonFrame(FrameKind.adminReply, tag, answer))
      if (this.#connection.bufferedBytes > callerUnreadBytesMax) this.#reject('it does not read its answers')
    })
  }

  #takeHello(frame: Frame): void {
    const hello = readHello(frame)
    const own = this.#owner.hello
    if (typeof hello === 'string') this.#reject(hello)
    else if (hello.role !== 'worker' || hello.guid !== own.guid || hello.worker === own.worker)
      this.#reject('not another worker of this database')
    else {
      this.worker = hello.worker
      this.#connection.write(helloFrame(own))
      this.#owner.onCaller(this)
    }
  }

  #reject(reason: string): void {
    this.#isClosed = true
    this.#owner.logger.error({ worker: this.worker, reason }, 'a proxy worker was turned away')
    this.#connection.destroy()
  }
}
