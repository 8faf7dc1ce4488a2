/** Streams at a shard: what of consumer groups outlives its process, what peers get of them, and who waits for entries. */
import { describe, expect, test } from 'vitest'
import { slotOfKey } from '#protocol/slots/crc16.ts'
import { TestShard } from './testShard.ts'
import { carry, pair } from './twoClusters.ts'

const liberal = { streamIdMode: 'liberal' } as const
const group = ['GROUP', 'g', 'alice'] as const

const bulk = (text: string): string => `$${text.length}\r\n${text}\r\n`
const array = (...parts: string[]): string => `*${parts.length}\r\n${parts.join('')}`
const entry = (id: string): string => array(bulk(id), array(bulk('f'), bulk('v')))
const given = (...ids: string[]): string => array(array(bulk('s'), array(...ids.map(entry))))
const nothing = '*-1\r\n'
const noGroup = "-NOGROUP No such key 's' or consumer group 'g' in XREADGROUP with GROUP option\r\n"

/** A stream with entries 1-0 to 4-0, of which alice has got the first three and acknowledged the second. */
function used(shard: TestShard): void {
  for (const id of ['1-0', '2-0', '3-0', '4-0']) shard.run('XADD', 's', id, 'f', 'v')
  shard.run('XGROUP', 'CREATE', 's', 'g', '0')
  expect(shard.run('XREADGROUP', ...group, 'COUNT', '3', 'STREAMS', 's', '>')).toBe(
    given('1-0', '2-0', '3-0'),
  )
  expect(shard.run('XACK', 's', 'g', '2-0')).toBe(':1\r\n')
  shard.run('XGROUP', 'CREATECONSUMER', 's', 'g', 'bob')
}

const questions = [
  ['XINFO', 'GROUPS', 's'],
  ['XINFO', 'CONSUMERS', 's', 'g'],
  ['XPENDING', 's', 'g'],
  ['XPENDING', 's', 'g', '-', '+', '10'],
]
const answers = (shard: TestShard): string[] => questions.map((question) => shard.run(...question))

function snapshot(shard: TestShard): void {
  shard.proxy.ask({ what: 'snapshot' })
  shard.world.advance(2_000)
  expect(shard.shard.status().log.snapshot).toMatchObject({ completed: 1, running: false })
}

describe('what a group is in its cluster', () => {
  test('outlives a kill, by the log', () => {
    const shard = new TestShard({ database: liberal })
    used(shard)
    const before = answers(shard)
    const again = shard.restart()
    expect(answers(again)).toEqual(before)
    expect(again.run('XREADGROUP', ...group, 'STREAMS', 's', '>')).toBe(given('4-0'))
    expect(again.run('XREADGROUP', ...group, 'STREAMS', 's', '0')).toBe(given('1-0', '3-0', '4-0'))
  })

  test('outlives a kill by a snapshot, and by the log since', () => {
    const shard = new TestShard({ database: liberal })
    used(shard)
    snapshot(shard)
    shard.run('XACK', 's', 'g', '1-0')
    shard.run('XCLAIM', 's', 'g', 'bob', '0', '3-0', 'IDLE', '500')
    const before = answers(shard)
    const again = shard.restart()
    expect(again.shard.status().log.snapshot.logBytes).toBeGreaterThan(0)
    expect(answers(again)).toEqual(before)
    snapshot(again)
    const pending = answers(again)[3]
    expect(answers(again.restart())[3]).toBe(pending)
  })

  test('ends with it, also when another of its name is made in the same transaction', () => {
    const shard = new TestShard({ database: liberal })
    used(shard)
    const anew = [
      ['XREADGROUP', ...group, 'STREAMS', 's', '>'],
      ['XGROUP', 'DESTROY', 's', 'g'],
      ['XGROUP', 'CREATE', 's', 'g', '2-0'],
      ['XREADGROUP', ...group, 'COUNT', '1', 'STREAMS', 's', '>'],
    ]
    const tag = shard.proxy.transaction(0, ...anew)
    shard.world.settle()
    expect(shard.proxy.reply(tag)).toBe(array(given('4-0'), ':1\r\n', '+OK\r\n', given('3-0')))
    const before = answers(shard)
    expect(before[2]).toContain('$3\r\n3-0\r\n$3\r\n3-0\r\n')
    expect(answers(shard.restart())).toEqual(before)
  })

  test('goes with a DEL of the stream', () => {
    const shard = new TestShard({ database: liberal })
    used(shard)
    shard.run('DEL', 's')
    shard.run('XGROUP', 'CREATE', 's', 'g', '$', 'MKSTREAM')
    const before = answers(shard)
    expect(before[1]).toBe('*0\r\n')
    expect(answers(shard.restart())).toEqual(before)
  })

  test('counts as memory, and gives it back', () => {
    const shard = new TestShard({ database: liberal })
    const { db } = shard.shard
    for (let i = 1; i <= 1000; i++) shard.run('XADD', 's', `${i}-0`, 'f', 'v')
    shard.run('XGROUP', 'CREATE', 's', 'g', '0')
    const before = db.usedBytes
    shard.run('XREADGROUP', ...group, 'STREAMS', 's', '>')
    expect(db.usedBytes - before).toBeGreaterThan(100_000)
    shard.run('XACK', 's', 'g', ...Array.from({ length: 1000 }, (_, i) => `${i + 1}-0`))
    expect(db.usedBytes - before).toBeLessThan(2_000)
    shard.run('XGROUP', 'DESTROY', 's', 'g')
    expect(db.usedBytes).toBeLessThanOrEqual(before)
  })

  test.each(['by operations', 'by the state of the slot'])('is no business of peers, who learn %s', (how) => {
    const { a, b, connect } = pair({ database: liberal, limits: { backlogBytesMax: 4096 } })
    if (how === 'by operations') connect()
    used(a)
    // The window of the log is too small for all of it.
    if (how !== 'by operations') for (let i = 0; i < 200; i++) a.run('SET', `k${i}`, 'v'.repeat(100))
    if (how !== 'by operations') connect()
    carry(a, b, 500)
    expect(b.shard.status().sync.mergedSlotStates > 0).toBe(how !== 'by operations')
    expect(b.run('XLEN', 's')).toBe(':4\r\n')
    expect(b.run('XINFO', 'CONSUMERS', 's', 'g')).toBe('*0\r\n')
    expect(b.run('XPENDING', 's', 'g')).toBe(array(':0\r\n', '$-1\r\n', '$-1\r\n', '*-1\r\n'))
    const slot = slotOfKey('s')
    expect(b.shard.db.slotDigest(slot)).toBe(a.shard.db.slotDigest(slot))
    // And what it is there stays when more comes from the peer.
    expect(b.run('XREADGROUP', ...group, 'STREAMS', 's', '>')).toBe(given('1-0', '2-0', '3-0', '4-0'))
    a.run('XACK', 's', 'g', '1-0', '3-0')
    a.run('XADD', 's', '5-0', 'f', 'v')
    carry(a, b, 500)
    expect(b.run('XPENDING', 's', 'g')).toContain(':4\r\n')
    expect(b.run('XREADGROUP', ...group, 'STREAMS', 's', '>')).toBe(given('5-0'))
    expect(b.restart().run('XPENDING', 's', 'g')).toContain(':5\r\n')
  })
})

