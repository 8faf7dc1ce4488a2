import net from 'node:net'
import tls from 'node:tls'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { clientHelloBytesMax, protocolsOffered } from '#runtime/bytes/clientHello.ts'
import { SeededRandom, seedFromEnv } from '#test/seed.ts'

/** What Node's client sends first. */
async function helloOf(options: tls.ConnectionOptions): Promise<Buffer> {
  const server = net.createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as net.AddressInfo
  const first = new Promise<Buffer>((resolve) =>
    server.once('connection', (socket) => socket.once('data', resolve)),
  )
  const client = tls.connect({ port, host: '127.0.0.1', ...options })
  client.on('error', () => {})
  const bytes = await first
  client.destroy()
  server.close()
  return bytes
}

/** The same message in records of so many bytes. */
function inRecords(hello: Buffer, lengthBytes: number): Buffer {
  const message = hello.subarray(5)
  const records: Buffer[] = []
  for (let at = 0; at < message.length; at += lengthBytes) {
    const part = message.subarray(at, at + lengthBytes)
    records.push(Buffer.from([22, 3, 1, part.length >> 8, part.length & 0xff]), part)
  }
  return Buffer.concat(records)
}

describe('the protocols that a client offers', () => {
  test.each([
    [['antipode-sync/1'], {}],
    [['redis', 'h2'], { minVersion: 'TLSv1.3' as const }],
    [['redis'], { maxVersion: 'TLSv1.2' as const, servername: 'db.example' }],
  ])('%j', async (protocols, options) => {
    const hello = await helloOf({ ALPNProtocols: protocols, ...options })
    expect(protocolsOffered(hello)).toEqual(protocols)
    expect(protocolsOffered(Buffer.concat([hello, Buffer.alloc(100)]))).toEqual(protocols)
    for (const lengthBytes of [1, 7, 300])
      expect(protocolsOffered(inRecords(hello, lengthBytes))).toEqual(protocols)
    for (let length = 0; length < hello.length; length++)
      expect(protocolsOffered(hello.subarray(0, length)), String(length)).toBe('more')
  })

  test('none', async () => {
    expect(protocolsOffered(await helloOf({}))).toEqual([])
  })

  test('of what is no such message are none', () => {
    const record = (...bytes: number[]) =>
      protocolsOffered(Uint8Array.from([22, 3, 1, bytes.length >> 8, bytes.length & 0xff, ...bytes]))
    expect(protocolsOffered(Buffer.from('PING\r\n'))).toBeNull()
    expect(protocolsOffered(Buffer.from('P'))).toBeNull()
    // Another message, an empty record, a message that is longer than any.
    expect(record(2, 0, 0, 0)).toBeNull()
    expect(record()).toBeNull()
    expect(record(1, 0, (clientHelloBytesMax >> 8) + 1, 0)).toBeNull()
    expect(record(1, 0, 0, 2, 3, 3)).toBeNull()
    expect(protocolsOffered(Uint8Array.from([22, 3, 1, 0xff, 0xff]))).toBeNull()
  })

  test('of damaged ones are some, none or no message, never an error', async () => {
    const hello = await helloOf({ ALPNProtocols: ['antipode-sync/1'], maxVersion: 'TLSv1.2' })
    const random = new SeededRandom(seedFromEnv())
    for (let i = 0; i < 20_000; i++) {
      const damaged = Buffer.from(hello)
      for (let j = random.below(4); j >= 0; j--) damaged[random.below(hello.length)] = random.below(256)
      const found = protocolsOffered(damaged)
      expect(found === null || found === 'more' || Array.isArray(found)).toBe(true)
    }
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
        protocolsOffered(Uint8Array.from([22, 3, 1, 0, bytes.length, 1, 0, 0, bytes.length - 4, ...bytes]))
      }),
    )
  })
})
