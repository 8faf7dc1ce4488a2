/** DUMP and RESTORE of streams: what a real redis-server has dumped comes here with all that it holds, and goes back. */
import { describe, expect, it } from 'vitest'
import { redisForTests } from '#test/compat/redisSide.ts'
import { decodeReply, type Reply, show } from '#test/compat/reply.ts'
import { SeededRandom, seedFromEnv } from '#test/seed.ts'
import { TestDatabase } from './handlerDatabase.ts'
import { rdb, rdbLength, rdbText, sealed } from './payloads.ts'

/** Unless it looks at payloads a damaged one may end it. */
const { ask: ofRedis } = redisForTests('--sanitize-dump-payload', 'yes')
const db = new TestDatabase()

type Ask = (...request: string[]) => Promise<Reply>
const ofOwn: Ask = async (...request) => decodeReply(db.raw(...request))

const named = ({ items }: Reply, name: string): Reply | undefined =>
  items[items.findIndex(({ text }) => text === name) + 1]

const shown = (reply: Reply, ...names: string[]): string =>
  names.map((name) => `${name} ${show(named(reply, name) ?? reply)}`).join(' ')

/** All that the stream holds. */
async function content(ask: Ask, key: string): Promise<string> {
  const full = await ask('XINFO', 'STREAM', key, 'FULL', 'COUNT', '0')
  if (full.mark === '-') return full.text
  const lines = [show(await ask('XRANGE', key, '-', '+')), show(await ask('XREVRANGE', key, '+', '-'))]
  lines.push(shown(full, 'length', 'last-generated-id', 'max-deleted-entry-id', 'entries-added'))
  lines.push(shown(full, 'recorded-first-entry-id'))
  for (const group of named(full, 'groups')?.items ?? []) {
    lines.push(shown(group, 'name', 'last-delivered-id', 'entries-read', 'lag', 'pel-count', 'pending'))
    for (const consumer of named(group, 'consumers')?.items ?? [])
      lines.push(shown(consumer, 'name', 'seen-time', 'pel-count', 'pending'))
  }
  return lines.join('\n')
}

const dump = async (ask: Ask, key: string): Promise<string> => (await ask('DUMP', key)).text

const restore = async (ask: Ask, key: string, payload: string): Promise<string> =>
  show(await ask('RESTORE', key, '0', payload, 'REPLACE'))

/** From Redis to here and back. */
async function thereAndBack(key: string): Promise<void> {
  const told = await content(ofRedis, key)
  expect(await restore(ofOwn, 'r', await dump(ofRedis, key))).toBe('+"OK"')
  expect(await content(ofOwn, 'r')).toBe(told)
  expect(await restore(ofRedis, 'back', await dump(ofOwn, 'r'))).toBe('+"OK"')
  expect(await content(ofRedis, 'back')).toBe(told)
  expect(await restore(ofOwn, 'r', await dump(ofOwn, 'r'))).toBe('+"OK"')
  expect(await content(ofOwn, 'r')).toBe(told)
  await ofOwn('COPY', 'r', 'c', 'REPLACE')
  expect(await content(ofOwn, 'c')).toBe(told)
}

const groups = ['g', 'h']
const consumers = ['alice', 'bob']

