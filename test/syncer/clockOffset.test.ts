import { describe, expect, test } from 'vitest'
import { pingFrame, pongFrame, readPong } from '#protocol/frames/clockProbe.ts'
import { type Frame, FrameReader } from '#protocol/frames/frame.ts'
import { ClockOffsets, samplesKept } from '#syncer/link/clockOffset.ts'
import { backOffMs } from '#syncer/link/frameLink.ts'
import { pairings } from '#syncer/topology/pairing.ts'
import { SeededRandom } from '#test/seed.ts'

const frameOf = (bytes: Uint8Array): Frame => {
  let found: Frame | null = null
  expect(
    new FrameReader().feed(bytes, (frame) => {
      found = { ...frame }
    }),
  ).toBeNull()
  if (found === null) throw new Error('no frame')
  return found
}

describe('clock probes', () => {
  test('a pong carries the tag and the times', () => {
    const pong = pongFrame(frameOf(pingFrame(7, 1234.5)), 2000, 2001)
    if (pong === null) throw new Error('no pong')
    const frame = frameOf(pong)
    expect(frame.tag).toBe(7)
    expect(readPong(frame)).toEqual({ t1: 1234.5, t2: 2000, t3: 2001 })
  })

  test('times that are missing or no numbers are refused', () => {
    const ping = frameOf(pingFrame(7, 1))
    expect(readPong(ping)).toBeNull()
    expect(pongFrame({ ...ping, payloadEnd: ping.payloadEnd - 1 }, 1, 1)).toBeNull()
    expect(pongFrame(frameOf(pingFrame(7, Number.NaN)), 1, 1)).toBeNull()
  })
})

describe('ClockOffsets', () => {
  test('offset and delay from four timestamps', () => {
    const offsets = new ClockOffsets()
    // The peer is 500 ahead; 30 there, 5 in it, 10 back.
    expect(offsets.add({ t1: 1000, sentMs: 0 }, 1530, 1535, 1045, 45)).toBe(true)
    expect(offsets.best).toEqual({ offsetMs: 510, delayMs: 40 })
  })

  test('the sample with the shortest round trip counts, until it is old', () => {
    const offsets = new ClockOffsets()
    offsets.add({ t1: 0, sentMs: 0 }, 100, 100, 2, 2)
    for (let i = 1; i < samplesKept; i++) offsets.add({ t1: 0, sentMs: 0 }, 150, 150, 40 + i, 40 + i)
    expect(offsets.best).toEqual({ offsetMs: 99, delayMs: 2 })
    offsets.add({ t1: 0, sentMs: 0 }, 150, 150, 60, 60)
    expect(offsets.best?.delayMs).toBe(41)
    offsets.clear()
    expect(offsets.best).toBeNull()
  })

  test('a step of our clock during the ping makes it useless; so do impossible times', () => {
    const offsets = new ClockOffsets()
    expect(offsets.add({ t1: 1000, sentMs: 0 }, 1000, 1000, 6010, 10)).toBe(false)
    expect(offsets.add({ t1: 1000, sentMs: 0 }, 1000, 900, 1010, 10)).toBe(false)
    expect(offsets.add({ t1: 1000, sentMs: 0 }, 1000, 2000, 1010, 10)).toBe(false)
    expect(offsets.best).toBeNull()
  })

  test('what was measured before a step of our clock is forgotten', () => {
    const offsets = new ClockOffsets()
    offsets.add({ t1: 0, sentMs: 0 }, 1, 1, 2, 2)
    expect(offsets.add({ t1: 90_100, sentMs: 100 }, 150, 150, 90_140, 140)).toBe(true)
    expect(offsets.best).toEqual({ offsetMs: -89_970, delayMs: 40 })
  })
})

test('back-off stays within its bounds at any number of attempts', () => {
  const random = new SeededRandom(3)
  for (const attempts of [0, 1, 5, 100, 5000]) {
    const pause = backOffMs(attempts, 50, 1000, random)
    expect(pause).toBeGreaterThanOrEqual(25)
    expect(pause).toBeLessThanOrEqual(1001)
  }
})

test('shards without slots in common are not paired', () => {
  const here = [
    {
      index: 0,
      ranges: [
        { first: 0, last: 9 },
        { first: 20, last: 29 },
      ],
      runId: 'a',
    },
  ]
  const there = [
    { index: 4, ranges: [{ first: 5, last: 24 }], runId: 'b' },
    { index: 5, ranges: [{ first: 100, last: 200 }], runId: 'c' },
  ]
  expect(pairings(here, there)).toEqual([
    {
      localShard: 0,
      remoteShard: 4,
      ranges: [
        { first: 5, last: 9 },
        { first: 20, last: 24 },
      ],
    },
  ])
})