describe('a client that waits for entries', () => {
  const waiting = (shard: TestShard, session: number, ...words: string[]): number => {
    const tag = shard.proxy.block(session, ...words)
    shard.world.settle()
    expect(shard.proxy.reply(tag)).toBeUndefined()
    return tag
  }

  test('gets those behind its ids, of all of its streams', () => {
    const shard = new TestShard({ database: liberal })
    shard.run('XADD', 's', '1-0', 'f', 'v')
    const tags = [
      waiting(shard, 1, 'XREAD', 'BLOCK', '0', 'STREAMS', 's', '$'),
      waiting(shard, 2, 'XREAD', 'BLOCK', '0', 'STREAMS', 's', '5-0'),
      waiting(shard, 3, 'XREAD', 'BLOCK', '0', 'COUNT', '1', 'STREAMS', '{s}t', 's', '0', '1-0'),
    ]
    shard.run('XADD', 's', '2-0', 'f', 'v')
    expect(tags.map((tag) => shard.proxy.reply(tag))).toEqual([given('2-0'), undefined, given('2-0')])
    shard.run('XADD', 's', '6-0', 'f', 'v')
    expect(shard.proxy.reply(tags[1] as number)).toBe(given('6-0'))
    expect(shard.shard.status().blockedClients).toBe(0)
  })

  test('gets nothing of a key that is none, and goes on waiting', () => {
    const shard = new TestShard({ database: liberal })
    const tag = waiting(shard, 1, 'XREAD', 'BLOCK', '1000', 'STREAMS', 's', '0')
    shard.run('SET', 's', 'text')
    shard.run('DEL', 's')
    expect(shard.proxy.reply(tag)).toBeUndefined()
    shard.world.advance(1_000)
    expect(shard.proxy.reply(tag)).toBe(nothing)
  })

  test('of a group is one of several who share them, and is a consumer already', () => {
    const shard = new TestShard({ database: liberal })
    shard.run('XGROUP', 'CREATE', 's', 'g', '0', 'MKSTREAM')
    const block = ['BLOCK', '0', 'COUNT', '1', 'STREAMS', 's', '>']
    const alice = waiting(shard, 1, 'XREADGROUP', 'GROUP', 'g', 'alice', ...block)
    const bob = waiting(shard, 2, 'XREADGROUP', 'GROUP', 'g', 'bob', ...block)
    expect(shard.run('XGROUP', 'CREATECONSUMER', 's', 'g', 'bob')).toBe(':0\r\n')
    shard.run('XADD', 's', '1-0', 'f', 'v')
    expect([alice, bob].map((tag) => shard.proxy.reply(tag))).toEqual([given('1-0'), undefined])
    shard.run('XADD', 's', '2-0', 'f', 'v')
    expect(shard.proxy.reply(bob)).toBe(given('2-0'))
    expect(shard.run('XPENDING', 's', 'g')).toContain(array(bulk('alice'), bulk('1')))
    const again = shard.restart()
    expect(again.run('XPENDING', 's', 'g')).toContain(array(bulk('bob'), bulk('1')))
  })

  test('is a consumer after a kill, though nobody has answered it', () => {
    const shard = new TestShard({ database: liberal })
    shard.run('XGROUP', 'CREATE', 's', 'g', '0', 'MKSTREAM')
    waiting(shard, 1, 'XREADGROUP', ...group, 'BLOCK', '0', 'STREAMS', 's', '>')
    expect(shard.restart().run('XGROUP', 'CREATECONSUMER', 's', 'g', 'alice')).toBe(':0\r\n')
  })

  test.each([
    ['the group is destroyed', ['XGROUP', 'DESTROY', 's', 'g'], noGroup],
    ['the stream is deleted', ['DEL', 's'], noGroup],
    [
      'the key becomes another value',
      ['SET', 's', 'text'],
      '-WRONGTYPE Operation against a key holding the wrong kind of value\r\n',
    ],
  ])('of a group is told when %s', (_, command, reply) => {
    const shard = new TestShard({ database: liberal })
    shard.run('XGROUP', 'CREATE', 's', 'g', '0', 'MKSTREAM')
    const tag = waiting(shard, 1, 'XREADGROUP', ...group, 'BLOCK', '0', 'STREAMS', 's', '>')
    shard.run(...command)
    expect(shard.proxy.reply(tag)).toBe(reply)
  })

  test('is not one in a transaction', () => {
    const shard = new TestShard({ database: liberal })
    shard.run('XGROUP', 'CREATE', 's', 'g', '0', 'MKSTREAM')
    const tag = shard.proxy.transaction(
      0,
      ['XREAD', 'BLOCK', '0', 'STREAMS', 's', '$'],
      ['XREADGROUP', ...group, 'BLOCK', '0', 'STREAMS', 's', '>'],
    )
    shard.world.settle()
    expect(shard.proxy.reply(tag)).toBe(array(nothing, nothing))
  })

  test('is woken by an entry of another cluster', () => {
    const { a, b, connect } = pair({ database: liberal })
    connect()
    a.run('XGROUP', 'CREATE', 's', 'g', '0', 'MKSTREAM')
    carry(a, b, 500)
    const tag = waiting(b, 1, 'XREADGROUP', ...group, 'BLOCK', '0', 'STREAMS', 's', '>')
    a.run('XADD', 's', '1-0', 'f', 'v')
    carry(a, b, 500)
    expect(b.proxy.reply(tag)).toBe(given('1-0'))
  })
})

