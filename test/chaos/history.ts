/** What a run leaves behind to find a cause with: what it said, and everything that clients asked and were told. */
import { closeSync, mkdirSync, openSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import type { Answer } from './laws/law.ts'

/** Longer replies are cut. */
const replyCharactersMax = 4_000
const batchLines = 256

export class History {
  readonly #startMs = performance.now()
  readonly #report: number
  readonly #asked: number
  #lines: string[] = []
  /** By outcome together. */
  count = 0

  constructor(directory: string) {
    mkdirSync(directory, { recursive: true })
    this.#report = openSync(join(directory, 'report.txt'), 'a')
    this.#asked = openSync(join(directory, 'history.jsonl'), 'a')
  }

  readonly say = (line: string): void => {
    const text = `${((performance.now() - this.#startMs) / 1000).toFixed(1)} s  ${line}`
    console.log(text)
    writeSync(this.#report, `${text}\n`)
  }

  readonly record = (session: string, words: readonly string[], { outcome, reply, write }: Answer): void => {
    this.count++
    const told = reply instanceof Error ? reply.message : reply
    const text = JSON.stringify(told)?.slice(0, replyCharactersMax) ?? ''
    // In the time of the processes' logs.
    const line = { time: Date.now(), cluster: write.life.cluster, session, words, outcome, reply: text }
    this.#lines.push(`${JSON.stringify(line)}\n`)
    if (this.#lines.length >= batchLines) this.#flush()
  }

  close(): void {
    this.#flush()
    closeSync(this.#report)
    closeSync(this.#asked)
  }

  #flush(): void {
    writeSync(this.#asked, this.#lines.join(''))
    this.#lines = []
  }
}
