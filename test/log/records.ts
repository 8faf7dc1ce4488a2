/** Log records with made-up effects, for tests of the log alone. */
import { beginPart, beginRecord, endRecord, RecordKind, writeVector } from '#protocol/sync/record.ts'
import { type Stamp, stampStep } from '#protocol/sync/stamp.ts'
import { emptyVector, type VersionVector } from '#protocol/sync/versionVector.ts'
import { ByteWriter } from '#runtime/bytes/byteWriter.ts'
import type { Logger } from '#runtime/ports.ts'

export interface PartPlan {
  slot: number
  first: Stamp
  effectsLength: number
  /** How many stamps beyond the first. */
  span?: number
}

export function operationsRecord(parts: readonly PartPlan[]): Uint8Array {
  const writer = new ByteWriter()
  const start = beginRecord(writer, RecordKind.operations)
  for (const { slot, first, effectsLength, span = 0 } of parts) {
    const effects = new Uint8Array(effectsLength).fill(first % 251)
    beginPart(writer, slot, first, first + span * stampStep, 0, emptyVector(), effectsLength)
    writer.raw(effects)
  }
  endRecord(writer, start)
  return new Uint8Array(writer.view())
}

export function slotStateRecord(slot: number, label: VersionVector, stateLength: number): Uint8Array {
  const writer = new ByteWriter()
  const start = beginRecord(writer, RecordKind.slotState)
  writer.u16(slot)
  writeVector(writer, label)
  writer.raw(new Uint8Array(stateLength))
  endRecord(writer, start)
  return new Uint8Array(writer.view())
}

export interface Said {
  level: 'debug' | 'info' | 'warn' | 'error'
  facts: Readonly<Record<string, unknown>>
  message: string
}

export class ListeningLogger implements Logger {
  readonly said: Said[] = []
  debug(facts: Said['facts'], message: string): void {
    this.said.push({ level: 'debug', facts, message })
  }
  info(facts: Said['facts'], message: string): void {
    this.said.push({ level: 'info', facts, message })
  }
  warn(facts: Said['facts'], message: string): void {
    this.said.push({ level: 'warn', facts, message })
  }
  error(facts: Said['facts'], message: string): void {
    this.said.push({ level: 'error', facts, message })
  }
  texts(level: Said['level']): string[] {
    return this.said.filter((line) => line.level === level).map((line) => line.message)
  }
}
