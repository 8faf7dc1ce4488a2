/** `kill -9` of every kind of process under load: no acknowledged write is lost, and the clusters end up equal. */
import { readdirSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Lab } from '#test/e2e/lab.ts'
import { Load } from './load.ts'

const killsPerKind = 10

describe.each(['always', 'everysec'] as const)('persistence %s', (persistence) => {
  let lab: Lab

  beforeAll(async () => {
    // Snapshots are taken all the time.
    lab = await Lab.up({ persistence, settings: ['limits.snapshot_log_bytes_min=65536'] })
  })

  afterAll(async () => {
    const files = readdirSync(lab.directory, { recursive: true, encoding: 'utf8' })
    expect(files.filter((path) => path.endsWith('.snapshot')).length).toBeGreaterThan(0)
    expect(await lab.down()).toBe(0)
  })

  it.each(['shard', 'proxy', 'syncer', 'agent'])(`%s killed ${killsPerKind} times`, async (kind) => {
    const load = new Load(
      [1, 1, 2, 2].map((cluster) => lab.port(cluster)),
      kind,
    )
    for (let i = 0; i < killsPerKind; i++) {
      await load.progress(200)
      await lab.lab('kill', 1 + (i % 2), kind)
    }
    await load.progress(200)
    await load.stop()
    await lab.settle()
    for (const cluster of [1, 2]) {
      expect(await load.missing(lab.client(cluster)), `cluster ${cluster}`).toEqual([])
    }
  })
})
