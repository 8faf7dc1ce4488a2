/** Slots of which only what differed came, in log and keyspace: what counts after a start, and what is kept and joined meanwhile. */
import { beforeEach, describe, expect, test } from 'vitest'
import { slotOfKey } from '#protocol/slots/crc16.ts'
import { type RecordPart, RecordReader } from '#protocol/sync/record.ts'
import { FormatError } from '#runtime/bytes/byteReader.ts'
import { ByteWriter } from '#runtime/bytes/byteWriter.ts'
import type { LocalState } from '#server/localState.ts'
import type { KeyspaceOptions } from '#server/store/keyspace.ts'
import type { SlotPosition } from '#server/store/slotCutting.ts'
import { Transaction } from '#server/store/transaction.ts'
import { PartwiseKeyspace } from '#test/store/partwiseKeyspace.ts'
import { stateOf } from './stateOf.ts'
import { TestShard } from './testShard.ts'

const slot = slotOfKey('{k}0')
const keyCount = 200
const variations = { newKeyspace: (options: KeyspaceOptions) => new PartwiseKeyspace(options) }
const portioning = { bits: 4, key: Uint8Array.from({ length: 16 }, (_, i) => i) }

class Side {
  readonly test: TestShard
  readonly state: LocalState
  readonly write: Transaction

  constructor(cluster: number) {
    this.test = new TestShard({ variations })
    this.state = stateOf(this.test, cluster)
    this.write = new Transaction(this.db, this.state.clock)
  }

  get db() {
    return this.test.shard.db
  }

  /** Logged as the shard would. */
  do(run: (write: Transaction) => void): ByteWriter {
    const record = new ByteWriter()
    this.write.begin(Date.UTC(2026, 0, 1))
    run(this.write)
    if (this.write.finish(record))
      this.test.shard.log.append(record.bytes, 0, record.length, this.db.vectors.of(slot))
    return record
  }

  set(name: string, text: string): void {
    this.do((write) => write.setString(name, text, { kind: 'clear' }))
  }

  /** From what it has logged until now. */
  started(): TestShard {
    this.test.shard.log.flush()
    return new TestShard({ disk: this.test.disk.afterKill(), initialised: true, variations })
  }
}

