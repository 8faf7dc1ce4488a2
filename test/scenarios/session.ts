/** One connection to a cluster that speaks in redis-cli's way: a line goes in, the reply comes out as redis-cli prints it. */
import { createConnection, type Socket } from 'node:net'

export class Session {
  readonly #socket: Socket
  #received: Buffer = Buffer.alloc(0)
  #waiting: ((text: string) => void) | null = null
  #failed: Error | null = null

  constructor(port: number) {
    this.#socket = createConnection({ host: '127.0.0.1', port })
    this.#socket.on('data', (chunk: Buffer) => {
      this.#received = Buffer.concat([this.#received, chunk])
      this.#answer()
    })
    this.#socket.on('error', (error) => {
      this.#failed = error
    })
  }

  /** Sends one command; words are separated by spaces. */
  async command(line: string): Promise<string> {
    if (this.#failed) throw this.#failed
    const words = line.split(' ').map((word) => `$${Buffer.byteLength(word)}\r\n${word}\r\n`)
    return await new Promise((resolve) => {
      this.#waiting = resolve
      this.#socket.write(`*${words.length}\r\n${words.join('')}`)
    })
  }

  close(): void {
    this.#socket.destroy()
  }

  #answer(): void {
    const reply = printReply(this.#received, 0, '')
    if (reply === null) return
    this.#received = this.#received.subarray(reply.end)
    const resolve = this.#waiting
    this.#waiting = null
    resolve?.(reply.text)
  }
}

/** As redis-cli prints a RESP2 reply; null while it is not whole. */
function printReply(bytes: Buffer, at: number, indent: string): { text: string; end: number } | null {
  const lineEnd = bytes.indexOf('\r\n', at)
  if (lineEnd < 0) return null
  const line = bytes.toString('latin1', at + 1, lineEnd)
  const end = lineEnd + 2
  switch (String.fromCharCode(bytes[at] as number)) {
    case '+':
      return { text: line, end }
    case '-':
      return { text: `(error) ${line}`, end }
    case ':':
      return { text: `(integer) ${line}`, end }
    case '$': {
      const length = Number(line)
      if (length < 0) return { text: '(nil)', end }
      if (bytes.length < end + length + 2) return null
      return { text: JSON.stringify(bytes.toString('latin1', end, end + length)), end: end + length + 2 }
    }
    case '*':
      return printArray(bytes, end, Number(line), indent)
    default:
      throw new Error(`not a RESP2 reply: ${line}`)
  }
}

function printArray(
  bytes: Buffer,
  at: number,
  count: number,
  indent: string,
): { text: string; end: number } | null {
  if (count < 0) return { text: '(nil)', end: at }
  if (count === 0) return { text: '(empty array)', end: at }
  const lines: string[] = []
  let end = at
  for (let i = 1; i <= count; i++) {
    const number = `${String(i).padStart(String(count).length)}) `
    const element = printReply(bytes, end, indent + ' '.repeat(number.length))
    if (element === null) return null
    lines.push(`${i === 1 ? '' : indent}${number}${element.text}`)
    end = element.end
  }
  return { text: lines.join('\n'), end }
}
