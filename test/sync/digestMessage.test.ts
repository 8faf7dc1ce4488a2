/** The messages by which slots are compared: they read back as they were written, and what is none is refused. */
import { expect, test } from 'vitest'
import {
  portionBitsMax,
  writeAskDigests,
  writeCutDiffering,
  writeDigests,
} from '#protocol/sync/digestMessage.ts'
import { readMessage } from '#protocol/sync/message.ts'
import { emptyVector } from '#protocol/sync/versionVector.ts'
import { FormatError } from '#runtime/bytes/byteReader.ts'
import { ByteWriter } from '#runtime/bytes/byteWriter.ts'

const key = Uint8Array.from({ length: 16 }, (_, i) => 255 - i)

function written(write: (writer: ByteWriter) => void): Uint8Array {
  const writer = new ByteWriter()
  write(writer)
  return writer.take()
}

const read = (bytes: Uint8Array) => readMessage(bytes, 0, bytes.length)
const label = emptyVector()
label[5] = 8 * 1000 + 5

const ask = (bits: number) =>
  written((writer) => writeAskDigests(writer, { slot: 16383, number: 300, portioning: { bits, key } }))
const answer = (count: number) =>
  written((writer) => writeDigests(writer, 7, 2 ** 40, new Uint8Array(16 * count).fill(9), 0, 16 * count))
const differing = written((writer) => writeCutDiffering(writer, 3, 1, label, Uint8Array.of(1, 128)))

test('they read back as they were written', () => {
  const asked = read(ask(14))
  expect(asked).toMatchObject({ kind: 'askDigests', slot: 16383, number: 300 })
  if (asked.kind === 'askDigests') {
    expect(asked.portioning.bits).toBe(14)
    expect([...asked.portioning.key]).toEqual([...key])
  }
  const digests = read(answer(3))
  expect(digests).toMatchObject({ kind: 'digests', slot: 7, number: 2 ** 40 })
  if (digests.kind === 'digests') expect(digests.end - digests.start).toBe(48)
  const cut = read(differing)
  expect(cut).toMatchObject({ kind: 'cutDiffering', slot: 3, number: 1, label })
  if (cut.kind === 'cutDiffering') expect([...cut.bytes.subarray(cut.start, cut.end)]).toEqual([1, 128])
})

test('what is none is refused', () => {
  expect(() => read(ask(portionBitsMax + 1))).toThrow(FormatError)
  expect(() => read(answer(4097))).toThrow(FormatError)
  expect(read(answer(4096)).kind).toBe('digests')
  expect(read(answer(0)).kind).toBe('digests')
  const whole = answer(2)
  expect(() => readMessage(whole, 0, whole.length - 1)).toThrow(FormatError)
  const asked = ask(4)
  for (let end = 0; end < asked.length; end++) expect(() => readMessage(asked, 0, end)).toThrow(FormatError)
  expect(() => read(Uint8Array.of(...asked, 0))).toThrow(FormatError)
  // Its bits reach to the end: whoever knows how many there are looks at them.
  for (let end = 0; end < differing.length - 2; end++)
    expect(() => readMessage(differing, 0, end)).toThrow(FormatError)
})
