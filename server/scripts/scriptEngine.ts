/**
 * Compiles and runs scripts in one sandbox. What a script returns, or the error that it ends with, becomes the reply. All
 * that touches Lua happens in protected calls: an error, memory that runs out included, never gets past them.
 */
import type { ScriptKind } from '#protocol/frames/scriptWatch.ts'
import type { ReplyWriter } from '#protocol/resp/replyWriter.ts'
import type { Arguments } from '#server/commands/arguments.ts'
import { bitLibrary } from './bitLibrary.ts'
import type { ScriptWatch } from './host.ts'
import { JsonLibrary } from './jsonLibrary.ts'
import {
  type LuaFunction,
  LuaHook,
  LuaMachine,
  type LuaState,
  LuaStatus,
  LuaType,
  registryIndex,
} from './luaMachine.ts'
import { LuaToReply } from './luaToReply.ts'
import { MessagePackLibrary } from './messagePackLibrary.ts'
import { PatternLibrary } from './patternLibrary.ts'
import { type Caller, RedisLibrary } from './redisLibrary.ts'
import { Sandbox } from './sandbox.ts'
import { StructLibrary } from './structLibrary.ts'

/**
 * So many instructions of Lua between two looks at whether the script is to end: some tens of microseconds, but seconds when each
 * tenth one is a call of C that takes long (`table.insert` at the front of a large table). Looking takes 2 % of the time.
 */
const hookEvery = 2_000
/** Memory that Lua has taken it keeps: with more than this it is given up and built anew. */
const heapBytesKept = 64 * 1024 * 1024

/** What `run` executes: a reference to a compiled function, with what it is given. */
export interface ScriptCall {
  /** As error texts name it. */
  readonly name: string
  readonly ref: number
  readonly args: Arguments
  /** Keys are the arguments [firstKey, firstArgument), the others follow. */
  readonly firstKey: number
  readonly firstArgument: number
}

export class ScriptEngine {
  readonly library: RedisLibrary
  readonly machine: LuaMachine
  readonly sandbox: Sandbox
  readonly #caller: Caller
  readonly #watch: ScriptWatch
  readonly #toReply: LuaToReply
  readonly #enter: number
  readonly #hook: number
  #entered: LuaFunction = () => 0
  #isKilled = false
  #failure: unknown = null
  #isBroken = false

  readonly #kind: ScriptKind
  /** Called now and then while Lua runs. */
  onLook: ((state: LuaState) => void) | null = null

