/** Drives one random stream to both sides and stops at the first difference. */
import { makes, nextStep, type StepChoice } from './generator.ts'
import { readRequest } from './randomSteps.ts'
import { decodeReply, type Reply, textsOf } from './reply.ts'
import { nameOf, type Request, type Side } from './side.ts'
import { compareTrees, type Sides, type Step } from './step.ts'
import { Vocabulary } from './vocabulary.ts'

export interface ComparisonOptions extends StepChoice {
  seed: number
  /** Requests to send to each side. */
  requests: number
}

/** The same requests with keys that lie in slots of their own. */
function withoutTags(side: Side): Side {
  const untagged = (request: Request): Request => request.map((text) => text.replaceAll('{t}', ''))
  return { send: (requests) => side.send(requests.map(untagged)) }
}

/** Requests on their way together; a known batch keeps the two clocks close. */
const batchRequestsMax = 200
/** So often the whole content is compared, and the protocol may change. */
const checkEverySteps = 2000
const historyShown = 15

export class Comparison {
  readonly #sides: Sides
  readonly #vocabulary: Vocabulary
  readonly #options: ComparisonOptions
  #sent = 0
  #batch: Step[] = []
  #batchRequests = 0
  readonly #history: Request[] = []
  /** Names of the commands that were sent. */
  readonly covered = new Set<string>()

  constructor(sides: Sides, options: ComparisonOptions, nowMs: number) {
    const { own, redis } = sides
    this.#sides = options.sharded ? sides : { own: withoutTags(own), redis: withoutTags(redis) }
    this.#options = options
    this.#vocabulary = new Vocabulary(options.seed, nowMs)
  }

  async run(): Promise<void> {
    for (let steps = 1; this.#sent < this.#options.requests; steps++) {
      await this.#take(nextStep(this.#vocabulary, this.#options))
      if (steps % checkEverySteps !== 0) continue
      await this.#flush()
      await this.#compareContent()
      const version = this.#vocabulary.chance(0.5) ? '3' : '2'
      await Promise.all([
        this.#sides.own.send([['HELLO', version]]),
        this.#sides.redis.send([['HELLO', version]]),
      ])
    }
    await this.#flush()
    await this.#compareContent()
  }

  async #take(step: Step): Promise<void> {
    if (step.settle !== undefined) await this.#flush()
    this.#batch.push(step)
    this.#batchRequests += step.requests.length
    if (step.settle !== undefined || this.#batchRequests >= batchRequestsMax) await this.#flush()
  }

  async #flush(): Promise<void> {
    const steps = this.#batch
    this.#batch = []
    this.#batchRequests = 0
    const requests = steps.flatMap((step) => step.requests)
    if (requests.length === 0) return
    this.#sent += requests.length
    const [own, redis] = await Promise.all([this.#sides.own.send(requests), this.#sides.redis.send(requests)])
    let at = 0
    for (const step of steps) {
      const end = at + step.requests.length
      this.#remember(step)
      const wrong = step.judge(own.slice(at, end), redis.slice(at, end))
      if (wrong !== null) this.#fail(wrong, step)
      if (step.settle !== undefined) {
        const decoded = [own, redis].map((replies) => replies.slice(at, end).map(decodeReply))
        const unsettled = await step.settle(this.#sides, ...(decoded as [Reply[], Reply[]]))
        if (unsettled !== null) this.#fail(unsettled, step)
      }
      at = end
    }
  }

  #remember(step: Step): void {
    this.#history.push(...step.requests)
    for (const request of step.requests) {
      const name = nameOf(request)
      if (makes[name] !== undefined) this.covered.add(name)
    }
    if (this.#history.length > 5000) this.#history.splice(0, 2500)
  }

  /** The last requests that named one of the step's keys tell how it came to this. */
  #fail(wrong: string, step: Step): never {
    const keys = new Set(step.requests.flat().filter((text) => text.startsWith('{t}')))
    const related = this.#history.filter(
      (request) => request.some((text) => keys.has(text)) || keys.size === 0,
    )
    const show = (request: Request): string => `  ${JSON.stringify(request).slice(0, 300)}`
    const shown = [...related.slice(-historyShown), ['-- the step:'], ...step.requests].map(show)
    throw new Error(
      `SEED=${this.#options.seed}, after ${this.#sent} requests: ${wrong}\nlast requests:\n${shown.join('\n')}`,
    )
  }

  /** Every key's type, value and whether it expires. */
  async #compareContent(): Promise<void> {
    const [keysReply] = await this.#sides.redis.send([['KEYS', '*']])
    const keys = textsOf(decodeReply(keysReply as Uint8Array))
    const types = (await this.#sides.redis.send(keys.map((key) => ['TYPE', key]))).map(
      (type) => decodeReply(type).text,
    )
    const requests: Request[] = keys.flatMap((key, i) => [
      ['TYPE', key],
      ['PTTL', key],
      readRequest(types[i] as string)(key),
    ])
    requests.push(['KEYS', '*'], ['DBSIZE'])
    const [own, redis] = await Promise.all([this.#sides.own.send(requests), this.#sides.redis.send(requests)])
    for (const [i, request] of requests.entries()) {
      const wrong = compareTrees(
        request,
        decodeReply(own[i] as Uint8Array),
        decodeReply(redis[i] as Uint8Array),
      )
      if (wrong !== null) this.#fail(`content differs: ${wrong}`, { requests: [request], judge: () => null })
    }
  }
}
