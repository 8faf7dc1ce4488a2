/** Requests that are whole and mean something, or nearly: from the grammar of the table, and from what programs send. */
import { type CommandSpec, commands } from '#protocol/commands/index.ts'
import type { ArgumentSpec } from '#protocol/commands/table.ts'
import { nextStep } from '#test/compat/generator.ts'
import type { Request } from '#test/compat/side.ts'
import { Vocabulary } from '#test/compat/vocabulary.ts'
import type { SeededRandom } from '#test/seed.ts'
import { hostileScript } from './hostileScripts.ts'
import { HostileWords } from './hostileWords.ts'

/** Of all commands and subcommands. */
export const specs = [...commands.values()].flatMap((spec) => [spec, ...spec.subcommands])
const oftenRepeatedMax = 300
const pauseMsMax = 99
const offsetMax = 2 ** 24
/** Of requests of one batch that are one transaction. */
const transactionMax = 8

export interface RequestChoice {
  sharded: boolean
  startMs: number
  /** Somebody stops scripts that do not end. */
  mayBeEndless: boolean
}

export class HostileRequests {
  readonly words: HostileWords
  readonly #random: SeededRandom
  readonly #vocabulary: Vocabulary
  readonly #choice: RequestChoice

  constructor(random: SeededRandom, choice: RequestChoice) {
    this.#random = random
    this.#choice = choice
    this.words = new HostileWords(random)
    this.#vocabulary = new Vocabulary(random.below(2 ** 31), choice.startMs)
  }

  /** What is sent together. */
  batch(): Request[] {
    return this.#anyBatch().map(tamed)
  }

  #anyBatch(): Request[] {
    const roll = this.#random.below(20)
    if (roll < 8)
      return nextStep(this.#vocabulary, { session: false, sharded: this.#choice.sharded }).requests.map(
        (request) => this.#spoiled(request),
      )
    if (roll < 17) return [this.one()]
    if (roll < 18) return [this.#script()]
    const queued = Array.from({ length: 1 + this.#random.below(transactionMax) }, () => this.one())
    if (roll < 19) return queued
    return [
      ...(this.#random.chance(0.3) ? [['WATCH', this.words.key()]] : []),
      ['MULTI'],
      ...queued,
      [this.#random.pick(['EXEC', 'EXEC', 'DISCARD'])],
    ]
  }

  one(): Request {
    return tamed(this.#anyOne())
  }

  #anyOne(): Request {
    const spec = this.#random.pick(specs)
    if (spec.runsScript) return this.#script()
    return this.#spoiled(this.ofGrammar(spec))
  }

  /** As its row says, with words of any kind. */
  ofGrammar(spec: CommandSpec): Request {
    return [...spec.name.split('|'), ...this.#sequence(spec.row.args)]
  }

  #script(): Request {
    const { words } = this
    const name = this.#random.pick(['EVAL', 'EVAL', 'EVAL_RO', 'EVALSHA', 'SCRIPT'])
    if (name === 'SCRIPT')
      return this.#random.chance(0.7)
        ? [name, 'LOAD', hostileScript(words, this.#choice.mayBeEndless)]
        : [name, this.#random.pick(['EXISTS', 'FLUSH', 'LOAD', 'KILL']), ...this.#some(() => words.any())]
    const keys = this.#some(() => words.key())
    const count = this.#random.chance(0.9) ? String(keys.length) : words.integer()
    return [
      name,
      name === 'EVALSHA' ? words.any() : hostileScript(words, this.#choice.mayBeEndless),
      count,
      ...keys,
      ...(this.#random.chance(0.5) ? this.one() : this.#some(() => words.any())),
    ]
  }

  #some(make: () => string): string[] {
    return Array.from({ length: this.#random.below(4) }, make)
  }

  /** One after the other; what counts the keys behind it mostly does so rightly. */
  #sequence(args: readonly ArgumentSpec[]): string[] {
    const parts = args.map((argument) => this.#argument(argument))
    return parts.flatMap((part, i) => {
      const { name } = args[i] as ArgumentSpec
      const counted = parts[i + 1]
      return name === 'numkeys' && counted !== undefined && this.#random.chance(0.9)
        ? [String(counted.length)]
        : part
    })
  }

  #argument(argument: ArgumentSpec): string[] {
    const { flags = [], token } = argument
    if (flags.includes('optional') && this.#random.chance(0.55)) return []
    const rounds = flags.includes('multiple') ? this.#rounds() : 1
    const before = token === undefined ? [] : [token]
    if (argument.type === 'pure-token') return before
    const eachTime = flags.includes('multiple_token')
    const made: string[] = eachTime ? [] : [...before]
    for (let i = 0; i < rounds; i++) made.push(...(eachTime ? before : []), ...this.#value(argument))
    return made
  }

  #rounds(): number {
    const roll = this.#random.below(40)
    return roll === 0 ? this.#random.below(oftenRepeatedMax) : roll < 4 ? 0 : 1 + this.#random.below(3)
  }

  #value(argument: ArgumentSpec): string[] {
    const { words } = this
    switch (argument.type) {
      case 'key':
        return [words.key()]
      case 'integer':
        return [words.integer()]
      case 'double':
        return [argument.name === 'timeout' ? words.waiting() : words.double()]
      case 'unix-time':
        return [
          this.#random.chance(0.5)
            ? String(Math.floor(this.#choice.startMs / 1000) + this.#random.below(100))
            : words.integer(),
        ]
      case 'pattern':
        return [this.#random.chance(0.5) ? '*' : words.any()]
      case 'oneof':
        return this.#argument(this.#random.pick(argument.arguments ?? []))
      case 'block':
        return this.#sequence(argument.arguments ?? [])
      case 'string':
        return [words.text()]
      case 'pure-token':
        return []
    }
  }

  /** Every third with something amiss. */
  #spoiled(request: Request): Request {
    const { words } = this
    const random = this.#random
    if (random.chance(0.66)) return request
    const changed = [...request]
    // The name too, seldom.
    const at = random.chance(0.03) ? 0 : 1 + random.below(Math.max(1, changed.length - 1))
    switch (random.below(6)) {
      case 0:
        changed.splice(at, 1)
        break
      case 1:
        changed.splice(at, 0, words.any())
        break
      case 2:
        changed.splice(at, 0, changed[random.below(changed.length)] ?? '')
        break
      case 3:
        changed.push(...this.#some(() => words.any()))
        break
      default:
        if (at < changed.length) changed[at] = random.chance(0.5) ? words.integer() : words.any()
    }
    return changed.length === 0 ? request : changed
  }
}

/**
 * Without what is right and holds up everybody: nobody is served while all clients pause, and a value of hundreds of megabytes takes
 * seconds where memory is new.
 */
function tamed(request: Request): Request {
  const [name = '', sub = '', ms = ''] = request
  if (/^(SETBIT|SETRANGE|BITFIELD)$/i.test(name))
    return request.map((text) =>
      Number(text) > offsetMax && Number(text) < 2 ** 32 ? String(offsetMax) : text,
    )
  const pauses = name.toUpperCase() === 'CLIENT' && sub.toUpperCase() === 'PAUSE' && Number(ms) > pauseMsMax
  return pauses ? [name, sub, String(pauseMsMax), ...request.slice(3)] : request
}