describe('a slot of which only what differs comes', () => {
  let source: Side
  let reader: Side
  beforeEach(() => {
    source = new Side(2)
    reader = new Side(1)
    for (let i = 0; i < keyCount; i++) source.set(`{k}${i}`, `theirs ${i}`)
    const all = new ByteWriter()
    source.db.encodeSlot(slot, all)
    expect(reader.state.merge(slot, source.db.vectors.of(slot).slice(), all.bytes, 0, all.length)).toBe(true)
  })

  /** The reader's side of it, after `meanwhile` at both. */
  function staged(meanwhile: () => void) {
    const frozen = reader.state.freeze(slot, portioning)
    if (frozen === null) throw new Error('too little')
    while (frozen.digests === null) frozen.step()
    meanwhile()
    const differences = source.state.compare(slot, portioning, frozen.digests)
    while (differences.differing === null) differences.step()
    const stage = frozen.stage(source.db.vectors.of(slot).slice(), differences.differing)
    let keys = 0
    let position: SlotPosition = 0
    do {
      const part = new ByteWriter()
      position = differences.encodePart(position, part)
      stage.load(part.bytes, 0, part.length)
      keys += part.length
    } while (position !== 0)
    return { stage, sizeBytes: keys, frozen }
  }

  const change = () => {
    source.set('{k}3', 'changed there')
    source.do((write) => write.delete('{k}4'))
    source.set('{k}new', 'made there')
  }

  test('is joined with the rest, and again after a start', () => {
    change()
    const { stage, sizeBytes } = staged(() => {
      reader.set('{k}5', 'changed here')
      reader.set('{k}made', 'made here')
      reader.do((write) => write.delete('{k}6'))
    })
    expect(sizeBytes).toBeLessThan(4000)
    reader.set('{k}7', 'changed later')
    expect(stage.advance()).toBe('more')
    reader.set('{k}8', 'while it is logged')
    while (stage.advance() === 'more');
    stage.drop()
    const started = reader.started()
    while (reader.state.joinMore());
    expect(reader.db.stagedBytes).toBe(0)
    for (const db of [reader.db, started.shard.db]) {
      expect(db.string('{k}3')).toBe('changed there')
      expect(db.string('{k}4')).toBeUndefined()
      expect(db.string('{k}new')).toBe('made there')
      expect(db.string('{k}5')).toBe('changed here')
      expect(db.string('{k}made')).toBe('made here')
      expect(db.string('{k}6')).toBeUndefined()
      expect(db.string('{k}7')).toBe('changed later')
      expect(db.string('{k}8')).toBe('while it is logged')
      expect(db.string('{k}9')).toBe('theirs 9')
      expect(db.size).toBe(keyCount)
    }
    expect(started.shard.db.slotDigest(slot)).toBe(reader.db.slotDigest(slot))
    expect([...started.shard.db.vectors.of(slot)]).toEqual([...reader.db.vectors.of(slot)])
  })

  test('an operation of the tail takes away what both had', () => {
    change()
    const { stage } = staged(() => {})
    const tail = source.do((write) => write.delete('{k}9'))
    const record = new RecordReader()
    record.read(tail.bytes, 0, tail.length)
    stage.apply(record.parts[0] as RecordPart, tail.bytes)
    while (stage.advance() === 'more');
    while (reader.state.joinMore());
    for (const db of [reader.db, reader.started().shard.db]) {
      expect(db.string('{k}9')).toBeUndefined()
      expect(db.slotDigest(slot)).toBe(source.db.slotDigest(slot))
    }
  })

  test('counts with its last part', () => {
    change()
    const { stage } = staged(() => {})
    expect(stage.advance()).toBe('more')
    const half = reader.started()
    expect(half.shard.db.string('{k}3')).toBe('theirs 3')
    expect(half.shard.db.slotDigest(slot)).toBe(reader.db.slotDigest(slot))
  })

  test('what was made here and removed there meanwhile goes', () => {
    reader.set('{k}known', 'of the reader')
    const known = reader.db.vectors.of(slot).slice()
    const all = new ByteWriter()
    reader.db.encodeSlot(slot, all)
    expect(source.state.merge(slot, known, all.bytes, 0, all.length)).toBe(true)
    source.do((write) => write.delete('{k}known'))
    reader.do((write) => write.delete('{k}known'))
    const { stage } = staged(() => {})
    while (stage.advance() === 'more');
    while (reader.state.joinMore());
    expect(reader.db.string('{k}known')).toBeUndefined()
  })

  test('a flush, and another state, make it void', () => {
    change()
    const flushed = staged(() => reader.do((write) => write.flushSlot(slot)))
    expect(flushed.frozen.isVoid).toBe(true)
    let progress = flushed.stage.advance()
    while (progress === 'more') progress = flushed.stage.advance()
    expect(progress).toBe('tooOld')
    expect(reader.state.isLoggingState).toBe(false)
    flushed.stage.drop()
    expect(reader.db.stagedBytes).toBe(0)
  })

  test('nothing is kept of what is given up', () => {
    const frozen = reader.state.freeze(slot, portioning)
    reader.set('{k}3', 'x')
    expect(reader.db.stagedBytes).toBeGreaterThan(0)
    frozen?.drop()
    expect(reader.db.stagedBytes).toBe(0)
    reader.set('{k}4', 'x')
    expect(reader.db.stagedBytes).toBe(0)
  })

  test('a slot with less than a key for each portion is not compared', () => {
    expect(reader.state.freeze(slot, { ...portioning, bits: 8 })).toBeNull()
    expect(reader.state.freeze(slot, { ...portioning, bits: 7 })).not.toBeNull()
    expect(reader.state.isWorthComparing(slot)).toBe(false)
    for (let i = 0; i < 400; i++) reader.set(`{k}more ${i}`, '')
    expect(reader.state.isWorthComparing(slot)).toBe(true)
    expect(reader.state.portioning(slot).bits).toBe(6)
    expect(reader.state.portioning(slot).key).not.toEqual(reader.state.portioning(slot).key)
  })

  test('portions that there are not are refused', () => {
    const frozen = reader.state.freeze(slot, portioning)
    expect(() => frozen?.stage(source.db.vectors.of(slot), new Uint8Array(3))).toThrow(FormatError)
    frozen?.drop()
  })
})
