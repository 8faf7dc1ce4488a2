import { mkdtempSync, rmSync } from 'node:fs'
import { createConnection, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { decodeMemberRequest, decodeToAgent } from '#control/agent/agentSocket.ts'
import { ask, JsonLines, parseLine } from '#control/agent/jsonLines.ts'
import {
  prepareSocketDirectory,
  removeSockets,
  socketDirectory,
  socketPathBytesMax,
} from '#control/agent/socketDirectory.ts'
import { lineCharactersMax } from '#runtime/node/agentLink.ts'

let directory: string

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'sockets-'))
})

afterEach(() => {
  rmSync(directory, { recursive: true })
})

describe('a message of a process', () => {
  it.each([
    [
      { type: 'hello', role: 'shard', name: 'db1/0', pid: 5, more: 1 },
      { type: 'hello', role: 'shard', name: 'db1/0', pid: 5 },
    ],
    [{ type: 'hello', role: 'agent', name: 'db1/0', pid: 5 }, null],
    [{ type: 'hello', role: 'shard', name: 5, pid: 5 }, null],
    [{ type: 'hello', role: 'shard', name: 'db1/0', pid: -1 }, null],
    [{ type: 'ready' }, { type: 'ready' }],
    [
      { type: 'status', status: { a: 1 } },
      { type: 'status', status: { a: 1 } },
    ],
    [{ type: 'status', status: [] }, null],
    [{ type: 'status' }, null],
    [
      { type: 'peerOffset', peer: 2, offsetMs: -0.5, delayMs: 1 },
      { type: 'peerOffset', peer: 2, offsetMs: -0.5, delayMs: 1 },
    ],
    [{ type: 'peerOffset', peer: 2, offsetMs: null, delayMs: 1 }, null],
    [{ type: 'peerOffset', peer: 2, offsetMs: 1 }, null],
    [{ type: 'drain' }, null],
    [{}, null],
  ])('%j', (message, decoded) => {
    expect(decodeToAgent(message)).toEqual(decoded)
  })
})

describe('what an agent of a peer asks, or answers', () => {
  it.each([
    [{ type: 'answer', id: 3, answer: { a: 1 } }, true],
    [{ type: 'answer', answer: 1 }, false],
    [{ type: 'asked', id: 3, peer: 2, question: {} }, true],
    [{ type: 'asked', id: 3, peer: 'two', question: {} }, false],
    [{ type: 'refused', peer: 2, list: null }, true],
    [{ type: 'refused', list: null }, false],
  ])('%j', (message, isOne) => {
    expect(decodeToAgent(message)).toEqual(isOne ? message : null)
  })
})

describe('a wish of an operator', () => {
  it.each([
    [{ type: 'addMember', database: '', name: 'c', host: 'h', port: 5, id: null }, true],
    [{ type: 'addMember', database: '', name: 'c', host: 'h', port: '5', id: null }, false],
    [{ type: 'moveMember', database: 'd', name: 'c', host: 'h', port: 5 }, true],
    [{ type: 'removeMembers', database: 'd', names: ['c'], forced: true }, true],
    [{ type: 'removeMembers', database: 'd', names: 'c', forced: true }, false],
    [{ type: 'cancelMemberChange', database: 'd' }, true],
    [{ type: 'purgeDatabase', database: 'd' }, true],
    [{ type: 'rejoin', database: 'd', forced: true }, true],
    [{ type: 'purgeDatabase' }, false],
    [{ type: 'status', database: 'd' }, false],
  ])('%j', (message, isOne) => {
    expect(decodeMemberRequest(message)).toEqual(isOne ? message : null)
  })
})

describe('a line', () => {
  it.each([
    ['{"a":1}', { a: 1 }],
    ['[1]', null],
    ['null', null],
    ['3', null],
    ['{', null],
    ['', null],
  ])('%j', (line, value) => {
    expect(parseLine(line)).toEqual(value)
  })
})

describe('a connection of lines', () => {
  /** What a server says of a client that sends `text`. */
  async function fateOf(text: string): Promise<{ messages: unknown[]; error: string | null }> {
    const messages: unknown[] = []
    return await new Promise((resolve) => {
      const server = createServer((socket) => {
        new JsonLines(
          socket,
          (message) => messages.push(message),
          (error) => {
            server.close()
            resolve({ messages, error: error?.message ?? null })
          },
        )
      })
      server.listen(join(directory, 's'), () => {
        const client = createConnection(join(directory, 's'), () => client.end(text))
        client.on('error', () => client.destroy())
        client.resume()
      })
    })
  }

  it('takes one object a line', async () => {
    expect(await fateOf('{"a":1}\n{"b":"é"}\n')).toEqual({ messages: [{ a: 1 }, { b: 'é' }], error: null })
  })

  it('ends at a line that is none', async () => {
    expect(await fateOf('{"a":1}\nwhat?\n{"b":2}\n')).toEqual({
      messages: [{ a: 1 }],
      error: 'a line is not a JSON object',
    })
  })

  it('ends at a line that is too long', async () => {
    const { messages, error } = await fateOf('x'.repeat(lineCharactersMax + 1))
    expect([messages, error]).toEqual([[], `a line has more than ${lineCharactersMax} characters`])
  })
})

describe('a question', () => {
  it('fails when nobody is there, and when nobody answers in time', async () => {
    await expect(ask(join(directory, 'none'), {}, 1_000)).rejects.toThrow('ENOENT')
    const server = createServer(() => {})
    await new Promise<void>((resolve) => {
      server.listen(join(directory, 'mute'), resolve)
    })
    await expect(ask(join(directory, 'mute'), {}, 20)).rejects.toThrow('no answer within 20 ms')
    server.close()
  })
})

describe('the directory of the sockets', () => {
  it('is the data directory when that is short', () => {
    expect(socketDirectory(directory)).toBe(directory)
  })

  it('is a short one, always the same, when it is long', () => {
    const long = join(directory, 'd'.repeat(100))
    prepareSocketDirectory(long)
    const short = socketDirectory(long, directory)
    expect(short).toMatch(/\/antipode-[0-9a-f]{16}$/)
    expect(socketDirectory(long, directory)).toBe(short)
    expect(short.length).toBeLessThan(socketPathBytesMax)
    prepareSocketDirectory(short)
    removeSockets(short, long)
    expect(() => prepareSocketDirectory(short)).not.toThrow()
    removeSockets(short, long)
  })

  it('falls back to /tmp when the temporary directory is long, too', () => {
    const long = join(directory, 'd'.repeat(100))
    prepareSocketDirectory(long)
    expect(socketDirectory(long, long)).toMatch(/^\/tmp\/antipode-/)
  })
})
