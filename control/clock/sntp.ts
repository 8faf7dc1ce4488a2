/**
 * The packets of SNTP: NTP version 4 as a client that asks and does not steer a clock (RFC 5905, section 14; RFC 4330).
 * What a client has to check and small clients often don't: that the answer is to our question (its origin time is the
 * cookie we sent), that the server itself is synchronised (leap alarm, stratum), that it isn't telling us to go away
 * (kiss-o'-death), and on which side of February 2036, when the seconds start again at 0, a time is.
 */
export const packetBytes = 48
export const ntpPort = 123
/** A server whose own time may be off by more than this says nothing about ours. */
export const rootDistanceMaxMs = 1500

const version = 4
const clientMode = 3
const serverMode = 4
const leapAlarm = 3
/** From here on a server counts as unsynchronised. */
const stratumMax = 15
/** Seconds from 1900 to 1970. */
const epochSeconds = 2_208_988_800
const eraSeconds = 2 ** 32

export interface SntpResponse {
  stratum: number
  /** Times of the server, milliseconds since 1970: our question came, its answer left. */
  receivedMs: number
  sentMs: number
  /** How far the server's time may be from true time. */
  rootDistanceMs: number
}

export type SntpFault =
  | { fault: 'malformed'; detail: string }
  /** Not an answer to our question: late, or made up. */
  | { fault: 'cookie'; detail: string }
  | { fault: 'unsynchronised'; detail: string }
  /** The server does not want to be asked (`RATE`: so often). */
  | { fault: 'kissOfDeath'; detail: string }

/** `cookie`: eight random bytes, in the place of our time, which is nobody's business. */
export function sntpRequest(cookie: Uint8Array): Uint8Array {
  const packet = new Uint8Array(packetBytes)
  packet[0] = (version << 3) | clientMode
  packet.set(cookie, 40)
  return packet
}

export function readSntpResponse(packet: Uint8Array, cookie: Uint8Array): SntpResponse | SntpFault {
  if (packet.length < packetBytes) return { fault: 'malformed', detail: `${packet.length} bytes` }
  const view = new DataView(packet.buffer, packet.byteOffset, packetBytes)
  const first = view.getUint8(0)
  if ((first & 7) !== serverMode) return { fault: 'malformed', detail: `mode ${first & 7}` }
  for (let i = 0; i < 8; i++) {
    if (packet[24 + i] !== cookie[i]) return { fault: 'cookie', detail: 'an answer to another question' }
  }
  const stratum = view.getUint8(1)
  if (stratum === 0) return { fault: 'kissOfDeath', detail: kissCode(packet) }
  if (first >>> 6 === leapAlarm) return { fault: 'unsynchronised', detail: 'leap alarm' }
  if (stratum > stratumMax) return { fault: 'unsynchronised', detail: `stratum ${stratum}` }
  const rootDistanceMs = shortMs(view, 4) / 2 + shortMs(view, 8)
  if (rootDistanceMs > rootDistanceMaxMs)
    return { fault: 'unsynchronised', detail: `root distance ${Math.round(rootDistanceMs)} ms` }
  const receivedMs = timestampMs(view, 32)
  const sentMs = timestampMs(view, 40)
  if (receivedMs === null || sentMs === null || sentMs < receivedMs)
    return { fault: 'malformed', detail: 'times that cannot be' }
  return { stratum, receivedMs, sentMs, rootDistanceMs }
}

export interface ClockSample {
  /** The other clock minus ours. */
  offsetMs: number
  delayMs: number
  /** The offset is wrong by at most this, if the other clock keeps its word. */
  errorMs: number
}

/** `t1Ms` is our wall clock when the question left, `elapsedMs` the time until the answer came, by the monotonic clock. */
export function sampleOf(response: SntpResponse, t1Ms: number, elapsedMs: number): ClockSample {
  const { receivedMs, sentMs, rootDistanceMs } = response
  const delayMs = Math.max(0, elapsedMs - (sentMs - receivedMs))
  return {
    offsetMs: (receivedMs - t1Ms + (sentMs - (t1Ms + elapsedMs))) / 2,
    delayMs,
    errorMs: delayMs / 2 + rootDistanceMs,
  }
}

/** Four ASCII letters where the reference would be named. */
function kissCode(packet: Uint8Array): string {
  const letters = String.fromCharCode(...packet.subarray(12, 16))
  return /^[A-Z]{3,4}\0?$/.test(letters) ? letters.replace('\0', '') : 'unknown'
}

/** 16 bits of seconds, 16 bits of fraction. */
const shortMs = (view: DataView, at: number): number => (view.getUint32(at) / 65536) * 1000

/** 32 bits of seconds since 1900 or, when the first bit is not set, since February 2036; 32 bits of fraction. Null: none. */
function timestampMs(view: DataView, at: number): number | null {
  const seconds = view.getUint32(at)
  const fraction = view.getUint32(at + 4)
  if (seconds === 0 && fraction === 0) return null
  const era = seconds >= 2 ** 31 ? 0 : eraSeconds
  return (seconds + era - epochSeconds) * 1000 + (fraction / eraSeconds) * 1000
}
