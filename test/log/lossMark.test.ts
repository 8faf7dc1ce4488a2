import { expect, test } from 'vitest'
import { LossMark, lossMarkFile } from '#server/log/lossMark.ts'
import { FaultyDisk } from '#test/faultyDisk.ts'
import { RecordingLogger } from '#test/silentLogger.ts'

test('the mark outlives crashes until what has come back is durable', () => {
  const disk = new FaultyDisk()
  const logger = new RecordingLogger()
  new LossMark(disk, logger).set()
  const mark = new LossMark(disk.afterPowerCut({ below: () => 0 }), logger)
  expect(mark.isSet).toBe(true)
  mark.durable(1000)
  expect(mark.isSet).toBe(true)
  mark.recovered(500)
  mark.durable(499)
  expect(mark.isSet).toBe(true)
  mark.durable(500)
  expect(mark.isSet).toBe(false)
  mark.durable(501)
  expect(logger.lines).toEqual([])
})

test('a disk that does not let it go is asked again', () => {
  const disk = new FaultyDisk()
  const logger = new RecordingLogger()
  const mark = new LossMark(disk, logger)
  mark.set()
  mark.recovered(0)
  disk.failAt = disk.calls + 1
  mark.durable(0)
  expect(mark.isSet).toBe(true)
  expect(logger.lines.map((line) => line.message)).toEqual([`${lossMarkFile} can't be removed`])
  mark.durable(0)
  expect(mark.isSet).toBe(false)
})

test('a shard that was never marked is not', () => {
  const mark = new LossMark(new FaultyDisk(), new RecordingLogger())
  mark.recovered(0)
  mark.durable(0)
  expect(mark.isSet).toBe(false)
})
