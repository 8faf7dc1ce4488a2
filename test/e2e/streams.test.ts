/** Streams as clients use them: workers that read a group, one of which dies, and a shard that does. */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { pythonPath } from '#test/debianPackages.ts'
import { Lab } from './lab.ts'
import { patiently } from './patiently.ts'

/** Both protocols; prints what redis-py makes of the replies. */
const script = (port: number) => `
import redis
for protocol in (2, 3):
    r = redis.Redis(port=${port}, decode_responses=True)
    if protocol == 3:
        try: r = redis.Redis(port=${port}, decode_responses=True, protocol=3)
        except TypeError: pass
    r.delete('py')
    ids = [r.xadd('py', {'n': n}) for n in range(5)]
    assert [i for i, _ in r.xrange('py')] == ids
    r.xgroup_create('py', 'g', id='0')
    read = r.xreadgroup('g', 'alice', {'py': '>'}, count=3)
    entries = read['py'][0] if isinstance(read, dict) else read[0][1]
    assert [e[0] for e in entries] == ids[:3], read
    assert r.xack('py', 'g', ids[0]) == 1
    pending = r.xpending('py', 'g')
    assert pending['pending'] == 2 and pending['min'] == ids[1], pending
    assert [p['message_id'] for p in r.xpending_range('py', 'g', '-', '+', 10)] == ids[1:3]
    assert r.xclaim('py', 'g', 'bob', 0, [ids[1]]) == [(ids[1], {'n': '1'})]
    assert r.xinfo_groups('py')[0]['lag'] == 2
    assert r.xinfo_stream('py')['length'] == 5
    assert len(r.xinfo_consumers('py', 'g')) == 2
    assert r.xtrim('py', maxlen=1, approximate=False) == 4
    print('right', protocol)
`

describe('streams', () => {
  let lab: Lab

  beforeAll(async () => {
    lab = await Lab.up({ clusters: 2 })
  })

  afterAll(async () => {
    expect(await lab.down()).toBe(0)
  })

  it('what a group was outlives kill -9, and a snapshot', async () => {
    const client = lab.client(1, { retryStrategy: () => 20, maxRetriesPerRequest: null })
    const pipeline = client.pipeline()
    for (let i = 0; i < 1000; i++) pipeline.xadd('jobs', '*', 'job', i)
    await pipeline.exec()
    await client.xgroup('CREATE', 'jobs', 'workers', '0')
    await client.xreadgroup('GROUP', 'workers', 'alice', 'COUNT', 300, 'STREAMS', 'jobs', '>')
    await client.call('SAVE')
    const given = (await client.xreadgroup(
      'GROUP',
      'workers',
      'bob',
      'COUNT',
      100,
      'STREAMS',
      'jobs',
      '>',
    )) as [[string, [string, string[]][]]]
    const ids = given[0][1].map(([id]) => id)
    expect(await client.xack('jobs', 'workers', ...ids.slice(0, 50))).toBe(50)
    const ask = () => client.xpending('jobs', 'workers')
    const before = await ask()
    expect(before[0]).toBe(350)
    await lab.lab('kill', 1, 'shard')
    expect(await patiently(ask)).toEqual(before)
    const again = (await client.xreadgroup('GROUP', 'workers', 'bob', 'STREAMS', 'jobs', '0')) as typeof given
    expect(again[0][1].map(([id]) => id)).toEqual(ids.slice(50))
    const next = (await client.xreadgroup(
      'GROUP',
      'workers',
      'bob',
      'COUNT',
      1,
      'STREAMS',
      'jobs',
      '>',
    )) as typeof given
    expect(next[0][1][0]?.[1]).toEqual(['job', '400'])
    await lab.settle()
    expect(await lab.client(2).xpending('jobs', 'workers')).toEqual([0, null, null, null])
  })

  it('redis-py reads their replies', () => {
    const directory = mkdtempSync(join(tmpdir(), 'redis-py-'))
    const path = join(directory, 'streams.py')
    writeFileSync(path, script(lab.port(1)))
    const printed = execFileSync(pythonPath, [path], { encoding: 'utf8' }).trim().split('\n')
    rmSync(directory, { recursive: true })
    expect(printed).toEqual(['right 2', 'right 3'])
  })
})
