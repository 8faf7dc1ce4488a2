/**
 * The scripts that this shard knows, by what they are and by the SHA-1 of it, and what the commands about them do. Lua is there
 * from the first script on; what a shard without scripts pays is this object.
 */
import { ReplyError } from '#protocol/resp/errors.ts'
import type { CommandContext } from '#server/commands/context.ts'
import type { ScriptHost } from './host.ts'
import type { ScriptEngine } from './scriptEngine.ts'
import { type ScriptParts, ScriptRuns } from './scriptRuns.ts'
import { sha1 } from './sha1.ts'
import { readShebang, type ScriptFlags } from './shebang.ts'

export interface ScriptLimits {
  /** Of one Lua with all it holds. */
  scriptMemoryBytesMax: number
  /** Of the texts that are kept. */
  scriptCacheBytesMax: number
}

interface Script {
  readonly text: string
  readonly sha: string
  readonly flags: ScriptFlags | null
  readonly code: string
  /** Its function in the engine of `generation`. */
  ref: number
  generation: number
}

export interface Evaluation {
  bySha: boolean
  readOnly: boolean
}

const noScript = 'NOSCRIPT No matching script. Please use EVAL.'
const shaLength = 40
/** Behind the command, the script and the number of keys. */
export const firstKey = 3
const chunkName = '@user_script'

export class Scripts {
  readonly #host: ScriptHost
  readonly #runs: ScriptRuns
  readonly #byText = new Map<string, Script>()
  readonly #bySha = new Map<string, Script>()
  #cacheBytesMax: number
  #textBytes = 0

  constructor(parts: ScriptParts, limits: ScriptLimits) {
    this.#host = parts.host
    this.#runs = new ScriptRuns(parts, 'script', limits.scriptMemoryBytesMax)
    this.#cacheBytesMax = limits.scriptCacheBytesMax
  }

  set limits({ scriptMemoryBytesMax, scriptCacheBytesMax }: ScriptLimits) {
    this.#runs.heapBytesMax = scriptMemoryBytesMax
    this.#cacheBytesMax = scriptCacheBytesMax
  }

  evaluate(context: CommandContext, { bySha, readOnly }: Evaluation): void {
    const { args, reply } = context
    if (bySha && args.bytesLength(1) !== shaLength) throw new ReplyError(noScript)
    const keyCount = countOfKeys(args.integer(2), args.count)
    const text = args.text(1)
    const script = bySha ? this.#bySha.get(text.toLowerCase()) : (this.#byText.get(text) ?? this.#add(text))
    if (script === undefined) throw new ReplyError(noScript)
    const { flags } = script
    if (readOnly && flags !== null && !flags.noWrites)
      throw new ReplyError('ERR Can not execute a script with write flag using *_ro command.')
    const rights = {
      readOnly: readOnly || flags?.noWrites === true,
      allowOom: flags?.allowOom === true,
      saysItsNeeds: flags !== null,
    }
    const firstArgument = firstKey + keyCount
    const refusal = this.#host.begin(context, rights, firstKey, firstArgument)
    if (refusal !== null) throw new ReplyError(refusal)
    const engine = this.#runs.ready()
    const ref = this.#refOf(script, engine)
    this.#runs.run(engine, { name: script.sha, ref, args, firstKey, firstArgument }, reply)
  }

  load(text: string): string {
    return (this.#byText.get(text) ?? this.#add(text)).sha
  }

  has(sha: string): boolean {
    return this.#bySha.has(sha.toLowerCase())
  }

  flush(): void {
    this.#byText.clear()
    this.#bySha.clear()
    this.#textBytes = 0
    this.#runs.drop()
  }

  /** Compiles it, too: a text that Lua doesn't understand is not kept. */
  #add(text: string): Script {
    const read = readShebang(text)
    if (typeof read === 'string') throw new ReplyError(read)
    const engine = this.#runs.ready()
    const ref = engine.compile(read.code, chunkName)
    if (typeof ref === 'string') throw new ReplyError(`ERR Error compiling script (new function): ${ref}`)
    const script = { text, sha: sha1(text), ...read, ref, generation: this.#runs.generation }
    this.#byText.set(text, script)
    this.#bySha.set(script.sha, script)
    this.#textBytes += text.length
    this.#forgetOldest(script)
    return script
  }

  /** The oldest go when the texts are too long together; who needs them again gets NOSCRIPT, as after a restart. */
  #forgetOldest(kept: Script): void {
    for (const script of this.#byText.values()) {
      if (this.#textBytes <= this.#cacheBytesMax || script === kept) return
      this.#byText.delete(script.text)
      this.#bySha.delete(script.sha)
      this.#textBytes -= script.text.length
      this.#runs.forget(script.ref, script.generation)
    }
  }

  #refOf(script: Script, engine: ScriptEngine): number {
    if (script.generation !== this.#runs.generation) {
      const ref = engine.compile(script.code, chunkName)
      if (typeof ref === 'string') throw new ReplyError(`ERR Error compiling script (new function): ${ref}`)
      script.ref = ref
      script.generation = this.#runs.generation
    }
    return script.ref
  }
}

/** `EVAL script numkeys ...`: the command has `argumentCount` arguments with its name. */
export function countOfKeys(count: number | bigint, argumentCount: number): number {
  if (count > argumentCount - 3)
    throw new ReplyError("ERR Number of keys can't be greater than number of args")
  if (count < 0) throw new ReplyError("ERR Number of keys can't be negative")
  return Number(count)
}
