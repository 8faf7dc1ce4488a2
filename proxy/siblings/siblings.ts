/**
 * The other proxy processes of this database at this node. They share its port, and a client must not notice that they are
 * several: what concerns all clients is asked of all workers. Each worker dials each other one over Unix sockets, and asks
 * over the connection that it dialled. The agent is not needed for it, nor is any worker but those that live.
 *
 * News (how many clients, which ids, the pause, changed settings) is told when it changes, and exchanged whenever two
 * workers meet: one that was started again knows what the others know before it takes its first client.
 */
import type { ProxyConfig, WorkerAddress } from '#config/process.ts'
import type { Hello } from '#protocol/frames/hello.ts'
import {
  type KeptListName,
  readWorkerNews,
  type WorkerAnswer,
  type WorkerNews,
  type WorkerQuestion,
} from '#protocol/frames/worker.ts'
import type { Flushable, Turn } from '#proxy/turn.ts'
import type { Connection, Logger } from '#runtime/ports.ts'
import { SiblingCaller, type SiblingCallerOwner } from './siblingCaller.ts'
import { SiblingLink, type SiblingLinkOwner, type SiblingPorts } from './siblingLink.ts'

/** How long an answer is waited for. Who misses it once is not waited for until it answers again. */
export const siblingAnswerMs = 500
/**
 * How long the others are waited for until a change that is kept holds at all: to say that it may not costs the client more
 * than to wait, and a busy disk or machine holds a process for seconds.
 */
export const confirmMs = 5_000

export interface SiblingAnswer {
  worker: number
  /** JSON; null: the worker did not answer. */
  value: unknown
  /** It did not answer because it is not there: then it has no clients either. */
  isGone: boolean
}

export type SiblingQuestion = Exclude<WorkerQuestion, { what: 'news' | KeptListName }>

export interface SiblingsOwner {
  /** Of this worker. */
  news(): WorkerNews
  /** Of another one; `done` is called when what they change is in force here. */
  takeNews(news: WorkerNews, done: () => void): void
  /** Of a worker that is gone. */
  onNewsLost(): void
  answer(question: SiblingQuestion): object
  /** Calls `run` when the list of this version is in force; returns how to give up. */
  whenVersion(list: KeptListName, version: number, run: () => void): () => void
}

export class Siblings implements Flushable, SiblingLinkOwner, SiblingCallerOwner {
  readonly hello: Extract<Hello, { role: 'worker' }>
  readonly logger: Logger
  readonly #owner: SiblingsOwner
  readonly #ports: SiblingPorts
  readonly #turn: Turn
  readonly #callers = new Set<SiblingCaller>()
  readonly #heard = new Map<number, WorkerNews>()
  #links: SiblingLink[] = []
  #isInTurn = false
  #isClosed = false
  #toldClients = 0
  #onMet: (() => void) | null = null
  #cancelMeeting: () => void = () => {}

  constructor({ worker, database }: ProxyConfig, owner: SiblingsOwner, ports: SiblingPorts, turn: Turn) {
    this.hello = { role: 'worker', guid: database.guid, worker }
    this.logger = ports.logger
    this.#owner = owner
    this.#ports = ports
    this.#turn = turn
  }

