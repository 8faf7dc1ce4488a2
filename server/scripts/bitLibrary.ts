/** The table `bit` of scripts: integers of 32 bits, as LuaJIT's BitOp has them. */
import type { LuaMachine, LuaState } from './luaMachine.ts'
import type { Library } from './sandbox.ts'

/** Halves go to the even number, as the addition of 2^52 + 2^51 does it in C. */
function toInt32(value: number): number {
  if (Number.isInteger(value)) return Number(value % 2 ** 32) | 0
  const floor = Math.floor(value)
  const rest = value - floor
  const rounded = rest > 0.5 || (rest === 0.5 && floor % 2 !== 0) ? floor + 1 : floor
  return Number.isFinite(rounded) ? (rounded % 2 ** 32) | 0 : 0
}

export function bitLibrary(machine: LuaMachine): Library {
  const { api } = machine
  const at = (state: LuaState, index: number): number => toInt32(api.luaL_checknumber(state, index))
  const push = (state: LuaState, value: number): number => {
    api.lua_pushnumber(state, value | 0)
    return 1
  }
  const fold =
    (join: (a: number, b: number) => number) =>
    (state: LuaState): number => {
      let result = at(state, 1)
      for (let i = api.lua_gettop(state); i > 1; i--) result = join(result, at(state, i))
      return push(state, result)
    }
  const shift =
    (by: (value: number, bits: number) => number) =>
    (state: LuaState): number =>
      push(state, by(at(state, 1), at(state, 2) & 31))
  return {
    tobit: (state) => push(state, at(state, 1)),
    bnot: (state) => push(state, ~at(state, 1)),
    band: fold((a, b) => a & b),
    bor: fold((a, b) => a | b),
    bxor: fold((a, b) => a ^ b),
    lshift: shift((value, bits) => value << bits),
    rshift: shift((value, bits) => value >>> bits),
    arshift: shift((value, bits) => value >> bits),
    rol: shift((value, bits) => (value << bits) | (value >>> (32 - bits))),
    ror: shift((value, bits) => (value >>> bits) | (value << (32 - bits))),
    bswap: (state) => {
      const value = at(state, 1)
      return push(state, (value >>> 24) | ((value >>> 8) & 0xff00) | ((value & 0xff00) << 8) | (value << 24))
    },
    tohex: (state) => {
      const value = at(state, 1) >>> 0
      let digits = api.lua_type(state, 2) <= 0 ? 8 : at(state, 2)
      const isUpper = digits < 0
      digits = Math.min(8, Math.abs(digits))
      const text = digits === 0 ? '' : value.toString(16).padStart(8, '0').slice(-digits)
      machine.pushText(state, isUpper ? text.toUpperCase() : text)
      return 1
    },
  }
}
