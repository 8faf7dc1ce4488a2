/** The table `struct` of scripts: Roberto Ierusalimschy's `struct` 0.2, on a 64-bit machine of the usual kind. */
import { ByteWriter } from '#runtime/bytes/byteWriter.ts'
import { type LuaMachine, type LuaState, LuaType } from './luaMachine.ts'
import type { Library } from './sandbox.ts'

const integerBytesMax = 32
const maxAlign = 8
const sizeMax = 2 ** 31 - 1
const digits = /[0-9]/
/** Options that stand for an integer; those in lower case for one with a sign. */
const integers = 'bBhHlLTiI'

/** The options read so far set how the next are taken. */
interface Layout {
  format: string
  at: number
  isLittle: boolean
  align: number
}

const newLayout = (format: string): Layout => ({ format, at: 0, isLittle: true, align: 1 })

const plainSizes: Readonly<Record<string, number>> = {
  b: 1,
  B: 1,
  h: 2,
  H: 2,
  l: 8,
  L: 8,
  T: 8,
  f: 4,
  d: 8,
  x: 1,
}

export class StructLibrary {
  readonly #machine: LuaMachine
  readonly #writer = new ByteWriter(256)
  readonly #scratch = new DataView(new ArrayBuffer(8))

  constructor(machine: LuaMachine) {
    this.#machine = machine
  }

  get table(): Library {
    return {
      pack: (state) => this.#pack(state),
      unpack: (state) => this.#unpack(state),
      size: (state) => this.#size(state),
    }
  }

