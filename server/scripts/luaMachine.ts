/**
 * A Lua 5.1 of its own: an instance of the WebAssembly module that `wasmoon-lua5.1` ships, without the JavaScript around it.
 * What is here knows nothing of Redis: memory, strings as bytes, functions, and errors, which are long jumps in C.
 *
 * The module asks its world for files, clocks and the like; scripts have no way to call what needs them, so they do
 * nothing.
 */
import { copyBytes, latin1, writeLatin1 } from '#runtime/bytes/bytes.ts'
import { invariant } from '#runtime/invariant.ts'

/** A `lua_State`: scripts may run coroutines. */
export type LuaState = number
/** Called by Lua: arguments are on the stack, returns how many results it has pushed. It may leave by `raise`. */
export type LuaFunction = (state: LuaState) => number

export const LuaType = {
  none: -1,
  nil: 0,
  boolean: 1,
  lightUserdata: 2,
  number: 3,
  string: 4,
  table: 5,
  function: 6,
} as const

export const registryIndex = -10000
export const globalsIndex = -10002
export const multipleResults = -1

/** What `lua_pcall` and `luaL_loadbuffer` return. */
export const LuaStatus = { ok: 0, runtimeError: 2, syntaxError: 3, outOfMemory: 4, handlerError: 5 } as const
/** Of `lua_sethook`. */
export const LuaHook = { none: 0, line: 4, count: 8 } as const

/** The C functions that are called, by their names there. Pointers, states and indices are numbers. */
export interface LuaApi {
  lua_call(state: LuaState, argumentCount: number, resultCount: number): void
  lua_checkstack(state: LuaState, more: number): number
  lua_createtable(state: LuaState, arraySize: number, recordSize: number): void
  lua_error(state: LuaState): never
  lua_gc(state: LuaState, what: number, data: number): number
  lua_getfield(state: LuaState, index: number, name: number): void
  lua_getmetatable(state: LuaState, index: number): number
  lua_gettable(state: LuaState, index: number): void
  lua_gettop(state: LuaState): number
  lua_insert(state: LuaState, index: number): void
  lua_next(state: LuaState, index: number): number
  lua_objlen(state: LuaState, index: number): number
  lua_pcall(state: LuaState, argumentCount: number, resultCount: number, handler: number): number
  lua_pushboolean(state: LuaState, value: number): void
  lua_pushcclosure(state: LuaState, pointer: number, upvalueCount: number): void
  lua_pushlightuserdata(state: LuaState, pointer: number): void
  lua_pushlstring(state: LuaState, pointer: number, length: number): void
  lua_pushnil(state: LuaState): void
  lua_pushnumber(state: LuaState, value: number): void
  lua_pushvalue(state: LuaState, index: number): void
  lua_rawequal(state: LuaState, a: number, b: number): number
  lua_rawget(state: LuaState, index: number): void
  lua_rawgeti(state: LuaState, index: number, n: number): void
  lua_rawset(state: LuaState, index: number): void
  lua_rawseti(state: LuaState, index: number, n: number): void
  lua_remove(state: LuaState, index: number): void
  lua_replace(state: LuaState, index: number): void
  lua_setfield(state: LuaState, index: number, name: number): void
  lua_sethook(state: LuaState, pointer: number, mask: number, count: number): void
  lua_settable(state: LuaState, index: number): void
  lua_setmetatable(state: LuaState, index: number): number
  lua_settop(state: LuaState, index: number): void
  lua_toboolean(state: LuaState, index: number): number
  lua_tocfunction(state: LuaState, index: number): number
  lua_tolstring(state: LuaState, index: number, lengthPointer: number): number
  lua_tonumber(state: LuaState, index: number): number
  lua_topointer(state: LuaState, index: number): number
  lua_type(state: LuaState, index: number): number
  luaL_checknumber(state: LuaState, index: number): number
  luaL_checklstring(state: LuaState, index: number, lengthPointer: number): number
  luaL_checktype(state: LuaState, index: number, type: number): void
  luaL_argerror(state: LuaState, index: number, message: number): never
  luaL_where(state: LuaState, level: number): void
  lua_concat(state: LuaState, count: number): void
  luaL_loadbuffer(state: LuaState, pointer: number, length: number, name: number): number
  luaL_newstate(): LuaState
  luaL_ref(state: LuaState, index: number): number
  luaL_unref(state: LuaState, index: number, ref: number): void
  luaopen_base(state: LuaState): number
  luaopen_debug(state: LuaState): number
  luaopen_math(state: LuaState): number
  luaopen_string(state: LuaState): number
  luaopen_table(state: LuaState): number
}