  /** Dials who is new and lets go who is no worker any more. */
  configure({ worker, workers }: ProxyConfig): void {
    const others = workers.filter((address) => address.worker !== worker)
    const kept = this.#links.filter((link) => others.some((address) => isOf(link, address)))
    for (const link of this.#links) if (!kept.includes(link)) link.close()
    const added = others
      .filter((address) => !kept.some((link) => isOf(link, address)))
      .map((address) => new SiblingLink(address, this, this.#ports))
    this.#links = [...kept, ...added].sort((a, b) => a.worker - b.worker)
    for (const link of added) link.dial()
  }

  /** A connection to this worker's own socket. */
  accept(connection: Connection): void {
    const caller = new SiblingCaller(this, connection)
    connection.handler = caller
    this.#callers.add(caller)
  }

  /** Calls `run` once when all that are there have told what they know, or have been given the time to. */
  whenMet(run: () => void): void {
    this.#onMet = run
    this.#cancelMeeting = this.#ports.timers.after(siblingAnswerMs, () => this.#met())
    this.#checkMet()
  }

  /** Their number, this worker not included. */
  get count(): number {
    return this.#links.length
  }

  /** Clients of the others, by what they told last. */
  get clientCount(): number {
    let count = 0
    for (const { clients } of this.#heard.values()) count += clients
    return count
  }

  /** Clients of the others that monitor. */
  get monitorCount(): number {
    let count = 0
    for (const { monitors } of this.#heard.values()) count += monitors
    return count
  }

  /** Lines for those who monitor at the others. One that has not taken so many bytes of them yet is sent no more. */
  sendLines(lines: string, bytesMax: number): void {
    for (const link of this.#links)
      if ((this.#heard.get(link.worker)?.monitors ?? 0) > 0) link.sendLines(lines, bytesMax)
  }

  /** Whether another one takes connections on the port, so that it is ours. */
  get isAnyListening(): boolean {
    return [...this.#heard.values()].some(({ isListening }) => isListening)
  }

  /**
   * Asks all of them; `done` is called once, at once when there is nobody to wait for. Who is known to be silent is asked too,
   * but not waited for.
   */
  ask(question: WorkerQuestion, done: (answers: readonly SiblingAnswer[]) => void): void {
    this.#ask(
      question,
      this.#links.filter((link) => !link.isSilent),
      siblingAnswerMs,
      done,
    )
  }

  /** Asks all of them whether the list of this version is in force, and waits for all. */
  confirm(list: KeptListName, version: number, done: (answers: readonly SiblingAnswer[]) => void): void {
    this.#ask({ what: list, version }, this.#links, confirmMs, done)
  }

  /** Asks one of them, without a time limit; null: it is not there, or has too much to answer. */
  askWorker(worker: number, question: SiblingQuestion, done: (answer: unknown) => void): void {
    const link = this.#links.find((candidate) => candidate.worker === worker)
    if (link === undefined) done(null)
    else link.ask(question, done)
  }

  /** Something changed that the others must know at once. */
  tell(): void {
    this.#toldClients = this.#owner.news().clients
    for (const link of this.#links) link.tell()
  }

  /**
   * A client came or went. Far from the limit of clients the others need not know: what they are not told of may fill half
   * of the room that is left, all workers together. At the limit they are told of each.
   */
  onClientCount(count: number, clientsMax: number): void {
    const room = clientsMax - count - this.clientCount
    const untold = Math.abs(count - this.#toldClients)
    if (untold * 2 * (this.count + 1) <= room || this.#isInTurn || this.count === 0) return
    this.#isInTurn = true
    this.#turn.add(this)
  }

  flush(): void {
    this.#isInTurn = false
    if (!this.#isClosed) this.tell()
  }

  close(): void {
    this.#isClosed = true
    this.#cancelMeeting()
    for (const link of this.#links) link.close()
    for (const caller of this.#callers) caller.close()
  }

  news(): Extract<WorkerQuestion, { what: 'news' }> {
    return { what: 'news', news: this.#owner.news() }
  }

  onNews(worker: number, heard: unknown): void {
    const news = readWorkerNews(heard)
    if (news === null) {
      this.logger.error({ worker }, 'the news of a proxy worker make no sense')
      return
    }
    this.#heard.set(worker, news)
    this.#owner.takeNews(news, () => {})
    this.#checkMet()
  }

  onGone(worker: number): void {
    this.#heard.delete(worker)
    this.#owner.onNewsLost()
    this.#checkMet()
  }

  onCaller({ worker }: SiblingCaller): void {
    // Who calls is there, so it need not be waited for any longer.
    this.#links.find((link) => link.worker === worker)?.dial()
  }

  onCallerGone(caller: SiblingCaller): void {
    this.#callers.delete(caller)
  }

  answer({ worker }: SiblingCaller, question: WorkerQuestion, done: (answer: object) => void): void {
    if (question.what === 'users' || question.what === 'libraries') {
      this.#answerVersion(question.what, question.version, done)
      return
    }
    if (question.what !== 'news') {
      done(this.#owner.answer(question))
      return
    }
    if (this.#links.some((link) => link.worker === worker)) this.#heard.set(worker, question.news)
    this.#owner.takeNews(question.news, () =>
      done({ news: this.#owner.news() } satisfies WorkerAnswer<'news'>),
    )
  }

  #ask(
    question: WorkerQuestion,
    awaitedLinks: readonly SiblingLink[],
    limitMs: number,
    done: (answers: readonly SiblingAnswer[]) => void,
  ): void {
    const answers = this.#links.map(({ worker }): SiblingAnswer => ({ worker, value: null, isGone: false }))
    const awaited = new Set(awaitedLinks)
    let isAsking = true
    let cancel: () => void = () => {}
    const take = (link: SiblingLink, i: number, value: unknown): void => {
      if (!awaited.delete(link)) return
      answers[i] = { worker: link.worker, value, isGone: value === null && link.isGone }
      if (awaited.size > 0 || isAsking) return
      cancel()
      done(answers)
    }
    for (const [i, link] of this.#links.entries()) link.ask(question, (value) => take(link, i, value))
    isAsking = false
    if (awaited.size === 0) {
      done(answers)
      return
    }
    cancel = this.#ports.timers.after(limitMs, () => {
      for (const link of awaited) this.#fallSilent(link, question, limitMs)
      awaited.clear()
      done(answers)
    })
  }

  /** A "no" is to be there before whoever asks gives up. */
  #answerVersion(list: KeptListName, version: number, done: (answer: WorkerAnswer<'users'>) => void): void {
    let giveUp: () => void = () => {}
    const cancelTimer = this.#ports.timers.after(confirmMs - siblingAnswerMs, () => {
      giveUp()
      done({ isInForce: false })
    })
    giveUp = this.#owner.whenVersion(list, version, () => {
      cancelTimer()
      done({ isInForce: true })
    })
  }

  #fallSilent(link: SiblingLink, { what }: WorkerQuestion, waitedMs: number): void {
    link.isSilent = true
    this.logger.warn({ worker: link.worker, what, waitedMs }, 'a proxy worker does not answer')
  }

  #checkMet(): void {
    if (this.#onMet !== null && this.#links.every(({ isUp, isGone }) => isUp || isGone)) this.#met()
  }

  #met(): void {
    const run = this.#onMet
    this.#onMet = null
    this.#cancelMeeting()
    run?.()
  }
}

const isOf = (link: SiblingLink, address: WorkerAddress): boolean =>
  link.worker === address.worker && link.socketPath === address.socketPath
