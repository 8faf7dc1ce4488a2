/** A clock that can't be trusted stops writes, not reads, and the gate opens by itself. */
import { createSocket, type Socket } from 'node:dgram'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Chronyd } from '#test/chronyd.ts'
import { Lab } from './lab.ts'

const ntpEpochSeconds = 2_208_988_800

/** An SNTP server whose clock is off by as much as a test wants. */
class TimeServer {
  aheadMs = 0
  port = 0
  readonly #socket: Socket = createSocket('udp4')

  async listen(): Promise<void> {
    this.#socket.on('message', (question, { port, address }) => {
      const answer = Buffer.alloc(48)
      // No leap, version 4, server; stratum 1.
      answer[0] = 0x24
      answer[1] = 1
      answer.write('TEST', 12, 'latin1')
      question.copy(answer, 24, 40, 48)
      for (const at of [16, 32, 40]) {
        const seconds = (Date.now() + this.aheadMs) / 1000 + ntpEpochSeconds
        answer.writeUInt32BE(Math.floor(seconds), at)
        answer.writeUInt32BE(Math.floor((seconds % 1) * 2 ** 32), at + 4)
      }
      this.#socket.send(answer, port, address)
    })
    await new Promise<void>((resolve) => this.#socket.bind(0, '127.0.0.1', resolve))
    this.port = this.#socket.address().port
  }

  close(): void {
    this.#socket.close()
  }
}

const eventually = async (ask: () => Promise<string>, wanted: RegExp): Promise<string> => {
  const deadlineMs = performance.now() + 20_000
  for (;;) {
    const answer = await ask()
    if (wanted.test(answer)) return answer
    if (performance.now() > deadlineMs) throw new Error(`still ${answer}, not ${wanted}`)
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}

describe('the clock gate', () => {
  const server = new TimeServer()
  let lab: Lab

  beforeAll(async () => {
    await server.listen()
    lab = await Lab.up({
      shards: 1,
      settings: [`clock.servers=["127.0.0.1:${server.port}"]`, 'clock.poll_ms=200'],
    })
  })

  afterAll(async () => {
    server.close()
    expect(await lab.down()).toBe(0)
  })

  const outcome = async (run: Promise<unknown>): Promise<string> =>
    await run.then(String, (error: Error) => error.message)

  it('refuses writes while the clock is off, answers reads, and opens again', async () => {
    const client = lab.client(1)
    await client.set('k', 'before')
    await client.set('probe', '0')
    server.aheadMs = 5_000
    const refusal = await eventually(() => outcome(client.set('probe', '1')), /^CLOCKSKEW/)
    expect(refusal).toMatch(
      /^CLOCKSKEW clock is off by (4[89]|5[012])\d\d ms from \S.*; writes are refused until it is within 1000 ms$/,
    )
    expect(await client.get('k')).toBe('before')
    expect(await outcome(client.multi().set('k', 'meanwhile').exec())).toMatch(/CLOCKSKEW/)
    expect(await client.info('clock')).toContain('clock_state:gated')
    server.aheadMs = 0
    await eventually(() => outcome(client.set('k', 'after')), /^OK$/)
    await lab.settle()
    expect(await lab.client(2).get('k')).toBe('after')
  })
})

describe('a real NTP server, and the peers', () => {
  let chronyd: Chronyd
  let lab: Lab

  beforeAll(async () => {
    chronyd = await Chronyd.start()
    lab = await Lab.up({
      shards: 1,
      settings: [`clock.servers=["${chronyd.address}"]`, 'clock.poll_ms=200', 'clock.timeout_ms=200'],
    })
  })

  afterAll(async () => {
    await chronyd.stop()
    expect(await lab.down()).toBe(0)
  })

  it('are what the clock is compared with, the peers when no server answers', async () => {
    const clock = () => lab.client(1).info('clock')
    const server = new RegExp(`clock_source:${chronyd.address}\r\n`)
    expect(await eventually(clock, server)).toMatch(/clock_state:ok\r\nclock_offset_ms:-?\d{1,2}(\.\d)?\r\n/)
    await chronyd.pause()
    expect(await eventually(clock, /clock_source:cluster 2\r\n/)).toMatch(
      /clock_state:ok\r\nclock_offset_ms:-?\d{1,2}(\.\d)?\r\n/,
    )
    expect(await lab.client(1).set('k', 'v')).toBe('OK')
    await chronyd.resume()
    expect(await eventually(clock, server)).toContain('clock_state:ok')
  })
})

describe('a cluster without time servers', () => {
  let lab: Lab

  beforeAll(async () => {
    lab = await Lab.up({ clusters: 2, shards: 1 })
  })

  afterAll(async () => {
    expect(await lab.down()).toBe(0)
  })

  it('knows how far its clock is from that of its peers', async () => {
    for (const [one, other] of [
      [1, 2],
      [2, 1],
    ] as const) {
      const answer = await eventually(() => lab.client(one).info('clock'), /clock_source:cluster \d/)
      expect(answer).toMatch(
        new RegExp(
          `clock_state:ok\r\nclock_offset_ms:-?\\d{1,2}(\\.\\d)?\r\nclock_source:cluster ${other}\r\n`,
        ),
      )
    }
  })
})