  constructor(
    module: WebAssembly.Module,
    heapBytesMax: number,
    caller: Caller,
    watch: ScriptWatch,
    kind: ScriptKind,
  ) {
    this.#kind = kind
    this.machine = new LuaMachine(module, heapBytesMax)
    this.#caller = caller
    this.#watch = watch
    this.library = new RedisLibrary(this.machine, caller, (state) => this.#stopCalled(state))
    this.sandbox = new Sandbox(this.machine, () => ({
      redis: kind === 'script' ? this.library.table : this.library.functionsTable,
      bit: bitLibrary(this.machine),
      cjson: new JsonLibrary(this.machine).table,
      cmsgpack: new MessagePackLibrary(this.machine).table,
      struct: new StructLibrary(this.machine).table,
      string: new PatternLibrary(this.machine, (state) => this.#lookCalled(state)).table,
    }))
    if (kind === 'function') this.sandbox.remove('__redis__err__handler')
    this.#toReply = new LuaToReply(this.machine)
    this.#enter = this.machine.pointerTo((state) => this.#entered(state))
    this.#hook = this.machine.pointerToHook((state) => this.#look(state))
    this.#setHook(this.machine.state)
  }

  /** It is not to be used again: memory ran out or is too much, or something went wrong in the middle. */
  get isSpent(): boolean {
    return this.#isBroken || this.machine.heapBytes > heapBytesKept
  }

  /** A reference to the function that the text makes; an error text when it makes none. */
  compile(code: string, chunkName: string): number | string {
    const { machine } = this
    let ref = 0
    let message = ''
    const failed = this.protect((state) => {
      if (machine.load(code, chunkName, state) === LuaStatus.ok)
        ref = machine.api.luaL_ref(state, registryIndex)
      else message = machine.text(state, -1)
      return 0
    })
    if (failed !== null) return failed
    return ref === 0 ? message : ref
  }

  forget(ref: number): void {
    this.machine.api.luaL_unref(this.machine.state, registryIndex, ref)
  }

  run(call: ScriptCall, reply: ReplyWriter): void {
    const { sandbox } = this
    const start = reply.length
    this.#caller.resp3 = false
    this.#watch.begin(this.#kind, call.args)
    const failure = this.protect((state) => {
      this.#call(state, call)
      this.#toReply.write(state, reply, this.#caller.resp3)
      return 0
    })
    this.#watch.end()
    sandbox.endScript()
    if (failure === null) return
    reply.truncate(start)
    reply.error(
      failure.startsWith('ERR not enough memory')
        ? this.#memoryText(call.name)
        : withScript(failure, call.name),
    )
  }

  /** Runs `run` where errors are caught; null when there was none, else its text and, behind a NUL, its place. */
  protect(run: LuaFunction): string | null {
    const { machine, sandbox } = this
    const { api, state } = machine
    this.#entered = run
    api.lua_pushcclosure(state, this.#enter, 0)
    let status: number
    try {
      status = api.lua_pcall(state, 0, 0, sandbox.handlerIndex)
    } catch (error) {
      // The stack of the process is full, or the module has met what it can't go on from: the state is lost.
      if (
        !(error instanceof RangeError || error instanceof WebAssembly.RuntimeError) ||
        this.#failure !== null
      )
        throw this.#failure ?? error
      this.#isBroken = true
      return 'ERR the script needs more of the stack than there is'
    }
    if (this.#isKilled) this.#setHook(state)
    this.#isKilled = false
    if (status === LuaStatus.ok) return null
    if (status === LuaStatus.outOfMemory) this.#isBroken = true
    const text = status === LuaStatus.outOfMemory ? 'ERR not enough memory' : this.#errorText(state)
    api.lua_settop(state, sandbox.handlerIndex)
    return text
  }

  /** What a handler of the shard throws is a bug, and ends the process, not the script. */
  fail(error: unknown): never {
    this.#failure = error
    throw error
  }

  /** Of the table that the handler has made of the error. */
  #errorText(state: LuaState): string {
    if (this.machine.api.lua_type(state, -1) !== LuaType.table) return 'ERR execution failure'
    const message = this.#field(state, 'err')
    const source = this.#field(state, 'source')
    const line = this.#field(state, 'line')
    return source === null || line === null
      ? (message ?? 'ERR unknown error')
      : `${message ?? 'ERR unknown error'}\0 on ${source}:${line}.`
  }

  #field(state: LuaState, name: string): string | null {
    const { machine } = this
    machine.pushText(state, name)
    machine.api.lua_rawget(state, -2)
    const type = machine.api.lua_type(state, -1)
    const text = type === LuaType.string || type === LuaType.number ? machine.text(state, -1) : null
    machine.pop(state, 1)
    return text
  }

  #memoryText(name: string): string {
    return `ERR not enough memory: a script may use ${this.machine.heapBytesMax} bytes (script_memory_bytes_max) script: ${name}`
  }

  /** Functions are given what scripts have as globals. */
  #call(state: LuaState, call: ScriptCall): void {
    const { api } = this.machine
    if (this.#kind === 'script') this.#setGlobals(state, call)
    api.lua_rawgeti(state, registryIndex, call.ref)
    if (this.#kind === 'script') {
      api.lua_call(state, 0, 1)
      return
    }
    const { args, firstKey, firstArgument } = call
    this.#pushTexts(state, args, firstKey, firstArgument)
    this.#pushTexts(state, args, firstArgument, args.count)
    api.lua_call(state, 2, 1)
  }

  #setGlobals(state: LuaState, { args, firstKey, firstArgument }: ScriptCall): void {
    const { machine, sandbox } = this
    sandbox.pushRawGlobals(state)
    this.#pushTexts(state, args, firstKey, firstArgument)
    machine.api.lua_setfield(state, -2, machine.name('KEYS'))
    this.#pushTexts(state, args, firstArgument, args.count)
    machine.api.lua_setfield(state, -2, machine.name('ARGV'))
    machine.pop(state, 1)
  }

  #pushTexts(state: LuaState, args: Arguments, from: number, to: number): void {
    const { machine } = this
    const { bytes } = args
    machine.api.lua_createtable(state, to - from, 0)
    for (let i = from; i < to; i++) {
      machine.pushBytes(state, bytes, args.start(i), args.end(i))
      machine.api.lua_rawseti(state, -2, i - from + 1)
    }
  }

  #setHook(state: LuaState): void {
    this.machine.api.lua_sethook(state, this.#hook, LuaHook.count, hookEvery)
  }

  /** Called by Lua now and then. When the script is to end, Lua looks in each line from then on, so that no pcall goes on for long. */
  #look(state: LuaState): void {
    if (this.#watch.isKilled) {
      this.#lookAgain(state, LuaHook.line, 0)
      this.#stop(state)
    }
    this.onLook?.(state)
  }

  /** The same, by a function that Lua has called. */
  #lookCalled(state: LuaState): void {
    if (this.#watch.isKilled) this.#stopCalled(state)
  }

  /** Lua looks here while it handles the error, too, as it does not within `#look`: it is to get to the end of that. */
  #stopCalled(state: LuaState): never {
    // Counting begins anew, once: the handler takes less than that.
    if (!this.#isKilled) this.#lookAgain(state, LuaHook.count, hookEvery)
    return this.#stop(state)
  }

  #lookAgain(state: LuaState, hook: number, every: number): void {
    this.#isKilled = true
    this.machine.api.lua_sethook(state, this.#hook, hook, every)
  }

  #stop(state: LuaState): never {
    return this.library.raise(state, 'Script killed by user with SCRIPT KILL.')
  }
}

/** The error of a script, with its name and the place, when there is one. */
function withScript(failure: string, name: string): string {
  const [message = '', place] = failure.split('\0')
  return place === undefined ? message : `${message} script: ${name},${place}`
}
