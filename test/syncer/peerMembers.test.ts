/** What a link to a peer carries for the agents at both ends, and what it does when the peer has other members. */
import { describe, expect, test } from 'vitest'
import { FrameKind } from '#protocol/frames/frame.ts'
import { type Hello, type HelloRefusal, jsonFrame } from '#protocol/frames/hello.ts'
import { syncVersion } from '#protocol/sync/message.ts'
import { PeerLink } from '#syncer/link/peerLink.ts'
import { MemoryNet } from '#test/memoryConnection.ts'
import { MemoryWorld } from '#test/memoryWorld.ts'
import { SeededRandom } from '#test/seed.ts'
import { silentLogger } from '#test/silentLogger.ts'
import { Endpoint, timings } from './endpoint.ts'

const guid = 'guid-1'
const hello: Hello = {
  role: 'syncer',
  syncVersion,
  guid,
  clusterId: 1,
  clusterName: 'cluster-1',
  instance: 'i',
  epoch: 3,
  member: 'm',
  compressions: [],
}

function scene(refusal: HelloRefusal | null = null) {
  const world = new MemoryWorld()
  const ends: Endpoint[] = []
  const lists: unknown[] = []
  const net = new MemoryNet(world, () => (far) => {
    const end = new Endpoint(world, far, {
      role: 'database',
      guid,
      clusterId: 2,
      sharding: true,
      shards: [],
      compressions: [],
    })
    end.refusal = refusal
    ends.push(end)
  })
  const link = new PeerLink(
    {
      member: { clusterId: 2, name: 'cluster-2', host: 'h', port: 12002 },
      guid,
      sharding: true,
      hello,
      identity: { certificatePath: 'c', keyPath: 'k', authorityPath: 'a' },
      timings,
    },
    { clock: world, timers: world, random: new SeededRandom(1), net, logger: silentLogger },
    {
      onPeerUp() {},
      onPeerDown() {},
      onPeerOffset() {},
      onPeerRefused: (_, list) => lists.push(list),
    },
  )
  link.link.dial()
  world.settle()
  const end = (): Endpoint => {
    const last = ends.at(-1)
    if (last === undefined) throw new Error('nobody was dialled')
    return last
  }
  return { world, link, lists, end }
}

describe('a peer', () => {
  test('is told our epoch and instance', () => {
    expect(scene().end().hello).toEqual(hello)
  })

  test('that has a newer list turns us away with it, and goes on being dialled', () => {
    const list = { epoch: 4, members: [] }
    const { link, lists, world } = scene({ code: 'EPOCH_OLD', reason: 'old', list })
    expect(lists).toEqual([list])
    expect(link.link.lastError).toBe('refused: old')
    world.advance(5000)
    expect(lists.length).toBeGreaterThan(1)
  })

  test('that gives no list has none to tell', () => {
    expect(scene({ code: 'GUID', reason: 'another database' }).lists).toEqual([])
  })

  test('answers the questions of our agent, in any order', () => {
    const { link, end, world } = scene()
    const answers: unknown[] = []
    link.ask({ ask: 'one' }, (answer) => answers.push(answer))
    link.ask({ ask: 'two' }, (answer) => answers.push(answer))
    world.settle()
    expect(end().questions.map(({ question }) => question)).toEqual([{ ask: 'one' }, { ask: 'two' }])
    for (const { tag, question } of end().questions.toReversed())
      end().connection.write(jsonFrame(FrameKind.memberAnswer, tag, { to: question }))
    // Nobody waits for this one.
    end().connection.write(jsonFrame(FrameKind.memberAnswer, 99, {}))
    world.settle()
    expect(answers).toEqual([{ to: { ask: 'two' } }, { to: { ask: 'one' } }])
    expect(link.link.isUp).toBe(true)
  })

  test('that goes away answers nothing any more', () => {
    const { link, end, world } = scene()
    const answers: unknown[] = []
    link.ask({}, (answer) => answers.push(answer))
    world.settle()
    end().connection.destroy()
    world.settle()
    expect(answers).toEqual([null])
    link.ask({}, (answer) => answers.push(answer))
    expect(answers).toEqual([null, null])
  })
})
