/** A real NTP server on this machine: Debian's `chrony`, which serves the system's time and leaves the clock alone (`-x`). */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import dgram from 'node:dgram'
import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { type SntpResult, sntpQuery } from '#control/clock/sntpClient.ts'
import { nodeClock } from '#runtime/node/nodeClock.ts'

const program = '/usr/sbin/chronyd'

export class Chronyd {
  readonly port: number
  readonly #directory = fs.mkdtempSync(path.join(os.tmpdir(), 'antipode-chrony-'))
  #process: ChildProcess | null = null

  private constructor(port: number) {
    this.port = port
  }

  static async start(): Promise<Chronyd> {
    if (spawnSync(program, ['--version']).status !== 0)
      throw new Error('chronyd is missing: apt-get install chrony')
    const server = new Chronyd(await freeUdpPort())
    await server.resume()
    return server
  }

  get address(): string {
    return `127.0.0.1:${this.port}`
  }

  /** On the same port. Resolves when it answers. */
  async resume(): Promise<void> {
    const file = path.join(this.#directory, 'chrony.conf')
    fs.writeFileSync(
      file,
      [
        `port ${this.port}`,
        'bindaddress 127.0.0.1',
        'cmdport 0',
        'bindcmdaddress /',
        'allow 127.0.0.0/8',
        'local stratum 8',
        `pidfile ${this.#directory}/chronyd.pid`,
        `driftfile ${this.#directory}/drift`,
      ].join('\n'),
    )
    const user = os.userInfo().username
    this.#process = spawn(program, ['-x', '-d', '-U', '-u', user, '-f', file], { stdio: 'ignore' })
    await answering(this.port)
  }

  async pause(): Promise<void> {
    const child = this.#process
    this.#process = null
    if (child === null || child.exitCode !== null) return
    await new Promise((resolve) => {
      child.once('exit', resolve)
      child.kill('SIGTERM')
    })
  }

  async stop(): Promise<void> {
    await this.pause()
    fs.rmSync(this.#directory, { recursive: true })
  }
}

export async function freeUdpPort(): Promise<number> {
  const socket = dgram.createSocket('udp4')
  await new Promise<void>((resolve) => socket.bind(0, '127.0.0.1', resolve))
  const { port } = socket.address()
  await new Promise<void>((resolve) => socket.close(() => resolve()))
  return port
}

/** Asks until the server has come up. */
async function answering(port: number): Promise<void> {
  for (let tries = 0; tries < 100; tries++) {
    const result = await new Promise<SntpResult>((resolve) =>
      sntpQuery(nodeClock)({ host: '127.0.0.1', port }, 100, resolve),
    )
    if (result.kind === 'sample') return
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  throw new Error('chronyd does not answer')
}
