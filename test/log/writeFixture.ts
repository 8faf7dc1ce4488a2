/**
 * Writes `test/fixtures/log/vN`, `test/fixtures/snapshot/vN` and `test/fixtures/slotParts/vN` for the formats that this program writes, if they are not there:
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
const other = member(2, world, {
  limits: { backlogBytesMax: 4096 },
  variations: { replication: { cutBytes: 64 } },
})

const write = (shard: typeof own, text: string): void => {
  const reply = shard.run(...text.split(' '))
  if (reply.startsWith('-')) throw new Error(`${text}: ${reply}`)
}

/** More than one piece of a key holds. */
const large = (i: number): string => String(i).padStart(300, '0')
const largeKeys = ['hash', 'set', 'scores', 'list', 'stream'].map((name) => `{large}${name}`)

function writeLarge(): void {
  const [hash, set, scores, list, stream] = largeKeys
  for (let i = 0; i < 120; i++)
    for (const text of [
      `HSET ${hash} ${i} ${large(i)}`,
      `SADD ${set} ${large(i)}`,
      `ZADD ${scores} ${i} ${large(i)}`,
      `RPUSH ${list} ${large(i)}`,
      `XADD ${stream} ${i + 1} f ${large(i)}`,
    ])
      write(own, text)
  write(own, `XGROUP CREATE ${stream} readers 0`)
  write(own, `XREADGROUP GROUP readers alice COUNT 2 STREAMS ${stream} >`)
}

for (let i = 0; i < 40; i++) write(other, `SET state:${i} value-of-the-other-cluster-${i}`)
// A slot whose state comes in parts: more keys than a bucket of the index holds.
for (let i = 0; i < 600; i++) write(other, `SET {parts}${i} ${i}`)
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
  `SET long ${'l'.repeat(20_000)}`,
  'SETBIT long 150000 1',
  'EXPIREAT long 4102444800',
  'SETRANGE long 5 patched',
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
// So much that its window doesn't reach back to the rest.
for (let i = 0; i < 200; i++) write(other, `SET filler ${'f'.repeat(1_000)}`)
open(own, other, 1)
carry(own, other, 500)
for (const text of ['SET late value', 'HSET hash late 1', 'DEL state:3']) write(other, text)
carry(own, other, 500)
write(own, 'SET state:4 changed')

const asked = [
  ['DBSIZE'],
  ...[
    '{parts}0',
    '{parts}39',
    'text',
    'binary',
    'counter',
    'float',
    'number',
    'reset',
    'deleted',
    'late',
    '{old}new',
    '{old}old',
  ].map((key) => ['GET', key]),
  ...[
    'state:3',
    'state:4',
    'state:5',
    'expiring',
    'persistent',
    'long',
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
  ['GETRANGE', 'long', '0', '20'],
  ['STRLEN', 'long'],
  ['GETBIT', 'long', '150000'],
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

function writeDirectory(kind: string, version: number, shard: typeof own, asked: readonly string[][]): void {
  const directory = join(root, kind, `v${version}`)
  if (existsSync(directory)) return
  const disk = shard.disk.afterKill()
  const again = member(1, world, { disk: disk.afterKill(), initialised: true })
  const expected = {
    position: again.shard.log.end,
    replies: asked.map((words) => [words, again.run(...words)]),
  }
  mkdirSync(directory, { recursive: true })
  for (const [name, { bytes }] of disk.files) writeFileSync(join(directory, name), bytes)
  writeFileSync(join(directory, 'expected.json'), `${JSON.stringify(expected, null, 1)}\n`)
}

writeDirectory('log', segmentKind.version, own, asked)
writeLarge()
own.proxy.ask({ what: 'snapshot' })
carry(own, other, 500)
if (own.shard.status().log.snapshot.completed !== 1) throw new Error('no snapshot was taken')
write(own, 'SET text after-the-snapshot')
carry(own, other, 500)
writeDirectory('snapshot', snapshotKind.version, own, [
  ...asked,
  ...['0', '57', '119'].flatMap((i) => [
    ['HGET', '{large}hash', i],
    ['SISMEMBER', '{large}set', large(Number(i))],
    ['ZSCORE', '{large}scores', large(Number(i))],
    ['LINDEX', '{large}list', i],
    ['XRANGE', '{large}stream', i, i],
  ]),
  ['HLEN', '{large}hash'],
  ['SCARD', '{large}set'],
  ['ZCARD', '{large}scores'],
  ['LLEN', '{large}list'],
  ['XLEN', '{large}stream'],
  ['XPENDING', '{large}stream', 'readers'],
])

/** A log that has taken slot states in several slices each. */
function writeSlotParts(): void {
  const taker = member(1, world, { variations: { stagedSliceBytes: 200 } })
  const source = member(2, world, {
    limits: { backlogBytesMax: 4096 },
    variations: { replication: { cutBytes: 64 } },
  })
  // More than a bucket of the index holds.
  const keys = Array.from({ length: 600 }, (_, i) => i)
  for (const i of keys) write(source, i % 2 === 0 ? `SET {parts}${i} ${i}` : `SADD {parts}${i} ${i}`)
  for (let i = 0; i < 200; i++) write(source, `SET filler ${'f'.repeat(1_000)}`)
  open(taker, source, 1)
  carry(taker, source, 500)
  write(taker, 'SADD {parts}7 own')
  writeDirectory('slotParts', segmentKind.version, taker, [
    ['DBSIZE'],
    ...keys.map((i) => [i % 2 === 0 ? 'GET' : 'SMEMBERS', `{parts}${i}`]),
  ])
}
writeSlotParts()
