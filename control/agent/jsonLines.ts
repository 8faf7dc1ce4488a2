/** One JSON object a line over a socket. A line that is none, or too long, ends the connection. */
import { createConnection, type Socket } from 'node:net'
import { isJsonObject, type JsonObject } from '#runtime/jsonObject.ts'
import { LineReader, lineCharactersMax } from '#runtime/node/agentLink.ts'

export class JsonLines {
  readonly #socket: Socket
  readonly #reader = new LineReader()
  readonly #onMessage: (message: JsonObject) => void

  /** `onClose` is called once, whoever closed. */
  constructor(
    socket: Socket,
    onMessage: (message: JsonObject) => void,
    onClose: (error: Error | null) => void,
  ) {
    this.#socket = socket
    this.#onMessage = onMessage
    let failure: Error | null = null
    socket.on('data', (chunk: Buffer) => this.#feed(chunk))
    socket.on('error', (error) => {
      failure = error
    })
    socket.on('close', () => onClose(failure))
  }

  send(message: object): void {
    if (this.#socket.writable) this.#socket.write(`${JSON.stringify(message)}\n`)
  }

  /** Ends after what was sent has left. */
  close(): void {
    this.#socket.end()
  }

  destroy(): void {
    this.#socket.destroy()
  }

  #feed(chunk: Buffer): void {
    for (const line of this.#reader.feed(chunk)) {
      if (this.#socket.destroyed) return
      const message = parseLine(line)
      if (message === null) this.#socket.destroy(new Error('a line is not a JSON object'))
      else this.#onMessage(message)
    }
    if (this.#reader.tooLong) {
      this.#socket.destroy(new Error(`a line has more than ${lineCharactersMax} characters`))
    }
  }
}

/** Null: not a JSON object. */
export function parseLine(line: string): JsonObject | null {
  try {
    const value: unknown = JSON.parse(line)
    return isJsonObject(value) ? value : null
  } catch {
    return null
  }
}

/**
 * Sends one request to a Unix socket; resolves when `take` has said of an answer that it is the last. `timeoutMs`: for all of it;
 * absent: as long as it takes.
 */
export async function converse(
  socketPath: string,
  request: object,
  take: (message: JsonObject) => boolean,
  timeoutMs?: number,
): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    const socket = createConnection(socketPath)
    const late = () => socket.destroy(new Error(`no answer within ${timeoutMs} ms`))
    const timer = timeoutMs === undefined ? undefined : setTimeout(late, timeoutMs)
    const lines: JsonLines = new JsonLines(
      socket,
      (message) => {
        if (!take(message)) return
        resolve()
        lines.destroy()
      },
      (error) => {
        clearTimeout(timer)
        reject(error ?? new Error('closed without an answer'))
      },
    )
    lines.send(request)
  })
}

/** Sends one request to a Unix socket and resolves to the one answer. */
export async function ask(socketPath: string, request: object, timeoutMs: number): Promise<JsonObject> {
  let answer: JsonObject = {}
  const takeFirst = (message: JsonObject) => {
    answer = message
    return true
  }
  await converse(socketPath, request, takeFirst, timeoutMs)
  return answer
}
