/** What commands write to HyperLogLogs, as part of a transaction. Handlers have looked at the key and its type. */
import type { Ranked } from '#server/crdt/elementHash.ts'
import { HyperLogLog } from '#server/crdt/hyperLogLog.ts'
import { TypeBit } from '#server/crdt/keyState.ts'
import { GroupIntents } from './groupIntents.ts'

/** More are shorter as a whole dense HyperLogLog: an effect of 12 KiB. */
const pairsMax = 4096

function denseText(values: readonly Ranked[]): string {
  const registers = HyperLogLog.empty()
  registers.toDense()
  registers.raise(values)
  return registers.text
}

export abstract class HllIntents extends GroupIntents {
  /** A string that spells a HyperLogLog becomes one. `dense`: its encoding is dense from now on. */
  hllRaise(name: string, values: readonly Ranked[], dense = false): void {
    const { keyspace } = this
    const isText = keyspace.has(name) && keyspace.registers(name) === undefined
    const spelt = isText ? keyspace.string(name) : undefined
    const fresh = this.open(name, TypeBit.hll)
    if (spelt !== undefined) this.joinRegisters(name, fresh, spelt)
    if (dense && values.length > pairsMax) this.joinRegisters(name, fresh, denseText(values))
    else this.write((sink, stamp) => sink.raiseRegisters(stamp, name, fresh, values, dense))
  }

  /** The key, which isn't there, is a HyperLogLog of just these bytes. */
  hllPut(name: string, bytes: string): void {
    this.joinRegisters(name, this.open(name, TypeBit.hll), bytes)
  }

  /** `bytes` spell a HyperLogLog, and an intent has begun. */
  protected joinRegisters(name: string, fresh: boolean, bytes: string): void {
    this.write((sink, stamp) => {
      const registers = HyperLogLog.of(bytes)
      if (registers !== undefined) sink.joinRegisters(stamp, name, fresh, registers)
    })
  }
}
