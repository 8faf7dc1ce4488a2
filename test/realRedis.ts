/** A redis-server of the machine's own, without persistence, on a Unix socket in a folder of its own. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { createConnection, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import RedisParser from 'redis-parser'
import { bytesOf } from '#runtime/bytes/bytes.ts'

/** What redis-parser makes of RESP2; errors are `Error` objects. */
export type ParsedReply = string | number | null | Error | ParsedReply[]

/** A request as an array of bulk strings (latin1 text). */
export function encodeRequest(args: readonly string[]): Uint8Array {
  return bytesOf(`*${args.length}\r\n${args.map((arg) => `$${arg.length}\r\n${arg}\r\n`).join('')}`)
}

const socketPathIn = (directory: string): string => join(directory, 'redis.sock')

export class RealRedis {
  readonly #process: ChildProcess
  readonly #directory: string
  /** For connections of one's own. */
  readonly socketPath: string
  readonly #socket: Socket
  readonly #waiting: ((reply: ParsedReply) => void)[] = []

  private constructor(process: ChildProcess, directory: string, socket: Socket) {
    this.#process = process
    this.#directory = directory
    this.socketPath = socketPathIn(directory)
    this.#socket = socket
    const answer = (reply: ParsedReply): void => this.#waiting.shift()?.(reply)
    const parser = new RedisParser({ returnReply: answer, returnError: answer })
    socket.on('data', (chunk) => typeof chunk !== 'string' && parser.execute(chunk))
  }

  static async start(options: readonly string[] = []): Promise<RealRedis> {
    const directory = mkdtempSync(join(tmpdir(), 'antipode-redis-'))
    const path = socketPathIn(directory)
    const fixed = [
      '--port',
      '0',
      '--unixsocket',
      path,
      '--dir',
      directory,
      '--save',
      '',
      '--appendonly',
      'no',
    ]
    // SORT compares texts as its locale does.
    const env = { ...process.env, LC_ALL: 'C' }
    const child = spawn('redis-server', [...fixed, ...options], { stdio: ['ignore', 'pipe', 'inherit'], env })
    await new Promise<void>((ready, failed) => {
      child.on('error', (error) => failed(new Error(`${error.message}: apt-get install -y redis-server`)))
      child.on('exit', (code) => failed(new Error(`redis-server ended with ${code}`)))
      let log = ''
      child.stdout.on('data', (text) => {
        log += text
        if (log.includes('now ready to accept connections')) ready()
      })
    })
    const socket = createConnection(path)
    await once(socket, 'connect')
    return new RealRedis(child, directory, socket)
  }

  request(...args: string[]): Promise<ParsedReply> {
    return new Promise((answered) => {
      this.#waiting.push(answered)
      this.#socket.write(encodeRequest(args))
    })
  }

  async stop(): Promise<void> {
    this.#socket.destroy()
    const exit = once(this.#process, 'exit')
    this.#process.kill('SIGKILL')
    await exit
    rmSync(this.#directory, { recursive: true })
  }
}
