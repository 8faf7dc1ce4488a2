/** Which request of which frame a proxy is told of. */
import { expect, it } from 'vitest'
import { type Frame, FrameFlag, FrameKind, FrameReader, sessionBytes } from '#protocol/frames/frame.ts'
import { readJson } from '#protocol/frames/hello.ts'
import { bytesOf } from '#runtime/bytes/bytes.ts'
import type { Connection } from '#runtime/ports.ts'
import { Link, type LinkHost } from '#server/link.ts'
import { SlowRequests } from '#server/slowRequests.ts'
import { MemoryWorld } from '#test/memoryWorld.ts'
import { encode } from '#test/proxy/proxyWorld.ts'

class Bench {
  readonly told: { tag: number; slow: unknown }[] = []
  readonly #link: Link
  readonly #slow = new SlowRequests(new MemoryWorld(), () => {
    this.#link.release(0)
  })
  readonly #reader = new FrameReader()
  #lengths: number[] = []

  constructor() {
    const connection = {
      bufferedBytes: 0,
      write: (bytes: Uint8Array) => {
        this.#reader.feed(bytes, (frame) => {
          expect(frame.kind).toBe(FrameKind.slow)
          this.told.push({ tag: frame.tag, slow: readJson(frame) })
        })
      },
      pause() {},
      resume() {},
    }
    this.#link = new Link(connection as unknown as Connection, {} as LinkHost)
  }

  /** A frame of these requests; one that is tracked says whose it is. */
  enter(tag: number, requests: readonly string[][], isTracked = false): void {
    const texts = requests.map(encode)
    let end = isTracked ? sessionBytes : 0
    const bytes = bytesOf('\x00'.repeat(end) + texts.join(''))
    this.#lengths = texts.map(({ length }) => {
      end += length
      return end
    })
    const frame: Frame = {
      kind: FrameKind.request,
      flags: isTracked ? FrameFlag.tracked : 0,
      tag,
      slot: 0,
      bytes,
      payloadStart: 0,
      payloadEnd: bytes.length,
    }
    this.#slow.enter(this.#link, frame)
  }

  /** Request `i` of the frame runs now. */
  tell(i: number, isCurrent: boolean): unknown {
    this.#slow.tell(7, this.#lengths[i] as number, isCurrent)
    const told = this.told.pop()
    return told === undefined ? undefined : [told.tag, (told.slow as { arguments: string[] }).arguments]
  }

  leave(): void {
    this.#slow.leave()
  }
}

it('is the one that runs, or the one before it, in whichever frame', () => {
  const bench = new Bench()
  bench.enter(1, [
    ['GET', 'a'],
    ['GET', 'b'],
  ])
  expect(bench.tell(0, true)).toEqual([1, ['GET', 'a']])
  expect(bench.tell(1, true)).toEqual([1, ['GET', 'b']])
  expect(bench.tell(1, false)).toEqual([1, ['GET', 'a']])
  expect(bench.tell(0, false)).toBeUndefined()
  bench.enter(
    2,
    [
      ['SET', 'c', '1'],
      ['SET', 'd', '1'],
    ],
    true,
  )
  expect(bench.tell(0, false)).toEqual([1, ['GET', 'b']])
  expect(bench.tell(1, false)).toEqual([2, ['SET', 'c', '1']])
  expect(bench.tell(1, true)).toEqual([2, ['SET', 'd', '1']])
  bench.leave()
  expect(bench.tell(1, true)).toBeUndefined()
})