  /** A number behind an option. */
  #number(state: LuaState, layout: Layout, absent: number): number {
    let text = ''
    while (digits.test(layout.format[layout.at] ?? '')) text += layout.format[layout.at++]
    if (text === '') return absent
    if (Number(text) > sizeMax) this.#machine.raise(state, 'integral size overflow')
    return Number(text)
  }

  /** What the option takes; of `s` 0, of controls 0. */
  #optionSize(state: LuaState, option: string, layout: Layout): number {
    const plain = plainSizes[option]
    if (plain !== undefined) return plain
    if (option === 'c') return this.#number(state, layout, 1)
    if (option !== 'i' && option !== 'I') return 0
    const size = this.#number(state, layout, 4)
    if (size > integerBytesMax)
      this.#machine.raise(state, `integral size ${size} is larger than limit of ${integerBytesMax}`)
    return size
  }

  #padding(offset: number, align: number, option: string, size: number, layout: Layout): number {
    if (size === 0 || option === 'c') return 0
    const step = Math.min(align, layout.align)
    return step > 1 ? (step - (offset & (step - 1))) & (step - 1) : 0
  }

  /** `< > !` and spaces; anything else is no option. */
  #control(state: LuaState, option: string, layout: Layout): void {
    switch (option) {
      case ' ':
        return
      case '>':
        layout.isLittle = false
        return
      case '<':
        layout.isLittle = true
        return
      case '!': {
        const align = this.#number(state, layout, maxAlign)
        if (align === 0 || (align & (align - 1)) !== 0)
          this.#machine.raise(state, `alignment ${align} is not a power of 2`)
        layout.align = align
        return
      }
      default:
        this.#machine.raiseArgument(state, 1, `invalid format option '${option}'`)
    }
  }

  #pack(state: LuaState): number {
    const machine = this.#machine
    const layout = newLayout(machine.checkText(state, 1))
    const writer = this.#writer
    writer.clear()
    let argument = 2
    while (layout.at < layout.format.length) {
      const option = layout.format[layout.at++] as string
      const size = this.#optionSize(state, option, layout)
      for (let i = this.#padding(writer.length, size, option, size, layout); i > 0; i--) writer.u8(0)
      if (this.#packOne(state, option, size, argument, layout)) argument++
    }
    machine.pushBytes(state, writer.bytes, 0, writer.length)
    return 1
  }

  /** True: it has taken the argument. */
  #packOne(state: LuaState, option: string, size: number, argument: number, layout: Layout): boolean {
    const machine = this.#machine
    const writer = this.#writer
    if (integers.includes(option)) {
      this.#putInteger(machine.api.luaL_checknumber(state, argument), size, layout.isLittle)
      return true
    }
    switch (option) {
      case 'x':
        writer.u8(0)
        return false
      case 'f':
      case 'd':
        this.#putFloat(machine.api.luaL_checknumber(state, argument), size, layout.isLittle)
        return true
      case 'c':
      case 's': {
        const text = machine.checkText(state, argument)
        const length = option === 'c' && size > 0 ? size : text.length
        if (text.length < length) machine.raiseArgument(state, argument + 1, 'string too short')
        for (let i = 0; i < length; i++) writer.u8(text.charCodeAt(i))
        if (option === 's') writer.u8(0)
        return true
      }
      default:
        this.#control(state, option, layout)
        return false
    }
  }

  /** Modulo 2^64, with the sign in further bytes cut off: the C code shifts an unsigned long. */
  #putInteger(value: number, size: number, isLittle: boolean): void {
    const whole = Number.isFinite(value) ? BigInt.asUintN(64, BigInt(Math.trunc(value))) : 1n << 63n
    const bytes: number[] = []
    for (let i = 0, rest = whole; i < size; i++, rest >>= 8n) bytes.push(Number(rest & 0xffn))
    if (!isLittle) bytes.reverse()
    for (const byte of bytes) this.#writer.u8(byte)
  }

  #putFloat(value: number, size: number, isLittle: boolean): void {
    const scratch = this.#scratch
    if (size === 4) scratch.setFloat32(0, value, isLittle)
    else scratch.setFloat64(0, value, isLittle)
    for (let i = 0; i < size; i++) this.#writer.u8(scratch.getUint8(i))
  }

  #unpack(state: LuaState): number {
    const machine = this.#machine
    const { api } = machine
    const layout = newLayout(machine.checkText(state, 1))
    const data = machine.checkText(state, 2)
    const from = api.lua_type(state, 3) <= LuaType.nil ? 1 : Math.trunc(api.luaL_checknumber(state, 3))
    if (from < 1) machine.raiseArgument(state, 3, 'offset must be 1 or greater')
    let at = from - 1
    api.lua_settop(state, 2)
    let count = 0
    let last: number | null = null
    while (layout.at < layout.format.length) {
      const option = layout.format[layout.at++] as string
      const size = this.#optionSize(state, option, layout)
      at += this.#padding(at, size, option, size, layout)
      if (at + size > data.length) machine.raiseArgument(state, 2, 'data string too short')
      if (api.lua_checkstack(state, 2) === 0) machine.raise(state, 'too many results')
      const taken = this.#unpackOne(state, option, size, data, at, last, layout)
      if (taken.pushed) count++
      // `c0` takes the length that came before it from the stack.
      if (option === 'c' && size === 0) count--
      last = taken.value
      at += taken.length
    }
    api.lua_pushnumber(state, at + 1)
    return count + 1
  }

  #unpackOne(
    state: LuaState,
    option: string,
    size: number,
    data: string,
    at: number,
    last: number | null,
    layout: Layout,
  ): { pushed: boolean; length: number; value: number | null } {
    const machine = this.#machine
    const { api } = machine
    if (integers.includes(option)) {
      const isSigned = option === option.toLowerCase()
      const value = this.#integer(data, at, size, isSigned, layout.isLittle)
      api.lua_pushnumber(state, value)
      return { pushed: true, length: size, value }
    }
    switch (option) {
      case 'x':
        return { pushed: false, length: size, value: last }
      case 'f':
      case 'd': {
        const value = this.#float(data, at, size, layout.isLittle)
        api.lua_pushnumber(state, value)
        return { pushed: true, length: size, value }
      }
      case 'c': {
        let length = size
        if (size === 0) {
          if (last === null) machine.raise(state, "format 'c0' needs a previous size")
          length = Math.trunc(last ?? 0)
          machine.pop(state, 1)
          if (length < 0 || at + length > data.length)
            machine.raiseArgument(state, 2, 'data string too short')
        }
        machine.pushText(state, data.slice(at, at + length))
        return { pushed: true, length, value: null }
      }
      case 's': {
        const end = data.indexOf('\0', at)
        if (end < 0) machine.raise(state, 'unfinished string in data')
        machine.pushText(state, data.slice(at, end))
        return { pushed: true, length: end - at + 1, value: null }
      }
      default:
        this.#control(state, option, layout)
        return { pushed: false, length: 0, value: last }
    }
  }

  #integer(data: string, at: number, size: number, isSigned: boolean, isLittle: boolean): number {
    let value = 0n
    for (let i = 0; i < size; i++) {
      const place = isLittle ? at + size - 1 - i : at + i
      value = BigInt.asUintN(64, (value << 8n) | BigInt(data.charCodeAt(place)))
    }
    return Number(isSigned ? BigInt.asIntN(Math.min(64, size * 8), value) : value)
  }

  #float(data: string, at: number, size: number, isLittle: boolean): number {
    const scratch = this.#scratch
    for (let i = 0; i < size; i++) scratch.setUint8(i, data.charCodeAt(at + i))
    return size === 4 ? scratch.getFloat32(0, isLittle) : scratch.getFloat64(0, isLittle)
  }

  #size(state: LuaState): number {
    const machine = this.#machine
    const layout = newLayout(machine.checkText(state, 1))
    let total = 0
    while (layout.at < layout.format.length) {
      const option = layout.format[layout.at++] as string
      const size = this.#optionSize(state, option, layout)
      total += this.#padding(total, size, option, size, layout)
      if (option === 's') machine.raiseArgument(state, 1, "option 's' has no fixed size")
      else if (option === 'c' && size === 0) machine.raiseArgument(state, 1, "option 'c0' has no fixed size")
      if (plainSizes[option] === undefined && !'cCiIs'.includes(option)) this.#control(state, option, layout)
      total += size
    }
    machine.api.lua_pushnumber(state, total)
    return 1
  }
}
