/** Frames are cut out of a stream, wherever it breaks; one that takes long is taken in parts. */
import { expect, it } from 'vitest'
import { commandsStart, type Frame, FrameFlag, FrameKind, FrameReader } from '#protocol/frames/frame.ts'
import { concatenate, latin1 } from '#runtime/bytes/bytes.ts'
import { SeededRandom, seedFromEnv } from '#test/seed.ts'
import { frameBytes } from '#test/shard/proxySide.ts'

it('a frame of which only the beginning is taken comes again with the rest, and with whose it is', () => {
  const seed = seedFromEnv()
  for (let at = seed; at < seed + 300; at++) {
    const random = new SeededRandom(at)
    const sent = Array.from({ length: 20 }, (_, tag) => {
      const session = random.chance(0.5) ? String.fromCharCode(tag, 1, 2, 3) : ''
      const commands = Array.from({ length: 1 + random.below(60) }, (_, i) => String.fromCharCode(i)).join('')
      return { tag, session, commands }
    })
    const flagsOf = (session: string): number => (session === '' ? 0 : FrameFlag.tracked)
    const stream = concatenate(
      sent.map(({ tag, session, commands }) =>
        frameBytes(FrameKind.request, tag, 7 + tag, flagsOf(session), session + commands),
      ),
    )
    const taken = sent.map(({ tag }) => ({ tag, session: '', commands: '' }))
    const reader = new FrameReader()
    let last = 0
    const take = (frame: Frame): void => {
      const { tag, slot, flags, bytes, payloadStart, payloadEnd } = frame
      const start = commandsStart(frame)
      const session = latin1(bytes, payloadStart, start)
      expect([tag >= last, slot, flags]).toEqual([true, 7 + tag, flagsOf(session)])
      last = tag
      const end = random.chance(0.5) ? payloadEnd : start + 1 + random.below(payloadEnd - start)
      if (end < payloadEnd) reader.holdFrom(end)
      const before = taken[tag]?.commands ?? ''
      taken[tag] = { tag, session, commands: before + latin1(bytes, start, end) }
    }
    for (let from = 0; from < stream.length; ) {
      const to = Math.min(stream.length, from + 1 + random.below(200))
      const chunk = stream.slice(from, to)
      expect(reader.feed(chunk, take)).toBeNull()
      // Whoever sent it may have it still.
      expect(chunk).toEqual(stream.slice(from, to))
      from = to
      if (random.chance(0.5)) reader.goOn(take)
    }
    while (reader.isHeld) expect(reader.goOn(take)).toBeNull()
    expect([at, taken]).toEqual([at, sent])
  }
})
