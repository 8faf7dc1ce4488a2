/** Files of log and snapshots that are read in several windows. */
import { expect, test } from 'vitest'
import { stampAt } from '#protocol/sync/stamp.ts'
import { emptyVector } from '#protocol/sync/versionVector.ts'
import { blockHeader, blockHeaderBytes, segmentName } from '#server/log/blockFormat.ts'
import { fileHeader } from '#server/log/fileHeader.ts'
import {
  SnapshotBlock,
  snapshotEnd,
  snapshotEndBytes,
  snapshotKind,
  snapshotName,
} from '#server/log/snapshotFormat.ts'
import { loadSnapshot, type SnapshotFile, snapshotFile } from '#server/log/snapshotReading.ts'
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

test.each([0, 1, 8, 15])(
  'the header of a block of a snapshot lies across the end of a window, %i bytes before it',
  (headerPart) => {
    const name = snapshotName(0)
    const parts: Uint8Array[] = [fileHeader(snapshotKind, 1, 0)]
    const sizeBytes = (): number => parts.reduce((sum, one) => sum + one.length, 0)
    const addBlock = (keysBytes: number): void => {
      const block = new SnapshotBlock()
      block.beginPart(1, emptyVector())
      block.writer.raw(new Uint8Array(keysBytes).fill(parts.length))
      block.endPart()
      parts.push(block.bytes(sizeBytes()).slice())
    }
    addBlock(1000)
    const overheadBytes = (parts[1] as Uint8Array).length - 1000
    // The first block fills the window but for a part of the next one's header.
    addBlock(windowBytes - sizeBytes() - headerPart - overheadBytes)
    expect(sizeBytes()).toBe(windowBytes - headerPart)
    addBlock(2000)
    addBlock(3000)
    parts.push(snapshotEnd(sizeBytes(), { logEnd: 0, takenAtMs: 0 }))
    const bytes = new Uint8Array(sizeBytes())
    let at = 0
    for (const part of parts) {
      bytes.set(part, at)
      at += part.length
    }
    const disk = new FaultyDisk(new Map([[name, { bytes, syncedBytes: bytes.length }]]))
    const file = snapshotFile(disk, name)
    const lengths: number[] = []
    const loading = loadSnapshot(disk, 1, file as SnapshotFile, (_slot, _label, _bytes, start, end) => {
      lengths.push(end - start)
    })
    expect([...loading].at(-1)).toBe(bytes.length - snapshotEndBytes)
    expect([lengths[0], ...lengths.slice(2)]).toEqual([1000, 2000, 3000])
  },
)
