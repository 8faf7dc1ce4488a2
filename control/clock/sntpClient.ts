/** Asks one time server once, over UDP from a fresh port: a forger would have to guess the port and the cookie. */
import { randomBytes } from 'node:crypto'
import dgram from 'node:dgram'
import { lookup } from 'node:dns'
import { isIPv6 } from 'node:net'
import type { Clock } from '#runtime/ports.ts'
import { type ClockReading, readClocks } from './clockReading.ts'
import { type ClockSample, ntpPort, readSntpResponse, sampleOf, sntpRequest } from './sntp.ts'

export interface TimeServer {
  host: string
  port: number
}

export type SntpResult =
  /** `reading`: our clocks when the question left. */
  | { kind: 'sample'; sample: ClockSample; stratum: number; reading: ClockReading }
  | { kind: 'failure'; fault: string; detail: string }

/** Calls back once; never throws. */
export type SntpQuery = (server: TimeServer, timeoutMs: number, done: (result: SntpResult) => void) => void

/** `HOST`, `HOST:PORT` or `[IPv6]:PORT`. */
export function timeServerOf(text: string): TimeServer {
  const match = /^(?:\[([^\]]+)\]|([^:]+))(?::(\d+))?$/.exec(text)
  if (match === null) return { host: text, port: ntpPort }
  return { host: match[1] ?? match[2] ?? text, port: match[3] === undefined ? ntpPort : Number(match[3]) }
}

export const sntpQuery =
  (clock: Clock): SntpQuery =>
  (server, timeoutMs, done) => {
    let socket: dgram.Socket | null = null
    const finish = (result: SntpResult): void => {
      if (timer === null) return
      clearTimeout(timer)
      timer = null
      socket?.close()
      done(result)
    }
    const fail = (fault: string, detail: string): void => finish({ kind: 'failure', fault, detail })
    let timer: NodeJS.Timeout | null = setTimeout(
      () => fail('timeout', `no answer within ${timeoutMs} ms`),
      timeoutMs,
    )
    lookup(server.host, (error, address) => {
      if (timer === null) return
      if (error !== null) return fail('unreachable', error.message)
      socket = dgram.createSocket(isIPv6(address) ? 'udp6' : 'udp4')
      socket.on('error', (sendError) => fail('unreachable', sendError.message))
      ask(socket, address, server.port, clock, finish)
    })
  }

function ask(
  socket: dgram.Socket,
  address: string,
  port: number,
  clock: Clock,
  finish: (result: SntpResult) => void,
): void {
  const cookie = randomBytes(8)
  let reading: ClockReading = { wallMs: 0, monotonicMs: 0 }
  socket.on('message', (packet) => {
    const elapsedMs = clock.monotonicMs() - reading.monotonicMs
    const response = readSntpResponse(packet, cookie)
    if (!('fault' in response)) {
      const sample = sampleOf(response, reading.wallMs, elapsedMs)
      finish({ kind: 'sample', sample, stratum: response.stratum, reading })
    } else if (response.fault !== 'cookie') {
      finish({ kind: 'failure', fault: response.fault, detail: response.detail })
    }
    // What answers another question is no answer: the right one may still come.
  })
  // Connected: the system drops what comes from elsewhere, and tells us when nobody listens there.
  socket.connect(port, address, () => {
    reading = readClocks(clock)
    socket.send(sntpRequest(cookie))
  })
}
