/** docs/replication.md names every field of INFO crdt, and no other. */
import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { BlockingWorld } from '#test/proxy/blockingWorld.ts'
import { members } from '#test/shard/twoClusters.ts'

const page = readFileSync(new URL('../../docs/replication.md', import.meta.url), 'utf8')
const tables = page.split('Fields of a line `crdt_replica_<id>`')

/** First cells of a table's rows. */
const documented = (text: string | undefined): string[] =>
  [...(text ?? '').matchAll(/^\| `([^`]+)` \| ([^|]*) \| ([^|]*) \|$/gm)].map(([, name, , meaning]) => {
    expect((meaning ?? '').length, name).toBeGreaterThan(4)
    return name ?? ''
  })

test('docs/replication.md has the fields of INFO crdt, in their order', () => {
  const world = new BlockingWorld({}, { database: { members } })
  const info = world.client().call('INFO', 'crdt')
  const shown = [...info.matchAll(/^(crdt_[^:]+):(.*)\r$/gm)].map(([, name, value]) => ({ name, value }))
  const names = shown.map(({ name }) => name?.replace(/crdt_replica_\d+/, 'crdt_replica_<id>') ?? '')
  expect(documented(tables[0])).toEqual(names)
  const line = shown.find(({ name }) => name === 'crdt_replica_2')?.value ?? ''
  const fields = line.split(',').map((field) => field.split('=')[0] ?? '')
  expect(fields.length).toBeGreaterThan(20)
  expect(documented(tables[1])).toEqual(fields)
})
