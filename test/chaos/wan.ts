/**
 * A WAN of our own: each cluster in a network namespace with an address of its own, and between them links that delay, lose
 * and cut packets while connections stay open. `wan.py` makes it and forwards. It needs root, /dev/net/tun, and to be in a
 * namespace that is not the machine's: that is where the clients are.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface, type Interface } from 'node:readline'

export interface LinkQuality {
  delayMs: number
  jitterMs: number
  lossPercent: number
}

export class Wan {
  readonly #process: ChildProcess
  readonly #answers: AsyncIterator<string>
  readonly #prefix: string
  /** One change after the other, as answers have no names. */
  #last: Promise<unknown> = Promise.resolve()

  private constructor(process: ChildProcess, lines: Interface, prefix: string) {
    this.#process = process
    this.#answers = lines[Symbol.asyncIterator]()
    this.#prefix = prefix
  }

  static async up(clusters: number): Promise<Wan> {
    const prefix = `antipode-${process.pid}-`
    const child = spawn('python3', [join(import.meta.dirname, 'wan.py'), prefix, String(clusters)], {
      stdio: ['pipe', 'pipe', 'inherit'],
    })
    const wan = new Wan(child, createInterface({ input: child.stdout }), prefix)
    await wan.#answered()
    return wan
  }

  static addressOf(cluster: number): string {
    return `10.77.${cluster}.1`
  }

  namespaceOf(cluster: number): string {
    return `${this.#prefix}${cluster}`
  }

  async down(): Promise<void> {
    const exit = once(this.#process, 'exit')
    this.#process.stdin?.end()
    await exit
  }

  /** Of the link between two clusters, both ways. */
  async set(one: number, other: number, quality: LinkQuality): Promise<void> {
    const { delayMs, jitterMs, lossPercent } = quality
    await this.#both(one, other, `delay=${delayMs} jitter=${jitterMs} loss=${lossPercent}`)
  }

  async cut(one: number, other: number): Promise<void> {
    await this.#both(one, other, 'cut=1')
  }

  /** Nothing comes from `one` to `other`; back it does. */
  async cutOneWay(one: number, other: number): Promise<void> {
    await this.#change(one, other, 'cut=1')
  }

  async heal(one: number, other: number): Promise<void> {
    await this.#both(one, other, 'cut=0')
  }

  async #both(one: number, other: number, words: string): Promise<void> {
    await this.#change(one, other, words)
    await this.#change(other, one, words)
  }

  async #change(from: number, to: number, words: string): Promise<void> {
    const change = this.#last.then(async () => {
      this.#process.stdin?.write(`${from} ${to} ${words}\n`)
      await this.#answered()
    })
    this.#last = change
    await change
  }

  async #answered(): Promise<void> {
    const { done } = await this.#answers.next()
    if (done === true) throw new Error('wan.py has ended')
  }
}
