/**
 * A Lua state in which scripts may run: no way out to files and processes, and nothing that one script can leave to the
 * next. Redis has changed Lua so that tables can be read-only; here a table that must not change is hidden behind an empty
 * one that shows its fields and refuses writes, and the few functions that would go around that know such tables.
 */
import { invariant } from '#runtime/invariant.ts'
import {
  globalsIndex,
  type LuaFunction,
  type LuaMachine,
  type LuaState,
  LuaStatus,
  LuaType,
  multipleResults,
  registryIndex as registry,
} from './luaMachine.ts'
import { prelude } from './prelude.ts'
import { Random48 } from './random48.ts'

const readonlyText = 'Attempt to modify a readonly table'
const compiledMark = '\x1b'
/** Not for scripts. */
const removed = [
  'dofile',
  'loadfile',
  'newproxy',
  'print',
  'getfenv',
  'setfenv',
  'module',
  'require',
  'debug',
] as const

/** Null: the null pointer, which stands for null in JSON. */
export type Library = Readonly<Record<string, LuaFunction | number | string | null>>

export class Sandbox {
  readonly machine: LuaMachine
  readonly random = new Random48()
  /** Where the handler of errors stays on the stack. */
  readonly handlerIndex = 1
  /** References in the registry to what scripts see as globals, and what lies behind. */
  readonly #rawRef: number
  /** By the address of a table that shows another: a reference to that. */
  readonly #frozen = new Map<number, number>()
  /** To the tables that show others. */
  readonly #shownRefs: number[] = []
  #stringMetaRef = 0
  /** To the metatable of the globals. */
  #shownRef = 0

  /** `libraries`, made when Lua's own are open, are put beside those, or into the one of the same name. */
  constructor(machine: LuaMachine, libraries: () => Readonly<Record<string, Library>>) {
    this.machine = machine
    const { api, state } = machine
    for (const name of [
      'luaopen_base',
      'luaopen_table',
      'luaopen_string',
      'luaopen_math',
      'luaopen_debug',
    ] as const)
      this.#openLibrary(name)
    for (const [name, library] of Object.entries(libraries())) this.#register(name, library)
    this.#replaceFunctions()
    api.lua_pushvalue(state, globalsIndex)
    this.#rawRef = api.luaL_ref(state, registry)
    this.#runPrelude()
  }

  /** The table behind the globals: what is set in it scripts see. It is pushed. */
  pushRawGlobals(state: LuaState): void {
    this.machine.api.lua_rawgeti(state, registry, this.#rawRef)
  }

  /** One of the globals. */
  remove(name: string): void {
    const { api, state } = this.machine
    this.pushRawGlobals(state)
    api.lua_pushnil(state)
    api.lua_setfield(state, -2, this.machine.name(name))
    this.machine.pop(state, 1)
  }

  /** What `loadingGlobals` has made is all that Lua sees, until `endLoading`. */
  beginLoading(ref: number): void {
    this.#showGlobals(this.machine.state, ref)
  }

  endLoading(): void {
    this.#showGlobals(this.machine.state, this.#rawRef)
  }

  /** A reference to globals of which `redis` is the only one; other names are errors, there and in it. */
  loadingGlobals(state: LuaState, redis: Library): number {
    const { machine } = this
    const { api } = machine
    api.lua_createtable(state, 0, 1)
    pushLibrary(machine, state, redis)
    this.#refuseMissing(state)
    this.#freeze(state)
    api.lua_remove(state, -2)
    api.lua_setfield(state, -2, machine.name('redis'))
    this.#refuseMissing(state)
    return api.luaL_ref(state, registry)
  }

  #showGlobals(state: LuaState, ref: number): void {
    const { api } = this.machine
    api.lua_rawgeti(state, registry, this.#shownRef)
    api.lua_rawgeti(state, registry, ref)
    api.lua_setfield(state, -2, this.machine.name('__index'))
    this.machine.pop(state, 1)
  }

  /** Of the table on top of the stack. */
  #refuseMissing(state: LuaState): void {
    const { machine } = this
    machine.api.lua_createtable(state, 0, 1)
    machine.pushFunction(state, raiseMissing(machine))
    machine.api.lua_setfield(state, -2, machine.name('__index'))
    machine.api.lua_setmetatable(state, -2)
  }

