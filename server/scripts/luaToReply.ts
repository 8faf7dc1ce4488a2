/** Makes the reply to the client of what a script returns. */
import type { ReplyWriter } from '#protocol/resp/replyWriter.ts'
import { type LuaMachine, type LuaState, LuaType } from './luaMachine.ts'

const stackPerLevel = 4
const int64Min = -(2n ** 63n)

/** The value on top of the stack, which is popped. `knowsResp3`: the script has said `redis.setresp(3)`. */
export class LuaToReply {
  readonly #machine: LuaMachine
  #knowsResp3 = false

  constructor(machine: LuaMachine) {
    this.#machine = machine
  }

  write(state: LuaState, reply: ReplyWriter, knowsResp3: boolean): void {
    this.#knowsResp3 = knowsResp3
    this.#value(state, reply)
  }

  #value(state: LuaState, reply: ReplyWriter): void {
    const machine = this.#machine
    const { api } = machine
    if (api.lua_checkstack(state, stackPerLevel) === 0) reply.error('ERR reached lua stack limit')
    else {
      switch (api.lua_type(state, -1)) {
        case LuaType.string: {
          const start = machine.pointer(state, -1)
          reply.bulkBytes(machine.heap, start, start + machine.length)
          break
        }
        case LuaType.number:
          reply.integer(integerOf(api.lua_tonumber(state, -1)))
          break
        case LuaType.boolean:
          this.#boolean(reply, api.lua_toboolean(state, -1) !== 0)
          break
        case LuaType.table:
          this.#table(state, reply)
          break
        default:
          reply.null()
      }
    }
    machine.pop(state, 1)
  }

  #boolean(reply: ReplyWriter, value: boolean): void {
    if (this.#knowsResp3) reply.boolean(value)
    else if (value) reply.integer(1)
    else reply.null()
  }

  #table(state: LuaState, reply: ReplyWriter): void {
    const machine = this.#machine
    const { api } = machine
    if (this.#has(state, 'err', LuaType.string)) reply.error(line(this.#taken(state)))
    else if (this.#has(state, 'ok', LuaType.string)) reply.simple(line(this.#taken(state)))
    else if (this.#has(state, 'double', LuaType.number)) {
      reply.double(api.lua_tonumber(state, -1))
      machine.pop(state, 1)
    } else if (this.#has(state, 'map', LuaType.table)) this.#pairs(state, reply, true)
    else if (this.#has(state, 'set', LuaType.table)) this.#pairs(state, reply, false)
    else if (this.#has(state, 'big_number', LuaType.string)) reply.bigNumber(line(this.#taken(state)))
    else if (this.#has(state, 'verbatim_string', LuaType.table)) this.#verbatim(state, reply)
    else this.#array(state, reply)
  }

  /** Pushes the field when it is there and of the type. */
  #has(state: LuaState, name: string, type: number): boolean {
    const machine = this.#machine
    machine.pushText(state, name)
    machine.api.lua_rawget(state, -2)
    if (machine.api.lua_type(state, -1) === type) return true
    machine.pop(state, 1)
    return false
  }

  #taken(state: LuaState): string {
    const text = this.#machine.text(state, -1)
    this.#machine.pop(state, 1)
    return text
  }

  /** Counted first: the number of pairs stands before them. */
  #pairs(state: LuaState, reply: ReplyWriter, isMap: boolean): void {
    const { api } = this.#machine
    let count = 0
    for (api.lua_pushnil(state); api.lua_next(state, -2) !== 0; count++) this.#machine.pop(state, 1)
    if (isMap) reply.map(count)
    else reply.set(count)
    for (api.lua_pushnil(state); api.lua_next(state, -2) !== 0; ) {
      if (isMap) {
        api.lua_pushvalue(state, -2)
        this.#value(state, reply)
        this.#value(state, reply)
      } else {
        this.#machine.pop(state, 1)
        api.lua_pushvalue(state, -1)
        this.#value(state, reply)
      }
    }
    this.#machine.pop(state, 1)
  }

  #verbatim(state: LuaState, reply: ReplyWriter): void {
    const { api } = this.#machine
    if (!this.#has(state, 'format', LuaType.string)) {
      this.#machine.pop(state, 1)
      this.#array(state, reply)
      return
    }
    const format = this.#machine.text(state, -1)
    this.#machine.pop(state, 1)
    if (this.#has(state, 'string', LuaType.string)) {
      reply.verbatim(`${format}   `.slice(0, 3), this.#taken(state))
      this.#machine.pop(state, 1)
      return
    }
    api.lua_settop(state, -2)
    this.#array(state, reply)
  }

  /** Up to the first nil. */
  #array(state: LuaState, reply: ReplyWriter): void {
    const { api } = this.#machine
    let count = 0
    for (; ; count++) {
      api.lua_rawgeti(state, -1, count + 1)
      const type = api.lua_type(state, -1)
      this.#machine.pop(state, 1)
      if (type === LuaType.nil) break
    }
    reply.array(count)
    for (let i = 1; i <= count; i++) {
      api.lua_rawgeti(state, -1, i)
      this.#value(state, reply)
    }
  }
}

const line = (text: string): string => text.replace(/[\r\n]/g, ' ')

/** As a cast to a 64-bit integer on the machines that Redis runs on. */
export function integerOf(value: number): number | bigint {
  if (Number.isNaN(value) || Math.abs(value) >= 2 ** 63) return int64Min
  const whole = Math.trunc(value)
  return Number.isSafeInteger(whole) ? whole : BigInt(whole)
}
