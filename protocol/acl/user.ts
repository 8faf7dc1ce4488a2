/**
 * A user: whether and with which passwords it can log in, and what it may do. Made from rules, and changed only before
 * anybody else sees it: who is logged in keeps the one that it was given until there is another. Passwords are kept as
 * SHA-256 only.
 */
import { sha256 } from '#runtime/bytes/sha256.ts'
import { RuleError } from './ruleError.ts'
import { Selector } from './selector.ts'

export const defaultUserName = 'default'

/** What the rules of the default user are as long as nobody has said anything else. */
export const openRules: readonly string[] = ['on', 'nopass', '~*', '&*', '+@all']

/** What a new user has before its rules: `acl-pubsub-default`. */
export interface UserDefaults {
  allChannels: boolean
}

export class User {
  readonly name: string
  /** Whether somebody can log in as it. */
  isOn = false
  /** Whatever is given is right. */
  needsNoPassword = false
  skipsSanitizing = false
  /** SHA-256 in hexadecimal digits. */
  passwords: string[] = []
  /** The first is that of the rules outside parentheses. */
  selectors: Selector[] = [new Selector()]
  readonly #defaults: UserDefaults
  #isUnrestricted: boolean | null = null

  constructor(name: string, defaults: UserDefaults) {
    this.name = name
    this.#defaults = defaults
    this.root.setChannels(defaults.allChannels)
  }

  copy(defaults = this.#defaults): User {
    const copy = new User(this.name, defaults)
    copy.isOn = this.isOn
    copy.needsNoPassword = this.needsNoPassword
    copy.skipsSanitizing = this.skipsSanitizing
    copy.passwords = [...this.passwords]
    copy.selectors = this.selectors.map((selector) => selector.copy())
    return copy
  }

  get root(): Selector {
    return this.selectors[0] as Selector
  }

  /** May run every command on every key, so that nothing needs to be looked at. Channels are not meant. */
  get isUnrestricted(): boolean {
    this.#isUnrestricted ??= this.selectors.some(
      (selector) => selector.allKeys && selector.allowsEveryCommand,
    )
    return this.#isUnrestricted
  }

  /** And may use every channel with that. */
  get isUnchecked(): boolean {
    return this.selectors.some(
      (selector) => selector.allKeys && selector.allowsEveryCommand && selector.allChannels,
    )
  }

  get flags(): string[] {
    return [
      this.isOn ? 'on' : 'off',
      ...(this.needsNoPassword ? ['nopass'] : []),
      this.skipsSanitizing ? 'skip-sanitize-payload' : 'sanitize-payload',
    ]
  }

  /** The rules that make it out of nothing, what is in parentheses as one. */
  get rules(): string[] {
    const passwords = this.passwords.map((hash) => `#${hash}`)
    return [...this.flags, ...passwords, ...this.accessRules]
  }

  /** Those of them that say what it may do. */
  get accessRules(): string[] {
    const [root = '', ...others] = this.selectors.map(({ text }) => text)
    return [...root.split(' '), ...others.map((text) => `(${text})`)]
  }

  /** Whether a password is right, told in a time that does not depend on how much of it is. */
  accepts(password: string): boolean {
    const hash = sha256(password)
    let isKnown = false
    for (const known of this.passwords) if (areEqual(known, hash)) isKnown = true
    return this.isOn && (isKnown || this.needsNoPassword)
  }

  /** Takes one rule, parentheses and all; throws a `RuleError`. */
  take(rule: string): void {
    this.#isUnrestricted = null
    switch (rule.toLowerCase()) {
      case '':
        return
      case 'on':
      case 'off':
        this.isOn = rule.toLowerCase() === 'on'
        return
      case 'sanitize-payload':
      case 'skip-sanitize-payload':
        this.skipsSanitizing = rule.toLowerCase() !== 'sanitize-payload'
        return
      case 'nopass':
      case 'resetpass':
        this.needsNoPassword = rule.toLowerCase() === 'nopass'
        this.passwords = []
        return
      case 'clearselectors':
        this.selectors.length = 1
        return
      case 'reset':
        this.#reset()
        return
    }
    switch (rule[0]) {
      case '>':
        this.#addPassword(sha256(rule.slice(1)))
        return
      case '#':
        this.#addPassword(hashIn(rule))
        return
      case '<':
        this.#removePassword(sha256(rule.slice(1)))
        return
      case '!':
        this.#removePassword(hashIn(rule))
        return
    }
    if (rule.startsWith('(') && rule.endsWith(')')) this.selectors.push(this.#selectorOf(rule.slice(1, -1)))
    else this.root.take(rule)
  }

  #reset(): void {
    this.isOn = false
    this.needsNoPassword = false
    this.skipsSanitizing = false
    this.passwords = []
    this.selectors = [new Selector()]
    this.root.setChannels(this.#defaults.allChannels)
  }

  #addPassword(hash: string): void {
    if (!this.passwords.includes(hash)) this.passwords.push(hash)
    this.needsNoPassword = false
  }

  #removePassword(hash: string): void {
    if (!this.passwords.includes(hash)) throw new RuleError('noSuchPassword')
    this.passwords = this.passwords.filter((known) => known !== hash)
  }

  #selectorOf(rules: string): Selector {
    const selector = new Selector()
    selector.setChannels(this.#defaults.allChannels)
    for (const rule of rules.split(/[\t-\r ]+/)) if (rule !== '') selector.take(rule)
    return selector
  }
}

function hashIn(rule: string): string {
  if (!/^.[0-9a-f]{64}$/.test(rule)) throw new RuleError('badHash')
  return rule.slice(1)
}

function areEqual(one: string, other: string): boolean {
  let difference = one.length ^ other.length
  for (let i = 0; i < one.length; i++) difference |= one.charCodeAt(i) ^ other.charCodeAt(i)
  return difference === 0
}
