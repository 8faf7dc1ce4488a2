/** What leaves for a peer is compressed when it arrives earlier so, and only then. */
import { describe, expect, test } from 'vitest'
import { compressedFrame, UnpackingReader } from '#protocol/frames/compressedFrame.ts'
import { FrameKind, frameHeaderBytes, writeFrameHeader } from '#protocol/frames/frame.ts'
import { receiptBytes } from '#protocol/frames/receipt.ts'
import {
  CompressedOutput,
  gatherMs,
  pieceBytesWanted,
  queueMsMin,
  vainPauseMs,
} from '#proxy/compressedOutput.ts'
import { LinkQueue } from '#proxy/linkQueue.ts'
import { allocate, copyOf } from '#runtime/bytes/bytes.ts'
import type { Connection } from '#runtime/ports.ts'
import { MemoryWorld } from '#test/memoryWorld.ts'
import { SeededRandom } from '#test/seed.ts'

/** A link that carries so many bytes a millisecond behind a system that takes all at once, and a peer that tells what has come. */
class NarrowLink implements Connection {
  handler = { onData() {}, onDrain() {}, onClose() {} }
  readonly written: Uint8Array[] = []
  readonly bufferedBytes = 0
  bytesPerMs: number
  receivedBytes = 0
  onReceived: (bytes: number) => void = () => {}
  readonly #world: MemoryWorld
  readonly #wayMs: number
  #toldBytes = 0
  queuedBytes = 0

  constructor(world: MemoryWorld, bytesPerMs: number, wayMs: number) {
    this.#world = world
    this.bytesPerMs = bytesPerMs
    this.#wayMs = wayMs
  }

  write(bytes: Uint8Array): void {
    this.written.push(bytes)
    this.queuedBytes += bytes.length
  }

  pass(durationMs: number): void {
    for (let ms = 0; ms < durationMs; ms++) {
      const passed = Math.min(this.queuedBytes, this.bytesPerMs)
      this.queuedBytes -= passed
      this.receivedBytes += passed
      const { receivedBytes } = this
      if (receivedBytes - this.#toldBytes >= receiptBytes) {
        this.#toldBytes = receivedBytes
        this.#world.after(this.#wayMs, () => this.onReceived(receivedBytes))
      }
      this.#world.advance(1)
    }
  }

  pause(): void {}
  resume(): void {}
  close(): void {}
  destroy(): void {}
}

const frameBytes = 16 * 1024
const random = new SeededRandom(1)

/** Of a third of the bytes nothing is known. */
const usual = allocate(64 * frameBytes)
const incompressible = allocate(64 * frameBytes)
for (let at = 0; at < usual.length; at++) {
  usual[at] = at % 3 === 0 ? random.below(256) : 97
  incompressible[at] = random.below(256)
}

function frameOf(tag: number, isRandom = false): Uint8Array {
  const from = random.below(63 * frameBytes)
  const frame = copyOf(isRandom ? incompressible : usual, from, from + frameBytes)
  writeFrameHeader(frame, 0, FrameKind.channelData, tag, 0, 0, frameBytes - frameHeaderBytes)
  return frame
}

/** Packing takes `packMs`. */
function scene({ bytesPerMs = 1000, packMs = 0.3, level = 3, isUnderstood = true, wayMs = 10 } = {}) {
  const world = new MemoryWorld()
  const link = new NarrowLink(world, bytesPerMs, wayMs)
  const settings = { level, packs: 0 }
  const output = new CompressedOutput(link, {
    clock: world,
    timers: world,
    level: () => settings.level,
    pack: (...of) => {
      settings.packs++
      world.spend(packMs)
      return compressedFrame(...of)
    },
  })
  link.onReceived = (bytes) => expect(output.received(bytes)).toBe(true)
  output.isUnderstood = isUnderstood
  let frames = 0
  const write = (isRandom = false) => output.write(frameOf(++frames, isRandom))
  /** Keeps `queuedBytes` on their way for so long. */
  const load = (durationMs: number, queuedBytes = 500_000, isRandom = false) => {
    for (let ms = 0; ms < durationMs; ms++) {
      while (output.bufferedBytes + link.queuedBytes < queuedBytes) write(isRandom)
      link.pass(1)
    }
  }
  const tags = () => {
    const found: number[] = []
    const reader = new UnpackingReader({ bytes: 0, rawBytes: 0 }, ({ tag }) => found.push(tag))
    for (const bytes of link.written) expect(reader.feed(bytes)).toBeNull()
    return found
  }
  return { link, settings, output, write, load, tags, frames: () => frames }
}

