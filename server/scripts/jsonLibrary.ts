/** The table `cjson` of scripts: what lua-cjson 2.1 does, its limits and its words. */
import { latin1 } from '#runtime/bytes/bytes.ts'
import { JsonReader } from './jsonReader.ts'
import { type LuaMachine, type LuaState, LuaType } from './luaMachine.ts'
import { generalText } from './numberText.ts'
import { type Library, pushLibrary } from './sandbox.ts'

const typeNames: Readonly<Record<number, string>> = {
  [LuaType.nil]: 'nil',
  [LuaType.boolean]: 'boolean',
  [LuaType.lightUserdata]: 'userdata',
  [LuaType.number]: 'number',
  [LuaType.string]: 'string',
  [LuaType.table]: 'table',
  [LuaType.function]: 'function',
  7: 'userdata',
  8: 'thread',
}
const intMax = 2 ** 31 - 1
const offOrOn = { off: false, on: true } as const
const escaped: Readonly<Record<number, string>> = {
  8: '\\b',
  9: '\\t',
  10: '\\n',
  12: '\\f',
  13: '\\r',
  34: '\\"',
  47: '\\/',
  92: '\\\\',
  127: '\\u007f',
}
// biome-ignore lint/suspicious/noControlCharactersInRegex: these are what has to be escaped.
const toEscape = /[\x00-\x1f"/\\\x7f]/g

/** What a setting is set to that is switched. */
type Choice = boolean | 'null'

export class JsonLibrary {
  readonly #machine: LuaMachine
  readonly #reader: JsonReader
  #encodeDepthMax = 1000
  #precision = 14
  #keepsBuffer = true
  #convertsSparse = false
  #sparseRatio = 2
  #sparseSafe = 10
  /** 'null' writes them as null. */
  #invalidNumbers: Choice = false
  #pieces: string[] = []

  constructor(machine: LuaMachine) {
    this.#machine = machine
    this.#reader = new JsonReader(machine)
  }

  get table(): Library {
    return {
      encode: (state) => this.#encode(state),
      decode: (state) => this.#decode(state),
      new: (state) => this.#new(state),
      ...this.#settings(),
      null: null,
      _NAME: 'cjson',
      _VERSION: '2.1.0',
    }
  }

  #new(state: LuaState): number {
    pushLibrary(this.#machine, state, new JsonLibrary(this.#machine).table)
    return 1
  }

  #settings(): Library {
    const { api } = this.#machine
    return {
      encode_max_depth: (state) =>
        this.#integer(state, this.#encodeDepthMax, (v) => (this.#encodeDepthMax = v)),
      decode_max_depth: (state) =>
        this.#integer(state, this.#reader.depthMax, (v) => (this.#reader.depthMax = v)),
      encode_number_precision: (state) =>
        this.#integer(state, this.#precision, (v) => (this.#precision = v), 1, 14),
      encode_keep_buffer: (state) =>
        this.#choice(state, offOrOn, this.#keepsBuffer, (v) => (this.#keepsBuffer = v)),
      decode_invalid_numbers: (state) =>
        this.#choice(
          state,
          offOrOn,
          this.#reader.takesInvalidNumbers,
          (v) => (this.#reader.takesInvalidNumbers = v),
        ),
      encode_invalid_numbers: (state) =>
        this.#choice(
          state,
          { ...offOrOn, null: 'null' },
          this.#invalidNumbers,
          (v) => (this.#invalidNumbers = v),
        ),
      encode_sparse_array: (state) => {
        if (api.lua_gettop(state) > 3) this.#machine.raiseArgument(state, 4, 'found too many arguments')
        api.lua_settop(state, 3)
        this.#option(state, 1, () => {
          api.luaL_checktype(state, 1, LuaType.boolean)
          this.#convertsSparse = api.lua_toboolean(state, 1) !== 0
        })
        this.#option(state, 2, () => (this.#sparseRatio = this.#checkInteger(state, 2, 0, intMax)))
        this.#option(state, 3, () => (this.#sparseSafe = this.#checkInteger(state, 3, 0, intMax)))
        api.lua_pushboolean(state, this.#convertsSparse ? 1 : 0)
        api.lua_pushnumber(state, this.#sparseRatio)
        api.lua_pushnumber(state, this.#sparseSafe)
        return 3
      },
    }
  }

  #option(state: LuaState, index: number, take: () => void): void {
    if (this.#machine.api.lua_type(state, index) > LuaType.nil) take()
  }

  #integer(state: LuaState, value: number, set: (value: number) => void, least = 1, most = intMax): number {
    const { api } = this.#machine
    if (api.lua_gettop(state) > 1) this.#machine.raiseArgument(state, 2, 'found too many arguments')
    let now = value
    this.#option(state, 1, () => {
      now = this.#checkInteger(state, 1, least, most)
      set(now)
    })
    api.lua_pushnumber(state, now)
    return 1
  }

  /** A boolean stands for `off` or `on`. */
  #choice<Value extends Choice>(
    state: LuaState,
    choices: Readonly<Record<string, Value>>,
    value: Value,
    set: (value: Value) => void,
  ): number {
    const machine = this.#machine
    const { api } = machine
    if (api.lua_gettop(state) > 1) machine.raiseArgument(state, 2, 'found too many arguments')
    let now = value
    this.#option(state, 1, () => {
      const isBoolean = api.lua_type(state, 1) === LuaType.boolean
      const booleanWord = api.lua_toboolean(state, 1) !== 0 ? 'on' : 'off'
      const word = isBoolean ? booleanWord : machine.checkText(state, 1)
      if (!Object.hasOwn(choices, word)) machine.raiseArgument(state, 1, `invalid option '${word}'`)
      now = choices[word] as Value
      set(now)
    })
    if (now === 'null') machine.pushText(state, now)
    else api.lua_pushboolean(state, now ? 1 : 0)
    return 1
  }

  #checkInteger(state: LuaState, index: number, least: number, most: number): number {
    const value = Math.trunc(this.#machine.api.luaL_checknumber(state, index))
    if (!(least <= value && value <= most))
      this.#machine.raiseArgument(state, index, `expected integer between ${least} and ${most}`)
    return value
  }

  #decode(state: LuaState): number {
    const machine = this.#machine
    if (machine.api.lua_gettop(state) !== 1) machine.raiseArgument(state, 1, 'expected 1 argument')
    this.#reader.read(state, machine.checkText(state, 1))
    return 1
  }

  #encode(state: LuaState): number {
    const machine = this.#machine
    if (machine.api.lua_gettop(state) !== 1) machine.raiseArgument(state, 1, 'expected 1 argument')
    this.#pieces = []
    this.#value(state, 0)
    machine.pushText(state, this.#pieces.join(''))
    this.#pieces = []
    return 1
  }

  /** Of the value on top of the stack, which stays. */
  #value(state: LuaState, depth: number): void {
    const { api } = this.#machine
    const type = api.lua_type(state, -1)
    switch (type) {
      case LuaType.string:
        this.#string(state, -1)
        return
      case LuaType.number:
        this.#number(state, -1)
        return
      case LuaType.boolean:
        this.#pieces.push(api.lua_toboolean(state, -1) !== 0 ? 'true' : 'false')
        return
      case LuaType.table:
        this.#table(state, depth + 1)
        return
      case LuaType.nil:
        this.#pieces.push('null')
        return
      case LuaType.lightUserdata:
        if (api.lua_topointer(state, -1) === 0) {
          this.#pieces.push('null')
          return
        }
    }
    this.#fail(state, type, 'type not supported')
  }

  #table(state: LuaState, depth: number): void {
    const machine = this.#machine
    const { api } = machine
    if (depth > this.#encodeDepthMax || api.lua_checkstack(state, 3) === 0)
      machine.raise(state, `Cannot serialise, excessive nesting (${depth})`)
    const length = this.#arrayLength(state)
    if (length > 0) {
      this.#pieces.push('[')
      for (let i = 1; i <= length; i++) {
        if (i > 1) this.#pieces.push(',')
        api.lua_rawgeti(state, -1, i)
        this.#value(state, depth)
        machine.pop(state, 1)
      }
      this.#pieces.push(']')
      return
    }
    this.#pieces.push('{')
    let separator = ''
    for (api.lua_pushnil(state); api.lua_next(state, -2) !== 0; machine.pop(state, 1)) {
      this.#pieces.push(separator)
      separator = ','
      const type = api.lua_type(state, -2)
      if (type === LuaType.number) {
        this.#pieces.push('"')
        this.#number(state, -2)
        this.#pieces.push('":')
      } else if (type === LuaType.string) {
        this.#string(state, -2)
        this.#pieces.push(':')
      } else this.#fail(state, type, 'table key must be a number or string')
      this.#value(state, depth)
    }
    this.#pieces.push('}')
  }

  /** 0: it is an object, or empty. */
  #arrayLength(state: LuaState): number {
    const machine = this.#machine
    const { api } = machine
    let greatest = 0
    let items = 0
    for (api.lua_pushnil(state); api.lua_next(state, -2) !== 0; machine.pop(state, 1)) {
      const place = api.lua_type(state, -2) === LuaType.number ? api.lua_tonumber(state, -2) : 0
      if (!(place >= 1 && Number.isInteger(place))) {
        machine.pop(state, 2)
        return 0
      }
      if (place > greatest) greatest = place
      items++
    }
    if (this.#sparseRatio > 0 && greatest > items * this.#sparseRatio && greatest > this.#sparseSafe) {
      if (!this.#convertsSparse) this.#fail(state, LuaType.table, 'excessively sparse array')
      return 0
    }
    return greatest
  }

  #string(state: LuaState, index: number): void {
    const machine = this.#machine
    const start = machine.pointer(state, index)
    const text = latin1(machine.heap, start, start + machine.length)
    this.#pieces.push('"', text.replace(toEscape, escapeOf), '"')
  }

  #number(state: LuaState, index: number): void {
    const value = this.#machine.api.lua_tonumber(state, index)
    if (Number.isFinite(value) || this.#invalidNumbers === true)
      this.#pieces.push(generalText(value, this.#precision))
    else if (this.#invalidNumbers === 'null') this.#pieces.push('null')
    else this.#fail(state, LuaType.number, 'must not be NaN or Inf')
  }

  #fail(state: LuaState, type: number, reason: string): never {
    return this.#machine.raise(state, `Cannot serialise ${typeNames[type] ?? 'value'}: ${reason}`)
  }
}

function escapeOf(character: string): string {
  const code = character.charCodeAt(0)
  return escaped[code] ?? `\\u${code.toString(16).padStart(4, '0')}`
}
