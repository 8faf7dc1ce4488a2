/**
 * A set of commands together with keys and channels: what the rules of a user, or those between one pair of parentheses,
 * amount to. A request is allowed when one selector of the user allows its command, its keys and its channels at once.
 *
 * Commands are a bit each, subcommands bits of their own; a rule about a container is about its subcommands too. Rules are
 * also kept as text, in which a rule takes the place of earlier ones about the same, as Redis 7.2 does it: saved, they mean
 * what they say to a release that has more commands.
 */
import { type CommandSpec, commandCount, commandNamed, commands } from '#protocol/commands/index.ts'
import { type Category, categories } from '#protocol/commands/table.ts'
import { type KeyAccess, KeyPattern, Pattern } from './keyPattern.ts'
import { RuleError } from './ruleError.ts'

const everyWord = 2 ** 32 - 1

/** Redis's `isspace`, and NUL: they can be in no name and no pattern. */
export const hasSpace = (text: string): boolean => /[\0\t-\r ]/.test(text)

export class Selector {
  allKeys = false
  allChannels = false
  keys: KeyPattern[] = []
  channels: Pattern[] = []
  readonly #bits: Uint32Array
  /** Commands of which only requests with one of these first arguments, in lower case, are allowed. */
  readonly #firstArguments: Map<number, string[]>
  /** Said last about all commands at once. */
  #startsWithAll = false
  /** Said since, with their signs. */
  #rules: string[] = []

  constructor() {
    this.#bits = new Uint32Array(Math.ceil(commandCount / 32))
    this.#firstArguments = new Map()
  }

  copy(): Selector {
    const copy = new Selector()
    copy.allKeys = this.allKeys
    copy.allChannels = this.allChannels
    copy.keys = [...this.keys]
    copy.channels = [...this.channels]
    copy.#bits.set(this.#bits)
    for (const [index, words] of this.#firstArguments) copy.#firstArguments.set(index, [...words])
    copy.#startsWithAll = this.#startsWithAll
    copy.#rules = [...this.#rules]
    return copy
  }

  get allowsEveryCommand(): boolean {
    for (let index = 0; index < commandCount; index++) if (!this.allows(index)) return false
    return true
  }

  allows(index: number): boolean {
    return (((this.#bits[index >>> 5] as number) >>> (index & 31)) & 1) === 1
  }

  /** Of a command that is not allowed as a whole. */
  allowsWith(index: number, firstArgument: string): boolean {
    return this.#firstArguments.get(index)?.includes(firstArgument.toLowerCase()) ?? false
  }

  get hasFirstArguments(): boolean {
    return this.#firstArguments.size > 0
  }

  /** Whether `access` is allowed to every key, by `allkeys` or by a pattern that is a star. */
  allowsEveryKey(access: KeyAccess): boolean {
    return this.allKeys || this.keys.some((key) => key.pattern.text === '*' && key.allows(access))
  }

  get commandRules(): string {
    return [this.#startsWithAll ? '+@all' : '-@all', ...this.#rules].join(' ')
  }

  get keyRules(): string {
    return this.allKeys ? '~*' : this.keys.map(({ text }) => text).join(' ')
  }

  get channelRules(): string {
    return this.allChannels ? '&*' : this.channels.map(({ text }) => `&${text}`).join(' ')
  }

  /** All of it, such as `~* resetchannels -@all +get`. */
  get text(): string {
    const channels = this.allChannels ? this.channelRules : `resetchannels ${this.channelRules}`.trim()
    return `${this.keyRules} ${channels} ${this.commandRules}`.trim()
  }

  /** Takes one rule; throws a `RuleError`. */
  take(rule: string): void {
    switch (rule.toLowerCase()) {
      case 'allkeys':
      case '~*':
        this.#setKeys(true)
        return
      case 'resetkeys':
        this.#setKeys(false)
        return
      case 'allchannels':
      case '&*':
        this.setChannels(true)
        return
      case 'resetchannels':
        this.setChannels(false)
        return
      case 'allcommands':
      case '+@all':
        this.#setCommands(true)
        return
      case 'nocommands':
      case '-@all':
        this.#setCommands(false)
        return
    }
    const sign = rule[0]
    if (sign === '~' || sign === '%') this.#addKeys(rule)
    else if (sign === '&') this.#addChannels(rule.slice(1))
    else if ((sign === '+' || sign === '-') && rule[1] === '@') this.#changeCategory(rule.slice(2), sign)
    else if (sign === '-') this.#change(known(rule.slice(1)), false)
    else if (sign === '+' && rule.includes('|')) this.#addPart(rule.slice(1))
    else if (sign === '+') this.#change(known(rule.slice(1)), true)
    else throw new RuleError('syntax')
  }

  /** All or none. */
  setChannels(all: boolean): void {
    this.allChannels = all
    this.channels = []
  }

  #setKeys(all: boolean): void {
    this.allKeys = all
    this.keys = []
  }

  #setCommands(all: boolean): void {
    this.#bits.fill(all ? everyWord : 0)
    this.#firstArguments.clear()
    this.#startsWithAll = all
    this.#rules = []
  }

  #addKeys(rule: string): void {
    if (this.allKeys) throw new RuleError('patternAfterAllKeys')
    const { text, reads, writes } = keyRule(rule)
    const at = this.keys.findIndex(({ pattern }) => pattern.text === text)
    const before = this.keys[at]
    if (before === undefined) this.keys.push(new KeyPattern(new Pattern(text), { reads, writes }))
    else {
      const access = { reads: before.reads || reads, writes: before.writes || writes }
      this.keys[at] = new KeyPattern(before.pattern, access)
    }
  }

  #addChannels(text: string): void {
    if (this.allChannels) throw new RuleError('patternAfterAllChannels')
    withoutSpace(text)
    if (!this.channels.some((pattern) => pattern.text === text)) this.channels.push(new Pattern(text))
  }

  /** `config|get`, or `select|0`: a subcommand, or the first argument of a command that has none. */
  #addPart(name: string): void {
    const bar = name.lastIndexOf('|')
    const part = name.slice(bar + 1)
    const spec = known(name.slice(0, bar))
    if (spec.isSubcommand) throw new RuleError('firstArgumentOfSubcommand')
    if (part === '') throw new RuleError('syntax')
    if (spec.isContainer) {
      this.#change(known(name), true)
      return
    }
    const words = this.#firstArguments.get(spec.index) ?? []
    if (!words.includes(part.toLowerCase())) words.push(part.toLowerCase())
    this.#firstArguments.set(spec.index, words)
    this.#note(name.toLowerCase(), '+')
  }