async function randomStream(random: SeededRandom, steps: number): Promise<void> {
  let ms = 1
  const ids: string[] = []
  await ofRedis('DEL', 'x')
  for (let step = 0; step < steps; step++) {
    const id = random.pick(ids.length === 0 ? ['1-1'] : ids)
    const [group, consumer] = [random.pick(groups), random.pick(consumers)]
    const x = random.fraction()
    if (x < 0.5) {
      ms += random.below(3)
      const names = random.chance(0.8) ? ['f', 'g'] : ['f', `other${random.below(3)}`, 'h']
      const fields = names.flatMap((name) => [
        name,
        random.pick(['', '7', '-5000', 'text', 'v'.repeat(random.below(300))]),
      ])
      const { text, mark } = await ofRedis('XADD', 'x', `${ms}-${step + 1}`, ...fields)
      if (mark === '$') ids.push(text)
    } else if (x < 0.6) await ofRedis('XDEL', 'x', id)
    else if (x < 0.62) await ofRedis('XTRIM', 'x', 'MAXLEN', String(random.below(40)))
    else if (x < 0.66) await ofRedis('XGROUP', 'CREATE', 'x', group, random.pick(['0', '$', id]), 'MKSTREAM')
    else if (x < 0.67) await ofRedis('XGROUP', 'DESTROY', 'x', group)
    else if (x < 0.7) await ofRedis('XGROUP', 'CREATECONSUMER', 'x', group, consumer)
    else if (x < 0.88)
      await ofRedis('XREADGROUP', 'GROUP', group, consumer, 'COUNT', '3', 'STREAMS', 'x', '>')
    else if (x < 0.95) await ofRedis('XACK', 'x', group, id)
    else if (x < 0.98)
      await ofRedis('XCLAIM', 'x', group, consumer, '0', id, 'RETRYCOUNT', String(random.below(300)))
    else {
      ms += 5
      await ofRedis('XSETID', 'x', `${ms}-0`, 'ENTRIESADDED', '5000', 'MAXDELETEDID', '1-1')
    }
  }
}

describe('there and back', () => {
  it.each([3, 10, 40, 150, 700])('streams of %i random commands', async (steps) => {
    const random = new SeededRandom(seedFromEnv())
    for (let run = 0; run < Math.max(3, Math.floor(700 / steps)); run++) {
      await randomStream(random, steps)
      if ((await ofRedis('EXISTS', 'x')).text === '1') await thereAndBack('x')
    }
  })

  it('ids at the borders, long values, many fields', async () => {
    await ofRedis('DEL', 'x')
    await ofRedis('XADD', 'x', '0-1', 'f', 'v'.repeat(20_000))
    await ofRedis('XADD', 'x', '5-18446744073709551615', ...Array.from({ length: 200 }, (_, at) => `f${at}`))
    await ofRedis('XADD', 'x', '9007199254740991-9007199254740993', 'f', 'x'.repeat(16_379))
    await ofRedis('XADD', 'x', '9007199254740993-0', 'f', 'y'.repeat(16_378))
    await ofRedis('XADD', 'x', '18446744073709551615-18446744073709551614', 'f', 'w'.repeat(4_096))
    await thereAndBack('x')
  })

  it('an empty stream', async () => {
    await ofRedis('DEL', 'x')
    await ofRedis('XADD', 'x', '7-7', 'f', 'v')
    await ofRedis('XDEL', 'x', '7-7')
    await thereAndBack('x')
  })
})

/** The listpack of one entry, field f, value v; its id is the node's. */
const oneEntry = (() => {
  const one = (value: number): string => `${String.fromCharCode(value)}\x01`
  const letter = (text: string): string => `\x81${text}\x02`
  const body = `${[1, 0, 1].map(one).join('')}${letter('f')}${one(0)}${[2, 0, 0].map(one).join('')}${letter('v')}${one(4)}`
  return `${String.fromCharCode(body.length + 7)}\0\0\0\x0a\0${body}\xff`
})()

const rawId = (ms: number): string => `${'\0'.repeat(7)}${String.fromCharCode(ms)}${'\0'.repeat(8)}`
const node = (ms: number): string => rdbText(rawId(ms)) + rdbText(oneEntry)
const numbers = (...values: number[]): string => values.map(rdbLength).join('')

