/**
 * The protocols that a TLS client offers in its first message, from bytes that nobody has checked: a port that has one
 * certificate for clients and another one for peers must know whom it speaks to before the handshake begins. What is wrong with the rest
 * of the message is for TLS itself to say. RFC 8446 section 4.1.2 (the message), 5.1 (records), RFC 7301 (the protocols).
 */

/** Usual ones have 200 to 1,800 bytes. */
export const clientHelloBytesMax = 16 * 1024

const handshakeRecord = 22
const recordHeaderBytes = 5
const recordBytesMax = 16 * 1024
const clientHelloMessage = 1
const messageHeaderBytes = 4
const randomEnd = messageHeaderBytes + 2 + 32
const protocolsExtension = 16

/** `more`: the message is not whole yet; null: it is none, or too long. `bytes` is all that has come. */
export function protocolsOffered(bytes: Uint8Array): readonly string[] | 'more' | null {
  const message = firstMessage(bytes)
  return message === null || message === 'more' ? message : protocolsIn(message)
}

/** Of one record or several. */
function firstMessage(bytes: Uint8Array): Uint8Array | 'more' | null {
  const parts: number[] = []
  for (let at = 0; ; ) {
    if (bytes.length < at + recordHeaderBytes)
      return bytes[at] === undefined || bytes[at] === handshakeRecord ? 'more' : null
    const lengthBytes = u16(bytes, at + 3)
    if (bytes[at] !== handshakeRecord || lengthBytes === 0 || lengthBytes > recordBytesMax) return null
    const end = at + recordHeaderBytes + lengthBytes
    for (let i = at + recordHeaderBytes; i < Math.min(end, bytes.length); i++) parts.push(bytes[i] as number)
    if (parts.length > 0 && parts[0] !== clientHelloMessage) return null
    if (parts.length >= messageHeaderBytes) {
      const neededBytes =
        messageHeaderBytes + ((parts[1] as number) << 16) + ((parts[2] as number) << 8) + (parts[3] as number)
      if (neededBytes > clientHelloBytesMax) return null
      if (parts.length >= neededBytes) return Uint8Array.from(parts.slice(0, neededBytes))
    }
    if (bytes.length < end) return 'more'
    at = end
  }
}

function protocolsIn(message: Uint8Array): readonly string[] | null {
  const { length } = message
  let at = randomEnd
  if (at >= length) return null
  // The session id, the cipher suites and the compression methods.
  at += 1 + (message[at] as number)
  if (at + 2 > length) return null
  at += 2 + u16(message, at)
  if (at >= length) return null
  at += 1 + (message[at] as number)
  if (at === length) return []
  if (at + 2 > length || at + 2 + u16(message, at) !== length) return null
  at += 2
  while (at < length) {
    if (at + 4 > length) return null
    const end = at + 4 + u16(message, at + 2)
    if (end > length) return null
    if (u16(message, at) === protocolsExtension) return namesIn(message.subarray(at + 4, end))
    at = end
  }
  return []
}

function namesIn(list: Uint8Array): readonly string[] | null {
  if (list.length < 2 || u16(list, 0) !== list.length - 2) return null
  const names: string[] = []
  for (let at = 2; at < list.length; ) {
    const end = at + 1 + (list[at] as number)
    if (end > list.length) return null
    names.push(String.fromCharCode(...list.subarray(at + 1, end)))
    at = end
  }
  return names
}

const u16 = (bytes: Uint8Array, at: number): number =>
  ((bytes[at] as number) << 8) | (bytes[at + 1] as number)