  #change(spec: CommandSpec, isAllowed: boolean): void {
    this.#set(spec, isAllowed)
    this.#note(spec.lowerName, isAllowed ? '+' : '-')
  }

  #changeCategory(name: string, sign: '+' | '-'): void {
    const category = categoryNamed(name)
    if (category === undefined) throw new RuleError('unknown')
    for (const spec of specsOf(category)) this.#set(spec, sign === '+')
    this.#note(`@${category}`, sign)
  }

  #set(spec: CommandSpec, isAllowed: boolean): void {
    const word = spec.index >>> 5
    const bit = 1 << (spec.index & 31)
    this.#bits[word] = isAllowed ? (this.#bits[word] as number) | bit : (this.#bits[word] as number) & ~bit
    this.#firstArguments.delete(spec.index)
    for (const subcommand of spec.subcommands) this.#set(subcommand, isAllowed)
  }

  /** The rule takes the place of those about the same name and what is below it. */
  #note(name: string, sign: string): void {
    this.#rules = this.#rules.filter((rule) => {
      const before = rule.slice(1)
      return before !== name && !before.startsWith(`${name}|`)
    })
    this.#rules.push(sign + name)
  }
}

/** `~p`, `%R~p`, `%RW~p`; the tilde may be missing when there is no pattern behind it, as in Redis. */
function keyRule(rule: string): KeyAccess & { text: string } {
  if (rule.startsWith('~')) return { text: withoutSpace(rule.slice(1)), reads: true, writes: true }
  const [, letters = '', text = ''] = /^%(R|W|RW|WR)(?:~(.*))?$/is.exec(rule) ?? []
  if (letters === '') throw new RuleError('syntax')
  const upper = letters.toUpperCase()
  return { text: withoutSpace(text), reads: upper.includes('R'), writes: upper.includes('W') }
}

function withoutSpace(text: string): string {
  if (hasSpace(text)) throw new RuleError('syntax')
  return text
}

function known(name: string): CommandSpec {
  const spec = commandNamed(name)
  if (spec === undefined) throw new RuleError('unknown')
  return spec
}

/** In any letter case. */
export function categoryNamed(name: string): Category | undefined {
  const lower = name.toLowerCase()
  return categories.find((category) => category === lower)
}

/** Commands and subcommands of a category, containers before what they hold. */
export function specsOf(category: Category): CommandSpec[] {
  return [...commands.values()]
    .flatMap((spec) => [spec, ...spec.subcommands])
    .filter(({ row }) => row.categories.includes(category))
}
