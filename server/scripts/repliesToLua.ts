/** Pushes the reply of a command to Lua, as the types that scripts know; RESP is what the command has written. */
import { latin1 } from '#runtime/bytes/bytes.ts'
import type { LuaMachine, LuaState } from './luaMachine.ts'

const lineFeed = 0x0a
/** Of nested arrays: each level needs room on the stack. */
const stackPerLevel = 4

export class RepliesToLua {
  readonly #machine: LuaMachine
  #bytes: Uint8Array = new Uint8Array(0)
  #at = 0
  readonly #okName: number

  constructor(machine: LuaMachine) {
    this.#machine = machine
    this.#okName = machine.name('ok')
  }

  /** The reply that starts at `start`. Errors become tables with the field `err`. */
  push(state: LuaState, bytes: Uint8Array, start: number): void {
    this.#bytes = bytes
    this.#at = start
    this.#value(state)
  }

  #value(state: LuaState): void {
    const { api } = this.#machine
    const type = this.#bytes[this.#at++] as number
    switch (type) {
      case 0x3a:
        api.lua_pushnumber(state, this.#integer())
        return
      case 0x24:
        this.#bulk(state)
        return
      case 0x2a:
        this.#array(state)
        return
      case 0x2b:
        this.#status(state)
        return
      case 0x2d:
        this.#error(state)
        return
      default:
        this.#third(state, type)
    }
  }

  /** Types of RESP3. */
  #third(state: LuaState, type: number): void {
    const { api } = this.#machine
    switch (type) {
      case 0x25:
        this.#field(state, 'map', () => this.#pairs(state, true))
        return
      case 0x7e:
        this.#field(state, 'set', () => this.#pairs(state, false))
        return
      case 0x5f:
        this.#line()
        api.lua_pushnil(state)
        return
      case 0x23:
        api.lua_pushboolean(state, this.#line() === 't' ? 1 : 0)
        return
      case 0x2c:
        this.#field(state, 'double', () => api.lua_pushnumber(state, doubleOf(this.#line())))
        return
      case 0x28:
        this.#field(state, 'big_number', () => this.#pushLine(state))
        return
      case 0x3d:
        this.#verbatim(state)
        return
      default:
        this.#line()
        api.lua_pushnil(state)
    }
  }

  #bulk(state: LuaState): void {
    const length = this.#integer()
    if (length < 0) {
      this.#machine.api.lua_pushboolean(state, 0)
      return
    }
    this.#machine.pushBytes(state, this.#bytes, this.#at, this.#at + length)
    this.#at += length + 2
  }

  #array(state: LuaState): void {
    const { api } = this.#machine
    const count = this.#integer()
    if (count < 0) {
      api.lua_pushboolean(state, 0)
      return
    }
    this.#makeRoom(state)
    api.lua_createtable(state, count, 0)
    for (let i = 1; i <= count; i++) {
      this.#value(state)
      api.lua_rawseti(state, -2, i)
    }
  }

  /** A map, or a set: the members as keys that are true. */
  #pairs(state: LuaState, isMap: boolean): void {
    const { api } = this.#machine
    const count = this.#integer()
    this.#makeRoom(state)
    api.lua_createtable(state, 0, count)
    for (let i = 0; i < count; i++) {
      this.#value(state)
      if (isMap) this.#value(state)
      else api.lua_pushboolean(state, 1)
      api.lua_rawset(state, -3)
    }
  }

  /** The most frequent of tables: made without detours. */
  #status(state: LuaState): void {
    const { api } = this.#machine
    this.#makeRoom(state)
    api.lua_createtable(state, 0, 1)
    this.#pushLine(state)
    api.lua_setfield(state, -2, this.#okName)
  }

  #error(state: LuaState): void {
    const { api } = this.#machine
    this.#field(state, 'err', () => this.#pushLine(state))
    api.lua_pushboolean(state, 1)
    api.lua_setfield(state, -2, this.#machine.name('ignore_error_stats_update'))
  }

  #verbatim(state: LuaState): void {
    const { api } = this.#machine
    const length = this.#integer()
    const start = this.#at
    this.#at += length + 2
    this.#field(state, 'verbatim_string', () => {
      api.lua_createtable(state, 0, 2)
      this.#machine.pushBytes(state, this.#bytes, start + 4, start + length)
      api.lua_setfield(state, -2, this.#machine.name('string'))
      this.#machine.pushBytes(state, this.#bytes, start, start + 3)
      api.lua_setfield(state, -2, this.#machine.name('format'))
    })
  }

  /** A table of one field. */
  #field(state: LuaState, name: string, pushValue: () => void): void {
    const { api } = this.#machine
    this.#makeRoom(state)
    api.lua_createtable(state, 0, 1)
    pushValue()
    api.lua_setfield(state, -2, this.#machine.name(name))
  }

  #makeRoom(state: LuaState): void {
    if (this.#machine.api.lua_checkstack(state, stackPerLevel) === 0)
      this.#machine.raise(state, 'reached lua stack limit')
  }

  #pushLine(state: LuaState): void {
    const start = this.#at
    this.#skipLine()
    this.#machine.pushBytes(state, this.#bytes, start, this.#at - 2)
  }

  #line(): string {
    const start = this.#at
    this.#skipLine()
    return latin1(this.#bytes, start, this.#at - 2)
  }

  #skipLine(): void {
    const bytes = this.#bytes
    let at = this.#at
    while (bytes[at] !== lineFeed) at++
    this.#at = at + 1
  }

  /** Beyond 2^53 it is what a Lua number makes of it. */
  #integer(): number {
    const bytes = this.#bytes
    let at = this.#at
    const isNegative = bytes[at] === 0x2d
    if (isNegative) at++
    let value = 0
    for (; bytes[at] !== 0x0d; at++) value = value * 10 + (bytes[at] as number) - 48
    const digits = at - this.#at
    const read = digits > 15 ? Number(latin1(bytes, this.#at, at)) : isNegative ? -value : value
    this.#at = at + 2
    return read
  }
}

function doubleOf(text: string): number {
  if (text === 'inf') return Number.POSITIVE_INFINITY
  return text === '-inf' ? Number.NEGATIVE_INFINITY : Number(text)
}
