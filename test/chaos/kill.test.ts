/** `kill -9` of every kind of process under load: no acknowledged write is lost, and the clusters end up equal. */
import { readdirSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { killProcess, killRoles } from '#control/lab/kill.ts'
import { Lab } from '#test/e2e/lab.ts'
import { seedFromEnv } from '#test/seed.ts'
import { Crowd } from './crowd.ts'
import { allLaws } from './laws/index.ts'

const killsPerKind = 10
/** Steps of clients between two kills. */
const stepsBetween = 100
const stuckMs = 20_000
const clusters = [1, 2]
/** Short, as they are waited for. */
const times = { ttlMinMs: 100, ttlMaxMs: 300, graceMs: 1_000 }

describe.each(['always', 'everysec'] as const)('persistence %s', (persistence) => {
  const seed = seedFromEnv()
  const laws = allLaws(seed, times)
  let lab: Lab
  let crowd: Crowd

  beforeAll(async () => {
    // Snapshots are taken all the time.
    lab = await Lab.up({ persistence, settings: ['limits.snapshot_log_bytes_min=65536'] })
    crowd = new Crowd(laws, {
      seed,
      each: 2,
      thinkMsMax: 1,
      place: (cluster) => ({ host: '127.0.0.1', port: lab.port(cluster) }),
      record: () => {},
    })
  })

  afterAll(async () => {
    const files = readdirSync(lab.directory, { recursive: true, encoding: 'utf8' })
    expect(files.filter((path) => path.endsWith('.snapshot')).length).toBeGreaterThan(0)
    expect(await lab.down()).toBe(0)
  })

  // In turn, as who is killed again and again is started again later and later.
  it(`${killRoles.join(', ')}: each killed ${killsPerKind} times`, async () => {
    for (const cluster of clusters) crowd.start(cluster)
    for (let i = 0; i < killsPerKind; i++) {
      for (const kind of killRoles) {
        await crowd.progress(stepsBetween, stuckMs)
        await killProcess(lab.directory, 1 + (i % 2), kind, 0)
      }
    }
    await crowd.progress(stepsBetween, stuckMs)
    await crowd.stopAll()
    await lab.settle()
    for (const cluster of clusters) await judge(cluster)
    expect(laws.flatMap(({ faults }) => faults)).toEqual([])
    for (const { tally } of laws) expect(tally.done).toBeGreaterThan(0)
  })

  async function judge(cluster: number): Promise<void> {
    const session = crowd.session(crowd.lifeOf(cluster))
    await expect.poll(async () => (await session.ask('PING')).outcome).toBe('done')
    for (const law of laws) await law.judge(session)
    session.close()
  }
})
