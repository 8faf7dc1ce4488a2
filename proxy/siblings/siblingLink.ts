/**
 * The connection over which this worker asks one of its siblings. Questions are answered in order of asking or not at all:
 * when the connection breaks, or while the sibling is not there, the answer is null. Redialling goes on for ever.
 *
 * There is no time limit here. A sibling that hangs keeps its connection, and what it was asked waits there until it goes
 * on; who asks decides how long an answer is worth waiting for.
 */

import type { WorkerAddress } from '#config/process.ts'
import { type Frame, FrameKind, FrameReader } from '#protocol/frames/frame.ts'
import { type Hello, helloFrame, jsonFrame, readHello, readJson } from '#protocol/frames/hello.ts'
import type { WorkerQuestion } from '#protocol/frames/worker.ts'
import { isJsonObject } from '#runtime/jsonObject.ts'
import type { Connection, Logger, Net, Random, Timers } from '#runtime/ports.ts'

export interface SiblingPorts {
  net: Net
  timers: Timers
  random: Random
  logger: Logger
}

export interface SiblingLinkOwner {
  readonly hello: Extract<Hello, { role: 'worker' }>
  /** What to tell now. */
  news(): WorkerQuestion
  /** The sibling answered with its news. */
  onNews(worker: number, news: unknown): void
  /** It is not there (any more). */
  onGone(worker: number): void
}

type Done = (answer: unknown) => void

/** Questions that one sibling has not answered yet. More get no answer. */
export const siblingPendingMax = 20_000
const redialMinMs = 10
const redialMaxMs = 500

export class SiblingLink {
  readonly worker: number
  readonly socketPath: string
  /** Nobody listens there, so nobody has clients there. */
  isGone = false
  /** It has let somebody wait in vain and not answered since. */
  isSilent = false
  readonly #owner: SiblingLinkOwner
  readonly #ports: SiblingPorts
  readonly #pending = new Map<number, Done>()
  #connection: Connection | null = null
  #isOpen = false
  #hasMet = false
  #reader = new FrameReader()
  #unsent: Uint8Array[] = []
  #lastTag = 0
  /** There is news that the sibling was not told, because it has yet to answer something else. */
  #owesNews = false
  /** It was told that the sibling was asked more than may wait. */
  #isOverflowTold = false
  /** Lines that it has not taken yet. */
  #linesBytes = 0
  #areLinesLost = false
  #attempts = 0
  #isClosed = false
  #cancelRedial: () => void = () => {}

  constructor({ worker, socketPath }: WorkerAddress, owner: SiblingLinkOwner, ports: SiblingPorts) {
    this.worker = worker
    this.socketPath = socketPath
    this.#owner = owner
    this.#ports = ports
  }

  get isUp(): boolean {
    return this.#hasMet
  }

  dial(): void {
    this.#cancelRedial()
    if (this.#connection !== null || this.#isClosed) return
    this.#reader = new FrameReader()
    const connection = this.#ports.net.connect(
      { kind: 'unix', path: this.socketPath },
      {
        onOpen: () => this.#onOpen(connection),
        onData: (chunk) => this.#onData(chunk),
        onDrain() {},
        onClose: (error) => this.#onClose(error),
      },
    )
    this.#connection = connection
    this.tell()
  }

  close(): void {
    this.#isClosed = true
    this.#cancelRedial()
    this.#connection?.close()
  }

