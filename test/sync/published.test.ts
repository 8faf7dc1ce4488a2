/** Messages to subscribers between shards of two or three clusters. */
import { describe, expect, test } from 'vitest'
import { slotOfKey } from '#protocol/slots/crc16.ts'
import { writeSubscribe } from '#protocol/sync/message.ts'
import { bytesOf, latin1 } from '#runtime/bytes/bytes.ts'
import { ByteWriter } from '#runtime/bytes/byteWriter.ts'
import { publishTo } from '#server/sync/outgoing.ts'
import { limits, type ToyLink, ToyNet, type ToyNode } from './toyNet.ts'

const publish = (node: ToyNode, channel: string, text: string): void => {
  const bytes = bytesOf(text)
  const published = { kind: 'channel', channel, bytes, start: 0, end: bytes.length } as const
  publishTo(node.replication.feeds, published)
  node.replication.pump()
}

const kinds = (link: ToyLink): string[] => link.pending.map(({ kind }) => kind)

describe('a message', () => {
  test('comes once to each peer that is linked, in its order, and is not passed on', () => {
    const net = new ToyNet()
    const members = [1, 2, 3]
    const [a, b, c] = members.map((id) => net.node(id, { members })) as [ToyNode, ToyNode, ToyNode]
    for (const [from, to] of [
      [a, b],
      [b, a],
      [b, c],
      [c, b],
    ] as const)
      net.link(from, to)
    net.settle()
    publish(a, 'news', 'one')
    publish(a, 'news', 'two')
    net.settle()
    expect([a.published, b.published, c.published]).toEqual([[], ['news: one', 'news: two'], []])
  })

  test('comes behind the operations of before, when they are durable', () => {
    const net = new ToyNet()
    const [a, b] = [1, 2].map((id) => net.node(id, { members: [1, 2] })) as [ToyNode, ToyNode]
    const link = net.link(a, b)
    net.settle()
    a.shard.log.heldAt = a.shard.log.end
    a.shard.write({ slot: 1, token: 'before' })
    publish(a, 'news', 'x')
    expect(kinds(link)).toEqual([])
    a.shard.log.heldAt = undefined
    a.replication.pump()
    expect(kinds(link)).toEqual(['operations', 'published'])
    net.settle()
    expect(b.published).toEqual(['news: x'])
  })

  test('takes the channel that has its slot, or any', () => {
    const net = new ToyNet()
    const [a, b] = [1, 2].map((id) => net.node(id, { members: [1, 2] })) as [ToyNode, ToyNode]
    const halves = [
      net.link(a, b, [{ first: 0, last: 8191 }]),
      net.link(a, b, [{ first: 8192, last: 16383 }]),
    ] as const
    net.settle()
    for (const channel of ['a', 'b', 'c', 'd']) {
      publish(a, channel, 'x')
      const [taken, other] = slotOfKey(channel) < 8192 ? halves : [halves[1], halves[0]]
      expect([kinds(taken), kinds(other)]).toEqual([['published'], []])
      net.settle()
    }
    halves[0].end()
    const [lower = ''] = ['a', 'b', 'c', 'd'].filter((channel) => slotOfKey(channel) < 8192)
    publish(a, lower, 'y')
    net.settle()
    expect(b.published.at(-1)).toBe(`${lower}: y`)
  })

  test('is not sent to a peer that does not take it, and dropped for one that is too slow', () => {
    const net = new ToyNet()
    const [a, b] = [1, 2].map((id) => net.node(id, { members: [1, 2] })) as [ToyNode, ToyNode]
    const link = net.link(a, b)
    net.settle()
    const text = 'x'.repeat(64 * 1024)
    const sentMax = (2 * limits.linkInflightBytesMax) / text.length + 4
    for (let i = 0; i < 10 * sentMax; i++) publish(a, 'news', text)
    net.settle()
    expect(b.published.length).toBeGreaterThan(limits.linkInflightBytesMax / text.length)
    expect(b.published.length).toBeLessThanOrEqual(sentMax)
    const before = b.published.length
    publish(a, 'news', 'again')
    net.settle()
    expect(b.published.slice(before)).toEqual(['news: again'])

    const old = {
      round: 99,
      stale: false,
      answers: true,
      compares: true,
      relays: true,
      takesPublished: false,
      runId: 'old',
    }
    const writer = new ByteWriter()
    writeSubscribe(writer, { ...old, staleRuns: [], origins: 255, vectors: new Map() })
    link.toFeed.push(writer.take())
    net.settle()
    publish(a, 'news', 'unheard')
    expect(kinds(link)).not.toContain('published')
  })
})

test('bytes of any kind come as they were', () => {
  const net = new ToyNet()
  const [a, b] = [1, 2].map((id) => net.node(id, { members: [1, 2] })) as [ToyNode, ToyNode]
  net.link(a, b)
  net.settle()
  const all = latin1(Uint8Array.from({ length: 256 }, (_, i) => i))
  publish(a, all, all)
  publish(a, '', '')
  net.settle()
  expect(b.published).toEqual([`${all}: ${all}`, ': '])
})
