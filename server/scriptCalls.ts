/**
 * The commands that scripts call. Each is judged as Redis judges it, then runs with the same handler as a client's, within
 * the transaction of the script.
 */
import type { CommandSpec } from '#protocol/commands/index.ts'
import { keyPositions } from '#protocol/commands/keys.ts'
import { commandIn } from '#protocol/commands/request.ts'
import { ReplyError } from '#protocol/resp/errors.ts'
import type { ReplyWriter } from '#protocol/resp/replyWriter.ts'
import { defaultRequestLimits, RequestScanner } from '#protocol/resp/requestScanner.ts'
import { slotOf } from '#protocol/slots/crc16.ts'
import { copyOf } from '#runtime/bytes/bytes.ts'
import { invariant } from '#runtime/invariant.ts'
import type { Logger } from '#runtime/ports.ts'
import { CommandArguments } from '#server/commands/arguments.ts'
import type { CommandContext, Handler } from '#server/commands/context.ts'
import { handlersInScripts } from '#server/commands/inScripts.ts'
import type { LogLevel, ScriptHost, ScriptRights } from '#server/scripts/host.ts'
import type { WriteGates } from './gates.ts'
import type { Runnable, Runnables } from './runnables.ts'
import type { ScriptUser } from './scriptUser.ts'
import type { Tracking } from './tracking.ts'

export interface ScriptCallParts {
  runnables: Runnables
  gates: WriteGates
  tracking: Tracking
  logger: Logger
  /** There are other shards, which a script does not reach. */
  hasOtherShards: boolean
  owns(slot: number): boolean
  /** A command is about to run, whose request is [0, end). */
  called(bytes: Uint8Array, end: number): void
}

const unknownCommand = 'ERR Unknown Redis command called from script'
const wrongCount = 'ERR Wrong number of args calling Redis command from script'
const notAllowed = 'ERR This Redis command is not allowed from script'
const readOnlyScript = 'ERR Write commands are not allowed from read-only scripts.'
const crossSlotText = 'ERR Script attempted to access keys that do not hash to the same slot'
const elsewhere = 'ERR Script attempted to access a non local key in a cluster node'
const outOfMemoryScript =
  "OOM allow-oom flag is not set on the script, can not run it when used memory > 'maxmemory'"
const noSlot = -1
/** Of what one script, or the transaction around it, may write. */
const effectBytesMax = 256 * 1024 * 1024

export class ScriptCalls implements ScriptHost {
  /** Why writes that need memory are refused; null: they are not. Judged before the transaction began. */
  memoryRefusal: string | null = null
  /** Whose rules what is called is judged by; null: it may do everything. */
  user: ScriptUser | null = null
  /** Of the keys that the transaction uses; -1: none so far. */
  slot = noSlot
  readonly #parts: ScriptCallParts
  readonly #scanner = new RequestScanner(defaultRequestLimits)
  /** Same keyspace, transaction and time as that of the command which runs the script. */
  #context: CommandContext | null = null
  #rights: ScriptRights = { readOnly: true, allowOom: false, saysItsNeeds: false }
  #hasWritten = false
  /** So far, by the transaction. */
  #writtenBytes = 0

  constructor(parts: ScriptCallParts) {
    this.#parts = parts
  }

  begin(outer: CommandContext, rights: ScriptRights, firstKey: number, keysEnd: number): string | null {
    const { gates } = this.#parts
    if (rights.saysItsNeeds && !rights.readOnly) {
      if (gates.refusal !== null) return gates.refusal
      if (!rights.allowOom && this.memoryRefusal !== null) return outOfMemoryScript
    }
    this.#rights = rights
    this.#hasWritten = outer.write.written
    this.#writtenBytes = outer.write.recordBytesMax
    this.#context ??= { ...outer, args: new CommandArguments(this.#scanner) }
    this.#context.nowMs = outer.nowMs
    this.#context.streamIdMode = outer.streamIdMode
    if (!outer.sharded) return null
    const { args } = outer
    for (let i = firstKey; i < keysEnd; i++) {
      const refusal = this.#bind(slotOf(args.bytes, args.start(i), args.end(i)))
      if (refusal !== null) return refusal
    }
    return null
  }

