/** Reads JSON as lua-cjson does: what it takes beyond the standard, and where it says that it failed. */
import type { LuaMachine, LuaState } from './luaMachine.ts'

type Token =
  | { type: 'T_OBJ_BEGIN' | 'T_OBJ_END' | 'T_ARR_BEGIN' | 'T_ARR_END' | 'T_COLON' | 'T_COMMA' | 'T_END' }
  | { type: 'T_STRING'; text: string }
  | { type: 'T_NUMBER'; value: number }
  | { type: 'T_BOOLEAN'; value: boolean }
  | { type: 'T_NULL' }
  | { type: 'T_ERROR'; text: string }

const signs: Readonly<Record<string, Token>> = {
  '{': { type: 'T_OBJ_BEGIN' },
  '}': { type: 'T_OBJ_END' },
  '[': { type: 'T_ARR_BEGIN' },
  ']': { type: 'T_ARR_END' },
  ':': { type: 'T_COLON' },
  ',': { type: 'T_COMMA' },
}
const words: readonly (readonly [string, Token])[] = [
  ['true', { type: 'T_BOOLEAN', value: true }],
  ['false', { type: 'T_BOOLEAN', value: false }],
  ['null', { type: 'T_NULL' }],
]
const invalidToken: Token = { type: 'T_ERROR', text: 'invalid token' }
const invalidNumber: Token = { type: 'T_ERROR', text: 'invalid number' }
const numberPattern = /[+-]?(?:0x[0-9a-f]+|(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:e[+-]?[0-9]+)?|infinity|inf|nan)/iy
/** Numbers of C that are none of JSON. */
const invalidPattern = /^(?:\+|-?(?:0[x0-9]|inf|nan))/i
const plainText = /[^"\\]*/y
const spaces = /[ \t\n\r]*/y
const escapes: Readonly<Record<string, string>> = {
  '"': '"',
  '\\': '\\',
  '/': '/',
  b: '\b',
  t: '\t',
  n: '\n',
  f: '\f',
  r: '\r',
}

export class JsonReader {
  depthMax = 1000
  takesInvalidNumbers = true
  readonly #machine: LuaMachine
  #text = ''
  #at = 0
  /** Of the token read last. */
  #tokenAt = 0
  #depth = 0

  constructor(machine: LuaMachine) {
    this.#machine = machine
  }

  /** Pushes the value that the text is, or raises an error. */
  read(state: LuaState, text: string): void {
    // A text of 16 or 32 bits a character begins with a NUL, or has one behind the first byte.
    if (text.length >= 2 && (text[0] === '\0' || text[1] === '\0'))
      this.#machine.raise(state, 'JSON parser does not support UTF-16 or UTF-32')
    this.#text = text
    this.#at = 0
    this.#depth = 0
    this.#value(state, this.#next())
    const end = this.#next()
    if (end.type !== 'T_END') this.#fail(state, 'the end', end)
    this.#text = ''
  }

  #value(state: LuaState, token: Token): void {
    const { api } = this.#machine
    switch (token.type) {
      case 'T_STRING':
        this.#machine.pushText(state, token.text)
        return
      case 'T_NUMBER':
        api.lua_pushnumber(state, token.value)
        return
      case 'T_BOOLEAN':
        api.lua_pushboolean(state, token.value ? 1 : 0)
        return
      case 'T_OBJ_BEGIN':
        this.#object(state)
        return
      case 'T_ARR_BEGIN':
        this.#array(state)
        return
      case 'T_NULL':
        api.lua_pushlightuserdata(state, 0)
        return
      default:
        this.#fail(state, 'value', token)
    }
  }

  #object(state: LuaState): void {
    const { api } = this.#machine
    this.#descend(state)
    api.lua_createtable(state, 0, 0)
    let token = this.#next()
    if (token.type === 'T_OBJ_END') {
      this.#depth--
      return
    }
    for (;;) {
      if (token.type !== 'T_STRING') this.#fail(state, 'object key string', token)
      else this.#machine.pushText(state, token.text)
      token = this.#next()
      if (token.type !== 'T_COLON') this.#fail(state, 'colon', token)
      this.#value(state, this.#next())
      api.lua_rawset(state, -3)
      token = this.#next()
      if (token.type === 'T_OBJ_END') {
        this.#depth--
        return
      }
      if (token.type !== 'T_COMMA') this.#fail(state, 'comma or object end', token)
      token = this.#next()
    }
  }

  #array(state: LuaState): void {
    const { api } = this.#machine
    this.#descend(state)
    api.lua_createtable(state, 0, 0)
    let token = this.#next()
    if (token.type === 'T_ARR_END') {
      this.#depth--
      return
    }
    for (let i = 1; ; i++) {
      this.#value(state, token)
      api.lua_rawseti(state, -2, i)
      token = this.#next()
      if (token.type === 'T_ARR_END') {
        this.#depth--
        return
      }
      if (token.type !== 'T_COMMA') this.#fail(state, 'comma or array end', token)
      token = this.#next()
    }
  }

  #descend(state: LuaState): void {
    this.#depth++
    if (this.#depth <= this.depthMax && this.#machine.api.lua_checkstack(state, 3) !== 0) return
    this.#machine.raise(
      state,
      `Found too many nested data structures (${this.#depth}) at character ${this.#at}`,
    )
  }

  #fail(state: LuaState, expected: string, token: Token): never {
    const found = token.type === 'T_ERROR' ? token.text : token.type
    return this.#machine.raise(
      state,
      `Expected ${expected} but found ${found} at character ${this.#tokenAt + 1}`,
    )
  }

  #next(): Token {
    this.#match(spaces)
    this.#tokenAt = this.#at
    const text = this.#text
    if (this.#at >= text.length) return { type: 'T_END' }
    const character = text[this.#at] as string
    const sign = signs[character]
    if (sign !== undefined) {
      this.#at++
      return sign
    }
    if (character === '"') return this.#string()
    for (const [word, token] of words) {
      if (!text.startsWith(word, this.#at)) continue
      this.#at += word.length
      return token
    }
    return this.#number()
  }

  /** What C's `strtod` reads, if it begins as a number does or such numbers are taken. */
  #number(): Token {
    const isInvalid = invalidPattern.test(this.#text.slice(this.#at, this.#at + 4))
    const isPlain = /[-0-9]/.test(this.#text[this.#at] as string)
    if (isPlain ? isInvalid && !this.takesInvalidNumbers : !(isInvalid && this.takesInvalidNumbers))
      return isPlain ? invalidNumber : invalidToken
    const number = this.#match(numberPattern)
    return number === '' ? invalidNumber : { type: 'T_NUMBER', value: numberOf(number) }
  }

  #string(): Token {
    const start = this.#at++
    let read = ''
    for (;;) {
      read += this.#match(plainText)
      if (this.#at >= this.#text.length) {
        this.#tokenAt = this.#text.length
        return { type: 'T_ERROR', text: 'unexpected end of string' }
      }
      if (this.#text[this.#at] === '"') {
        this.#at++
        this.#tokenAt = start
        return { type: 'T_STRING', text: read }
      }
      const escaped = this.#escape()
      if (typeof escaped !== 'string') return escaped
      read += escaped
    }
  }

  /** At a backslash. */
  #escape(): string | Token {
    const letter = this.#text[this.#at + 1] ?? ''
    if (letter === 'u') return this.#unicode()
    const escaped = escapes[letter]
    if (escaped === undefined) {
      this.#tokenAt = this.#at
      return { type: 'T_ERROR', text: 'invalid escape code' }
    }
    this.#at += 2
    return escaped
  }

  #unicode(): string | Token {
    const at = this.#at
    let code = this.#hex(at + 2)
    let length = 6
    if (code >= 0xd800 && code < 0xe000) {
      const low = this.#text.startsWith('\\u', at + 6) ? this.#hex(at + 8) : -1
      if (code >= 0xdc00 || low < 0xdc00 || low > 0xdfff) code = -1
      else {
        code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00)
        length = 12
      }
    }
    if (code < 0) {
      this.#tokenAt = at
      return { type: 'T_ERROR', text: 'invalid unicode escape code' }
    }
    this.#at += length
    return utf8(code)
  }

  #hex(at: number): number {
    const digits = this.#text.slice(at, at + 4)
    return /^[0-9a-fA-F]{4}$/.test(digits) ? Number.parseInt(digits, 16) : -1
  }

  #match(pattern: RegExp): string {
    pattern.lastIndex = this.#at
    const found = pattern.exec(this.#text)?.[0] ?? ''
    this.#at += found.length
    return found
  }
}

function numberOf(text: string): number {
  const [, sign, digits = ''] = /^([+-]?)(.*)$/.exec(text) ?? []
  const lower = digits.toLowerCase()
  const value = lower.startsWith('inf')
    ? Number.POSITIVE_INFINITY
    : lower === 'nan'
      ? Number.NaN
      : Number(lower)
  return sign === '-' ? -value : value
}

/** Its bytes, one a character. */
function utf8(code: number): string {
  if (code < 0x80) return String.fromCharCode(code)
  const more = (shift: number): number => 0x80 | ((code >> shift) & 0x3f)
  if (code < 0x800) return String.fromCharCode(0xc0 | (code >> 6), more(0))
  if (code < 0x10000) return String.fromCharCode(0xe0 | (code >> 12), more(6), more(0))
  return String.fromCharCode(0xf0 | (code >> 18), more(12), more(6), more(0))
}