interface Exports extends LuaApi {
  memory: WebAssembly.Memory
  __indirect_function_table: WebAssembly.Table
  __wasm_call_ctors(): void
  emscripten_stack_init(): void
  malloc(sizeBytes: number): number
  free(pointer: number): void
  stackSave(): number
  stackRestore(pointer: number): void
  setThrew(threw: number, value: number): void
}

/** How C's `longjmp` crosses JavaScript. Nothing else throws a symbol. */
const longJump = Symbol('longjmp')
const pageBytes = 64 * 1024
const scratchBytesMin = 16 * 1024

/** Compiled once for all that run it. */
export class LuaModule {
  readonly #read: () => Uint8Array
  #compiled: WebAssembly.Module | null = null

  /** `read` reads the WebAssembly module of Lua, when it is first needed. */
  constructor(read: () => Uint8Array) {
    this.#read = read
  }

  get compiled(): WebAssembly.Module {
    this.#compiled ??= new WebAssembly.Module(this.#read())
    return this.#compiled
  }
}

export class LuaMachine {
  readonly api: LuaApi
  readonly state: LuaState
  readonly heapBytesMax: number
  readonly #exports: Exports
  readonly #functions: ((...args: number[]) => number)[] = []
  #heap: Uint8Array
  #lengths: Int32Array
  readonly #lengthPointer: number
  #scratch: number
  #scratchBytes = scratchBytesMin
  readonly #names = new Map<string, number>()
  /** What C calls by pointers, and the pointer of the first of the last batch. */
  readonly #callbacks: LuaFunction[] = []
  #batchPointer = 0

