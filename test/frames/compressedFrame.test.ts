/** Compressed pieces of a stream of frames: what goes in comes out, and what a hostile peer sends ends in an error text. */
import { constants, zstdCompressSync } from 'node:zlib'
import { describe, expect, test } from 'vitest'
import {
  compressedFrame,
  type LinkTraffic,
  pieceBytesMax,
  UnpackingReader,
} from '#protocol/frames/compressedFrame.ts'
import { FrameKind, frameHeaderBytes, writeFrameHeader, writeU32 } from '#protocol/frames/frame.ts'
import { allocate, bytesOf, concatenate, latin1 } from '#runtime/bytes/bytes.ts'
import { SeededRandom, seedFromEnv } from '#test/seed.ts'

function frameOf(kind: number, tag: number, payload: Uint8Array): Uint8Array {
  const frame = allocate(frameHeaderBytes + payload.length)
  frame.set(payload, writeFrameHeader(frame, 0, kind, tag, 5, 1, payload.length))
  return frame
}

const dataFrame = (tag: number, text: string) => frameOf(FrameKind.channelData, tag, bytesOf(text))
const packed = (bytes: Uint8Array) => compressedFrame(bytes, 0, bytes.length, 3)

/** A frame of kind `compressed` that claims to hold `sizeBytes`. */
function claiming(sizeBytes: number, content: Uint8Array): Uint8Array {
  const payload = allocate(4 + content.length)
  writeU32(payload, 0, sizeBytes)
  payload.set(content, 4)
  return frameOf(FrameKind.compressed, 0, payload)
}

function reading() {
  const traffic: LinkTraffic = { bytes: 0, rawBytes: 0 }
  const taken: string[] = []
  let onTaken = () => {}
  const reader = new UnpackingReader(
    traffic,
    ({ kind, tag, slot, flags, bytes, payloadStart, payloadEnd }) => {
      taken.push(`${kind} ${tag} ${slot} ${flags} ${latin1(bytes, payloadStart, payloadEnd)}`)
      onTaken()
    },
  )
  const onTake = (run: () => void) => {
    onTaken = run
  }
  return { traffic, taken, reader, onTake }
}

const shown = (tag: number, text: string) => `${FrameKind.channelData} ${tag} 5 1 ${text}`

test('frames come out as they went in, packed or not, however pieces and chunks are cut', () => {
  const random = new SeededRandom(seedFromEnv())
  for (let run = 0; run < 200; run++) {
    const { traffic, taken, reader } = reading()
    const wanted: string[] = []
    const stream: Uint8Array[] = []
    let rawBytes = 0
    for (let i = 0; i < 12; i++) {
      const frames: Uint8Array[] = []
      for (let count = 1 + random.below(5); count > 0; count--) {
        const text = String.fromCharCode(97 + random.below(26)).repeat(
          random.below(random.chance(0.1) ? 5000 : 50),
        )
        wanted.push(shown(count, text))
        frames.push(dataFrame(count, text))
      }
      const bytes = concatenate(frames)
      rawBytes += bytes.length
      if (random.chance(0.4)) stream.push(bytes)
      else {
        for (let at = 0; at < bytes.length; ) {
          const end = Math.min(bytes.length, at + 1 + random.below(random.chance(0.5) ? 40 : 4000))
          stream.push(compressedFrame(bytes, at, end, 1 + random.below(9)))
          at = end
        }
      }
    }
    const bytes = concatenate(stream)
    for (let at = 0; at < bytes.length; ) {
      const end = Math.min(bytes.length, at + 1 + random.below(random.chance(0.5) ? 20 : 3000))
      expect(reader.feed(bytes.slice(at, end))).toBeNull()
      at = end
    }
    expect(taken).toEqual(wanted)
    expect(traffic).toEqual({ bytes: bytes.length, rawBytes })
  }
})

test('a frame larger than a piece', () => {
  const { taken, reader, traffic } = reading()
  const text = 'abc'.repeat(pieceBytesMax)
  const bytes = dataFrame(1, text)
  for (let at = 0; at < bytes.length; at += pieceBytesMax)
    expect(reader.feed(compressedFrame(bytes, at, Math.min(bytes.length, at + pieceBytesMax), 3))).toBeNull()
  expect(taken).toEqual([shown(1, text)])
  expect(traffic.rawBytes).toBe(bytes.length)
  expect(traffic.bytes).toBeLessThan(bytes.length / 50)
})

describe('who is held', () => {
  test('gets nothing more, and the rest in order when released', () => {
    const { taken, reader, onTake } = reading()
    const bytes = concatenate([
      dataFrame(1, 'one'),
      packed(dataFrame(2, 'two')),
      packed(dataFrame(3, 'three')),
      dataFrame(4, 'four'),
    ])
    onTake(() => {
      reader.isHeld = true
    })
    expect(reader.feed(bytes.slice(0, bytes.length - 1))).toBeNull()
    expect(taken).toEqual([shown(1, 'one')])
    expect(reader.release()).toBeNull()
    expect(taken).toEqual([shown(1, 'one'), shown(2, 'two')])
    // The end of the last comes meanwhile.
    expect(reader.feed(bytes.slice(bytes.length - 1))).toBeNull()
    expect(taken).toHaveLength(2)
    expect(reader.release()).toBeNull()
    expect(reader.release()).toBeNull()
    expect(reader.release()).toBeNull()
    expect(taken).toEqual([shown(1, 'one'), shown(2, 'two'), shown(3, 'three'), shown(4, 'four')])
  })

  test('is not flooded by few bytes that unpack to many: one piece at most', () => {
    const { taken, reader, onTake } = reading()
    const zeros = allocate(pieceBytesMax - frameHeaderBytes).fill(0)
    const bytes = concatenate(
      Array.from({ length: 1000 }, () => packed(frameOf(FrameKind.channelData, 1, zeros))),
    )
    // 256 MiB in what one read of a socket may bring.
    expect(bytes.length).toBeLessThan(64 * 1024)
    onTake(() => {
      reader.isHeld = true
    })
    expect(reader.feed(bytes)).toBeNull()
    expect(taken).toHaveLength(1)
  })
})

