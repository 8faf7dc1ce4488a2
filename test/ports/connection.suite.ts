/** What every connection does: sockets, TLS sessions, simulated links. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { bytesOf, concatenate, latin1 } from '#runtime/bytes/bytes.ts'
import type { Connection, ConnectionHandler } from '#runtime/ports.ts'

export interface ConnectionsUnderTest {
  /** Both ends of a new connection that is open. */
  pair(): Promise<[Connection, Connection]>
  /** Lets time pass until `promise` is fulfilled. */
  until<T>(promise: Promise<T>): Promise<T>
  end(): void | Promise<void>
}

/** Remembers what happened, and can be waited for. */
export class Observer implements ConnectionHandler {
  readonly chunks: Uint8Array[] = []
  receivedBytes = 0
  drains = 0
  closes: (Error | null)[] = []
  #waiting: { holds: () => boolean; resolve: () => void }[] = []

  onData(chunk: Uint8Array): void {
    this.chunks.push(chunk)
    this.receivedBytes += chunk.length
    this.#check()
  }

  onDrain(): void {
    this.drains++
    this.#check()
  }

  onClose(error: Error | null): void {
    this.closes.push(error)
    this.#check()
  }

  get text(): string {
    return latin1(concatenate(this.chunks))
  }

  when(holds: () => boolean): Promise<void> {
    return new Promise((resolve) => {
      this.#waiting.push({ holds, resolve })
      this.#check()
    })
  }

  #check(): void {
    const waiting = this.#waiting
    this.#waiting = waiting.filter(({ holds }) => !holds())
    for (const one of waiting) if (!this.#waiting.includes(one)) one.resolve()
  }
}

const megabytes = 1024 * 1024

export function connectionSuite(name: string, make: () => ConnectionsUnderTest): void {
  describe(`a connection: ${name}`, () => {
    let under: ConnectionsUnderTest
    let near: Connection
    let far: Connection
    let atNear: Observer
    let atFar: Observer
    beforeEach(async () => {
      under = make()
      ;[near, far] = await under.pair()
      atNear = new Observer()
      atFar = new Observer()
      near.handler = atNear
      far.handler = atFar
    })
    afterEach(() => {
      near.destroy()
      far.destroy()
      return under.end()
    })

    test('carries bytes both ways, in order', async () => {
      const words = Array.from({ length: 200 }, (_, i) => `word ${i};`)
      for (const word of words) near.write(bytesOf(word))
      far.write(bytesOf('answer'))
      const expected = words.join('')
      await under.until(atFar.when(() => atFar.receivedBytes === expected.length))
      await under.until(atNear.when(() => atNear.receivedBytes === 6))
      expect(atFar.text).toBe(expected)
      expect(atNear.text).toBe('answer')
      expect(near.bufferedBytes).toBe(0)
    })

    test('calls nothing from inside write, close and destroy', () => {
      near.write(bytesOf('x'.repeat(megabytes)))
      near.close()
      far.destroy()
      expect([atNear, atFar].map((observer) => observer.chunks.length + observer.drains)).toEqual([0, 0])
      expect([atNear.closes, atFar.closes]).toEqual([[], []])
    })

    test('a reader that pauses makes the writer see it, and onDrain when all has left', async () => {
      far.pause()
      const size = 32 * megabytes
      for (let i = 0; i < 32; i++) near.write(new Uint8Array(megabytes).fill(i))
      expect(near.bufferedBytes).toBeGreaterThan(0)
      // It stays so: an answer that goes round does not change it.
      far.write(bytesOf('still here'))
      await under.until(atNear.when(() => atNear.receivedBytes === 10))
      expect(near.bufferedBytes).toBeGreaterThan(0)
      expect(atNear.drains).toBe(0)
      far.resume()
      await under.until(atFar.when(() => atFar.receivedBytes === size))
      await under.until(atNear.when(() => atNear.drains > 0))
      expect(near.bufferedBytes).toBe(0)
      const all = concatenate(atFar.chunks)
      for (let i = 0; i < 32; i++) expect(all[i * megabytes + 7]).toBe(i)
    })

    test('close lets what was written leave; both ends hear of an orderly end, once', async () => {
      const size = 4 * megabytes
      near.write(new Uint8Array(size))
      near.close()
      near.close()
      near.write(bytesOf('too late'))
      await under.until(atFar.when(() => atFar.closes.length > 0))
      await under.until(atNear.when(() => atNear.closes.length > 0))
      expect(atFar.receivedBytes).toBe(size)
      expect(atFar.closes).toEqual([null])
      expect(atNear.closes).toEqual([null])
    })

    test('nothing comes after close, and a write then does nothing', async () => {
      near.close()
      far.write(bytesOf('unheard'))
      await under.until(atFar.when(() => atFar.closes.length > 0))
      await under.until(atNear.when(() => atNear.closes.length > 0))
      far.write(bytesOf('nobody'))
      expect(atNear.receivedBytes).toBe(0)
      expect(atFar.closes).toHaveLength(1)
    })

    test('destroy ends both ends at once, even of a reader that pauses', async () => {
      near.pause()
      far.write(new Uint8Array(16 * megabytes))
      near.destroy()
      near.destroy()
      await under.until(atNear.when(() => atNear.closes.length > 0))
      await under.until(atFar.when(() => atFar.closes.length > 0))
      expect(atNear.closes).toEqual([null])
      expect(atFar.closes).toHaveLength(1)
    })
  })
}
