/**
 * Load that redis-benchmark doesn't make: mixtures of requests, each key in turn, and a fixed rate whose latencies count from
 * when a request was due. A server that stops for a second is so charged with the wait of every request of that second,
 * not only of those that were under way ("coordinated omission").
 */
import { Histogram } from '#bench/figures/histogram.ts'
import { isErrorReply } from '#protocol/resp/replyScanner.ts'
import { latin1 } from '#runtime/bytes/bytes.ts'
import { Connection } from './connection.ts'
import type { LatencyWindow, Outcome, Plan } from './plan.ts'
import { compileTemplate, stampTemplate, type Template } from './template.ts'
import { TimeQueue } from './timeQueue.ts'

/** Node's timers are a millisecond coarse: a request sent later than it was due by no more than this counts from when it was sent. */
const timerSlackMs = 2
const tickMs = 1
/** How long replies are waited for after the last request. */
const drainMs = 300_000

interface Channel {
  connection: Connection
  starts: TimeQueue
  /** Chosen and not sent yet. */
  chosen: { template: Template; number: number }[]
}

export class Generator {
  readonly #plan: Plan
  readonly #templates: Template[]
  readonly #weights: number[]
  readonly #latency = new Histogram()
  readonly #window = new Histogram()
  readonly #windows: LatencyWindow[] = []
  #channels: Channel[] = []
  #startMs = 0
  #warmMs = 0
  #answeredWarm = 0
  #endMs = 0
  #sent = 0
  #answered = 0
  #nextKey = 0
  #isStopping = false
  #finish: (error: Error | null) => void = () => {}

  constructor(plan: Plan) {
    this.#plan = plan
    this.#templates = plan.mix.map(({ args }) => compileTemplate(args))
    let sum = 0
    this.#weights = plan.mix.map(({ weight }) => {
      sum += weight
      return sum
    })
  }

  /** Throws when the server answers with an error or hangs up. */
  async run(): Promise<Outcome> {
    for (let i = 0; i < this.#plan.connections; i++) this.#channels.push(await this.#openChannel())
    const finished = new Promise<void>((resolve, reject) => {
      this.#finish = (error) => (error === null ? resolve() : reject(error))
    })
    this.#startMs = performance.now()
    this.#warmMs = this.#startMs
    const timers = this.#startTimers()
    if (this.#plan.pace.type === 'closed') for (const channel of this.#channels) this.#sendBatch(channel)
    try {
      await finished
    } finally {
      for (const timer of timers) clearInterval(timer)
      for (const { connection } of this.#channels) connection.close()
    }
    return {
      requests: this.#answered,
      perSecond: ((this.#answered - this.#answeredWarm) * 1000) / (this.#endMs - this.#warmMs),
      latency: this.#latency.percentiles(),
      windows: this.#windows,
    }
  }

  /** No more requests; it ends when the replies are there. */
  stop(): void {
    if (this.#isStopping) return
    this.#isStopping = true
    setTimeout(
      () => this.#finish(new Error(`${this.#sent - this.#answered} requests are not answered`)),
      drainMs,
    ).unref()
    this.#endIfDone()
  }

  async #openChannel(): Promise<Channel> {
    const connection = await Connection.open(this.#plan.port)
    const channel: Channel = { connection, starts: new TimeQueue(), chosen: [] }
    connection.onReply = (bytes, start, end) => {
      if (isErrorReply(bytes, start))
        this.#finish(new Error(`answered with ${latin1(bytes, start, end - 2)}`))
      this.#take(channel)
    }
    connection.onLost = (error) => this.#finish(error)
    return channel
  }

  #startTimers(): NodeJS.Timeout[] {
    const { pace, until, warmUpSeconds = 0, windowSeconds } = this.#plan
    const timers: NodeJS.Timeout[] = []
    if (pace.type === 'open') timers.push(setInterval(() => this.#sendDue(pace.perSecond), tickMs))
    if (warmUpSeconds > 0) timers.push(setTimeout(() => this.#forget(), warmUpSeconds * 1000))
    if ('seconds' in until) timers.push(setTimeout(() => this.stop(), (warmUpSeconds + until.seconds) * 1000))
    if (windowSeconds !== undefined) timers.push(setInterval(() => this.#closeWindow(), windowSeconds * 1000))
    return timers
  }

  /** It is warm: begins to measure. */
  #forget(): void {
    this.#window.clear()
    this.#latency.clear()
    this.#windows.length = 0
    this.#warmMs = performance.now()
    this.#answeredWarm = this.#answered
  }

  #closeWindow(): void {
    const seconds = (performance.now() - this.#warmMs) / 1000
    this.#windows.push({ seconds, ...this.#window.percentiles() })
    this.#latency.add(this.#window)
    this.#window.clear()
  }

  #take(channel: Channel): void {
    this.#window.record(performance.now() - channel.starts.shift())
    this.#answered++
    if (channel.starts.length > 0) return
    if (this.#plan.pace.type === 'closed' && !this.#isStopping) this.#sendBatch(channel)
    this.#endIfDone()
  }

  #sendBatch(channel: Channel): void {
    const { pace } = this.#plan
    if (pace.type !== 'closed') return
    const count = Math.min(pace.pipeline, this.#left())
    for (let i = 0; i < count; i++) this.#choose(channel)
    const nowMs = performance.now()
    for (let i = 0; i < count; i++) channel.starts.push(nowMs)
    this.#send(channel)
  }

  #sendDue(perSecond: number): void {
    if (this.#isStopping) return
    const nowMs = performance.now()
    const due = Math.floor(((nowMs - this.#startMs) * perSecond) / 1000)
    for (let left = Math.min(due - this.#sent, this.#left()); left > 0; left--) {
      const dueMs = this.#startMs + (this.#sent * 1000) / perSecond
      const channel = this.#channels[this.#sent % this.#channels.length] as Channel
      this.#choose(channel)
      channel.starts.push(nowMs - dueMs > timerSlackMs ? dueMs : nowMs)
    }
    for (const channel of this.#channels) this.#send(channel)
    if (this.#left() === 0) this.stop()
  }

  /** Requests that may still be sent. */
  #left(): number {
    const { until } = this.#plan
    return 'requests' in until ? until.requests - this.#sent : Number.POSITIVE_INFINITY
  }

  #choose(channel: Channel): void {
    const { keys } = this.#plan
    const offset = keys.order === 'random' ? Math.random() * keys.count : this.#nextKey++ % keys.count
    channel.chosen.push({ template: this.#draw(), number: keys.first + Math.floor(offset) })
    this.#sent++
  }

  #draw(): Template {
    if (this.#templates.length === 1) return this.#templates[0] as Template
    const at = Math.random() * (this.#weights.at(-1) as number)
    return this.#templates[this.#weights.findIndex((sum) => at < sum)] as Template
  }

  #send(channel: Channel): void {
    const { chosen, connection } = channel
    if (chosen.length === 0) return
    // Not a buffer to use again: the socket may hold on to it.
    const bytes = Buffer.allocUnsafe(chosen.reduce((sum, { template }) => sum + template.bytes.length, 0))
    let at = 0
    for (const { template, number } of chosen) at = stampTemplate(template, bytes, at, number)
    chosen.length = 0
    connection.write(bytes)
  }

  #endIfDone(): void {
    if (this.#answered < this.#sent) return
    if (!this.#isStopping && this.#left() > 0) return
    this.#endMs = performance.now()
    this.#closeWindow()
    this.#finish(null)
  }
}
