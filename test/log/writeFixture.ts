/**
 * Writes `test/fixtures/log/vN` and `test/fixtures/snapshot/vN` for the formats that this program writes, if they are not there:
 * `node test/log/writeFixture.ts`. A fixture that was released is never written again, and every later program must read it.
 */
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { segmentKind } from '#server/log/blockFormat.ts'
import { snapshotKind } from '#server/log/snapshotFormat.ts'
import { MemoryWorld } from '#test/memoryWorld.ts'
import { carry, member, open } from '#test/shard/twoClusters.ts'

const root = join(import.meta.dirname, '..', 'fixtures')
const world = new MemoryWorld()
const own = member(1, world, { variations: { segmentBytesMax: 1500 } })
const other = member(2, world, { limits: { backlogBytesMax: 4096 } })

const write = (shard: typeof own, text: string): void => {
  const reply = shard.run(...text.split(' '))
  if (reply.startsWith('-')) throw new Error(`${text}: ${reply}`)
}

for (let i = 0; i < 40; i++) write(other, `SET state:${i} value-of-the-other-cluster-${i}`)
for (const text of [
  'INCRBY counter 5',
  'HSET hash theirs 1',
  'SADD set theirs',
  'RPUSH list theirs',
  'ZINCRBY scores 3 theirs',
  'XADD stream 7 by theirs',
  'XGROUP CREATE stream theirs $',
  'SET type text',
])
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
  'HPEXPIREAT hash 4102444800000 FIELDS 3 a c f',
  'HINCRBY hash a 1',
  'HPERSIST hash FIELDS 1 c',
  'SADD set x y z',
  'SREM set y',
  'RPUSH list a b c d e f',
  'LPUSH list z',
  'LINSERT list AFTER b between',
  'LSET list 0 first',
  'LREM list 1 d',
  'LTRIM list 0 -2',
  'RPOP list',
  'ZADD scores 1 a 2 b 3 c',
  'ZINCRBY scores 1.5 a',
  'ZADD scores GT 5 b',
  'ZREM scores c',
  'SADD type member',
  'XADD stream 5 f v g w',
  'XADD stream 6 f v',
  'XADD stream 18446744073709551615 other name',
  'XDEL stream 6-1',
  'XGROUP CREATE stream readers 0',
  'XREADGROUP GROUP readers alice COUNT 1 STREAMS stream >',
  'XACK stream readers 5-1',
  'XREADGROUP GROUP readers bob STREAMS stream >',
  'XGROUP CREATE stream gone 0',
  'XGROUP DESTROY stream gone',
  'XADD {stream}trimmed 1 f v',
  'XTRIM {stream}trimmed MAXLEN 0',
  'XSETID {stream}trimmed 9-9 ENTRIESADDED 20 MAXDELETEDID 1-1',
  'XADD {stream}deleted 1 f v',
  'DEL {stream}deleted',
  'PFADD sketch a b c',
  'PFADD {sketch}more d',
  'PFMERGE sketch {sketch}more',
  'PFADD {sketch}dense a',
  'PFDEBUG TODENSE {sketch}dense',
  'COPY sketch {sketch}copy',
  'PFADD {sketch}gone a',
  'DEL {sketch}gone',
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

const asked = [
  ['DBSIZE'],
  ...['text', 'binary', 'counter', 'float', 'number', 'reset', 'deleted', 'late', '{old}new', '{old}old'].map(
    (key) => ['GET', key],
  ),
  ...[
    'state:3',
    'state:4',
    'state:5',
    'expiring',
    'persistent',
    'counter',
    'type',
    'hash',
    'set',
    'list',
  ].flatMap((key) => [
    ['TYPE', key],
    ['PEXPIRETIME', key],
  ]),
  ...['a', 'b', 'c', 'f', 'theirs', 'late'].map((field) => ['HGET', 'hash', field]),
  ['HPEXPIRETIME', 'hash', 'FIELDS', '6', 'a', 'b', 'c', 'f', 'theirs', 'late'],
  ...['x', 'y', 'z', 'theirs'].map((name) => ['SISMEMBER', 'set', name]),
  ['SMEMBERS', '{t}2'],
  ['LRANGE', 'list', '0', '-1'],
  ['ZRANGE', 'scores', '0', '-1', 'WITHSCORES'],
  ['EXISTS', '{t}1'],
  ...['stream', '{stream}trimmed', '{stream}deleted'].flatMap((key) => [
    ['XRANGE', key, '-', '+'],
    ['XINFO', 'STREAM', key],
  ]),
  ['XINFO', 'GROUPS', 'stream'],
  ['XPENDING', 'stream', 'readers'],
  ...['sketch', '{sketch}dense', '{sketch}copy', '{sketch}gone'].flatMap((key) => [
    ['PFCOUNT', key],
    ['GET', key],
  ]),
]

function writeDirectory(kind: string, version: number): void {
  const directory = join(root, kind, `v${version}`)
  if (existsSync(directory)) return
  const disk = own.disk.afterKill()
  const again = member(1, world, { disk: disk.afterKill(), initialised: true })
  const expected = {
    position: again.shard.log.end,
    replies: asked.map((words) => [words, again.run(...words)]),
  }
  mkdirSync(directory, { recursive: true })
  for (const [name, { bytes }] of disk.files) writeFileSync(join(directory, name), bytes)
  writeFileSync(join(directory, 'expected.json'), `${JSON.stringify(expected, null, 1)}\n`)
}

writeDirectory('log', segmentKind.version)
own.proxy.ask({ what: 'snapshot' })
carry(own, other, 500)
if (own.shard.status().log.snapshot.completed !== 1) throw new Error('no snapshot was taken')
write(own, 'SET text after-the-snapshot')
carry(own, other, 500)
writeDirectory('snapshot', snapshotKind.version)
