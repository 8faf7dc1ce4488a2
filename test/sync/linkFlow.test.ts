import { expect, test } from 'vitest'
import { FormatError } from '#runtime/bytes/byteReader.ts'
import { catchUpBytesMin, LinkFlow } from '#server/sync/linkFlow.ts'

const kibibyte = 1024

test('what is acknowledged is not on its way any more', () => {
  const flow = new LinkFlow()
  flow.sent(100, 0)
  flow.sent(50, 1)
  expect([flow.sentBytes, flow.inflightBytes]).toEqual([150, 150])
  flow.acknowledged(120, 2)
  expect(flow.inflightBytes).toBe(30)
  for (const wrong of [119, 151]) expect(() => flow.acknowledged(wrong, 3)).toThrow(FormatError)
})

test.each([
  { wayMs: 1, bytes: catchUpBytesMin },
  { wayMs: 20, bytes: catchUpBytesMin },
  { wayMs: 80, bytes: 2000 * kibibyte },
  { wayMs: 500, bytes: 4096 * kibibyte },
])('over a link of $wayMs ms there and back $bytes bytes of states are on their way', ({ wayMs, bytes }) => {
  const flow = new LinkFlow()
  expect(flow.catchUpBytes).toBe(catchUpBytesMin)
  flow.sent(10, 1000)
  // Behind another one it may have waited, however soon its acknowledgement comes.
  flow.sent(10, 1000 + wayMs - 0.5)
  flow.acknowledged(10, 1000 + wayMs)
  flow.acknowledged(20, 1000 + wayMs)
  expect(flow.catchUpBytes).toBe(bytes)
})

test('the shortest way counts: a peer that is slow to take them is not sent more', () => {
  const flow = new LinkFlow()
  for (const [sentMs, takenMs] of [
    [0, 30],
    [100, 2000],
    [3000, 3025],
    [4000, 9000],
  ] as const) {
    flow.sent(1, sentMs)
    flow.acknowledged(flow.sentBytes, takenMs)
  }
  expect(flow.catchUpBytes).toBe(25 * 25 * kibibyte)
})