const upTo = (count: number) => Array.from({ length: count }, (_, i) => i + 1)

describe('a link that keeps up', () => {
  test('costs no time, whatever the level', () => {
    const { write, link, settings, tags } = scene({ level: 6, bytesPerMs: 20_000 })
    for (const _ of upTo(500)) {
      write()
      link.pass(1)
    }
    expect(settings.packs).toBe(0)
    expect(tags()).toEqual(upTo(500))
  })

  test('also when it is long, and much comes at once', () => {
    const { write, link, settings } = scene({ bytesPerMs: 100_000, wayMs: 200 })
    for (let burst = 0; burst < 20; burst++) {
      for (const _ of upTo(200)) write()
      link.pass(100)
    }
    expect(settings.packs).toBe(0)
  })
})

describe('a slow link', () => {
  test('gets fewer bytes as soon as it is known to be one', () => {
    const { load, link, output, tags, frames } = scene()
    load(3000)
    output.flush()
    expect(link.written[0]?.[10]).toBe(FrameKind.channelData)
    expect(link.written.at(-1)?.[10]).toBe(FrameKind.compressed)
    expect(tags()).toEqual(upTo(frames()))
    const { bytes, rawBytes } = output.traffic
    expect(rawBytes).toBe(frames() * frameBytes)
    expect(bytes).toBe(link.written.reduce((sum, one) => sum + one.length, 0))
    // Of what comes after the first half of a megabyte a third and a little.
    expect(bytes).toBeLessThan(550_000 + (rawBytes - 500_000) * 0.45)
  })

  test('gets pieces that are worth packing', () => {
    const { load, settings, frames } = scene()
    load(5_000)
    expect(frames()).toBeGreaterThan(500)
    expect(settings.packs).toBeGreaterThan((frames() * frameBytes) / pieceBytesWanted / 2)
    expect(settings.packs).toBeLessThan(((frames() * frameBytes) / pieceBytesWanted) * 1.5)
  })

  test('what was gathered goes soon, and heartbeats as they are', () => {
    const { load, link, output, write, tags, frames, settings } = scene()
    load(1000)
    link.pass(gatherMs)
    write()
    expect(tags()).not.toContain(frames())
    link.pass(gatherMs)
    expect(tags()).toEqual(upTo(frames()))
    load(1000)
    link.pass(gatherMs)
    const { packs } = settings
    const small = allocate(frameHeaderBytes + 20)
    writeFrameHeader(small, 0, FrameKind.channelData, 1_000_000, 0, 0, 20)
    output.write(small)
    link.pass(gatherMs)
    expect(tags().at(-1)).toBe(1_000_000)
    expect(settings.packs).toBe(packs)
    // Nor does it count as packed in vain.
    load(100)
    expect(settings.packs).toBeGreaterThan(packs)
  })

  test('is left alone when nothing queues any more', () => {
    const { load, link, write, settings } = scene()
    load(1000)
    link.pass(10_000)
    const { packs } = settings
    for (const _ of upTo(100)) {
      write()
      link.pass(100)
    }
    // One: that it does not queue any more is not known before something has come.
    expect(settings.packs).toBeLessThanOrEqual(packs + 1)
  })

  test('is left alone at level 0, and from the moment on at which that is set', () => {
    const off = scene({ level: 0 })
    off.load(1000)
    expect(off.settings.packs).toBe(0)
    const { settings, load, tags, frames } = scene()
    load(1000)
    const { packs } = settings
    expect(packs).toBeGreaterThan(0)
    settings.level = 0
    load(1000)
    // What was gathered by then.
    expect(settings.packs).toBeLessThanOrEqual(packs + 1)
    expect(tags()).toEqual(upTo(frames()))
  })

  test('is left alone when the peer does not read such frames', () => {
    const { load, settings } = scene({ isUnderstood: false })
    load(1000)
    expect(settings.packs).toBe(0)
  })
})

