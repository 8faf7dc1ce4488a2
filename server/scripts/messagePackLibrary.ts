/** The table `cmsgpack` of scripts: what lua-cmsgpack 0.4 does. */
import { bytesOf } from '#runtime/bytes/bytes.ts'
import { ByteWriter } from '#runtime/bytes/byteWriter.ts'
import { type LuaMachine, type LuaState, LuaType } from './luaMachine.ts'
import { MessagePackReader } from './messagePackReader.ts'
import type { Library } from './sandbox.ts'

/** Deeper tables are packed as nil. */
const depthMax = 16

export class MessagePackLibrary {
  readonly #machine: LuaMachine
  readonly #writer = new ByteWriter(256)
  readonly #scratch = new DataView(new ArrayBuffer(8))

  constructor(machine: LuaMachine) {
    this.#machine = machine
  }

  get table(): Library {
    return {
      pack: (state) => this.#pack(state),
      unpack: (state) => this.#unpack(state, 0, 0),
      unpack_one: (state) => this.#unpack(state, 1, this.#optional(state, 2, 0)),
      unpack_limit: (state) => {
        const limit = Math.trunc(this.#machine.api.luaL_checknumber(state, 2))
        return this.#unpack(state, limit, this.#optional(state, 3, 0))
      },
      _NAME: 'cmsgpack',
      _VERSION: 'lua-cmsgpack 0.4.0',
      _COPYRIGHT: 'Copyright (C) 2012, Salvatore Sanfilippo',
      _DESCRIPTION: 'MessagePack C implementation for Lua',
    }
  }

  #optional(state: LuaState, index: number, value: number): number {
    const { api } = this.#machine
    return api.lua_type(state, index) <= LuaType.nil ? value : Math.trunc(api.luaL_checknumber(state, index))
  }