  /** `done` is called once, perhaps at once: with the answer, or with null. */
  ask(question: WorkerQuestion, done: Done): void {
    if (this.#connection === null || this.#pending.size >= siblingPendingMax) {
      if (question.what === 'news') this.#owesNews = true
      if (this.#connection !== null) this.#tellOverflow()
      done(null)
      return
    }
    this.#lastTag = (this.#lastTag + 1) >>> 0
    this.#pending.set(this.#lastTag, done)
    this.#write(jsonFrame(FrameKind.admin, this.#lastTag, question))
  }

  /** Tells the news; who is slow to answer is told the latest when it has answered. */
  tell(): void {
    if (this.#pending.size > 0) this.#owesNews = true
    else this.ask(this.#owner.news(), () => {})
  }

  sendLines(lines: string, bytesMax: number): void {
    if (this.#linesBytes > bytesMax) {
      if (!this.#areLinesLost)
        this.#ports.logger.warn(
          { worker: this.worker, bytesMax },
          'a proxy worker takes no lines of MONITOR: they are lost',
        )
      this.#areLinesLost = true
      return
    }
    this.#linesBytes += lines.length
    this.ask({ what: 'monitored', lines }, () => {
      this.#linesBytes -= lines.length
      this.#areLinesLost = false
    })
  }

  #tellOverflow(): void {
    if (this.#isOverflowTold) return
    this.#isOverflowTold = true
    this.#ports.logger.warn(
      { worker: this.worker, pending: siblingPendingMax },
      'a proxy worker has too much to answer: it is not asked until it has answered',
    )
  }

  #write(bytes: Uint8Array): void {
    if (this.#isOpen) this.#connection?.write(bytes)
    else this.#unsent.push(bytes)
  }

  #onOpen(connection: Connection): void {
    this.#isOpen = true
    this.isGone = false
    connection.write(helloFrame(this.#owner.hello))
    for (const bytes of this.#unsent.splice(0)) connection.write(bytes)
  }

  #onData(chunk: Uint8Array): void {
    const error = this.#reader.feed(chunk, (frame) => this.#take(frame))
    if (error !== null) this.#reject(error)
  }

  #take(frame: Frame): void {
    if (frame.kind === FrameKind.hello) {
      const hello = readHello(frame)
      if (typeof hello === 'string') this.#reject(hello)
      else if (hello.role !== 'worker' || hello.worker !== this.worker)
        this.#reject('not the worker it should be')
      return
    }
    const done = this.#pending.get(frame.tag)
    if (frame.kind !== FrameKind.adminReply || done === undefined) {
      this.#reject(`frame of kind ${frame.kind}`)
      return
    }
    this.#pending.delete(frame.tag)
    const answer = readJson(frame)
    if (this.isSilent) this.#ports.logger.info({ worker: this.worker }, 'a proxy worker answers again')
    this.isSilent = false
    this.#isOverflowTold = false
    this.#attempts = 0
    if (!this.#hasMet) this.#meet()
    if (isJsonObject(answer) && 'news' in answer) this.#owner.onNews(this.worker, answer['news'])
    done(answer)
    if (this.#owesNews && this.#pending.size === 0) {
      this.#owesNews = false
      this.tell()
    }
  }

  #meet(): void {
    this.#hasMet = true
    this.#ports.logger.info({ worker: this.worker }, 'a proxy worker is there')
  }

  #reject(reason: string): void {
    this.#ports.logger.error({ worker: this.worker, reason }, 'a proxy worker breaks the protocol')
    this.#connection?.destroy()
  }

  #onClose(error: Error | null): void {
    const { logger, timers, random } = this.#ports
    if (this.#hasMet && !this.#isClosed)
      logger.warn({ worker: this.worker, error: error?.message ?? null }, 'a proxy worker is gone')
    this.#connection = null
    this.#isOpen = false
    this.#hasMet = false
    this.#owesNews = false
    this.#unsent = []
    this.isSilent = false
    this.isGone = true
    const pending = [...this.#pending.values()]
    this.#pending.clear()
    for (const done of pending) done(null)
    this.#owner.onGone(this.worker)
    if (this.#isClosed) return
    const pauseMs = Math.min(redialMaxMs, redialMinMs * 2 ** Math.min(this.#attempts++, 10))
    this.#cancelRedial = timers.after(pauseMs / 2 + random.below(pauseMs), () => this.dial())
  }
}