  /** Takes back what `table.insert` and its kin, which ask nobody, have put into tables that only show others. */
  endScript(): void {
    const { api, state } = this.machine
    for (const ref of this.#shownRefs) {
      api.lua_rawgeti(state, registry, ref)
      for (let i = api.lua_objlen(state, -1); i > 0; i--) {
        api.lua_pushnil(state)
        api.lua_rawseti(state, -2, i)
      }
      this.machine.pop(state, 1)
    }
  }

  #openLibrary(
    name: 'luaopen_base' | 'luaopen_table' | 'luaopen_string' | 'luaopen_math' | 'luaopen_debug',
  ): void {
    const { machine } = this
    machine.pushFunction(machine.state, (state) => machine.api[name](state))
    machine.api.lua_call(machine.state, 0, 0)
  }

  #register(name: string, library: Library): void {
    const { machine } = this
    const { api, state } = machine
    api.lua_getfield(state, globalsIndex, machine.name(name))
    if (api.lua_type(state, -1) === LuaType.table) {
      setFields(machine, state, library)
      machine.pop(state, 1)
      return
    }
    machine.pop(state, 1)
    pushLibrary(machine, state, library)
    api.lua_setfield(state, globalsIndex, machine.name(name))
  }

  #global(name: string, run: LuaFunction): void {
    const { machine } = this
    machine.pushFunction(machine.state, run)
    machine.api.lua_setfield(machine.state, globalsIndex, machine.name(name))
  }

  #replaceFunctions(): void {
    const { machine } = this
    const { api } = machine
    this.#global('rawset', (state) => {
      api.luaL_checktype(state, 1, LuaType.table)
      this.#checkAny(state, 2)
      this.#checkAny(state, 3)
      if (this.#isFrozen(state, 1)) this.#refuseWrite(state)
      api.lua_settop(state, 3)
      api.lua_rawset(state, 1)
      return 1
    })
    this.#global('rawget', (state) => {
      api.luaL_checktype(state, 1, LuaType.table)
      this.#checkAny(state, 2)
      api.lua_settop(state, 2)
      this.#unfreeze(state, 1)
      api.lua_rawget(state, 1)
      return 1
    })
    this.#replaceProtectedCall()
    this.#replaceMetatables()
    this.#replacePairs()
    this.#replaceLoading()
    this.#replaceRandom()
  }

  /** An error that is a table with the text in `err`, as those of commands are, is shown as the text. */
  #replaceProtectedCall(): void {
    const { machine } = this
    const { api } = machine
    this.#global('pcall', (state) => {
      this.#checkAny(state, 1)
      if (api.lua_pcall(state, api.lua_gettop(state) - 1, multipleResults, 0) === LuaStatus.ok) {
        api.lua_pushboolean(state, 1)
        api.lua_insert(state, 1)
        return api.lua_gettop(state)
      }
      if (api.lua_type(state, -1) === LuaType.table) {
        machine.pushText(state, 'err')
        api.lua_gettable(state, -2)
        if (api.lua_type(state, -1) === LuaType.string) api.lua_replace(state, -2)
        else machine.pop(state, 1)
      }
      api.lua_pushboolean(state, 0)
      api.lua_insert(state, -2)
      return 2
    })
  }

  #replaceMetatables(): void {
    const { machine } = this
    const { api } = machine
    this.#global('setmetatable', (state) => {
      const type = api.lua_type(state, 2)
      api.luaL_checktype(state, 1, LuaType.table)
      if (type !== LuaType.nil && type !== LuaType.table)
        machine.raiseArgument(state, 2, 'nil or table expected')
      if (this.#isFrozen(state, 1)) this.#refuseWrite(state)
      if (this.#protection(state, 1)) machine.raise(state, 'cannot change a protected metatable')
      api.lua_settop(state, 2)
      api.lua_setmetatable(state, 1)
      return 1
    })
    this.#global('getmetatable', (state) => {
      this.#checkAny(state, 1)
      if (api.lua_type(state, 1) === LuaType.string) {
        api.lua_rawgeti(state, registry, this.#stringMetaRef)
        return 1
      }
      if (this.#isFrozen(state, 1)) api.lua_pushnil(state)
      else if (!this.#protection(state, 1) && api.lua_getmetatable(state, 1) === 0) api.lua_pushnil(state)
      return 1
    })
  }

  /** Pushes the field `__metatable`, which is shown instead of the metatable; false: there is none. */
  #protection(state: LuaState, index: number): boolean {
    const { machine } = this
    const { api } = machine
    if (api.lua_getmetatable(state, index) === 0) return false
    machine.pushText(state, '__metatable')
    api.lua_rawget(state, -2)
    api.lua_remove(state, -2)
    if (api.lua_type(state, -1) !== LuaType.nil) return true
    machine.pop(state, 1)
    return false
  }

  #replacePairs(): void {
    const { machine } = this
    const { api } = machine
    api.lua_getfield(machine.state, globalsIndex, machine.name('next'))
    const nextRef = api.luaL_ref(machine.state, registry)
    this.#global('pairs', (state) => {
      api.luaL_checktype(state, 1, LuaType.table)
      api.lua_settop(state, 1)
      this.#unfreeze(state, 1)
      api.lua_rawgeti(state, registry, nextRef)
      api.lua_insert(state, 1)
      api.lua_pushnil(state)
      return 3
    })
  }

  /** Compiled Lua can break out of any sandbox, so only text is read. */
  #replaceLoading(): void {
    const { machine } = this
    this.#global('loadstring', (state) => {
      const text = machine.checkText(state, 1)
      const name = machine.api.lua_type(state, 2) <= LuaType.nil ? text : machine.checkText(state, 2)
      const status = machine.load(text.startsWith(compiledMark) ? ` ${text}` : text, name, state)
      if (status === LuaStatus.ok) return 1
      machine.api.lua_pushnil(state)
      machine.api.lua_insert(state, -2)
      return 2
    })
  }

  #replaceRandom(): void {
    const { machine, random } = this
    const { api } = machine
    const max = 2 ** 31 - 1
    const check = (state: LuaState, index: number): number => Math.trunc(api.luaL_checknumber(state, index))
    api.lua_getfield(machine.state, globalsIndex, machine.name('math'))
    machine.pushFunction(machine.state, (state) => {
      const drawn = (random.next() % max) / max
      const count = api.lua_gettop(state)
      if (count === 0) {
        api.lua_pushnumber(state, drawn)
        return 1
      }
      if (count > 2) machine.raise(state, 'wrong number of arguments')
      const low = count === 1 ? 1 : check(state, 1)
      const high = check(state, count)
      if (low > high) machine.raiseArgument(state, count, 'interval is empty')
      api.lua_pushnumber(state, Math.floor(drawn * (high - low + 1)) + low)
      return 1
    })
    api.lua_setfield(machine.state, -2, machine.name('random'))
    machine.pushFunction(machine.state, (state) => {
      random.seed(check(state, 1))
      return 0
    })
    api.lua_setfield(machine.state, -2, machine.name('randomseed'))
    machine.pop(machine.state, 1)
  }

  /** Leaves the handler of errors on the stack, and gives scripts their globals. */
  #runPrelude(): void {
    const { machine } = this
    const { api, state } = machine
    const status = machine.load(prelude, '=sandbox')
    invariant(status === LuaStatus.ok, 'the prelude is Lua')
    api.lua_getfield(state, globalsIndex, machine.name('debug'))
    for (const name of removed) {
      api.lua_pushnil(state)
      api.lua_setfield(state, globalsIndex, machine.name(name))
    }
    api.lua_pushvalue(state, globalsIndex)
    machine.pushFunction(state, (inner) => this.#freeze(inner))
    machine.pushFunction(state, (inner) => machine.raise(inner, readonlyText))
    machine.pushFunction(state, raiseMissing(machine))
    api.lua_call(state, 5, 3)
    this.#shownRef = api.luaL_ref(state, registry)
    invariant(api.lua_gettop(state) === 2, 'the handler of errors is all that stays on the stack')
    // [globals, handler] to [handler].
    api.lua_pushvalue(state, 1)
    this.#show(state, this.#rawRef)
    api.lua_replace(state, globalsIndex)
    api.lua_remove(state, 1)
    this.#hideStringMetatable()
  }

  #hideStringMetatable(): void {
    const { machine } = this
    const { api, state } = machine
    api.lua_createtable(state, 0, 1)
    this.pushRawGlobals(state)
    api.lua_getfield(state, -1, machine.name('string'))
    api.lua_remove(state, -2)
    api.lua_setfield(state, -2, machine.name('__index'))
    this.#freeze(state)
    this.#stringMetaRef = api.luaL_ref(state, registry)
    machine.pop(state, 1)
  }

  /** The table on top of the stack: pushes one that shows it and can't be changed. */
  #freeze(state: LuaState): number {
    const { machine } = this
    const { api } = machine
    api.lua_pushvalue(state, -1)
    const ref = api.luaL_ref(state, registry)
    api.lua_createtable(state, 0, 0)
    this.#show(state, ref)
    api.lua_createtable(state, 0, 2)
    api.lua_pushvalue(state, -3)
    api.lua_setfield(state, -2, machine.name('__index'))
    machine.pushFunction(state, (inner) => machine.raise(inner, readonlyText))
    api.lua_setfield(state, -2, machine.name('__newindex'))
    api.lua_setmetatable(state, -2)
    return 1
  }

  /** The table on top of the stack shows that of `ref`. */
  #show(state: LuaState, ref: number): void {
    const { api } = this.machine
    this.#frozen.set(api.lua_topointer(state, -1), ref)
    api.lua_pushvalue(state, -1)
    this.#shownRefs.push(api.luaL_ref(state, registry))
  }

  #isFrozen(state: LuaState, index: number): boolean {
    return this.#frozen.has(this.machine.api.lua_topointer(state, index))
  }

  /** Puts what it shows in the place of a table that only shows another. */
  #unfreeze(state: LuaState, index: number): void {
    const { api } = this.machine
    const ref = this.#frozen.get(api.lua_topointer(state, index))
    if (ref === undefined) return
    api.lua_rawgeti(state, registry, ref)
    api.lua_replace(state, index)
  }

  #refuseWrite(state: LuaState): never {
    this.machine.pushText(state, readonlyText)
    return this.machine.api.lua_error(state)
  }

  #checkAny(state: LuaState, index: number): void {
    if (this.machine.api.lua_type(state, index) === LuaType.none)
      this.machine.raiseArgument(state, index, 'value expected')
  }
}

const raiseMissing =
  (machine: LuaMachine): LuaFunction =>
  (state) => {
    const name = machine.text(state, 2)
    return machine.raise(state, `Script attempted to access nonexistent global variable '${name}'`)
  }

export function pushLibrary(machine: LuaMachine, state: LuaState, library: Library): void {
  machine.api.lua_createtable(state, 0, Object.keys(library).length)
  setFields(machine, state, library)
}

/** Of the table on top of the stack. */
function setFields(machine: LuaMachine, state: LuaState, library: Library): void {
  const { api } = machine
  for (const [key, value] of Object.entries(library)) {
    if (typeof value === 'function') machine.pushFunction(state, value)
    else if (typeof value === 'number') api.lua_pushnumber(state, value)
    else if (value === null) api.lua_pushlightuserdata(state, 0)
    else machine.pushText(state, value)
    api.lua_setfield(state, -2, machine.name(key))
  }
}