  #pack(state: LuaState): number {
    const machine = this.#machine
    const { api } = machine
    const count = api.lua_gettop(state)
    if (count === 0) machine.raiseArgument(state, 0, 'MessagePack pack needs input.')
    if (api.lua_checkstack(state, count) === 0)
      machine.raiseArgument(state, 0, 'Too many arguments for MessagePack pack.')
    const writer = this.#writer
    writer.clear()
    for (let i = 1; i <= count; i++) {
      api.lua_pushvalue(state, i)
      this.#value(state, 0)
    }
    machine.pushBytes(state, writer.bytes, 0, writer.length)
    return 1
  }

  /** Takes the value from the top of the stack. */
  #value(state: LuaState, depth: number): void {
    const machine = this.#machine
    const { api } = machine
    const type =
      depth >= depthMax && api.lua_type(state, -1) === LuaType.table ? LuaType.nil : api.lua_type(state, -1)
    switch (type) {
      case LuaType.string:
        this.#string(state)
        break
      case LuaType.boolean:
        this.#writer.u8(api.lua_toboolean(state, -1) !== 0 ? 0xc3 : 0xc2)
        break
      case LuaType.number:
        this.#number(api.lua_tonumber(state, -1))
        break
      case LuaType.table:
        this.#table(state, depth)
        break
      default:
        this.#writer.u8(0xc0)
    }
    machine.pop(state, 1)
  }

  #string(state: LuaState): void {
    const machine = this.#machine
    const start = machine.pointer(state, -1)
    const { length, heap } = machine
    if (length < 32) this.#writer.u8(0xa0 | length)
    else if (length <= 0xff) this.#header(0xd9, 1, length)
    else if (length <= 0xffff) this.#header(0xda, 2, length)
    else this.#header(0xdb, 4, length)
    this.#writer.raw(heap, start, start + length)
  }

  #number(value: number): void {
    if (Number.isInteger(value) && Math.abs(value) <= 2 ** 63) {
      this.#integer(value)
      return
    }
    const scratch = this.#scratch
    if (Math.fround(value) === value) {
      scratch.setFloat32(0, value)
      this.#bytes(0xca, 4)
    } else {
      scratch.setFloat64(0, value)
      this.#bytes(0xcb, 8)
    }
  }

  #integer(value: number): void {
    const scratch = this.#scratch
    if (value >= 0) {
      if (value <= 127) this.#writer.u8(value)
      else if (value <= 0xff) this.#header(0xcc, 1, value)
      else if (value <= 0xffff) this.#header(0xcd, 2, value)
      else if (value <= 0xffffffff) this.#header(0xce, 4, value)
      else {
        scratch.setBigUint64(0, BigInt(value))
        this.#bytes(0xcf, 8)
      }
    } else if (value >= -32) this.#writer.u8(256 + value)
    else if (value >= -128) this.#header(0xd0, 1, value)
    else if (value >= -32768) this.#header(0xd1, 2, value)
    else if (value >= -(2 ** 31)) this.#header(0xd2, 4, value)
    else {
      scratch.setBigInt64(0, BigInt(value))
      this.#bytes(0xd3, 8)
    }
  }

  #header(type: number, sizeBytes: 1 | 2 | 4, value: number): void {
    const scratch = this.#scratch
    if (sizeBytes === 1) scratch.setInt8(0, value)
    else if (sizeBytes === 2) scratch.setInt16(0, value)
    else scratch.setInt32(0, value)
    this.#bytes(type, sizeBytes)
  }

  #bytes(type: number, count: number): void {
    this.#writer.u8(type)
    for (let i = 0; i < count; i++) this.#writer.u8(this.#scratch.getUint8(i))
  }

  #table(state: LuaState, depth: number): void {
    const machine = this.#machine
    const { api } = machine
    if (api.lua_checkstack(state, 4) === 0) machine.raise(state, 'Out of stack')
    const length = this.#arrayLength(state)
    if (length >= 0) {
      if (length <= 15) this.#writer.u8(0x90 | length)
      else if (length <= 0xffff) this.#header(0xdc, 2, length)
      else this.#header(0xdd, 4, length)
      for (let i = 1; i <= length; i++) {
        api.lua_rawgeti(state, -1, i)
        this.#value(state, depth + 1)
      }
      return
    }
    let count = 0
    for (api.lua_pushnil(state); api.lua_next(state, -2) !== 0; count++) machine.pop(state, 1)
    if (count <= 15) this.#writer.u8(0x80 | count)
    else if (count <= 0xffff) this.#header(0xde, 2, count)
    else this.#header(0xdf, 4, count)
    for (api.lua_pushnil(state); api.lua_next(state, -2) !== 0; ) {
      api.lua_pushvalue(state, -2)
      this.#value(state, depth + 1)
      this.#value(state, depth + 1)
    }
  }

  /** Keys are 1, 2, 3 and so on, without a gap; -1: they are not. */
  #arrayLength(state: LuaState): number {
    const machine = this.#machine
    const { api } = machine
    let greatest = 0
    let count = 0
    for (api.lua_pushnil(state); api.lua_next(state, -2) !== 0; ) {
      machine.pop(state, 1)
      const place = api.lua_type(state, -1) === LuaType.number ? api.lua_tonumber(state, -1) : 0
      if (!(place > 0 && Number.isInteger(place))) {
        machine.pop(state, 1)
        return -1
      }
      count++
      if (place > greatest) greatest = place
    }
    return greatest === count ? count : -1
  }

  #unpack(state: LuaState, limit: number, offset: number): number {
    const machine = this.#machine
    const { api } = machine
    const text = machine.checkText(state, 1)
    if (offset < 0 || limit < 0)
      machine.raise(state, `Invalid request to unpack with offset of ${offset} and limit of ${text.length}.`)
    if (offset > text.length)
      machine.raise(state, `Start offset ${offset} greater than input length ${text.length}.`)
    const most = limit === 0 ? 2 ** 31 - 1 : limit
    const reader = new MessagePackReader(machine, bytesOf(text), offset)
    let count = 0
    for (; !reader.isAtEnd && count < most; count++) {
      if (api.lua_checkstack(state, 2) === 0) machine.raise(state, 'Out of stack')
      reader.push(state)
    }
    if (limit === 0) return count
    // Where to go on stands before the values.
    api.lua_pushnumber(state, reader.isAtEnd ? -1 : reader.at)
    api.lua_insert(state, -count - 1)
    return count + 1
  }
}
