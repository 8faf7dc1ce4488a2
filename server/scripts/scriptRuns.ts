/**
 * The Lua that one kind of scripts runs in, EVAL's or functions: made when it is first needed, and anew when it is spent; and what
 * scripts call while they run in it.
 */
import type { ScriptKind } from '#protocol/frames/scriptWatch.ts'
import type { ReplyWriter } from '#protocol/resp/replyWriter.ts'
import { invariant } from '#runtime/invariant.ts'
import type { LogLevel, ScriptHost, ScriptWatch } from './host.ts'
import type { LuaModule } from './luaMachine.ts'
import type { Caller } from './redisLibrary.ts'
import { type ScriptCall, ScriptEngine } from './scriptEngine.ts'

export interface ScriptParts {
  host: ScriptHost
  watch: ScriptWatch
  lua: LuaModule
  monotonicMs(): number
}

export class ScriptRuns implements Caller {
  resp3 = false
  /** Of the engine: references of another one mean nothing. */
  generation = 0
  heapBytesMax: number
  readonly #parts: ScriptParts
  readonly #kind: ScriptKind
  #engine: ScriptEngine | null = null
  /** The watch has let the running script write. */
  #isWriting = false

  constructor(parts: ScriptParts, kind: ScriptKind, heapBytesMax: number) {
    this.#parts = parts
    this.#kind = kind
    this.heapBytesMax = heapBytesMax
  }

  ready(): ScriptEngine {
    if (this.#engine !== null) return this.#engine
    const { lua, watch } = this.#parts
    this.#engine = new ScriptEngine(lua.compiled, this.heapBytesMax, this, watch, this.#kind)
    this.generation++
    return this.#engine
  }

  run(engine: ScriptEngine, call: ScriptCall, reply: ReplyWriter): void {
    this.#isWriting = false
    engine.run(call, reply)
    this.dropSpent()
  }

  dropSpent(): void {
    if (this.#engine?.isSpent === true) this.#engine = null
  }

  /** Of this generation. */
  forget(ref: number, generation: number): void {
    if (generation === this.generation) this.#engine?.forget(ref)
  }

  drop(): void {
    this.#engine = null
  }

  call(request: ReplyWriter, reply: ReplyWriter): boolean {
    try {
      return this.#parts.host.call(request, reply, this.#mayWrite)
    } catch (error) {
      invariant(this.#engine !== null, 'a script runs')
      return this.#engine.fail(error)
    }
  }

  mayCall(request: ReplyWriter): boolean | string {
    return this.#parts.host.allows(request) ?? 'Invalid command passed to redis.acl_check_cmd()'
  }

  log(level: LogLevel, text: string): void {
    this.#parts.host.log(level, text)
  }

  readonly #mayWrite = (): boolean => {
    this.#isWriting ||= this.#parts.watch.mayWrite()
    return this.#isWriting
  }
}
