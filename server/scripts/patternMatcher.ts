/**
 * Matches Lua's patterns (Lua 5.1 Reference Manual, 5.4.1), as the C of its `lstrlib.c` does. That C can't be stopped, and there are
 * patterns that take it for ever: here who waits is asked now and then whether to go on.
 *
 * Positions are addresses in the memory of Lua, where a NUL lies behind every string; a pattern ends at its first one.
 */

const percent = 0x25
const [caret, dollar, opening, closing, dot, minus, star, plus, question] = [
  0x5e, 0x24, 0x28, 0x29, 0x2e, 0x2d, 0x2a, 0x2b, 0x3f,
] as const
const [setStart, setEnd] = [0x5b, 0x5d] as const
const [letterB, letterF] = [0x62, 0x66] as const

/** `LUA_MAXCAPTURES`. */
const capturesMax = 32
/** Of parts that may repeat or be captured, one behind the other: each is a call of its own. */
const depthMax = 400
/** Bytes looked at between two looks at whether to go on: about a millisecond. */
const stepsPerLook = 100_000

/** Lengths of captures that are no lengths. */
export const Capture = { unfinished: -1, position: -2 } as const

const none = -1

/** By byte: the classes that it is in, as bits. */
const classBits = { a: 1, c: 2, d: 4, l: 8, p: 16, s: 32, u: 64, x: 128, z: 256 } as const
const classes = Uint16Array.from({ length: 256 }, (_, byte) => {
  const text = String.fromCharCode(byte)
  const isIn = (pattern: RegExp, bit: number): number => (pattern.test(text) ? bit : 0)
  return (
    isIn(/[A-Za-z]/, classBits.a) |
    (byte < 0x20 || byte === 0x7f ? classBits.c : 0) |
    isIn(/[0-9]/, classBits.d) |
    isIn(/[a-z]/, classBits.l) |
    isIn(/[!-/:-@[-`{-~]/, classBits.p) |
    isIn(/[ \t-\r]/, classBits.s) |
    isIn(/[A-Z]/, classBits.u) |
    isIn(/[0-9A-Fa-f]/, classBits.x) |
    (byte === 0 ? classBits.z : 0)
  )
})
/** By the lower-case letter behind `%`: its classes; 0: it stands for itself. */
const bitsOf = new Uint16Array(256)
for (const [letter, bit] of Object.entries(classBits)) bitsOf[letter.charCodeAt(0)] = bit
bitsOf['w'.charCodeAt(0)] = classBits.a | classBits.d

export interface MatcherHost {
  /** Called now and then; leaves by an error when the match is to end. */
  look(): void
  /** Leaves by an error with this text. */
  raise(text: string): never
}

export class PatternMatcher {
  /** Where captures begin, and how long they are. */
  readonly starts: number[] = []
  readonly lengths: number[] = []
  /** Captures so far. */
  level = 0
  readonly #host: MatcherHost
  #heap: Uint8Array = new Uint8Array(0)
  #start = 0
  #end = 0
  #depth = 0
  #steps = 0

  constructor(host: MatcherHost) {
    this.#host = host
  }

  /** Matches what begins at `at`, of the text [start, end); returns where the match ends, -1: there is none. */
  match(heap: Uint8Array, start: number, end: number, at: number, pattern: number): number {
    this.#heap = heap
    this.#start = start
    this.#end = end
    this.level = 0
    this.#depth = 0
    return this.#match(at, pattern)
  }

  /** The first place of [pattern, patternEnd) in [from, end); -1: there is none. */
  find(heap: Uint8Array, from: number, end: number, pattern: number, patternEnd: number): number {
    const length = patternEnd - pattern
    if (length === 0) return from
    const first = heap[pattern] as number
    const places = heap.subarray(from, Math.max(from, end - length + 1))
    for (let at = places.indexOf(first); at >= 0; at = places.indexOf(first, at + 1)) {
      let same = 1
      while (same < length && heap[from + at + same] === heap[pattern + same]) same++
      if (same === length) return from + at
      this.#count(same)
    }
    return none
  }

  #count(steps: number): void {
    this.#steps += steps
    if (this.#steps < stepsPerLook) return
    this.#steps = 0
    this.#host.look()
  }

  #byte(at: number): number {
    return this.#heap[at] as number
  }

  #match(from: number, fromPattern: number): number {
    if (++this.#depth > depthMax) this.#host.raise('pattern too complex')
    let at = from
    let p = fromPattern
    for (;;) {
      this.#count(1)
      const next = this.#byte(p)
      switch (next) {
        case 0:
          return this.#leave(at)
        case opening:
          return this.#leave(
            this.#byte(p + 1) === closing
              ? this.#capture(at, p + 2, Capture.position)
              : this.#capture(at, p + 1, Capture.unfinished),
          )
        case closing:
          return this.#leave(this.#endCapture(at, p + 1))
        case dollar:
          if (this.#byte(p + 1) !== 0) break
          return this.#leave(at === this.#end ? at : none)
        case percent: {
          const kind = this.#byte(p + 1)
          if (kind === letterF) {
            const setEnds = this.#frontier(at, p + 2)
            if (setEnds === none) return this.#leave(none)
            p = setEnds
            continue
          }
          const isDigit = kind >= 0x30 && kind <= 0x39
          if (kind !== letterB && !isDigit) break
          at = isDigit ? this.#again(at, kind) : this.#balanced(at, p + 2)
          if (at === none) return this.#leave(none)
          p += isDigit ? 2 : 4
          continue
        }
      }
      const itemEnd = this.#itemEnd(p)
      const isMatch = at < this.#end && this.#isSingle(this.#byte(at), p, itemEnd)
      switch (this.#byte(itemEnd)) {
        case question: {
          const end = isMatch ? this.#match(at + 1, itemEnd + 1) : none
          if (end !== none) return this.#leave(end)
          p = itemEnd + 1
          continue
        }
        case star:
          return this.#leave(this.#most(at, p, itemEnd))
        case plus:
          return this.#leave(isMatch ? this.#most(at + 1, p, itemEnd) : none)
        case minus:
          return this.#leave(this.#least(at, p, itemEnd))
      }
      if (!isMatch) return this.#leave(none)
      at++
      p = itemEnd
    }
  }

  #leave(result: number): number {
    this.#depth--
    return result
  }

  /** Behind the character, class or set at `p`. */
  #itemEnd(p: number): number {
    const first = this.#byte(p)
    if (first === percent) {
      if (this.#byte(p + 1) === 0) this.#host.raise("malformed pattern (ends with '%')")
      return p + 2
    }
    if (first !== setStart) return p + 1
    let at = this.#byte(p + 1) === caret ? p + 2 : p + 1
    do {
      const next = this.#byte(at++)
      if (next === 0) this.#host.raise("malformed pattern (missing ']')")
      if (next === percent && this.#byte(at) !== 0) at++
    } while (this.#byte(at) !== setEnd)
    this.#count(at - p)
    return at + 1
  }

  #isSingle(byte: number, p: number, itemEnd: number): boolean {
    switch (this.#byte(p)) {
      case dot:
        return true
      case percent:
        return isInClass(byte, this.#byte(p + 1))
      case setStart:
        return this.#isInSet(byte, p, itemEnd - 1)
      default:
        return this.#byte(p) === byte
    }
  }

  /** `last`: of the closing bracket. */
  #isInSet(byte: number, p: number, last: number): boolean {
    const isWanted = this.#byte(p + 1) !== caret
    let at = isWanted ? p : p + 1
    this.#count(last - at)
    while (++at < last) {
      const first = this.#byte(at)
      if (first === percent) {
        at++
        if (isInClass(byte, this.#byte(at))) return isWanted
      } else if (this.#byte(at + 1) === minus && at + 2 < last) {
        at += 2
        if (first <= byte && byte <= this.#byte(at)) return isWanted
      } else if (first === byte) return isWanted
    }
    return !isWanted
  }

  #most(at: number, p: number, itemEnd: number): number {
    let last = at
    while (last < this.#end && this.#isSingle(this.#byte(last), p, itemEnd)) {
      last++
      this.#count(1)
    }
    for (; last >= at; last--) {
      const end = this.#match(last, itemEnd + 1)
      if (end !== none) return end
    }
    return none
  }

  #least(at: number, p: number, itemEnd: number): number {
    for (let next = at; ; next++) {
      const end = this.#match(next, itemEnd + 1)
      if (end !== none) return end
      if (next >= this.#end || !this.#isSingle(this.#byte(next), p, itemEnd)) return none
    }
  }

  #capture(at: number, p: number, length: number): number {
    if (this.level >= capturesMax) this.#host.raise('too many captures')
    this.starts[this.level] = at
    this.lengths[this.level] = length
    this.level++
    const end = this.#match(at, p)
    if (end === none) this.level--
    return end
  }

  #endCapture(at: number, p: number): number {
    let index = this.level - 1
    while (index >= 0 && this.lengths[index] !== Capture.unfinished) index--
    if (index < 0) this.#host.raise('invalid pattern capture')
    this.lengths[index] = at - (this.starts[index] as number)
    const end = this.#match(at, p)
    if (end === none) this.lengths[index] = Capture.unfinished
    return end
  }

  /** What has been captured, once more. */
  #again(at: number, digit: number): number {
    const index = digit - 0x31
    const length = this.lengths[index]
    if (index < 0 || index >= this.level || length === undefined || length === Capture.unfinished)
      return this.#host.raise('invalid capture index')
    if (length < 0 || this.#end - at < length) return none
    const start = this.starts[index] as number
    this.#count(length)
    for (let i = 0; i < length; i++) if (this.#byte(start + i) !== this.#byte(at + i)) return none
    return at + length
  }

  #balanced(at: number, p: number): number {
    const [first, last] = [this.#byte(p), this.#byte(p + 1)]
    if (first === 0 || last === 0) this.#host.raise('unbalanced pattern')
    if (at >= this.#end || this.#byte(at) !== first) return none
    let open = 1
    for (let next = at + 1; next < this.#end; next++) {
      this.#count(1)
      const byte = this.#byte(next)
      if (byte === last) {
        if (--open === 0) return next + 1
      } else if (byte === first) open++
    }
    return none
  }

  /** Behind the set when a text that is in it begins here; -1: it does not. */
  #frontier(at: number, p: number): number {
    if (this.#byte(p) !== setStart) this.#host.raise("missing '[' after '%f' in pattern")
    const itemEnd = this.#itemEnd(p)
    const before = at === this.#start ? 0 : this.#byte(at - 1)
    const isHere = !this.#isInSet(before, p, itemEnd - 1) && this.#isInSet(this.#byte(at), p, itemEnd - 1)
    return isHere ? itemEnd : none
  }
}

/** Of the letter behind `%`; one in upper case is the opposite. */
function isInClass(byte: number, letter: number): boolean {
  const isUpper = letter >= 0x41 && letter <= 0x5a
  const bits = bitsOf[isUpper ? letter + 0x20 : letter] as number
  if (bits === 0) return byte === letter
  return (((classes[byte] as number) & bits) !== 0) !== isUpper
}
