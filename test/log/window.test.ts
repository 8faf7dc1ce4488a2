/** A log that is read in several windows. */
import { expect, test } from 'vitest'
import { stampAt } from '#protocol/sync/stamp.ts'
import { blockHeader, blockHeaderBytes, segmentName } from '#server/log/blockFormat.ts'
import { FaultyDisk } from '#test/faultyDisk.ts'
import { openLog } from './opened.ts'
import { operationsRecord } from './records.ts'

const windowBytes = 4 * 1024 * 1024
const first = stampAt(Date.UTC(2026, 0, 1), 1)
const small = operationsRecord([{ slot: 1, first, effectsLength: 60 }])
const smallBlockBytes = blockHeaderBytes + small.length

/** The first block is so large that blocks end `headerPart` bytes before the window does. */
function recordsUpToWindow(headBytes: number, headerPart: number): Uint8Array[] {
  const count = Math.floor((windowBytes - headBytes) / smallBlockBytes) - 100
  const fillerBytes = windowBytes - headBytes - headerPart - count * smallBlockBytes - blockHeaderBytes
  // Lengths of this size take one byte more than those of a small record.
  const overheadBytes = small.length - 60 + 1
  const filler = operationsRecord([{ slot: 1, first, effectsLength: fillerBytes - overheadBytes }])
  expect(filler).toHaveLength(fillerBytes)
  return [filler, ...Array.from({ length: count + 200 }, () => small)]
}

test.each([0, 1, 12, 23])(
  'a block header lies across the end of a window, %i bytes before it',
  (headerPart) => {
    const name = segmentName(0)
    const empty = new FaultyDisk()
    openLog(empty)
    const head = empty.read(name, 0, empty.sizeBytes(name))
    const records = recordsUpToWindow(head.length, headerPart)
    const bytes = new Uint8Array(
      records.reduce((sum, one) => sum + one.length + blockHeaderBytes, head.length),
    )
    bytes.set(head)
    let at = head.length
    let position = 0
    for (const record of records) {
      bytes.set(blockHeader([record], record.length, position, position), at)
      bytes.set(record, at + blockHeaderBytes)
      at += blockHeaderBytes + record.length
      position += record.length
    }
    const disk = new FaultyDisk(new Map([[name, { bytes, syncedBytes: bytes.length }]]))
    const { replayed, recovered } = openLog(disk)
    expect(recovered.tear).toBeNull()
    expect(replayed).toHaveLength(records.length)
  },
)
