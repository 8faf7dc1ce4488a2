/** What docs/notifications.md shows is what happens. */
import { readFileSync } from 'node:fs'
import { expect, it } from 'vitest'
import { KeyspaceEventSetting } from '#protocol/pubsub/keyspaceEvents.ts'
import { BlockingWorld } from '#test/proxy/blockingWorld.ts'

const page = readFileSync(new URL('../../docs/notifications.md', import.meta.url), 'utf8')
const settings = [...page.matchAll(/CONFIG SET notify-keyspace-events (\w+)/g)].map(
  ([, letters = '']) => letters,
)
const messages = [...page.matchAll(/^__\w+@0__:\S+ \S+$/gm)].map(([line]) => line)

it('tells of all letters, and of those that A stands for', () => {
  const rows = [...page.matchAll(/^\| (`[^|]+) \| /gm)].map(([, cell = '']) => cell)
  const letters = rows
    .filter((cell) => /^(`[A-Za-z$]`,? ?)+$/.test(cell))
    .flatMap((cell) => cell.match(/[A-Za-z$]/g))
  const known = Array.from({ length: 128 }, (_, code) => String.fromCharCode(code)).filter(
    (letter) => KeyspaceEventSetting.parse(letter) !== undefined,
  )
  expect([...letters].sort()).toEqual(known.sort())
  const [, ofA = ''] = /all of `([^`]+)`/.exec(page) ?? []
  expect(KeyspaceEventSetting.parse(ofA)?.letters).toBe('A')
})

it('shows the settings and the messages that they bring, with Redis clients of any worker', () => {
  const world = new BlockingWorld({ shardCount: 2 })
  const heard: string[] = []
  for (const letters of settings) {
    const subscriber = world.client(0)
    expect(world.client(1).call('CONFIG', 'SET', 'notify-keyspace-events', letters)).toBe('+OK\r\n')
    expect(world.shards.map(({ shard }) => shard.status().settings.notifyKeyspaceEvents)).toEqual(
      world.shards.map(() => letters),
    )
    subscriber.call('PSUBSCRIBE', letters.includes('L') ? '__local*__:*' : '__key*__:*')
    world.client(1).call('SET', 'greeting', 'hello')
    const texts = [...subscriber.read().matchAll(/\$\d+\r\n([^\r]*)\r\n/g)].map(([, text = '']) => text)
    for (let at = 0; at < texts.length; at += 4) heard.push(`${texts[at + 2]} ${texts[at + 3]}`)
  }
  expect(settings.length).toBe(2)
  expect(heard).toEqual(messages)
})
