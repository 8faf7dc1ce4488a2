/**
 * Runs the code of a library, in which it registers its functions. It sees nothing but a `redis` to register and to log with: what it
 * does then must be the same wherever and whenever it is loaded.
 */
import { type LuaState, LuaStatus, LuaType, registryIndex } from './luaMachine.ts'
import type { ScriptEngine } from './scriptEngine.ts'
import { type FlagName, flagNamesIn } from './shebang.ts'

export interface RegisteredFunction {
  readonly name: string
  readonly description: string | null
  readonly flags: readonly FlagName[]
  /** In the engine. */
  readonly ref: number
}

const chunkName = '@user_function'
const namePattern = /^[A-Za-z0-9_]+$/
export const isLibraryName = (name: string): boolean => namePattern.test(name)
/** Redis says so of functions, too. */
export const badName =
  'Library names can only contain letters, numbers, or underscores(_) and must be at least one character long'
const self = 'redis.register_function'

export class LibraryLoader {
  readonly engine: ScriptEngine
  readonly #globalsRef: number
  /** What the library that is being loaded has registered; null: none is. */
  #registered: Map<string, RegisteredFunction> | null = null

  constructor(engine: ScriptEngine) {
    this.engine = engine
    const { sandbox, library, machine } = engine
    this.#globalsRef = sandbox.loadingGlobals(machine.state, {
      ...library.loadingTable,
      register_function: (state) => this.#register(state),
    })
  }

  /** Its functions, or an error text. `isLate` is asked now and then: the library has taken too long. */
  load(code: string, isLate: () => boolean): RegisteredFunction[] | string {
    const { engine } = this
    const { sandbox, machine } = engine
    const registered = new Map<string, RegisteredFunction>()
    let compiles = false
    this.#registered = registered
    sandbox.beginLoading(this.#globalsRef)
    engine.onLook = (state) => {
      if (isLate()) engine.library.raise(state, 'FUNCTION LOAD timeout')
    }
    let syntaxError = ''
    const failure = engine.protect((state) => {
      compiles = machine.load(code, chunkName, state) === LuaStatus.ok
      if (compiles) machine.api.lua_call(state, 0, 0)
      else syntaxError = machine.text(state, -1)
      return 0
    })
    engine.onLook = null
    sandbox.endLoading()
    sandbox.endScript()
    this.#registered = null
    if (failure === null && compiles && registered.size > 0) return [...registered.values()]
    for (const { ref } of registered.values()) engine.forget(ref)
    if (failure !== null) return `ERR Error registering functions: ${failure.split('\0')[0]}`
    return compiles ? 'ERR No functions registered' : `ERR Error compiling function: ${syntaxError}`
  }

  #register(state: LuaState): number {
    const { machine, library } = this.engine
    const { api } = machine
    const registered = this.#registered
    if (registered === null)
      return library.raise(state, `${self} can only be called on FUNCTION LOAD command`)
    const given = this.#arguments(state)
    const { name, description, flags, callbackAt } = given
    if (!isLibraryName(name)) library.raise(state, badName)
    if (registered.has(name)) library.raise(state, 'Function already exists in the library')
    api.lua_pushvalue(state, callbackAt)
    const ref = api.luaL_ref(state, registryIndex)
    registered.set(name, { name, description, flags, ref })
    return 0
  }

  #arguments(state: LuaState): Omit<RegisteredFunction, 'ref'> & { callbackAt: number } {
    const { machine, library } = this.engine
    const { api } = machine
    const count = api.lua_gettop(state)
    if (count < 1 || count > 2) library.raise(state, `wrong number of arguments to ${self}`)
    if (count === 1) return this.#named(state)
    if (!this.#isText(state, 1)) library.raise(state, `first argument to ${self} must be a string`)
    if (api.lua_type(state, 2) !== LuaType.function)
      library.raise(state, `second argument to ${self} must be a function`)
    return { name: machine.text(state, 1), description: null, flags: [], callbackAt: 2 }
  }

  /** One table of named arguments; the callback is left on the stack. */
  #named(state: LuaState): Omit<RegisteredFunction, 'ref'> & { callbackAt: number } {
    const { machine, library } = this.engine
    const { api } = machine
    if (api.lua_type(state, 1) !== LuaType.table)
      library.raise(
        state,
        `calling ${self} with a single argument is only applicable to Lua table (representing named arguments).`,
      )
    let name: string | null = null
    let description: string | null = null
    let flags: readonly FlagName[] = []
    // A place for the callback.
    api.lua_pushnil(state)
    api.lua_pushnil(state)
    while (api.lua_next(state, 1) !== 0) {
      const key = api.lua_type(state, 3) === LuaType.string ? machine.text(state, 3) : ''
      switch (key) {
        case 'function_name':
        case 'description': {
          if (!this.#isText(state, 4))
            library.raise(state, `${key} argument given to ${self} must be a string`)
          const text = machine.text(state, 4)
          if (key === 'description') description = text
          else name = text
          break
        }
        case 'callback':
          if (api.lua_type(state, 4) !== LuaType.function)
            library.raise(state, `callback argument given to ${self} must be a function`)
          api.lua_pushvalue(state, 4)
          api.lua_replace(state, 2)
          break
        case 'flags':
          flags = this.#flags(state)
          break
        default:
          library.raise(state, `unknown argument given to ${self}`)
      }
      machine.pop(state, 1)
    }
    if (name === null) return library.raise(state, `${self} must get a function name argument`)
    if (api.lua_type(state, 2) === LuaType.nil) library.raise(state, `${self} must get a callback argument`)
    return { name, description, flags, callbackAt: 2 }
  }

  /** Of the table at 4. */
  #flags(state: LuaState): FlagName[] {
    const { machine, library } = this.engine
    const { api } = machine
    if (api.lua_type(state, 4) !== LuaType.table)
      library.raise(state, `flags argument to ${self} must be a table representing function flags`)
    const names: string[] = []
    for (let i = 1; ; i++) {
      api.lua_rawgeti(state, 4, i)
      const type = api.lua_type(state, -1)
      if (type !== LuaType.nil) names.push(machine.text(state, -1))
      machine.pop(state, 1)
      if (type === LuaType.nil) break
    }
    return flagNamesIn(names) ?? library.raise(state, 'unknown flag given')
  }

  #isText(state: LuaState, index: number): boolean {
    const type = this.engine.machine.api.lua_type(state, index)
    return type === LuaType.string || type === LuaType.number
  }
}
