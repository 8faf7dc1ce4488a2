/** Reads MessagePack onto the stack of Lua. */
import type { LuaMachine, LuaState } from './luaMachine.ts'

const badFormat = 'Bad data format in input.'
const missingBytes = 'Missing bytes in input.'

export class MessagePackReader {
  at: number
  readonly #machine: LuaMachine
  readonly #bytes: Uint8Array
  readonly #view: DataView

  constructor(machine: LuaMachine, bytes: Uint8Array, at: number) {
    this.#machine = machine
    this.#bytes = bytes
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    this.at = at
  }

  get isAtEnd(): boolean {
    return this.at >= this.#bytes.length
  }

  /** Pushes the next value, or raises an error. */
  push(state: LuaState): void {
    const { api } = this.#machine
    const type = this.#bytes[this.#take(state, 1)] as number
    if (type < 0x80) api.lua_pushnumber(state, type)
    else if (type >= 0xe0) api.lua_pushnumber(state, type - 256)
    else if (type < 0x90) this.#map(state, type & 15)
    else if (type < 0xa0) this.#array(state, type & 15)
    else if (type < 0xc0) this.#string(state, type & 31)
    else if (!this.#simple(state, type) && !this.#number(state, type) && !this.#long(state, type))
      this.#machine.raise(state, badFormat)
  }

  #simple(state: LuaState, type: number): boolean {
    const { api } = this.#machine
    if (type === 0xc0) api.lua_pushnil(state)
    else if (type === 0xc2 || type === 0xc3) api.lua_pushboolean(state, type - 0xc2)
    else return false
    return true
  }

  #number(state: LuaState, type: number): boolean {
    const read = numberReads[type]
    if (read === undefined) return false
    const [sizeBytes, get] = read
    const at = this.#take(state, sizeBytes)
    this.#machine.api.lua_pushnumber(state, get(this.#view, at))
    return true
  }

  #long(state: LuaState, type: number): boolean {
    switch (type) {
      case 0xd9:
        this.#string(state, this.#view.getUint8(this.#take(state, 1)))
        return true
      case 0xda:
        this.#string(state, this.#view.getUint16(this.#take(state, 2)))
        return true
      case 0xdb:
        this.#string(state, this.#view.getUint32(this.#take(state, 4)))
        return true
      case 0xdc:
        this.#array(state, this.#view.getUint16(this.#take(state, 2)))
        return true
      case 0xdd:
        this.#array(state, this.#view.getUint32(this.#take(state, 4)))
        return true
      case 0xde:
        this.#map(state, this.#view.getUint16(this.#take(state, 2)))
        return true
      case 0xdf:
        this.#map(state, this.#view.getUint32(this.#take(state, 4)))
        return true
    }
    return false
  }

  #string(state: LuaState, length: number): void {
    const at = this.#take(state, length)
    this.#machine.pushBytes(state, this.#bytes, at, at + length)
  }

  #array(state: LuaState, length: number): void {
    const { api } = this.#machine
    this.#makeRoom(state)
    api.lua_createtable(state, 0, 0)
    for (let i = 1; i <= length; i++) {
      this.push(state)
      api.lua_rawseti(state, -2, i)
    }
  }

  #map(state: LuaState, length: number): void {
    const { api } = this.#machine
    this.#makeRoom(state)
    api.lua_createtable(state, 0, 0)
    for (let i = 0; i < length; i++) {
      this.push(state)
      this.push(state)
      api.lua_settable(state, -3)
    }
  }

  #makeRoom(state: LuaState): void {
    if (this.#machine.api.lua_checkstack(state, 4) === 0) this.#machine.raise(state, 'Out of stack')
  }

  /** Returns where the next so many bytes are. */
  #take(state: LuaState, count: number): number {
    const { at } = this
    if (at + count > this.#bytes.length) this.#machine.raise(state, missingBytes)
    this.at = at + count
    return at
  }
}

const numberReads: Readonly<Record<number, readonly [number, (view: DataView, at: number) => number]>> = {
  204: [1, (view, at) => view.getUint8(at)],
  205: [2, (view, at) => view.getUint16(at)],
  206: [4, (view, at) => view.getUint32(at)],
  207: [8, (view, at) => Number(view.getBigUint64(at))],
  208: [1, (view, at) => view.getInt8(at)],
  209: [2, (view, at) => view.getInt16(at)],
  210: [4, (view, at) => view.getInt32(at)],
  211: [8, (view, at) => Number(view.getBigInt64(at))],
  202: [4, (view, at) => view.getFloat32(at)],
  203: [8, (view, at) => view.getFloat64(at)],
}
