/** Whom the database port lets in, by the list of members; and what agents ask each other over it. */
import { describe, expect, it } from 'vitest'
import { FrameKind } from '#protocol/frames/frame.ts'
import { type Hello, helloFrame, jsonFrame } from '#protocol/frames/hello.ts'
import { frame } from './fakeShard.ts'
import { goodHello, Peer } from './peer.ts'
import { ProxyWorld } from './proxyWorld.ts'

describe('a peer and the list of members', () => {
  const own = { clusterId: 1, name: 'c1', host: '127.0.0.1', port: 12000 }
  const peer = { clusterId: 2, name: 'c2', host: '127.0.0.1', port: 12002, instance: 'second life' }
  const list = { epoch: 4, members: [own, peer].map(({ clusterId: id, ...facts }) => ({ id, ...facts })) }
  const refusalOf = (hello: object, member: object = {}) => {
    const world = new ProxyWorld({ database: { epoch: 4, members: [own, { ...peer, ...member }] } })
    const sent = { ...goodHello, epoch: 4, member: 'second life', ...hello } as Hello
    return new Peer(world).send(helloFrame(sent)).refusal
  }

  it.each([
    ['an older list is turned away with this one', { epoch: 3 }, {}, { code: 'EPOCH_OLD', list }],
    ['a removed one is told so', {}, { state: 'removed' }, { code: 'REMOVED' }],
    ['and one that is being forced out', {}, { state: 'removing', forced: true }, { code: 'REMOVED' }],
    ['an earlier life is over', { member: 'first life' }, {}, { code: 'REMOVED' }],
    ['another database', { guid: 'other' }, {}, { code: 'GUID' }],
    ['another version', { syncVersion: 99 }, {}, { code: 'VERSION' }],
    ['no member', { clusterId: 5 }, {}, { code: 'MEMBER' }],
  ])('%s', (_, hello, member, refusal) => {
    expect(refusalOf(hello, member)).toMatchObject(refusal)
  })

  it.each([
    ['the same list', {}],
    ['a newer one', { epoch: 5 }],
    ['who does not tell, as earlier releases', { epoch: undefined, member: undefined }],
  ])('%s is let in', (_, hello) => {
    expect(refusalOf(hello)).toBeNull()
    expect(refusalOf(hello, { state: 'removing' })).toBeNull()
  })

  it('is disconnected when it is forced out', () => {
    const world = new ProxyWorld()
    const connected = new Peer(world).send(helloFrame(goodHello))
    const members = [own, { ...peer, state: 'removing' as const, forced: true }]
    world.proxy.reconfigure({ ...world.config, database: { ...world.config.database, members } })
    world.world.settle()
    expect(connected.reason).toBe('c2 is no member any more')
  })

  it('asks the agent, if there is one', () => {
    const world = new ProxyWorld()
    const asking = new Peer(world).send(helloFrame(goodHello))
    asking.send(jsonFrame(FrameKind.memberQuestion, 6, { ask: 'state' }))
    expect(asking.received).toEqual([{ kind: FrameKind.memberAnswer, tag: 6, payload: 'null' }])
    asking.send(frame(FrameKind.memberQuestion, 7, '{'))
    expect(asking.reason).toBe('a question that is not JSON')
  })
})