  call(request: ReplyWriter, reply: ReplyWriter, mayWrite: () => boolean): boolean {
    const scanner = this.#scanner
    const end = scanner.scan(request.bytes, 0, request.length)
    invariant(end === request.length, 'what a script calls is a request')
    const context = this.#context
    invariant(context !== null, 'a script has begun')
    const runnable = this.#parts.runnables.found(scanner)
    if (runnable === null) {
      this.#parts.called(request.bytes, end)
      this.#callOther(context, reply)
      return true
    }
    const refusal = this.#refusal(runnable, context)
    if (refusal !== null) {
      reply.error(refusal)
      return true
    }
    if (runnable.isWrite && !mayWrite()) return false
    // Effects are encoded when the script has ended, from where its calls lie; the next call overwrites the request.
    if (runnable.isWrite) scanner.scan(copyOf(request.bytes, 0, end), 0, end)
    runnable.calls++
    this.#parts.called(request.bytes, end)
    context.events.tellsMisses = runnable.tellsMisses
    if (!this.#run(runnable.handler, context, reply, runnable.spec.lowerName)) runnable.failedCalls++
    context.events.tellsMisses = false
    const { tracking } = this.#parts
    if (tracking.isReading && runnable.isRead) tracking.readKeysOf(runnable.spec, scanner)
    if (runnable.isWrite) {
      this.#hasWritten = true
      this.#writtenBytes = context.write.recordBytesMax
    }
    return true
  }

  allows(request: ReplyWriter): boolean | null {
    const scanner = this.#scanner
    scanner.scan(request.bytes, 0, request.length)
    const spec = commandIn(scanner)
    return spec === undefined ? null : (this.user?.mayRun(spec, scanner) ?? true)
  }

  log(level: LogLevel, text: string): void {
    const { logger } = this.#parts
    const facts = { from: 'script' }
    const message = text.replace(/[\r\n]+/g, ' ')
    if (level === 'warning') logger.warn(facts, message)
    else if (level === 'notice') logger.info(facts, message)
    else logger.debug(facts, message)
  }

  #spec(): CommandSpec | string {
    const spec = commandIn(this.#scanner)
    if (spec === undefined) return unknownCommand
    return spec.accepts(this.#scanner.argumentCount) ? spec : wrongCount
  }

  /** One that no shard runs for clients. */
  #callOther(context: CommandContext, reply: ReplyWriter): void {
    const spec = this.#spec()
    if (typeof spec === 'string') reply.error(spec)
    else if (spec.row.flags.includes('noscript')) reply.error(notAllowed)
    else {
      const handler = handlersInScripts[spec.name]
      const refusal = this.user?.refusal(spec, this.#scanner) ?? null
      if (refusal !== null) reply.error(refusal)
      else if (handler !== undefined) this.#run(handler, context, reply, spec.lowerName)
      else reply.error(`ERR ${spec.name} is answered by a proxy and can't be called from a script`)
    }
  }

  #refusal(runnable: Runnable, { sharded }: CommandContext): string | null {
    const { gates, hasOtherShards } = this.#parts
    if (!runnable.isForScripts) return notAllowed
    const denial = this.user?.refusal(runnable.spec, this.#scanner) ?? null
    if (denial !== null) return denial
    if (runnable.isWrite) {
      if (this.#rights.readOnly) return readOnlyScript
      if (gates.refusal !== null) return gates.refusal
      if (this.#writtenBytes > effectBytesMax) return `ERR a script may write ${effectBytesMax} bytes`
      if (runnable.needsMemory && this.memoryRefusal !== null && !this.#hasWritten && !this.#rights.allowOom)
        return this.memoryRefusal
    }
    if (hasOtherShards && runnable.concernsAll)
      return `ERR ${runnable.spec.name} concerns all shards and can't be called from a script`
    return sharded ? this.#slotRefusal(runnable.spec) : null
  }

  #slotRefusal(spec: CommandSpec): string | null {
    const scanner = this.#scanner
    if (spec.onlyKey > 0)
      return this.#bind(slotOf(scanner.bytes, scanner.start(spec.onlyKey), scanner.endOf(spec.onlyKey)))
    for (const position of keyPositions(spec, scanner.argumentCount, (i) => scanner.text(i))) {
      const refusal = this.#bind(slotOf(scanner.bytes, scanner.start(position), scanner.endOf(position)))
      if (refusal !== null) return refusal
    }
    return null
  }

  #bind(slot: number): string | null {
    if (slot === this.slot) return null
    if (!this.#parts.owns(slot)) return elsewhere
    if (this.slot !== noSlot) return crossSlotText
    this.slot = slot
    return null
  }

  /** False: it has failed. */
  #run(handler: Handler, context: CommandContext, reply: ReplyWriter, name: string): boolean {
    const before = reply.length
    context.reply = reply
    try {
      handler(context)
      return true
    } catch (error) {
      reply.truncate(before)
      if (error instanceof ReplyError) reply.error(error.text)
      // Too much for memory, or for a string. Anything else is a bug, and so is a half-made change.
      else if (error instanceof RangeError && !this.#hasHalfWritten(context))
        reply.error(`ERR the reply of '${name}' is too large`)
      else throw error
      return false
    }
  }

  #hasHalfWritten({ write }: CommandContext): boolean {
    return write.recordBytesMax !== this.#writtenBytes
  }
}
