/** Questions to a server, one at a time, and its replies as they came: for all that is not load. */
import { Connection } from '#bench/generator/connection.ts'
import { compileTemplate } from '#bench/generator/template.ts'
import { latin1 } from '#runtime/bytes/bytes.ts'

const answerMs = 60_000

export class Client {
  readonly #connection: Connection
  #answer: { resolve: (reply: string) => void; reject: (error: Error) => void } | null = null
  #lost: Error | null = null

  private constructor(connection: Connection) {
    this.#connection = connection
    connection.onReply = (bytes, start, end) => this.#answer?.resolve(latin1(bytes, start, end))
    connection.onLost = (error) => {
      this.#lost = error
      this.#answer?.reject(error)
    }
  }

  static async connect(port: number): Promise<Client> {
    return new Client(await Connection.open(port))
  }

  /** The reply in RESP2, latin1; errors too. Throws when the connection is lost. */
  async ask(...args: string[]): Promise<string> {
    return await this.askBytes(compileTemplate(args).bytes)
  }

  /** A request that is formatted already. */
  async askBytes(bytes: Uint8Array): Promise<string> {
    if (this.#lost !== null) throw this.#lost
    const reply = new Promise<string>((resolve, reject) => {
      this.#answer = { resolve, reject }
    })
    const timer = setTimeout(() => this.#answer?.reject(new Error('no answer')), answerMs)
    this.#connection.write(bytes)
    try {
      return await reply
    } finally {
      clearTimeout(timer)
    }
  }

  close(): void {
    this.#connection.close()
  }
}

/** One question over a connection of its own. */
export async function askOnce(port: number, ...args: string[]): Promise<string> {
  const client = await Client.connect(port)
  try {
    return await client.ask(...args)
  } finally {
    client.close()
  }
}

/** Asks until `accepts` takes the reply; a server that is away is asked again. Throws after `withinMs`. */
export async function askUntil(
  port: number,
  args: readonly string[],
  accepts: (reply: string) => boolean,
  withinMs: number,
  everyMs = 5,
): Promise<void> {
  const deadlineMs = performance.now() + withinMs
  let last = 'nothing'
  while (performance.now() < deadlineMs) {
    try {
      last = await askOnce(port, ...args)
      if (accepts(last)) return
    } catch (error) {
      last = String(error)
    }
    await new Promise((resolve) => setTimeout(resolve, everyMs))
  }
  throw new Error(`port ${port} answers ${args.join(' ')} with ${last.trim()}`)
}

/** A number of INFO, such as `used_memory`; NaN when it is not there. */
export function infoNumber(info: string, field: string): number {
  return Number(new RegExp(`^${field}:([\\d.]+)\\r$`, 'm').exec(info)?.[1] ?? Number.NaN)
}

/** Whether the server knows the command, by COMMAND INFO. */
export async function supports(port: number, command: string): Promise<boolean> {
  const reply = await askOnce(port, 'COMMAND', 'INFO', command)
  // An array of one: null, or the command.
  return reply.startsWith('*1\r\n*') && !reply.startsWith('*1\r\n*-1')
}
