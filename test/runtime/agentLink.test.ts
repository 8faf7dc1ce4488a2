import fs from 'node:fs'
import net from 'node:net'
import os from 'node:os'
import path from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { AgentLink, LineReader, lineCharactersMax, unsentBytesMax } from '#runtime/node/agentLink.ts'
import { processArguments } from '#runtime/node/processArguments.ts'
import { silentLogger } from '#test/silentLogger.ts'

let directory: string
let socketPath: string
beforeEach(() => {
  directory = fs.mkdtempSync(path.join(os.tmpdir(), 'antipode-agent-'))
  socketPath = path.join(directory, 'agent')
})
afterEach(() => fs.rmSync(directory, { recursive: true }))

/** An agent that gives its connections one by one. */
async function agent() {
  const sockets: net.Socket[] = []
  const waiting: ((socket: net.Socket) => void)[] = []
  const server = net.createServer((socket) => {
    socket.on('error', () => {})
    const next = waiting.shift()
    if (next === undefined) sockets.push(socket)
    else next(socket)
  })
  await new Promise<void>((resolve) => server.listen(socketPath, resolve))
  return {
    server,
    connection: () =>
      new Promise<net.Socket>((resolve) => {
        const socket = sockets.shift()
        if (socket === undefined) waiting.push(resolve)
        else resolve(socket)
      }),
  }
}

/** The next `count` lines. */
function lines(socket: net.Socket, count: number): Promise<string[]> {
  return new Promise((resolve) => {
    const reader = new LineReader()
    const read: string[] = []
    socket.on('data', (chunk) => {
      read.push(...reader.feed(chunk))
      if (read.length >= count) resolve(read)
    })
  })
}

test('announces itself to every agent, and dials until there is one', async () => {
  const messages: unknown[] = []
  let gotTwo: () => void = () => {}
  const two = new Promise<void>((resolve) => {
    gotTwo = resolve
  })
  const link = new AgentLink<unknown, object>({
    socketPath,
    logger: silentLogger,
    onMessage: (message) => {
      if (messages.push(message) === 2) gotTwo()
    },
  })
  link.announce({ type: 'hello' })
  link.send({ type: 'lost: nobody is there' })
  const first = await agent()
  const one = await first.connection()
  expect(await lines(one, 1)).toEqual(['{"type":"hello"}'])
  link.announce({ type: 'ready' })
  expect(await lines(one, 1)).toEqual(['{"type":"ready"}'])
  one.destroy()
  await new Promise((resolve) => first.server.close(resolve))

  const second = await agent()
  const other = await second.connection()
  expect(await lines(other, 2)).toEqual(['{"type":"hello"}', '{"type":"ready"}'])
  other.write('{"type":"drain"}\n{"type":"clo')
  other.write('ck"}\n')
  await two
  expect(messages).toEqual([{ type: 'drain' }, { type: 'clock' }])
  const ended = new Promise((resolve) => other.once('end', resolve))
  link.close()
  await ended
  await new Promise((resolve) => second.server.close(resolve))
})

test.each(['not json\n', 'x'.repeat(lineCharactersMax + 1)])(
  'an agent that sends garbage is left',
  async (text) => {
    const link = new AgentLink<unknown, object>({ socketPath, logger: silentLogger, onMessage: () => {} })
    link.announce({ type: 'hello' })
    const { server, connection } = await agent()
    const one = await connection()
    one.write(text)
    one.resume()
    await new Promise((resolve) => one.once('close', resolve))
    const two = await connection()
    expect(await lines(two, 1)).toEqual(['{"type":"hello"}'])
    link.close()
    two.destroy()
    await new Promise((resolve) => server.close(resolve))
  },
)

test('an agent that does not read is left', async () => {
  const link = new AgentLink<unknown, object>({ socketPath, logger: silentLogger, onMessage: () => {} })
  link.announce({ type: 'hello' })
  const { server, connection } = await agent()
  const one = await connection()
  one.pause()
  const closed = new Promise((resolve) => one.once('close', resolve))
  const status = { type: 'status', filler: 'x'.repeat(unsentBytesMax / 4) }
  // The system takes some of it, then nothing more.
  for (let i = 0; i < 40; i++) {
    link.send(status)
    await new Promise((resolve) => setImmediate(resolve))
  }
  one.resume()
  await closed
  const two = await connection()
  expect(await lines(two, 1)).toEqual(['{"type":"hello"}'])
  link.close()
  two.destroy()
  await new Promise((resolve) => server.close(resolve))
})

test('lines are cut at line ends, also inside a character', () => {
  const reader = new LineReader()
  const bytes = Buffer.from('{"a":"ä"}\n\n{"b":1}\n{"c"')
  const read = [...bytes].flatMap((byte) => reader.feed(Uint8Array.of(byte)))
  expect(read).toEqual(['{"a":"ä"}', '{"b":1}'])
  expect(reader.tooLong).toBe(false)
})

test('process arguments', () => {
  expect(processArguments(['--agent', '/a', '--role', 'shard', '--name', 'db/0'])).toEqual({
    agentPath: '/a',
    role: 'shard',
    name: 'db/0',
  })
  expect(() => processArguments(['--agent', '/a'])).toThrow('usage: --agent')
})
