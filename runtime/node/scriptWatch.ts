/**
 * Lets a script be seen and stopped from outside while the process does nothing else: a thread that shares a word of
 * memory with it listens on a socket. The thread starts with the first script.
 */
import { Worker } from 'node:worker_threads'
import type { Logger } from '#runtime/ports.ts'
import { type CommandBytes, runningCommandBytesMax, writeRunningCommand } from './runningCommand.ts'

/**
 * What the shared word says: a phase and the number of the run in one, as who stops a script must not hit the next one, nor one
 * that has just begun to write.
 */
export const Phase = {
  idle: 0,
  running: 1,
  /** It has written, or is going to: it can't be stopped any more. */
  writing: 2,
  /** It is to end. */
  killed: 3,
} as const

export const phaseBits = 2
export const phaseMask = (1 << phaseBits) - 1
/** The word stays positive. */
const runMax = 0x7fffffff >> phaseBits

export interface SharedWatch {
  word: Int32Array
  /** By the wall clock. */
  started: Float64Array
  /** Bytes of `command` in use; -1: a script runs, no function. */
  commandEnd: Int32Array
  command: Uint8Array
  socketPath: string
}

export class NodeScriptWatch {
  readonly #shared: SharedWatch
  readonly #logger: Logger
  #thread: Worker | null = null
  #run = 0

  constructor(socketPath: string, logger: Logger) {
    this.#shared = {
      word: new Int32Array(new SharedArrayBuffer(4)),
      started: new Float64Array(new SharedArrayBuffer(8)),
      commandEnd: new Int32Array(new SharedArrayBuffer(4)),
      command: new Uint8Array(new SharedArrayBuffer(runningCommandBytesMax)),
      socketPath,
    }
    this.#logger = logger
  }

  begin(kind: 'script' | 'function', args: CommandBytes): void {
    this.#thread ??= this.#start()
    const { word, started, command, commandEnd } = this.#shared
    commandEnd[0] = kind === 'script' ? -1 : writeRunningCommand(command, args)
    this.#run = this.#run === runMax ? 1 : this.#run + 1
    started[0] = Date.now()
    Atomics.store(word, 0, this.#wordOf(Phase.running))
  }

  mayWrite(): boolean {
    const running = this.#wordOf(Phase.running)
    return Atomics.compareExchange(this.#shared.word, 0, running, this.#wordOf(Phase.writing)) === running
  }

  get isKilled(): boolean {
    return (Atomics.load(this.#shared.word, 0) & phaseMask) === Phase.killed
  }

  end(): void {
    Atomics.store(this.#shared.word, 0, Phase.idle)
  }

  #wordOf(phase: number): number {
    return (this.#run << phaseBits) | phase
  }

  #start(): Worker {
    const thread = new Worker(new URL('./scriptWatchThread.ts', import.meta.url), {
      workerData: this.#shared,
    })
    thread.unref()
    thread.on('error', (error: unknown) => {
      this.#logger.error(
        { error: String(error) },
        'scripts can not be stopped: the thread that listens has failed',
      )
    })
    return thread
  }
}