describe('ids', () => {
  const add = (shard: TestShard, id: string): string => shard.run('XADD', 's', id, 'f', 'v')

  test('are those of the mode that is set, also while the shard runs', () => {
    const shard = new TestShard({ database: { clusterId: 2, members: [{ clusterId: 2, name: 'two' }] } })
    expect([add(shard, '110'), add(shard, '110'), add(shard, '111-*')]).toEqual(
      ['110-2', '110-18', '111-2'].map(bulk),
    )
    expect(add(shard, '112-1')).toMatch(/^-ERR XADD takes \* or milliseconds here/)
    const configure = (streamIdMode: unknown): unknown => {
      const tag = shard.proxy.ask({ what: 'configure', settings: { streamIdMode } })
      shard.world.settle()
      return shard.proxy.adminAnswers.get(tag)
    }
    expect(configure('semi-strict')).toEqual({})
    expect([add(shard, '112-1'), add(shard, '112'), add(shard, '113')]).toEqual(
      ['112-1', '112-2', '113-2'].map(bulk),
    )
    expect(configure('liberal')).toEqual({})
    expect(shard.shard.status().settings.streamIdMode).toBe('liberal')
    expect([add(shard, '114'), add(shard, '114-*')]).toEqual(['114-0', '114-1'].map(bulk))
    expect(configure('loose')).toMatchObject({ error: expect.stringContaining('loose') })
  })

  test("of the clock are above all that have been seen, and this cluster's own", () => {
    const shard = new TestShard()
    const now = String(Math.floor(shard.world.wallMs()))
    expect([add(shard, '*'), add(shard, '*')]).toEqual([bulk(`${now}-1`), bulk(`${now}-17`)])
    const far = '18446744073709551614'
    expect(add(shard, far)).toBe(bulk(`${far}-1`))
    expect(add(shard, '*')).toBe(bulk(`${far}-17`))
    shard.run('XSETID', 's', `${far}-18446744073709551610`)
    expect(add(shard, '*')).toBe(bulk('18446744073709551615-1'))
    shard.run('XSETID', 's', '18446744073709551615-18446744073709551602')
    expect(add(shard, '*')).toMatch(/^-ERR The ID specified/)
    expect(add(shard, '5')).toMatch(/^-ERR The ID specified in XADD is equal or smaller/)
  })
})
