/** What a restart makes of torn, damaged and foreign logs. */

import { describe, expect, test } from 'vitest'
import { stampAt } from '#protocol/sync/stamp.ts'
import { FormatError } from '#runtime/bytes/byteReader.ts'
import { crc32 } from '#runtime/bytes/bytes.ts'
import { ByteWriter } from '#runtime/bytes/byteWriter.ts'
import { blockHeaderBytes, segmentKind } from '#server/log/blockFormat.ts'
import { fileHeaderBytes } from '#server/log/fileHeader.ts'
import { recoverLog } from '#server/log/recovery.ts'
import { LogRefusal } from '#server/log/windowedFile.ts'
import { FaultyDisk } from '#test/faultyDisk.ts'
import { SeededRandom, seedFromEnv } from '#test/seed.ts'
import { append, openLog } from './opened.ts'
import { operationsRecord } from './records.ts'

const record = (count: number, effectsLength = 20) =>
  operationsRecord([{ slot: 1, first: stampAt(Date.UTC(2026, 0, 1), 1) + count * 8, effectsLength }])

/** A log of ten records, a block each, in small segments. */
function writtenDisk(segmentBytesMax = 1 << 20, slow = false): FaultyDisk {
  const disk = new FaultyDisk()
  disk.slow = slow
  const { log } = openLog(disk, { segmentBytesMax })
  for (let i = 0; i < 10; i++) {
    append(log, record(i))
    log.flush()
  }
  return disk
}

const emptyLogBytes = fileHeaderBytes + blockHeaderBytes

const onlyFile = (disk: FaultyDisk) => {
  expect(disk.files.size).toBe(1)
  return [...disk.files][0] as [string, { bytes: Uint8Array; syncedBytes: number }]
}

describe('a torn tail', () => {
  test('is cut off wherever the file ends, and told', () => {
    const whole = onlyFile(writtenDisk())[1].bytes
    let replayedBefore = 0
    for (let size = 0; size <= whole.length; size++) {
      const disk = new FaultyDisk(
        new Map([['0000000000000000.log', { bytes: whole.slice(0, size), syncedBytes: size }]]),
      )
      const { replayed, recovered, log, logger } = openLog(disk)
      expect(replayed.length).toBeGreaterThanOrEqual(replayedBefore)
      replayedBefore = replayed.length
      const left = disk.files.get('0000000000000000.log')?.bytes.length ?? 0
      if (recovered.tear === null) expect(left).toBe(size)
      else {
        const { file, offsetBytes, lostBytes } = recovered.tear
        // A file without even a header is begun anew.
        expect([file, offsetBytes]).toEqual([
          '0000000000000000.log',
          left === emptyLogBytes && size < left ? 0 : left,
        ])
        expect(lostBytes).toBe(size - offsetBytes)
        expect(logger.texts('warn')).toEqual(['log ended in an unsynced tail, which was cut off'])
      }
      append(log, record(99))
      log.flush()
      expect(openLog(disk.afterKill()).replayed).toHaveLength(replayed.length + 1)
    }
    expect(replayedBefore).toBe(10)
  })

  test('may reach over several files that were never synced', () => {
    const disk = writtenDisk(200, true)
    const names = [...disk.files.keys()]
    expect(names.length).toBeGreaterThan(3)
    const first = disk.files.get(names[0] as string)
    first?.bytes.fill(0, first.bytes.length - 10)
    const { recovered, replayed } = openLog(disk)
    expect(recovered.tear?.file).toBe(names[0])
    expect([...disk.files.keys()]).toEqual([names[0]])
    expect(replayed.length).toBeGreaterThan(0)
  })
})

describe('damage', () => {
  test('any byte that is wrong in durable data is noticed: refused, or at the very end cut off', () => {
    const random = new SeededRandom(seedFromEnv())
    const [name, file] = onlyFile(writtenDisk())
    const records = openLog(writtenDisk()).replayed
    for (let at = 0; at < file.bytes.length; at++) {
      const bytes = file.bytes.slice()
      bytes[at] = (bytes[at] as number) ^ (1 + random.below(255))
      const disk = new FaultyDisk(new Map([[name, { bytes, syncedBytes: bytes.length }]]))
      const before = disk.afterKill()
      try {
        const { replayed, recovered } = openLog(disk)
        expect(replayed).toEqual(records.slice(0, replayed.length))
        expect(recovered.tear).not.toBeNull()
        // With `always` a block says that the one before it was durable: only the last can be taken for torn.
        expect([at, replayed.length]).toEqual([at, 9])
      } catch (error) {
        if (!(error instanceof LogRefusal)) throw error
        expect(error.message).toContain(name)
        expect(error.offsetBytes).toBeLessThanOrEqual(at)
        expect(disk.files.get(name)).toEqual(before.files.get(name))
      }
    }
  })

  test('a file that is missing', () => {
    const disk = writtenDisk(200)
    const names = [...disk.files.keys()]
    disk.files.delete(names[1] as string)
    expect(() => openLog(disk)).toThrow(/the log before it ends at \d+, .*durable operations are damaged/)
    disk.files.delete(names[0] as string)
    expect(() => openLog(disk)).toThrow(/the log before it ends at 0, .*durable operations are damaged/)
  })

  test('a record that its reader can not understand names the place', () => {
    const disk = writtenDisk()
    const segments = ['0000000000000000.log']
    const chain = { snapshot: null, start: 0, segments, witness: null, leftOver: [] }
    const reading = recoverLog(disk, 1, chain, () => {
      throw new FormatError('effect of kind 99')
    })
    expect(() => {
      while (reading.next().done !== true);
    }).toThrow(/0000000000000000\.log, offset 76: unreadable record: effect of kind 99/)
  })
})

describe('a foreign log', () => {
  test.each([0, segmentKind.version + 1])('of format version %i', (version) => {
    const disk = writtenDisk()
    const { bytes } = onlyFile(disk)[1]
    const header = new ByteWriter()
    header.raw(bytes, 0, 8)
    header.u32(version)
    header.raw(bytes, 12, 24)
    header.u32(crc32(header.view()))
    bytes.set(header.view())
    expect(() => openLog(disk)).toThrow(
      `log format ${version} found, this program reads formats 1 to ${segmentKind.version}`,
    )
  })

  test('of another cluster', () => {
    expect(() => openLog(writtenDisk(), { clusterId: 2 })).toThrow(/written by cluster 1, this is cluster 2/)
  })

  test('under another name', () => {
    const disk = writtenDisk(200)
    const [, second] = [...disk.files.keys()]
    const file = disk.files.get(second as string)
    disk.files.clear()
    disk.files.set('0000000000000000.log', file as { bytes: Uint8Array; syncedBytes: number })
    expect(() => openLog(disk)).toThrow(/the file was renamed/)
  })
})
