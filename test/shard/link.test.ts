/** A link takes what it is sent in turns: others are served between them, and what was answered leaves first. */
import { expect, it } from 'vitest'
import { type Frame, FrameKind } from '#protocol/frames/frame.ts'
import { helloFrame, jsonFrame } from '#protocol/frames/hello.ts'
import { concatenate } from '#runtime/bytes/bytes.ts'
import type { Connection } from '#runtime/ports.ts'
import { Link, type LinkHost, linkOutputPauseBytes } from '#server/link.ts'
import { SeededRandom, seedFromEnv } from '#test/seed.ts'
import { frameBytes } from './proxySide.ts'

class Bench {
  readonly executed: number[] = []
  /** What is to run in a later turn. */
  turns: (() => void)[] = []
  isPaused = false
  /** Taken from channels. */
  channelBytes = 0
  readonly connection = {
    bufferedBytes: 0,
    write: (bytes: Uint8Array) => {
      this.connection.bufferedBytes += bytes.length
    },
    pause: () => {
      this.isPaused = true
    },
    resume: () => {
      this.isPaused = false
    },
    close() {},
    destroy() {},
  }
  readonly link: Link
  steps = 0
  #inStep = 0

  /** The turn of others comes after so many frames; each is answered with so many bytes. */
  constructor(framesOfStep: () => number, replyBytes = 0) {
    let left = framesOfStep()
    const host = {
      hello: { role: 'shard', index: 0, runId: 'r', ranges: [] },
      admission: () => null,
      beginStep: () => {
        left = framesOfStep()
        this.#inStep++
        expect(this.#inStep).toBe(1)
      },
      endStep: () => {
        this.#inStep = 0
        this.steps++
      },
      get isStepLong() {
        return left <= 0
      },
      later: (run: () => void) => this.turns.push(run),
      execute: (link: Link, { tag }: Frame) => {
        left--
        this.executed.push(tag)
        if (replyBytes > 0) link.outbox.addFrame(new Uint8Array(replyBytes))
      },
      openChannel: () => ({
        receive: (_: Uint8Array, start: number, end: number) => {
          this.channelBytes += end - start
        },
        closed() {},
      }),
      hasOutput: (link: Link) => link.release(0),
      closed() {},
    }
    this.link = new Link(this.connection as unknown as Connection, host as unknown as LinkHost)
    this.link.onData(helloFrame({ role: 'proxy', name: 'test' }))
    this.connection.bufferedBytes = 0
  }

  turn(): void {
    const turns = this.turns
    this.turns = []
    for (const run of turns) run()
  }
}

const frames = (from: number, count: number): Uint8Array =>
  concatenate(
    Array.from({ length: count }, (_, i) => frameBytes(FrameKind.request, from + i, 0, 0, 'x'.repeat(i))),
  )
const upTo = (count: number): number[] => Array.from({ length: count }, (_, i) => i)

it('others have their turn when it has taken long', () => {
  const bench = new Bench(() => 3)
  bench.link.onData(frames(0, 8))
  expect([bench.executed, bench.isPaused]).toEqual([upTo(3), true])
  // What was on its way when it was paused.
  bench.link.onData(frames(8, 1))
  expect(bench.executed).toEqual(upTo(3))
  bench.turn()
  expect([bench.executed, bench.isPaused]).toEqual([upTo(6), true])
  bench.turn()
  expect(bench.executed).toEqual(upTo(9))
  bench.turn()
  expect([bench.isPaused, bench.turns.length]).toEqual([false, 0])
})

it('others have their turn when much has come from peers', () => {
  const bench = new Bench(() => 1000)
  const opening = { role: 'feed', peer: 2, shard: 0, ranges: [] }
  bench.link.onData(jsonFrame(FrameKind.channelOpen, 1, opening))
  const operations = 'x'.repeat(10_000)
  const count = 30
  const many = Array.from({ length: count }, () => frameBytes(FrameKind.channelData, 1, 0, 0, operations))
  bench.link.onData(concatenate(many))
  const taken: number[] = []
  for (; taken.length < 10 && bench.turns.length > 0; bench.turn()) taken.push(bench.channelBytes / 10_000)
  expect([...taken, bench.channelBytes / 10_000]).toEqual([7, 14, 21, 28, 30])
  expect(bench.isPaused).toBe(false)
})

it('what was answered leaves before more is answered', () => {
  const replyBytes = 10 * 1024 * 1024
  const bench = new Bench(() => 1000, replyBytes)
  bench.link.onData(frames(0, 20))
  const taken = Math.ceil(linkOutputPauseBytes / replyBytes)
  expect([bench.executed, bench.turns.length]).toEqual([upTo(taken), 0])
  bench.connection.bufferedBytes = 0
  bench.link.onDrain()
  bench.turn()
  expect(bench.executed).toEqual(upTo(2 * taken))
  while (bench.isPaused) {
    bench.connection.bufferedBytes = 0
    bench.link.onDrain()
    bench.turn()
  }
  expect(bench.executed).toEqual(upTo(20))
})

it('nothing is taken of what is held once the process is to end, or the link has', () => {
  for (const end of ['stopReading', 'close'] as const) {
    const bench = new Bench(() => 1)
    bench.link.onData(frames(0, 3))
    bench.link[end]('')
    bench.turn()
    expect(bench.executed).toEqual([0])
  }
})

it('every frame is taken once, in order, wherever the stream is cut', () => {
  const seed = seedFromEnv()
  for (let at = seed; at < seed + 300; at++) {
    const random = new SeededRandom(at)
    const bench = new Bench(() => 1 + random.below(5))
    const stream = frames(0, 40)
    for (let from = 0; from < stream.length; ) {
      const to = Math.min(stream.length, from + 1 + random.below(200))
      bench.link.onData(stream.subarray(from, to).slice())
      from = to
      if (random.chance(0.5)) bench.turn()
    }
    while (bench.turns.length > 0) bench.turn()
    expect([at, bench.executed, bench.isPaused]).toEqual([at, upTo(40), false])
  }
})
