/**
 * Keyspace events: which of them are told, on which channels, as the setting `notify-keyspace-events` says it in letters. Redis's
 * letters, and `L`, which is this product's own (ADR 31).
 */

/** What an event is about; each has a bit and a letter of the setting. */
export const EventClass = {
  generic: 1 << 0,
  string: 1 << 1,
  list: 1 << 2,
  set: 1 << 3,
  hash: 1 << 4,
  sortedSet: 1 << 5,
  expired: 1 << 6,
  evicted: 1 << 7,
  stream: 1 << 8,
  /** Of modules, of which there are none. */
  module: 1 << 9,
  created: 1 << 10,
  missed: 1 << 11,
} as const

/** Where events are told, in the same setting. */
const ChannelBit = { keyspace: 1 << 12, keyevent: 1 << 13, local: 1 << 14 } as const

const classBits = ChannelBit.keyspace - 1
/** What `A` stands for: not what is missed, nor what is new. */
const allClasses = EventClass.created - 1

const classLetters: readonly (readonly [string, number])[] = [
  ['g', EventClass.generic],
  ['$', EventClass.string],
  ['l', EventClass.list],
  ['s', EventClass.set],
  ['h', EventClass.hash],
  ['z', EventClass.sortedSet],
  ['x', EventClass.expired],
  ['e', EventClass.evicted],
  ['t', EventClass.stream],
  ['d', EventClass.module],
]
const otherLetters: readonly (readonly [string, number])[] = [
  ['n', EventClass.created],
  ['K', ChannelBit.keyspace],
  ['E', ChannelBit.keyevent],
  ['m', EventClass.missed],
  ['L', ChannelBit.local],
]
const bitsOf = new Map<string, number>([['A', allClasses], ...classLetters, ...otherLetters])

/** Redis's words, with the letter of our own. */
export const unknownEventLetter = "Invalid event class character. Use 'Ag$lshzxeKEtmdnL'."

/** An event that is to be told. */
export interface KeyEvent {
  readonly name: string
  readonly key: string
  /** It happened at this cluster, not by an operation of another one. */
  readonly isLocal: boolean
}

export class KeyspaceEventSetting {
  readonly #bits: number

  private constructor(bits: number) {
    this.#bits = bits
  }

  /** Undefined: there is a letter that none of them is. */
  static parse(letters: string): KeyspaceEventSetting | undefined {
    let bits = 0
    for (const letter of letters) {
      const known = bitsOf.get(letter)
      if (known === undefined) return undefined
      bits |= known
    }
    return new KeyspaceEventSetting(bits)
  }

  /** Bits of the classes that are told on any channel; 0: nothing is. */
  get classes(): number {
    return (this.#bits & (ChannelBit.keyspace | ChannelBit.keyevent)) === 0 ? 0 : this.#bits & classBits
  }

  /** The letters in Redis's order, `A` for all that it stands for. */
  get letters(): string {
    const classes = (this.#bits & allClasses) === allClasses ? 'A' : lettersOf(classLetters, this.#bits)
    return classes + lettersOf(otherLetters, this.#bits)
  }

  /** Where and how an event is told, in the order in which it is. */
  messages({ name, key, isLocal }: KeyEvent): { channel: string; message: string }[] {
    const messages: { channel: string; message: string }[] = []
    for (const local of isLocal && (this.#bits & ChannelBit.local) !== 0 ? [false, true] : [false]) {
      const kind = local ? 'local' : 'key'
      if ((this.#bits & ChannelBit.keyspace) !== 0)
        messages.push({ channel: `__${kind}space@0__:${key}`, message: name })
      if ((this.#bits & ChannelBit.keyevent) !== 0)
        messages.push({ channel: `__${kind}event@0__:${name}`, message: key })
    }
    return messages
  }
}

const lettersOf = (letters: readonly (readonly [string, number])[], bits: number): string =>
  letters
    .filter(([, bit]) => (bits & bit) !== 0)
    .map(([letter]) => letter)
    .join('')