describe('in vain', () => {
  const triesIn = (durationMs: number) => Math.ceil(durationMs / vainPauseMs) + 1

  test('when packing takes longer than sending: it is tried now and then', () => {
    const { load, settings, tags, frames } = scene({ packMs: 20, bytesPerMs: 10_000 })
    load(1500, 1_500_000)
    expect(settings.packs).toBeGreaterThan(2)
    expect(settings.packs).toBeLessThanOrEqual(triesIn(1500))
    expect(tags()).toEqual(upTo(frames()))
  })

  test('when it does not shrink', () => {
    const { load, settings, output } = scene()
    load(2000, 500_000, true)
    expect(settings.packs).toBeGreaterThan(2)
    expect(settings.packs).toBeLessThanOrEqual(triesIn(2000))
    expect(output.traffic.bytes).toBeLessThan(output.traffic.rawBytes * 1.001)
  })

  test('a link that slows down is compressed for', () => {
    const { load, settings, link } = scene({ packMs: 20, bytesPerMs: 10_000 })
    load(1000, 1_500_000)
    const { packs } = settings
    link.bytesPerMs = 500
    load(5000)
    expect(settings.packs - packs).toBeGreaterThan(2 * triesIn(5000))
  })
})

describe('the queue of a link', () => {
  test('is what a byte takes beyond the shortest time that one has taken', () => {
    const queue = new LinkQueue()
    queue.sent(0, 100)
    queue.sent(1000, 100)
    expect(queue.received(40, 100)).toBe(true)
    expect([queue.queueMs, queue.unreceivedBytes]).toEqual([0, 100])
    expect(queue.received(1100, 150)).toBe(true)
    expect(queue.queueMs).toBe(60)
    expect(queue.received(1200, 200)).toBe(true)
    expect([queue.queueMs, queue.unreceivedBytes]).toEqual([160, 0])
  })

  test('what was not sent, or has been told of, can not have come', () => {
    const queue = new LinkQueue()
    queue.sent(0, 100)
    expect(queue.received(10, 101)).toBe(false)
    expect(queue.received(10, 50)).toBe(true)
    expect(queue.received(10, 50)).toBe(false)
    expect(queue.received(10, 49)).toBe(false)
    expect(queue.received(10, Number.NaN)).toBe(false)
  })

  test('its rate is measured while bytes wait, not while there is little to send', () => {
    const queue = new LinkQueue()
    for (let ms = 0; ms < 1000; ms += 100) {
      queue.sent(ms, 100)
      queue.received(ms + 10, (ms / 100 + 1) * 100)
    }
    expect(queue.bytesPerMs).toBe(Number.POSITIVE_INFINITY)
    queue.sent(1000, 100_000)
    for (let ms = 100; ms <= 1000; ms += 100) queue.received(1000 + ms, 1000 + ms * 100)
    expect(queue.bytesPerMs).toBe(100)
  })

  test('a peer from which nothing is heard costs no memory', () => {
    const queue = new LinkQueue()
    for (let ms = 0; ms < 10_000_000; ms += 10) queue.sent(ms, 1)
    // Of all that was sent since the beginning of the silence only that is known.
    queue.received(10_000_000, 500_000)
    expect(queue.queueMs).toBe(0)
    queue.sent(10_000_000, 1)
    expect(queue.received(10_000_010, 1_000_001)).toBe(true)
    expect(queueMsMin).toBeGreaterThan(10)
  })
})
