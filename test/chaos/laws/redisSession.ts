/** A client of a redis-server that stands for a cluster, with something between the two that may change what is asked or told. */
import type { RealRedis } from '#test/realRedis.ts'
import type { Answer, LawSession } from './law.ts'
import type { Life } from './life.ts'

export type Told = Pick<Answer, 'outcome' | 'reply'>
export type Ask = (...words: string[]) => Promise<Told>
/** Changes what is asked, or what is answered. */
export type Fault = (words: readonly string[], ask: Ask) => Promise<Told>

export const sound: Fault = (words, ask) => ask(...words)

/** Every `nth` command that begins with `name`. */
export function every(nth: number, name: string, fault: Fault): Fault {
  let count = 0
  return (words, ask) => {
    const hit = words[0] === name && ++count % nth === 0
    return hit ? fault(words, ask) : ask(...words)
  }
}

export const askOf =
  (redis: () => RealRedis): Ask =>
  async (...words) => {
    const reply = await redis().request(...words)
    return reply instanceof Error ? { outcome: 'refused', reply } : { outcome: 'done', reply }
  }

export class RedisSession implements LawSession {
  readonly name: string
  readonly life: Life
  readonly #ask: Ask
  readonly #fault: Fault

  constructor(name: string, life: Life, ask: Ask, fault: Fault) {
    this.name = name
    this.life = life
    this.#ask = ask
    this.#fault = fault
  }

  async ask(...words: string[]): Promise<Answer> {
    const write = this.life.begin(words[1] ?? '')
    const told = await this.#fault(words, this.#ask)
    if (told.outcome === 'done') write.acknowledge()
    return { ...told, write }
  }

  async transaction(...commands: string[][]): Promise<Answer> {
    const write = this.life.begin(commands[0]?.[1] ?? '')
    const replies: unknown[] = []
    // One connection asks one thing after the other, so nobody comes between.
    for (const words of commands) replies.push((await this.ask(...words)).reply)
    write.acknowledge()
    return { outcome: 'done', reply: replies, write }
  }
}