describe('other versions', () => {
  it('Redis 5 and 6, without counts', async () => {
    const group = (lastMs: number): string =>
      `${rdbText(`g${lastMs}`)}${numbers(lastMs, 0)}\x01${rawId(5)}${'\x09'.padEnd(8, '\0')}\x03\x01${rdbText('c')}${'\x0a'.padEnd(8, '\0')}\x01${rawId(5)}`
    const payload = rdb(
      15,
      '\x02',
      node(5),
      node(6),
      numbers(2, 6, 0),
      '\x04',
      [4, 5, 6, 9].map(group).join(''),
    )
    expect(await restore(ofRedis, 'r', payload)).toBe('+"OK"')
    expect(await restore(ofOwn, 'r', payload)).toBe('+"OK"')
    expect(await content(ofOwn, 'r')).toBe(await content(ofRedis, 'r'))
  })

  it('Redis 7.2, with the times at which consumers were active', async () => {
    const time = (ms: string): string => ms.padEnd(8, '\0')
    const consumers = `\x02${rdbText('a')}${time('\x0b')}${time('\x0a')}\0${rdbText('b')}${time('\x0b')}${'\xff'.repeat(8)}\0`
    const groups = `\x01${rdbText('g')}${numbers(5, 0)}\x81${'\xff'.repeat(8)}\0${consumers}`
    const payload = rdb(21, '\x01', node(5), numbers(1, 5, 0, 5, 0, 0, 0, 1), groups)
    expect(await restore(ofOwn, 'r', payload)).toBe('+"OK"')
    const full = await ofOwn('XINFO', 'STREAM', 'r', 'FULL')
    const [group] = named(full, 'groups')?.items ?? []
    expect(show(named(group as Reply, 'entries-read') as Reply)).toBe('$null')
    const told = named(group as Reply, 'consumers')?.items.map((consumer) =>
      shown(consumer, 'name', 'seen-time'),
    )
    expect(told).toEqual(['name $"a" seen-time :"11"', 'name $"b" seen-time :"11"'])
  })
})

describe('refused as Redis refuses it', () => {
  const tail = '\0'
  const counts = (length: number): string => numbers(length, 9, 0, 5, 0, 0, 0, 1)
  const delivery = `${rawId(5)}${'\x09'.padEnd(8, '\0')}\x01`
  const consumer = (name: string, ...ids: string[]): string =>
    `${rdbText(name)}${'\x0a'.padEnd(8, '\0')}${rdbLength(ids.length)}${ids.join('')}`
  const group = (...parts: string[]): string => `${rdbText('g')}${numbers(5, 0, 1)}${parts.join('')}`

  it.each([
    ['an id of another size', ['\x01', rdbText('short'), rdbText(oneEntry), counts(1), tail]],
    ['a node without entries', ['\x01', rdbText(rawId(5)), rdbText('\x07\0\0\0\0\0\xff'), counts(1), tail]],
    ['a length without entries', ['\0', counts(1), tail]],
    ['a node twice', ['\x02', node(5), node(5), counts(2), tail]],
    ['a group twice', ['\x01', node(5), counts(1), '\x02', group('\0', '\0'), group('\0', '\0')]],
    [
      'a consumer twice',
      ['\x01', node(5), counts(1), '\x01', group('\0', '\x02', consumer('c'), consumer('c'))],
    ],
    ['a delivery twice', ['\x01', node(5), counts(1), '\x01', group('\x02', delivery, delivery, '\0')]],
    ['a delivery to nobody', ['\x01', node(5), counts(1), '\x01', group('\x01', delivery, '\0')]],
    [
      'a delivery that the group lacks',
      ['\x01', node(5), counts(1), '\x01', group('\0', '\x01', consumer('c', rawId(5)))],
    ],
    ['cut short', ['\x01', node(5), numbers(1, 9)]],
  ])('%s', async (_, parts) => {
    const payload = rdb(19, ...parts)
    expect(await restore(ofRedis, 'r', payload)).toMatch(/ERR Bad data/)
    expect(await restore(ofOwn, 'r', payload)).toBe(await restore(ofRedis, 'r', payload))
  })

  it('bitten anywhere: taken, or refused', async () => {
    const random = new SeededRandom(seedFromEnv())
    await randomStream(random, 60)
    await ofRedis('XADD', 'x', '99999-1', 'f', 'v')
    const body = (await dump(ofRedis, 'x')).slice(0, -10)
    for (let run = 0; run < 3_000; run++) {
      const at = 1 + random.below(body.length - 1)
      const bitten = body.slice(0, at) + String.fromCharCode(random.below(256)) + body.slice(at + 1)
      const reply = await ofOwn('RESTORE', 'b', '0', sealed(bitten), 'REPLACE')
      expect(reply.text).toMatch(/^(OK|ERR Bad data format)$/)
      if (reply.text === 'OK') await content(ofOwn, 'b')
    }
  })
})