describe('is refused with an error text, and nothing of it is taken:', () => {
  const refused = (...stream: Uint8Array[]): string => {
    const { reader, taken } = reading()
    let error: string | null = null
    for (const bytes of stream) error ??= reader.feed(bytes)
    expect(taken).toEqual([])
    if (error === null) throw new Error('nothing was refused')
    // The stream stays refused.
    expect(reader.feed(dataFrame(1, 'later'))).toBe(error)
    expect(taken).toEqual([])
    return error
  }
  const frame = dataFrame(1, 'x'.repeat(1000))

  test('more than the announced size', () => {
    const content = zstdCompressSync(frame)
    expect(refused(claiming(frame.length - 1, content))).toMatch(/^compressed bytes that can't be read: /)
  })

  test('less than the announced size', () => {
    expect(refused(claiming(frame.length + 1, zstdCompressSync(frame)))).toBe(
      `${frame.length} bytes instead of ${frame.length + 1} were compressed`,
    )
  })

  test('no size, or more than a piece may have', () => {
    expect(refused(claiming(0, zstdCompressSync(frame)))).toBe(
      `a compressed frame of 0 bytes; at most ${pieceBytesMax} are allowed`,
    )
    expect(refused(claiming(pieceBytesMax + 1, zstdCompressSync(frame)))).toContain(
      `of ${pieceBytesMax + 1} bytes`,
    )
    expect(refused(frameOf(FrameKind.compressed, 0, allocate(4).fill(1)))).toBe(
      'a compressed frame without content',
    )
  })

  test('a bomb, without memory for what it holds', () => {
    const bomb = zstdCompressSync(Buffer.alloc(300 * 1024 * 1024), {
      params: { [constants.ZSTD_c_windowLog]: 27 },
    })
    expect(bomb.length).toBeLessThan(64 * 1024)
    const before = process.memoryUsage().rss
    for (let i = 0; i < 10; i++) refused(claiming(pieceBytesMax, bomb))
    // The same behind a small window: found when it has given what it announced.
    const small = zstdCompressSync(Buffer.alloc(300 * 1024 * 1024), {
      params: { [constants.ZSTD_c_windowLog]: 17 },
    })
    for (let i = 0; i < 10; i++) refused(claiming(pieceBytesMax, small))
    expect(process.memoryUsage().rss - before).toBeLessThan(100 * 1024 * 1024)
  })

  test('a window that needs more memory than a piece', () => {
    const bytes = allocate(2 * pieceBytesMax).fill(7)
    const content = zstdCompressSync(bytes, {
      params: { [constants.ZSTD_c_windowLog]: 24, [constants.ZSTD_c_contentSizeFlag]: 0 },
    })
    expect(refused(claiming(1000, content))).toMatch(/^compressed bytes that can't be read: /)
  })

  test('content that has changed on the way, anywhere', () => {
    const sound = packed(frame)
    for (let at = frameHeaderBytes + 4; at < sound.length; at++) {
      const changed = sound.slice()
      changed[at] = (changed[at] as number) ^ 0x10
      const { reader, taken } = reading()
      const error = reader.feed(changed)
      // A bit that means nothing may change; what comes out may not.
      expect(error !== null || taken[0] === shown(1, 'x'.repeat(1000)), `byte ${at}`).toBe(true)
    }
  })

  test('one within another, and one that another frame breaks into', () => {
    expect(refused(packed(packed(frame)))).toBe('a compressed frame within another one')
    expect(refused(compressedFrame(frame, 0, 100, 3), dataFrame(2, 'y'))).toBe(
      `frame of kind ${FrameKind.channelData} within a compressed one`,
    )
  })

  test('a piece that is none of a stream of frames', () => {
    expect(refused(packed(allocate(20).fill(0xff)))).toBe('frame of 4294967295 bytes')
  })

  test('random bytes', () => {
    const random = new SeededRandom(seedFromEnv())
    for (let run = 0; run < 2000; run++) {
      const content = allocate(1 + random.below(60))
      for (let at = 0; at < content.length; at++) content[at] = random.below(256)
      // Often the magic of a zstd frame.
      if (content.length > 4 && random.chance(0.7)) writeU32(content, 0, 0xfd2fb528)
      refused(claiming(1 + random.below(200), content))
    }
  })
})

test('what the first release with compression has sent is read for ever', () => {
  const bytes = Buffer.from(
    '3600000000000000000018007000000028b52ffd2470ed0000b06c0000000100000005000b01617320697420776173200100ae536902df5c5076',
    'hex',
  )
  const { reader, taken } = reading()
  expect(reader.feed(bytes)).toBeNull()
  expect(taken).toEqual([shown(1, 'as it was '.repeat(10))])
})