  constructor(module: WebAssembly.Module, heapBytesMax: number) {
    this.heapBytesMax = heapBytesMax
    const exports = new WebAssembly.Instance(module, this.#imports()).exports as unknown as Exports
    this.#exports = exports
    this.api = exports
    this.#heap = new Uint8Array(exports.memory.buffer)
    this.#lengths = new Int32Array(exports.memory.buffer)
    exports.emscripten_stack_init()
    exports.__wasm_call_ctors()
    this.#lengthPointer = exports.malloc(8)
    this.#scratch = exports.malloc(this.#scratchBytes)
    this.state = exports.luaL_newstate()
    invariant(this.state !== 0, 'there is memory for an empty Lua state')
  }

  /** What the instance has taken and never gives back. */
  get heapBytes(): number {
    return this.#exports.memory.buffer.byteLength
  }

  /** The memory of the instance, until something allocates. */
  get heap(): Uint8Array {
    // Memory that grows leaves views of the former one without length.
    if (this.#heap.length === 0) this.#refresh()
    return this.#heap
  }

  /** Lua functions that call `run` are made of it. */
  pointerTo(run: LuaFunction): number {
    const place = this.#callbacks.push(run) - 1
    if (place % batchFunctions === 0) this.#addBatch(place)
    return this.#batchPointer + (place % batchFunctions)
  }

  /** A function of C, of a library that is open, for what stands in its place. */
  functionOf(library: string, name: string): LuaFunction {
    const { api, state } = this
    api.lua_getfield(state, globalsIndex, this.name(library))
    api.lua_getfield(state, -1, this.name(name))
    const pointer = api.lua_tocfunction(state, -1)
    this.pop(state, 2)
    return this.#exports.__indirect_function_table.get(pointer) as LuaFunction
  }

  /** As `pointerTo`, for `lua_sethook`. */
  pointerToHook(run: (state: LuaState) => void): number {
    const { __indirect_function_table: table } = this.#exports
    const index = table.grow(1)
    table.set(
      index,
      new WebAssembly.Instance(hookModule, { e: { [batchName(0)]: run } }).exports[batchName(0)],
    )
    return index
  }

  /** A C string that stays: for the names of fields. */
  name(text: string): number {
    let pointer = this.#names.get(text)
    if (pointer === undefined) {
      pointer = this.#exports.malloc(text.length + 1)
      writeLatin1(this.heap, pointer, `${text}\0`)
      this.#names.set(text, pointer)
    }
    return pointer
  }

  pushText(state: LuaState, text: string): void {
    const pointer = this.#room(state, text.length)
    writeLatin1(this.heap, pointer, text)
    this.api.lua_pushlstring(state, pointer, text.length)
  }

  pushBytes(state: LuaState, bytes: Uint8Array, start: number, end: number): void {
    const pointer = this.#room(state, end - start)
    copyBytes(this.heap, pointer, bytes, start, end)
    this.api.lua_pushlstring(state, pointer, end - start)
  }

  pushFunction(state: LuaState, run: LuaFunction): void {
    this.api.lua_pushcclosure(state, this.pointerTo(run), 0)
  }

  /** A string; a number in the words of Lua (and it becomes a string in its place); '' for anything else. */
  text(state: LuaState, index: number): string {
    const pointer = this.pointer(state, index)
    return latin1(this.heap, pointer, pointer + this.length)
  }

  /** Where the string lies in `heap`; `length` is its length. 0: it is none. */
  pointer(state: LuaState, index: number): number {
    const pointer = this.api.lua_tolstring(state, index, this.#lengthPointer)
    if (pointer === 0) this.#lengthsNow[this.#lengthPointer >> 2] = 0
    return pointer
  }

  /** The same for an argument that must be a string: raises Lua's own error when it is none. */
  checkText(state: LuaState, index: number): string {
    const pointer = this.checkPointer(state, index)
    return latin1(this.heap, pointer, pointer + this.length)
  }

  /** The same as a place in `heap`; `length` is its length. */
  checkPointer(state: LuaState, index: number): number {
    return this.api.luaL_checklstring(state, index, this.#lengthPointer)
  }

  get length(): number {
    return this.#lengthsNow[this.#lengthPointer >> 2] as number
  }

  pop(state: LuaState, count: number): void {
    this.api.lua_settop(state, -count - 1)
  }

  /** Leaves the running function with an error: text behind the place in the script, as C's `luaL_error`. */
  raise(state: LuaState, text: string): never {
    this.api.luaL_where(state, 1)
    this.pushText(state, text)
    this.api.lua_concat(state, 2)
    return this.api.lua_error(state)
  }

  /** As Lua itself does it when there is none left. */
  raiseMemory(state: LuaState): never {
    this.pushText(state, 'not enough memory')
    return this.api.lua_error(state)
  }

  /** As `luaL_argerror`: `bad argument #1 to 'name' (text)`. */
  raiseArgument(state: LuaState, index: number, text: string): never {
    return this.api.luaL_argerror(state, index, this.name(text))
  }

  /** Compiles; on an error its text is pushed instead of the function. */
  load(text: string, name: string, state: LuaState = this.state): number {
    const pointer = this.#exports.malloc(Math.max(1, text.length))
    if (pointer === 0) return LuaStatus.outOfMemory
    writeLatin1(this.heap, pointer, text)
    const status = this.#loadNamed(state, pointer, text.length, name)
    this.#exports.free(pointer)
    return status
  }

  #loadNamed(state: LuaState, pointer: number, length: number, name: string): number {
    const copy = this.#exports.malloc(name.length + 1)
    if (copy === 0) return LuaStatus.outOfMemory
    writeLatin1(this.heap, copy, `${name}\0`)
    const status = this.api.luaL_loadbuffer(state, pointer, length, copy)
    this.#exports.free(copy)
    return status
  }

  get #lengthsNow(): Int32Array {
    if (this.#lengths.length === 0) this.#refresh()
    return this.#lengths
  }

  #refresh(): void {
    this.#heap = new Uint8Array(this.#exports.memory.buffer)
    this.#lengths = new Int32Array(this.#exports.memory.buffer)
  }

  /** Memory for a string on its way to Lua, which copies it. */
  #room(state: LuaState, lengthBytes: number): number {
    if (lengthBytes <= this.#scratchBytes) return this.#scratch
    const pointer = this.#exports.malloc(lengthBytes)
    if (pointer === 0) return this.raiseMemory(state)
    this.#exports.free(this.#scratch)
    this.#scratch = pointer
    this.#scratchBytes = lengthBytes
    return pointer
  }

  /** Places in the table for functions that come now or later. */
  #addBatch(first: number): void {
    const { __indirect_function_table: table } = this.#exports
    const callbacks = this.#callbacks
    const names = Array.from({ length: batchFunctions }, (_, i) => batchName(i))
    const calls = names.map((name, i) => [name, (state: LuaState) => callbacks[first + i]?.(state)])
    const wrapped = new WebAssembly.Instance(batchModule, { e: Object.fromEntries(calls) }).exports
    this.#batchPointer = table.grow(batchFunctions)
    for (const [i, name] of names.entries()) table.set(this.#batchPointer + i, wrapped[name])
  }

  #imports(): Record<string, Record<string, unknown>> {
    const env: Record<string, unknown> = {
      invoke_vii: (index: number, a: number, b: number) => this.#invoke(index, a, b),
      _emscripten_throw_longjmp: () => {
        throw longJump
      },
      emscripten_memcpy_js: (to: number, from: number, count: number) => {
        this.heap.copyWithin(to, from, from + count)
      },
      emscripten_resize_heap: (wantedBytes: number) => this.#grow(wantedBytes >>> 0),
      exit: () => invariant(false, 'Lua does not end the process'),
    }
    for (const name of refusedEnvironment) env[name] = () => -1
    const files: Record<string, unknown> = {}
    for (const name of refusedFiles) files[name] = () => badDescriptor
    return { env, wasi_snapshot_preview1: files }
  }

  #invoke(index: number, a: number, b: number): void {
    const exports = this.#exports
    const stack = exports.stackSave()
    try {
      let called = this.#functions[index]
      if (called === undefined) {
        called = exports.__indirect_function_table.get(index) as (...args: number[]) => number
        this.#functions[index] = called
      }
      called(a, b)
    } catch (error) {
      if (error !== longJump) throw error
      exports.stackRestore(stack)
      exports.setThrew(1, 0)
    }
  }

