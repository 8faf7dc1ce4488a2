/** A hostile client at a real port, and when it is gone the next one. */
import { createConnection, type Socket } from 'node:net'
import type { SeededRandom } from '#test/seed.ts'
import { type Act, HostileClient } from './hostileClient.ts'
import type { HostileRequests } from './hostileRequests.ts'

const actsMax = 60
const betweenPiecesMsMax = 5
const betweenActsMsMax = 40
const notReadingMsMax = 500
/** For the last replies: others may hold them up for a while. */
const repliesWaitMs = 60_000

export interface PlayedTotals {
  clients: number
  requests: number
  replies: number
}

const pause = (delayMs: number) => new Promise((resolve) => setTimeout(resolve, delayMs))

export class HostileSocket {
  readonly totals: PlayedTotals = { clients: 0, requests: 0, replies: 0 }
  readonly faults: string[] = []
  readonly #port: number
  readonly #random: SeededRandom
  readonly #requests: HostileRequests
  #isStopped = false

  constructor(port: number, random: SeededRandom, requests: HostileRequests) {
    this.#port = port
    this.#random = random
    this.#requests = requests
  }

  /** Until `stop`. */
  async run(): Promise<void> {
    while (!this.#isStopped) await this.#playOne()
  }

  stop(): void {
    this.#isStopped = true
  }

  async #playOne(): Promise<void> {
    const client = new HostileClient(this.#random, this.#requests)
    const socket = createConnection({ port: this.#port, host: '127.0.0.1', allowHalfOpen: true })
    const closed = new Promise((resolve) => socket.once('close', resolve))
    // What went wrong shows in what is missing.
    socket.on('error', () => {})
    socket.on('data', (chunk: Uint8Array) => client.replies.take(chunk))
    socket.on('end', () => socket.destroy())
    for (let acts = 0; acts < actsMax && !this.#isStopped && !socket.destroyed; acts++) {
      const act = client.act()
      await this.#play(socket, act)
      if (client.fault !== null || act.ending !== 'stays') break
    }
    const deadlineMs = performance.now() + repliesWaitMs
    while (client.isWaiting && !socket.destroyed && !client.hasQuit && performance.now() < deadlineMs)
      await pause(20)
    if (client.isWaiting && !socket.destroyed && !client.hasQuit)
      this.faults.push(
        `${client.replies.replyCount} replies to ${client.requestCount} requests\n  ${client.recent.join('\n  ')}`,
      )
    if (client.fault !== null) this.faults.push(`${client.fault}\n  ${client.recent.join('\n  ')}`)
    socket.destroy()
    await closed
    this.totals.clients++
    this.totals.requests += client.requestCount
    this.totals.replies += client.replies.replyCount
  }

  async #play(socket: Socket, act: Act): Promise<void> {
    const random = this.#random
    if (act.stopsReading) {
      socket.pause()
      setTimeout(() => socket.resume(), random.below(notReadingMsMax))
    }
    for (const piece of act.pieces) {
      if (!socket.writable) return
      socket.write(piece)
      if (random.chance(0.3)) await pause(random.below(betweenPiecesMsMax))
    }
    if (act.ending === 'ends') socket.end()
    if (act.ending === 'vanishes') socket.resetAndDestroy()
    await pause(random.below(betweenActsMsMax))
  }
}
