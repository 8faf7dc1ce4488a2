/**
 * HyperLogLogs. To all other commands they are strings, and a string that spells one becomes one with the first element added. What
 * is told to the others are the registers that rise; how they are encoded, and the count that is kept with them, follow Redis
 * byte by byte but stay here.
 */

import type { hyperLogLogCommands } from '#protocol/commands/hyperLogLog.ts'
import { EventClass } from '#protocol/pubsub/keyspaceEvents.ts'
import { errors, ReplyError } from '#protocol/resp/errors.ts'
import { FormatError } from '#runtime/bytes/byteReader.ts'
import { type Ranked, ranked, rankedElement } from '#server/crdt/elementHash.ts'
import { cardinalityOf, type HyperLogLog, rising } from '#server/crdt/hyperLogLog.ts'
import { registerCount } from '#server/crdt/sparseRegisters.ts'
import type { Keyspace } from '#server/store/keyspace.ts'
import type { CommandContext, Handler, Handlers } from './context.ts'
import { selfTest } from './hyperLogLogSelfTest.ts'

/** Whether its runs are those of all registers. A string may only look like a HyperLogLog. */
const isSound = (db: Keyspace, key: string, registers: HyperLogLog): boolean =>
  db.registers(key) !== undefined || registers.isSound

/** undefined: no such key. */
function soundAt(db: Keyspace, key: string): HyperLogLog | undefined {
  const registers = db.hyperLogLog(key)
  if (registers !== undefined && !isSound(db, key, registers)) throw new ReplyError(errors.corruptHyperLogLog)
  return registers
}

const PFADD: Handler = ({ args, db, write, events, reply }) => {
  const key = args.text(1)
  const values = args.texts(2).map(rankedElement)
  const registers = db.hyperLogLog(key)
  if (registers !== undefined && !isSound(db, key, registers)) {
    const changed = raiseUnsound(registers, values)
    if (changed) {
      write.setString(key, registers.text, { kind: 'keep' })
      events.note(EventClass.string, 'pfadd', key)
    }
    return reply.integer(changed ? 1 : 0)
  }
  const risen = rising(registers, values)
  const changes = registers === undefined || risen.length > 0
  if (changes) {
    write.hllRaise(key, risen)
    events.note(EventClass.string, 'pfadd', key)
  }
  reply.integer(changes ? 1 : 0)
}

/** As in Redis, damage is noticed where an element meets it. Until then such a thing stays the string that it is. */
function raiseUnsound(registers: HyperLogLog, values: readonly Ranked[]): boolean {
  try {
    return registers.raise(values)
  } catch (error) {
    if (error instanceof FormatError) throw new ReplyError(errors.corruptHyperLogLog)
    throw error
  }
}

const PFCOUNT: Handler = ({ args, db, reply }) => {
  if (args.count === 2) {
    const registers = db.hyperLogLog(args.text(1))
    if (registers?.isOutdated && !registers.isSound) throw new ReplyError(errors.corruptHyperLogLog)
    return reply.integer(registers?.count() ?? 0)
  }
  reply.integer(cardinalityOf(unionOf({ args, db }, 1).maxima))
}

/** Of the keys from the argument `from` on; keys that aren't there have no elements. */
function unionOf({ args, db }: Pick<CommandContext, 'args' | 'db'>, from: number) {
  const maxima = new Uint8Array(registerCount)
  let dense = false
  for (let i = from; i < args.count; i++) {
    const registers = soundAt(db, args.text(i))
    registers?.raiseMaxima(maxima)
    dense ||= registers?.isDense === true
  }
  return { maxima, dense }
}

/** The target is one of the sources. */
const PFMERGE: Handler = (context) => {
  const { args, db, write, events, reply } = context
  const target = args.text(1)
  const { maxima, dense } = unionOf(context, 1)
  const values: Ranked[] = []
  for (const [index, rank] of maxima.entries()) if (rank > 0) values.push(ranked(index, rank))
  const old = db.registers(target)
  const risen = rising(old, values)
  if (old === undefined || risen.length > 0 || (dense && !old.isDense)) write.hllRaise(target, risen, dense)
  db.registers(target)?.outdate()
  events.note(EventClass.string, 'pfadd', target)
  reply.ok()
}

const PFDEBUG: Handler = (context) => {
  const { args, db } = context
  const key = args.text(2)
  const registers = db.hyperLogLog(key)
  if (registers === undefined) throw new ReplyError(errors.noSuchHyperLogLog)
  if (args.is(1, 'GETREG')) tellRegisters(context, key)
  else if (args.is(1, 'DECODE')) tellRuns(context, registers)
  else if (args.is(1, 'ENCODING')) context.reply.simple(registers.isDense ? 'dense' : 'sparse')
  else if (args.is(1, 'TODENSE')) context.reply.integer(toDense(context, key) ? 1 : 0)
  else throw new ReplyError(errors.unknownHyperLogLogDebug(args.text(1)))
}

/** False: it is dense. */
function toDense({ db, write }: CommandContext, key: string): boolean {
  if (soundAt(db, key)?.isDense) return false
  write.hllRaise(key, [], true)
  return true
}

/** As in Redis, the registers are dense afterwards. */
function tellRegisters(context: CommandContext, key: string): void {
  toDense(context, key)
  const maxima = new Uint8Array(registerCount)
  context.db.hyperLogLog(key)?.raiseMaxima(maxima)
  context.reply.array(registerCount)
  for (const rank of maxima) context.reply.integer(rank)
}

function tellRuns({ reply }: CommandContext, registers: HyperLogLog): void {
  if (registers.isDense) throw new ReplyError(errors.hyperLogLogNotSparse)
  const runs: string[] = []
  registers.eachRun((_, rank, length, bytes) =>
    runs.push(rank > 0 ? `v:${rank},${length}` : bytes > 1 ? `Z:${length}` : `z:${length}`),
  )
  reply.bulk(runs.join(' '))
}

const PFSELFTEST: Handler = ({ reply }) => {
  const failure = selfTest()
  if (failure !== null) throw new ReplyError(`TESTFAILED ${failure}`)
  reply.ok()
}

export const hyperLogLogHandlers = {
  PFADD,
  PFCOUNT,
  PFDEBUG,
  PFMERGE,
  PFSELFTEST,
} satisfies Handlers<typeof hyperLogLogCommands>