  #grow(wantedBytes: number): number {
    if (wantedBytes > this.heapBytesMax) return 0
    const { memory } = this.#exports
    const size = memory.buffer.byteLength
    // A fifth more than asked for, so that a growing table does not come for each page.
    const goalBytes = Math.min(this.heapBytesMax, Math.max(wantedBytes, size + size / 5))
    try {
      memory.grow(Math.ceil((goalBytes - size) / pageBytes))
      return 1
    } catch {
      return 0
    }
  }
}

const badDescriptor = 8
const refusedFiles = [
  'fd_write',
  'fd_read',
  'fd_close',
  'fd_seek',
  'environ_sizes_get',
  'environ_get',
] as const
const refusedEnvironment = [
  'strftime',
  'emscripten_date_now',
  '_emscripten_get_now_is_monotonic',
  '__syscall_openat',
  '__syscall_fcntl64',
  '__syscall_ioctl',
  '__syscall_dup3',
  '__syscall_unlinkat',
  '__syscall_rmdir',
  '__syscall_renameat',
  '_emscripten_system',
  '__syscall_readlinkat',
  '_tzset_js',
  '_mktime_js',
  '_localtime_js',
  '_gmtime_js',
] as const

const i32 = 0x7f

/** An instance takes as long as dozens of functions do, and a sandbox has a hundred functions. */
const batchFunctions = 64

/** A byte each. */
const batchName = (i: number): string => String.fromCharCode(0x30 + i)

/**
 * A table of functions takes only those of some module. This is the least one: it imports functions of so many integers and exports
 * them again.
 */
function wrapperModule(functions: number, parameters: number, results: number): WebAssembly.Module {
  const names = Array.from({ length: functions }, (_, i) => batchName(i).charCodeAt(0))
  const bytes = Uint8Array.from([
    ...[0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
    ...section(1, [1, 0x60, parameters, ...repeated(parameters), results, ...repeated(results)]),
    ...section(2, [functions, ...names.flatMap((name) => [1, 0x65, 1, name, 0, 0])]),
    ...section(7, [functions, ...names.flatMap((name, i) => [1, name, 0, i])]),
  ])
  return new WebAssembly.Module(bytes)
}

/** Up to 16 KiB - 1; its length in LEB128 of two bytes. */
const section = (id: number, content: readonly number[]): number[] => [
  id,
  (content.length & 0x7f) | 0x80,
  content.length >> 7,
  ...content,
]

const repeated = (count: number): number[] => new Array<number>(count).fill(i32)

const batchModule = wrapperModule(batchFunctions, 1, 1)
const hookModule = wrapperModule(1, 2, 0)
