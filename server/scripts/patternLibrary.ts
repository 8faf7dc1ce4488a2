/**
 * What the table `string` of scripts has of patterns: `find`, `match`, `gmatch`, `gsub`, as Lua 5.1's `lstrlib.c` has them. What can't
 * take long is left to that; the rest, which could keep a shard for ever, goes to a matcher that can be stopped.
 */
import { ByteWriter } from '#runtime/bytes/byteWriter.ts'
import { globalsIndex, type LuaFunction, type LuaMachine, type LuaState, LuaType } from './luaMachine.ts'
import { Capture, PatternMatcher } from './patternMatcher.ts'
import type { Library } from './sandbox.ts'

const [percent, star, plus, minus, question] = [0x25, 0x2a, 0x2b, 0x2d, 0x3f] as const
const [digit0, digit9, letterB] = [0x30, 0x39, 0x62] as const
/** Of one character with one of a pattern, in C: some milliseconds. */
const nativeStepsMax = 4_000_000
const caret = 0x5e
/** `SPECIALS`: a pattern without one of these is looked for as it is. */
const special = /[\^$*+?.([%-]/
const upvalue = (index: number): number => globalsIndex - index
const typeNames: readonly string[] = [
  ...['nil', 'boolean', 'userdata', 'number', 'string', 'table', 'function', 'userdata', 'thread'],
]

/** A string in the memory of Lua. */
interface Place {
  start: number
  end: number
}

export class PatternLibrary {
  readonly #machine: LuaMachine
  readonly #look: (state: LuaState) => void
  readonly #next: number
  readonly #nativeStepsMax: number

  /** `look` is called now and then while a pattern is matched, and leaves by an error when the script is to end. */
  constructor(machine: LuaMachine, look: (state: LuaState) => void, stepsMax = nativeStepsMax) {
    this.#machine = machine
    this.#look = look
    this.#nativeStepsMax = stepsMax
    this.#next = machine.pointerTo((state) => this.#nextMatch(state))
  }

  get table(): Library {
    const either = (name: string, own: LuaFunction): LuaFunction => {
      const native = this.#machine.functionOf('string', name)
      return (state) => (this.#isShort(state) ? native(state) : own(state))
    }
    return {
      find: either('find', (state) => this.#find(state, true)),
      match: either('match', (state) => this.#find(state, false)),
      gmatch: either('gmatch', (state) => this.#iterate(state)),
      gsub: either('gsub', (state) => this.#substitute(state)),
    }
  }

  /** At the worst each repetition in the pattern is tried at each length, from each place of the text. */
  #isShort(state: LuaState): boolean {
    const machine = this.#machine
    const { api } = machine
    // Numbers are short, and what is no text is an error.
    if (api.lua_type(state, 1) !== LuaType.string || api.lua_type(state, 2) !== LuaType.string) return true
    const places = api.lua_objlen(state, 1) + 1
    const { start, end } = this.#place(state, 2)
    const { heap } = machine
    let steps = places * (end - start + 1)
    for (let at = start; at < end && steps <= this.#nativeStepsMax; at++) {
      const byte = heap[at] as number
      if (byte === question) steps *= 2
      else if (byte === star || byte === plus || byte === minus) steps *= places
      else if (byte === percent) {
        const next = heap[at + 1] as number
        if (next === letterB || (next >= digit0 && next <= digit9)) steps *= places
      }
    }
    return steps <= this.#nativeStepsMax
  }

  #newMatcher(state: LuaState): PatternMatcher {
    return new PatternMatcher({
      look: () => this.#look(state),
      raise: (text) => this.#machine.raise(state, text),
    })
  }

  #checkPlace(state: LuaState, index: number): Place {
    const start = this.#machine.checkPointer(state, index)
    return { start, end: start + this.#machine.length }
  }

  #place(state: LuaState, index: number): Place {
    const start = this.#machine.pointer(state, index)
    return { start, end: start + this.#machine.length }
  }

  /** As C converts a number to an integer of 64 bits. */
  #integer(state: LuaState, index: number, absent: number): number {
    const { api } = this.#machine
    if (api.lua_type(state, index) <= LuaType.nil) return absent
    const value = Math.trunc(api.luaL_checknumber(state, index))
    return Math.abs(value) < 2 ** 63 ? value : -(2 ** 63)
  }

  #find(state: LuaState, isFind: boolean): number {
    const machine = this.#machine
    const { api } = machine
    const text = this.#checkPlace(state, 1)
    const pattern = this.#checkPlace(state, 2)
    const wanted = this.#integer(state, 3, 1)
    const fromEnd = wanted < 0 ? Math.max(0, wanted + text.end - text.start + 1) : wanted
    const from = Math.min(text.end, text.start + Math.max(0, fromEnd - 1))
    const matcher = this.#newMatcher(state)
    if (isFind && (api.lua_toboolean(state, 4) !== 0 || !this.#isSpecial(pattern))) {
      const at = matcher.find(machine.heap, from, text.end, pattern.start, pattern.end)
      if (at >= 0) return this.#pushRange(state, text, at, at + pattern.end - pattern.start)
      api.lua_pushnil(state)
      return 1
    }
    const isAnchored = machine.heap[pattern.start] === caret
    const p = isAnchored ? pattern.start + 1 : pattern.start
    for (let at = from; at <= text.end; at++) {
      const end = matcher.match(machine.heap, text.start, text.end, at, p)
      if (end >= 0)
        return isFind
          ? this.#pushRange(state, text, at, end) + this.#pushCaptures(state, matcher, text, null)
          : this.#pushCaptures(state, matcher, text, { start: at, end })
      if (isAnchored) break
    }
    api.lua_pushnil(state)
    return 1
  }

  /** Up to the first NUL, as C looks. */
  #isSpecial({ start, end }: Place): boolean {
    const { heap } = this.#machine
    for (let at = start; at < end && heap[at] !== 0; at++)
      if (special.test(String.fromCharCode(heap[at] as number))) return true
    return false
  }

  #pushRange(state: LuaState, text: Place, from: number, to: number): number {
    const { api } = this.#machine
    api.lua_pushnumber(state, from - text.start + 1)
    api.lua_pushnumber(state, to - text.start)
    return 2
  }

  /** `whole`: what stands for the captures when there is none. */
  #pushCaptures(state: LuaState, matcher: PatternMatcher, text: Place, whole: Place | null): number {
    const count = matcher.level === 0 && whole !== null ? 1 : matcher.level
    if (this.#machine.api.lua_checkstack(state, count) === 0)
      this.#machine.raise(state, 'stack overflow (too many captures)')
    for (let i = 0; i < count; i++) this.#pushCapture(state, matcher, text, whole, i)
    return count
  }

  #pushCapture(
    state: LuaState,
    matcher: PatternMatcher,
    text: Place,
    whole: Place | null,
    index: number,
  ): void {
    const machine = this.#machine
    const { api } = machine
    if (index >= matcher.level) {
      if (index > 0 || whole === null) machine.raise(state, 'invalid capture index')
      else api.lua_pushlstring(state, whole.start, whole.end - whole.start)
      return
    }
    const start = matcher.starts[index] as number
    const length = matcher.lengths[index] as number
    if (length === Capture.unfinished) machine.raise(state, 'unfinished capture')
    if (length === Capture.position) api.lua_pushnumber(state, start - text.start + 1)
    else api.lua_pushlstring(state, start, length)
  }

  /** Text, pattern and where to go on are kept by the function that is returned. */
  #iterate(state: LuaState): number {
    const { api } = this.#machine
    this.#checkPlace(state, 1)
    this.#checkPlace(state, 2)
    api.lua_settop(state, 2)
    api.lua_pushnumber(state, 0)
    api.lua_pushcclosure(state, this.#next, 3)
    return 1
  }

  #nextMatch(state: LuaState): number {
    const machine = this.#machine
    const { api } = machine
    const text = this.#place(state, upvalue(1))
    const pattern = this.#place(state, upvalue(2))
    const matcher = this.#newMatcher(state)
    for (let at = text.start + api.lua_tonumber(state, upvalue(3)); at <= text.end; at++) {
      const end = matcher.match(machine.heap, text.start, text.end, at, pattern.start)
      if (end < 0) continue
      api.lua_pushnumber(state, end - text.start + (end === at ? 1 : 0))
      api.lua_replace(state, upvalue(3))
      return this.#pushCaptures(state, matcher, text, { start: at, end })
    }
    return 0
  }

  #substitute(state: LuaState): number {
    const machine = this.#machine
    const { api } = machine
    const text = this.#checkPlace(state, 1)
    const pattern = this.#checkPlace(state, 2)
    const type = api.lua_type(state, 3)
    const countMax = this.#integer(state, 4, text.end - text.start + 1) | 0
    if (![LuaType.number, LuaType.string, LuaType.table, LuaType.function].some((one) => one === type))
      machine.raiseArgument(state, 3, 'string/function/table expected')
    const isAnchored = machine.heap[pattern.start] === caret
    const p = isAnchored ? pattern.start + 1 : pattern.start
    const matcher = this.#newMatcher(state)
    const result = new ByteWriter(text.end - text.start)
    let count = 0
    let at = text.start
    while (count < countMax) {
      const end = matcher.match(machine.heap, text.start, text.end, at, p)
      if (end >= 0) {
        count++
        this.#addReplacement(state, type, result, matcher, text, { start: at, end })
      }
      if (end > at) at = end
      else if (at < text.end) result.u8(machine.heap[at++] as number)
      else break
      if (isAnchored) break
    }
    this.#add(state, result, { start: at, end: text.end })
    machine.pushBytes(state, result.bytes, 0, result.length)
    api.lua_pushnumber(state, count)
    return 2
  }

  #add(state: LuaState, result: ByteWriter, { start, end }: Place): void {
    // Beside the memory of Lua, and as much at most.
    if (result.length + end - start > this.#machine.heapBytesMax) this.#machine.raiseMemory(state)
    result.raw(this.#machine.heap, start, end)
  }

  #addReplacement(
    state: LuaState,
    type: number,
    result: ByteWriter,
    matcher: PatternMatcher,
    text: Place,
    whole: Place,
  ): void {
    const machine = this.#machine
    const { api } = machine
    if (type === LuaType.number || type === LuaType.string) {
      this.#addTemplate(state, result, matcher, text, whole)
      return
    }
    if (type === LuaType.function) {
      api.lua_pushvalue(state, 3)
      api.lua_call(state, this.#pushCaptures(state, matcher, text, whole), 1)
    } else {
      this.#pushCapture(state, matcher, text, whole, 0)
      api.lua_gettable(state, 3)
    }
    const given = api.lua_type(state, -1)
    if (api.lua_toboolean(state, -1) === 0) this.#add(state, result, whole)
    else if (given === LuaType.string || given === LuaType.number)
      this.#add(state, result, this.#place(state, -1))
    else machine.raise(state, `invalid replacement value (a ${typeNames[given]})`)
    machine.pop(state, 1)
  }

  /** Text with `%0` to `%9` in it. */
  #addTemplate(
    state: LuaState,
    result: ByteWriter,
    matcher: PatternMatcher,
    text: Place,
    whole: Place,
  ): void {
    const machine = this.#machine
    const template = this.#place(state, 3)
    for (let at = template.start; at < template.end; at++) {
      const plain = at
      while (at < template.end && machine.heap[at] !== percent) at++
      this.#add(state, result, { start: plain, end: at })
      if (at === template.end) return
      // Behind the last one lies a NUL.
      const next = machine.heap[++at] as number
      const digit = next - 0x30
      if (digit === 0) this.#add(state, result, whole)
      else if (digit > 0 && digit <= 9) {
        this.#pushCapture(state, matcher, text, whole, digit - 1)
        this.#add(state, result, this.#place(state, -1))
        machine.pop(state, 1)
      } else result.u8(next)
    }
  }
}
