/**
 * A process's line to the agent of its node: JSON, one object a line, on the agent's Unix socket. The process dials and
 * dials again for ever, because agents come and go (an update, a crash) while the data path goes on serving. What was
 * announced (who I am, that I serve) is said to every new agent; what else is sent while none is there is dropped, since
 * status is repeated anyway.
 */
import net, { type Socket } from 'node:net'
import { StringDecoder } from 'node:string_decoder'
import type { Logger } from '#runtime/ports.ts'

export const redialMinMs = 50
export const redialMaxMs = 1000
/** One message. */
export const lineCharactersMax = 4 * 1024 * 1024
/** What an agent that does not read may leave in this process. */
export const unsentBytesMax = 1024 * 1024

export interface AgentLinkOptions<Incoming> {
  socketPath: string
  logger: Logger
  onMessage(message: Incoming): void
}

export class AgentLink<Incoming, Outgoing> {
  readonly #options: AgentLinkOptions<Incoming>
  readonly #announced: Outgoing[] = []
  #socket: Socket | null = null
  #connected = false
  #redialMs = redialMinMs
  #redial: NodeJS.Timeout | null = null
  #closed = false

  constructor(options: AgentLinkOptions<Incoming>) {
    this.#options = options
    this.#dial()
  }

  /** Sent now and to each later agent, in the order of the announcements. */
  announce(message: Outgoing): void {
    this.#announced.push(message)
    this.send(message)
  }

  /** Dropped while no agent is there. */
  send(message: Outgoing): void {
    if (this.#socket === null || !this.#connected) return
    if (this.#socket.writableLength > unsentBytesMax) this.#socket.destroy()
    else this.#socket.write(`${JSON.stringify(message)}\n`)
  }

  close(): void {
    this.#closed = true
    if (this.#redial !== null) clearTimeout(this.#redial)
    this.#socket?.end()
  }

  #dial(): void {
    const socket = net.connect({ path: this.#options.socketPath })
    const lines = new LineReader()
    this.#socket = socket
    socket.on('connect', () => {
      this.#connected = true
      this.#redialMs = redialMinMs
      for (const message of this.#announced) this.send(message)
    })
    socket.on('data', (chunk) => {
      for (const line of lines.feed(chunk)) this.#take(line, socket)
      if (lines.tooLong) socket.destroy(new Error(`a line of more than ${lineCharactersMax} characters`))
    })
    socket.on('error', (error) => {
      if (this.#connected) this.#options.logger.warn({ error: error.message }, 'link to the agent failed')
    })
    socket.on('close', () => {
      if (this.#connected) this.#options.logger.info({}, 'the agent is gone; dialing until it is back')
      this.#connected = false
      this.#socket = null
      if (this.#closed) return
      this.#redial = setTimeout(() => this.#dial(), this.#redialMs)
      this.#redialMs = Math.min(redialMaxMs, this.#redialMs * 2)
    })
  }

  #take(line: string, socket: Socket): void {
    let message: unknown
    try {
      message = JSON.parse(line)
    } catch {
      socket.destroy(new Error('the agent sent a line that is no JSON'))
      return
    }
    // The agent is this node's own and its socket is closed to others: the shape is trusted, not the transport.
    this.#options.onMessage(message as Incoming)
  }
}

/** Cuts a stream of UTF-8 into lines. */
export class LineReader {
  readonly #decoder = new StringDecoder('utf8')
  #rest = ''

  get tooLong(): boolean {
    return this.#rest.length > lineCharactersMax
  }

  /** The lines that are whole now, without their ends and without empty ones. */
  feed(chunk: Uint8Array | string): string[] {
    const text = typeof chunk === 'string' ? chunk : this.#decoder.write(chunk)
    const lines = (this.#rest + text).split('\n')
    this.#rest = lines.pop() ?? ''
    return lines.filter((line) => line !== '')
  }
}
