/** Slots of which the two have nearly the same: digests are asked for first, and only what differs is sent. */
import { beforeEach, describe, expect, test } from 'vitest'
import { writeDigests } from '#protocol/sync/digestMessage.ts'
import { readMessage, writeSubscribe } from '#protocol/sync/message.ts'
import { ByteWriter } from '#runtime/bytes/byteWriter.ts'
import { limits, type ToyLink, ToyNet, type ToyNode } from './toyNet.ts'

const members = [1, 2, 3]
const long = (i: number): string => `${i}`.padStart(50, '.')

describe('digests', () => {
  let net: ToyNet
  let source: ToyNode
  let reader: ToyNode
  let link: ToyLink
  beforeEach(() => {
    net = new ToyNet()
    // So that there is something left to send when more is written.
    const narrow = { ...limits, linkInflightBytesMax: 400 }
    source = net.node(1, { members, backlogBytesMax: 4096, limits: narrow, variations: { cutBytes: 300 } })
    reader = net.node(2, { members })
    source.shard.comparedMin = 20
  })

  const fill = (node: ToyNode, slot: number, count: number, name = `${slot}`) => {
    for (let i = 0; i < count; i++) node.shard.write({ slot, token: `${name} ${long(i)}` })
  }
  /** The log has moved past all that was written. */
  const overtake = () => fill(source, 99, 80)
  /** The reader has all of slot 1 but what was written since it was cut off. */
  const cutOff = (missed: readonly string[]) => {
    fill(source, 1, 100)
    net.link(source, reader)
    net.settle()
    for (const open of net.links) open.end()
    for (const token of missed) source.shard.write({ slot: 1, token })
    overtake()
  }
  const kinds = (of: ToyLink) => of.pending.map((message) => message.kind)
  /** Messages both ways, one by one, until `until` is the next to the intake; returns the bytes of those before, of the slot. */
  const deliverUntil = (of: ToyLink, until: string, slot = 1): number => {
    let sizeBytes = 0
    for (let i = 0; i < 5000; i++) {
      const [next] = of.pending
      const isOfSlot = next !== undefined && (!('slot' in next) || next.slot === slot)
      if (next?.kind === until && isOfSlot) return sizeBytes
      if (isOfSlot) sizeBytes += of.toIntake[0]?.length ?? 0
      if (of.deliver('intake')) continue
      net.world.advance(0)
      of.to.replication.pump()
      while (of.deliver('feed'));
      of.from.replication.pump()
    }
    throw new Error(`no ${until}`)
  }
  /** What was on its way before comes, too. */
  const deliverPlan = () => {
    while (link.deliver('feed'));
    while (kinds(link).includes('plan')) link.deliver('intake')
  }
  const expectEqual = (slot: number) => {
    expect(reader.shard.tokens(slot)).toEqual(source.shard.tokens(slot))
    expect(reader.shard.vectors.of(slot)).toEqual(source.shard.vectors.of(slot))
  }

  test('only what differs is sent', () => {
    cutOff(['one', 'two'])
    link = net.link(source, reader)
    deliverUntil(link, 'askDigests')
    const sizeBytes = deliverUntil(link, 'cutEnd')
    expect(sizeBytes).toBeLessThan(3000)
    net.settle()
    expectEqual(1)
    expect(reader.shard.tokens(1)).toContain('two')
    expect(reader.replication.inTransfer(1)).toBe(false)
    expect(reader.shard.frozen.length).toBe(1)
  })

  test('both slots change meanwhile', () => {
    cutOff(['one'])
    link = net.link(source, reader)
    deliverUntil(link, 'askDigests')
    link.deliver('intake')
    reader.replication.pump()
    net.world.advance(0)
    expect(reader.replication.inTransfer(1)).toBe(true)
    reader.shard.write({ slot: 1, token: 'of the reader' })
    source.shard.write({ slot: 1, token: 'before it compares' })
    deliverUntil(link, 'cutDiffering')
    source.shard.write({ slot: 1, token: 'while it cuts' })
    deliverUntil(link, 'cutTail')
    deliverUntil(link, 'cutEnd')
    net.settle([net.link(reader, source)])
    net.settle()
    expectEqual(1)
    for (const token of ['of the reader', 'before it compares', 'while it cuts'])
      expect(reader.shard.tokens(1)).toContain(token)
  })

  test('who has nothing of a slot, or little, gets all of it at once, or after asking', () => {
    fill(source, 1, 100)
    overtake()
    link = net.link(source, reader)
    deliverUntil(link, 'cutBegin')
    net.settle()
    expectEqual(1)
    link.end()

    fill(source, 2, 5)
    link = net.link(source, reader)
    net.settle()
    link.end()
    fill(source, 2, 100, 'more')
    overtake()
    link = net.link(source, reader)
    deliverUntil(link, 'askDigests', 2)
    deliverUntil(link, 'cutBegin', 2)
    net.settle()
    expectEqual(2)
  })

  test('small slots are not compared', () => {
    source.shard.comparedMin = 1000
    cutOff(['one'])
    link = net.link(source, reader)
    deliverUntil(link, 'cutBegin')
    net.settle()
    expectEqual(1)
  })

  test('a peer that does not know of digests is not asked', () => {
    cutOff(['one'])
    link = net.link(source, reader)
    const [subscribe] = link.toFeed
    const message = readMessage(subscribe as Uint8Array, 0, (subscribe as Uint8Array).length)
    expect(message.kind).toBe('subscribe')
    const writer = new ByteWriter()
    if (message.kind === 'subscribe') writeSubscribe(writer, { ...message, compares: false })
    link.toFeed[0] = writer.take()
    deliverUntil(link, 'cutBegin')
    net.settle()
    expectEqual(1)
  })

  test('many slots are asked for at once', () => {
    source = net.node(1, { members, backlogBytesMax: 4096 })
    source.shard.comparedMin = 20
    for (let slot = 1; slot <= 70; slot++) fill(source, slot, 20)
    net.link(source, reader)
    net.settle()
    for (const open of net.links) open.end()
    for (let slot = 1; slot <= 70; slot++) source.shard.write({ slot, token: 'missed' })
    overtake()
    link = net.link(source, reader)
    deliverUntil(link, 'askDigests')
    expect(kinds(link).filter((kind) => kind === 'askDigests').length).toBe(64)
    net.settle()
    for (let slot = 1; slot <= 70; slot++) expectEqual(slot)
    expect(reader.shard.frozen.length).toBe(70)
  })

  test('a slot that was changed as a whole meanwhile is asked for anew', () => {
    cutOff(['one'])
    link = net.link(source, reader)
    deliverUntil(link, 'askDigests')
    link.deliver('intake')
    deliverUntil(link, 'cutDiffering')
    reader.shard.findsStatesTooOld = true
    deliverUntil(link, 'statesSent')
    net.settle()
    expect(reader.shard.tokens(1)).not.toContain('one')
    expect([...reader.replication.intakes][0]?.caughtUp).toBe(false)
    reader.shard.findsStatesTooOld = false
    net.advance(2500)
    net.settle()
    expectEqual(1)
  })

  test('a slot that is void before its digests are made is sent whole', () => {
    cutOff(['one'])
    link = net.link(source, reader)
    deliverUntil(link, 'askDigests')
    link.deliver('intake')
    const [intake] = [...reader.replication.intakes]
    intake?.work()
    const [frozen] = reader.shard.frozen
    if (frozen !== undefined) frozen.isVoid = true
    deliverUntil(link, 'cutBegin')
    expect(frozen?.dropped).toBe(true)
    net.settle()
    expectEqual(1)
  })

  test('a comparison begins anew when the state of a third cluster is joined with the slot', () => {
    cutOff(['one'])
    const third = net.node(3, { members, backlogBytesMax: 4096, variations: { cutBytes: 1 << 20 } })
    fill(third, 1, 3, 'of a third')
    fill(third, 99, 80)
    link = net.link(source, reader)
    deliverUntil(link, 'cutDiffering')
    net.settle([net.link(third, source)])
    expect(source.shard.merges).toBeGreaterThan(0)
    link.deliver('intake')
    deliverUntil(link, 'askDigests')
    net.settle()
    expectEqual(1)
  })

  test('what is kept goes when the channel does, or when another plan comes', () => {
    cutOff(['one'])
    link = net.link(source, reader)
    deliverUntil(link, 'cutDiffering')
    const [intake] = [...reader.replication.intakes]
    intake?.subscribe()
    deliverPlan()
    expect(reader.shard.frozen.map(({ dropped }) => dropped)).toEqual([true])
    expect(reader.replication.inTransfer(1)).toBe(false)
    deliverUntil(link, 'cutDiffering')
    expect(reader.shard.frozen.map(({ dropped }) => dropped)).toEqual([true, false])
    link.end()
    expect(reader.shard.frozen.map(({ dropped }) => dropped)).toEqual([true, true])
    net.link(source, reader)
    net.settle()
    expectEqual(1)
  })

  test('the tail of a slot waits until what differs is known, and only so much of it', () => {
    const ample = net.node(1, {
      members,
      backlogBytesMax: 1 << 22,
      limits: { ...limits, linkInflightBytesMax: 1 << 22 },
    })
    ample.shard.comparedMin = 20
    fill(ample, 1, 100)
    net.link(ample, reader)
    net.settle()
    const open = net.links.at(-1) as ToyLink
    const [intake] = [...reader.replication.intakes]
    intake?.need(1, null)
    deliverUntil(open, 'askDigests')
    open.deliver('intake')
    reader.replication.pump()
    net.world.advance(0)
    reader.replication.pump()
    // The answer is taken and nothing else: the comparison is yet to come.
    while (open.deliver('feed'));
    for (let i = 0; i < 20; i++) ample.shard.write({ slot: 1, token: `${i}`.padStart(60_000, 'x') })
    ample.shard.write({ slot: 2, token: 'of another slot' })
    net.settle()
    expect(reader.shard.tokens(1)).toEqual(ample.shard.tokens(1))
    expect(reader.shard.tokens(2)).toEqual(['of another slot'])
  })

  test.each([
    ['too many', (number: number) => [number, 17]],
    ['none behind some', (number: number) => [number, 1, 0]],
  ])('an answer that is none ends the channel: %s', (_, answerOf) => {
    cutOff(['one'])
    link = net.link(source, reader)
    deliverUntil(link, 'askDigests')
    const asked = link.pending[0]
    const [number, ...counts] = answerOf(asked?.kind === 'askDigests' ? asked.number : 0)
    for (const count of counts) {
      const writer = new ByteWriter()
      writeDigests(writer, 1, number as number, new Uint8Array(16 * count), 0, 16 * count)
      link.toFeed.push(writer.take())
    }
    while (link.deliver('feed'));
    expect(link.closed).toBe(true)
  })

  test('what differs of a slot that was not asked for ends the channel', () => {
    cutOff(['one'])
    link = net.link(source, reader)
    deliverUntil(link, 'cutDiffering')
    const again = link.toIntake[0] as Uint8Array
    deliverUntil(link, 'statesSent')
    link.toIntake.unshift(again.slice())
    link.deliver('intake')
    net.world.advance(0)
    reader.replication.pump()
    net.world.advance(0)
    expect(reader.reasons.join()).toContain('which was not told what is here')
  })
})
