/**
 * Writes `test/fixtures/log/vN` for the format that this program writes: `node test/log/writeFixture.ts`. To be run once a
 * version, when it is new; a fixture that was released is never written again, and every later program must read it.
 */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { logVersion } from '#server/log/blockFormat.ts'
import { MemoryWorld } from '#test/memoryWorld.ts'
import { carry, member, open } from '#test/shard/twoClusters.ts'

const directory = join(import.meta.dirname, '..', 'fixtures', 'log', `v${logVersion}`)
const world = new MemoryWorld()
const own = member(1, world, { variations: { segmentBytesMax: 1500 } })
const other = member(2, world, { limits: { backlogBytesMax: 4096 } })

const write = (shard: typeof own, text: string): void => {
  const reply = shard.run(...text.split(' '))
  if (reply.startsWith('-')) throw new Error(`${text}: ${reply}`)
}

for (let i = 0; i < 40; i++) write(other, `SET state:${i} value-of-the-other-cluster-${i}`)
for (const text of ['INCRBY counter 5', 'HSET hash theirs 1', 'SADD set theirs', 'SET type text'])
  write(other, text)
for (const text of [
  'SET text value',
  'APPEND text -and-more',
  'SETRANGE text 0 V',
  'SET binary \x00\xff\r\n',
  'INCRBY counter 37',
  'INCRBYFLOAT float 0.1',
  'INCRBYFLOAT float 0.2',
  'SET number 10',
  'INCR number',
  'HSET hash a 1 b 2 c 3',
  'HINCRBY hash a 41',
  'HINCRBYFLOAT hash f 1.5',
  'HDEL hash b',
  'SADD set x y z',
  'SREM set y',
  'SADD type member',
  'SET expiring value PXAT 4102444800000',
  'SET persistent value EX 100',
  'PERSIST persistent',
  'SET {old}old value',
  'RENAME {old}old {old}new',
  'SET deleted value',
  'DEL deleted',
  'INCR reset',
  'SET reset 5',
]) {
  write(own, text)
}
own.proxy.transaction(0, ['SET', '{t}1', 'one'], ['SADD', '{t}2', 'two'], ['DEL', '{t}1'])
open(own, other, 1)
carry(own, other, 500)
for (const text of ['SET late value', 'HSET hash late 1', 'DEL state:3']) write(other, text)
carry(own, other, 500)
write(own, 'SET state:4 changed')
own.shard.drain(() => {})
world.settle()

const asked = [
  ['DBSIZE'],
  ...['text', 'binary', 'counter', 'float', 'number', 'reset', 'deleted', 'late', '{old}new', '{old}old'].map(
    (key) => ['GET', key],
  ),
  ...['state:3', 'state:4', 'state:5', 'expiring', 'persistent', 'counter', 'type', 'hash', 'set'].flatMap(
    (key) => [
      ['TYPE', key],
      ['PEXPIRETIME', key],
    ],
  ),
  ...['a', 'b', 'c', 'f', 'theirs', 'late'].map((field) => ['HGET', 'hash', field]),
  ...['x', 'y', 'z', 'theirs'].map((name) => ['SISMEMBER', 'set', name]),
  ['SMEMBERS', '{t}2'],
  ['EXISTS', '{t}1'],
]
const again = own.restart()
const expected = {
  position: again.shard.log.end,
  replies: asked.map((words) => [words, again.run(...words)]),
}
mkdirSync(directory, { recursive: true })
for (const [name, { bytes }] of own.disk.files) writeFileSync(join(directory, name), bytes)
writeFileSync(join(directory, 'expected.json'), `${JSON.stringify(expected, null, 1)}\n`)
