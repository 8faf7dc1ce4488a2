import { beforeEach, describe, expect, test } from 'vitest'
import { RecordReader } from '#protocol/sync/record.ts'
import { emptyVector } from '#protocol/sync/versionVector.ts'
import { FormatError } from '#runtime/bytes/byteReader.ts'
import { ByteWriter } from '#runtime/bytes/byteWriter.ts'
import { Gate, type HoldSource } from '#server/sync/gate.ts'
import { HoldQueues } from '#server/sync/holdQueues.ts'
import { ToyShard } from './toyShard.ts'

class Source implements HoldSource {
  readonly held = new HoldQueues()
  readonly needs: number[] = []
  need(slot: number): void {
    this.needs.push(slot)
  }
}

const wallMs = Date.UTC(2026, 0, 1)
const limits = { holdQueueBytesMax: 12_600, holdMs: 200, futureHoldMs: 60_000 }

describe('the gate', () => {
  let here: ToyShard
  let far: ToyShard
  let third: ToyShard
  let gate: Gate
  let source: Source
  let other: Source
  beforeEach(() => {
    here = new ToyShard(1)
    far = new ToyShard(2)
    third = new ToyShard(3)
    gate = new Gate(here, limits)
    source = new Source()
    other = new Source()
    gate.open(source)
    gate.open(other)
    gate.tick(0, wallMs)
  })

  const offer = (record: Uint8Array, from = source, nowMs = 0) => {
    const reader = new RecordReader()
    reader.read(record, 0, record.length)
    gate.offer(from, reader, record, 0, record.length, nowMs)
  }

  test('applies in the order of the chain, whatever order they come in, and each once', () => {
    const records = ['a', 'b', 'c'].map((token) => far.write({ slot: 5, token }))
    offer(records[2] as Uint8Array)
    offer(records[1] as Uint8Array)
    offer(records[1] as Uint8Array)
    expect(here.applied).toEqual([])
    expect(gate.heldCount).toBe(2)
    offer(records[0] as Uint8Array)
    expect(here.applied).toEqual(['a', 'b', 'c'])
    for (const record of records) offer(record, other)
    expect(here.applied).toEqual(['a', 'b', 'c'])
    expect([gate.heldCount, gate.heldBytes]).toEqual([0, 0])
    expect(here.log.end).toBe(records.reduce((sum, record) => sum + record.length, 0))
  })

  test('slots do not wait for one another', () => {
    far.write({ slot: 5, token: 'lost' })
    offer(far.write({ slot: 5, token: 'later' }))
    offer(far.write({ slot: 6, token: 'free' }))
    expect(here.applied).toEqual(['free'])
  })

  test('what an operation saw comes before it', () => {
    const seen = third.write({ slot: 5, token: 'seen' })
    far.logRecord(seen)
    const answer = far.write({ slot: 5, token: 'answer' })
    offer(answer)
    expect(here.applied).toEqual([])
    offer(seen, other)
    expect(here.applied).toEqual(['seen', 'answer'])
  })

  test('a transaction over several slots waits for all of them and is applied whole', () => {
    const first = far.write({ slot: 1, token: 'first' })
    const second = third.write({ slot: 2, token: 'second' })
    far.logRecord(second)
    const both = far.write({ slot: 1, token: 'x' }, { slot: 2, token: 'y' })
    const after = far.write({ slot: 2, token: 'after' })
    offer(after)
    offer(both)
    offer(first)
    expect(here.applied).toEqual(['first'])
    offer(second, other)
    expect(here.applied).toEqual(['first', 'second', 'x', 'y', 'after'])
    expect(gate.heldCount).toBe(0)
  })

  test('parts that are covered are left out, the others still applied (A17)', () => {
    const both = far.write({ slot: 1, token: 'x' }, { slot: 2, token: 'y' })
    here.slotOf(1)
    here.vectors.raise(1, far.vectors.of(1))
    offer(both)
    expect(here.applied).toEqual(['y'])
  })

  test('a merged slot state frees what waits for it, and drops what it covers', () => {
    const lost = far.write({ slot: 5, token: 'lost' })
    const covered = far.write({ slot: 5, token: 'covered' })
    const label = far.vectors.of(5).slice()
    offer(covered)
    offer(far.write({ slot: 5, token: 'behind' }))
    expect(lost.length).toBeGreaterThan(0)
    here.vectors.raise(5, label)
    gate.risen(5)
    expect(here.applied).toEqual(['behind'])
    expect(gate.heldCount).toBe(0)
  })

  test('stamps too far ahead of the wall clock wait for it, and nobody is asked for them', () => {
    far.wallMs = wallMs + 61_000
    offer(far.write({ slot: 5, token: 'early' }))
    gate.tick(500, wallMs + 500)
    expect(here.applied).toEqual([])
    expect(source.needs).toEqual([])
    gate.tick(1500, wallMs + 1500)
    expect(here.applied).toEqual(['early'])
  })

  test('what waits too long is asked for where it came from', () => {
    far.write({ slot: 5 })
    offer(far.write({ slot: 5 }), source, 1000)
    gate.tick(1199, wallMs)
    expect(source.needs).toEqual([])
    gate.tick(1200, wallMs)
    expect(source.needs).toEqual([5])
    expect(other.needs).toEqual([])
  })

  test('holds beyond the limit are dropped and every slot of theirs is asked for', () => {
    far.write({ slot: 5 })
    far.write({ slot: 6 })
    offer(far.write({ slot: 5, token: 'kept' }), other)
    const token = 'x'.repeat(900)
    for (let i = 0; i < 9; i++) offer(far.write({ slot: 6, token }, { slot: 7, token: `${i}` }))
    expect(gate.heldCount).toBe(10)
    expect(gate.heldBytes).toBeLessThanOrEqual(limits.holdQueueBytesMax)
    offer(far.write({ slot: 6, token }))
    expect(gate.overflows).toBe(1)
    expect(source.needs.sort()).toEqual([6, 7])
    expect([source.held.count, other.held.count]).toEqual([0, 1])
  })

  test('a channel that ends takes along what it held', () => {
    const first = far.write({ slot: 5, token: 'first' })
    const second = far.write({ slot: 5, token: 'second' })
    offer(second, source)
    offer(second, other)
    gate.close(source)
    expect(gate.heldCount).toBe(1)
    offer(first, other)
    expect(here.applied).toEqual(['first', 'second'])
  })

  test('a record is refused whole when a part of it is not sound', () => {
    const unsound = far.write({ slot: 1, token: 'good' }, { slot: 2, token: '!' })
    expect(() => offer(unsound)).toThrow(FormatError)
    const twice = far.record({ slot: 1 }, { slot: 1 })
    expect(() => offer(twice)).toThrow('two parts of a record in slot 1')
    expect(here.applied).toEqual([])
    expect(here.log.end).toBe(0)
  })

  test('also while it would have to wait', () => {
    far.write({ slot: 1 })
    const unsound = far.write({ slot: 1, token: '!' })
    expect(() => offer(unsound)).toThrow(FormatError)
    expect(gate.heldCount).toBe(0)
  })

  test('an operation of which a half is covered is a contradiction', () => {
    const record = far.write({ slot: 1 })
    const reader = new RecordReader()
    reader.read(record, 0, record.length)
    const part = reader.parts[0]
    if (part === undefined) throw new Error('no part')
    here.vectors.of(1).set(emptyVector())
    here.vectors.set(1, part.origin, part.first)
    part.last += 8
    expect(() => gate.offer(source, reader, record, 0, record.length, 0)).toThrow('half of an operation')
  })

  test('long queues are worked off in order', () => {
    const records = Array.from({ length: 300 }, (_, i) => far.write({ slot: 5, token: `${i}` }))
    const big = new Gate(here, { ...limits, holdQueueBytesMax: 1 << 20 })
    big.open(source)
    big.tick(0, wallMs)
    const reader = new RecordReader()
    for (const record of records.slice(1).reverse()) {
      reader.read(record, 0, record.length)
      big.offer(source, reader, record, 0, record.length, 0)
    }
    expect(here.applied).toEqual([])
    const first = records[0] as Uint8Array
    reader.read(first, 0, first.length)
    big.offer(other, reader, first, 0, first.length, 0)
    expect(here.applied).toEqual(Array.from({ length: 300 }, (_, i) => `${i}`))
    expect(source.held.sizeBytes).toBe(0)
  })

  describe('an operation that patches what has been overwritten here', () => {
    /** `far` has patched `base`, which `here` has had and has no more. */
    const conflict = (before = () => {}): Uint8Array => {
      offer(far.write({ slot: 5, token: 'base' }))
      const [[stamp]] = [...here.slotOf(5)] as [[number, string]]
      here.slotOf(5).delete(stamp)
      here.write({ slot: 5, token: 'newer' })
      before()
      return far.write({ slot: 5, token: '~base' })
    }
    const stateOfFar = () => {
      const writer = new ByteWriter()
      writer.varint(far.slotCount(5))
      far.encodeSlotPart(5, 0, Number.POSITIVE_INFINITY, writer)
      here.merge(5, far.vectors.of(5), writer.bytes, 0, writer.length)
      gate.risen(5)
    }

    test('is applied where that is there', () => {
      offer(far.write({ slot: 5, token: 'base' }))
      offer(far.write({ slot: 5, token: '~base' }))
      expect(here.applied).toEqual(['base', '~base'])
      expect(source.needs).toEqual([])
    })

    test('is held, and the state of the slot is asked for at once', () => {
      offer(conflict())
      expect(here.applied).toEqual(['base', 'newer'])
      expect([gate.heldCount, source.needs]).toEqual([1, [5]])
    })

    test('holds up what its origin did afterwards', () => {
      offer(conflict())
      offer(far.write({ slot: 5, token: 'later' }))
      expect(here.applied).not.toContain('later')
      expect(gate.heldCount).toBe(2)
    })

    test('is a duplicate when the state has come, and what waited goes on', () => {
      offer(conflict())
      stateOfFar()
      offer(far.write({ slot: 5, token: 'later' }))
      expect(gate.heldCount).toBe(0)
      expect(gate.duplicates).toBe(1)
      expect(here.applied).toEqual(['base', 'newer', 'later'])
      expect(here.tokens(5)).toEqual(['base', 'later', 'newer', '~base'])
    })

    test('is asked for again when it becomes the head of its queue only later', () => {
      const missing: Uint8Array[] = []
      offer(conflict(() => missing.push(far.write({ slot: 5, token: 'between' }))))
      expect(source.needs).toEqual([])
      for (const record of missing) offer(record)
      expect(source.needs).toEqual([5])
    })

    test('waits for its dependencies first', () => {
      const dependency = third.write({ slot: 5, token: 'third' })
      offer(conflict(() => far.logRecord(dependency)))
      expect(source.needs).toEqual([])
      offer(dependency, other)
      expect(source.needs).toEqual([5])
    })

    test('of a transaction over several slots only the part counts that is not covered', () => {
      conflict()
      const both = far.write({ slot: 5, token: '~base' }, { slot: 6, token: 'six' })
      offer(both)
      expect(here.applied).not.toContain('six')
      stateOfFar()
      expect(here.applied.at(-1)).toBe('six')
      expect(gate.heldCount).toBe(0)
    })
  })
})
