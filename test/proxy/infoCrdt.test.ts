/** INFO crdt with a linked cluster, while the link is cut, and after. */
import { expect, test } from 'vitest'
import { linked } from './linkedWorld.ts'

type Figures = Record<string, string>

test('lag rises while the link is cut, in time and operations, and falls when it is back', () => {
  const { world, carry } = linked()
  const client = world.client()
  const line = (id: number): Figures => {
    const text = new RegExp(`^crdt_replica_${id}:(.*)\r$`, 'm').exec(client.call('INFO', 'crdt'))?.[1] ?? ''
    return Object.fromEntries(text.split(',').map((field) => field.split('=') as [string, string]))
  }
  const cut = () => false
  client.call('SET', 'k', 'v')
  carry(100)
  const quiet = { lag_ms: '0', lag_ops: '0', max_ops_lag: '0', behind_ms: '0' }
  expect(line(2)).toMatchObject({ name: 'two', state: 'in-sync', slot_coverage: '1', ...quiet })
  // Never heard: nobody knows what it has, but what was written since the start it can't have.
  expect(line(3)).toMatchObject({ name: 'three', state: 'out-of-sync', slot_coverage: '0', lag_ops: '1' })

  client.call('SET', 'k', 'w')
  carry(1000, cut)
  client.call('SET', 'k', 'x')
  carry(1000, cut)
  const late = line(2)
  expect(late).toMatchObject({ lag_ops: '2', max_ops_lag: '2', min_ops_lag: '2' })
  expect(Number(late['lag_ms'])).toBeGreaterThanOrEqual(2000)
  expect(Number(late['lag_ms'])).toBeLessThan(2050)
  expect(Number(late['behind_ms'])).toBeGreaterThanOrEqual(2000)
  expect(Number(late['behind_ms'])).toBeLessThan(2300)
  carry(1000, cut)
  expect(Number(line(2)['lag_ms'])).toBeGreaterThanOrEqual(Number(late['lag_ms']) + 1000)

  carry(500)
  expect(line(2)).toMatchObject({ state: 'in-sync', ...quiet })
  expect(Number(line(2)['received_bytes'])).toBeGreaterThan(Number(late['received_bytes']))
})

test('what the syncer has received is told as it says', () => {
  const { world } = linked()
  world.proxies[0]?.setPulled([
    { clusterId: 3, bytes: 5, rawBytes: 6 },
    { clusterId: 2, bytes: 1000, rawBytes: 4000 },
  ])
  const info = world.client().call('INFO', 'crdt')
  expect(info).toMatch(/^crdt_replica_2:.*,ingress_bytes=1000,ingress_bytes_decompressed=4000,/m)
  expect(info).toMatch(/^crdt_replica_3:.*,ingress_bytes=5,ingress_bytes_decompressed=6,/m)
})

test('what is held is counted, and for how long', () => {
  const { world, peers, carry } = linked()
  const [peer] = peers
  const client = world.client()
  // Their clock is a long way ahead: it is held until the time has come.
  const wallMs = world.world.wallMs
  world.world.wallMs = () => wallMs.call(world.world) + 100_000
  peer?.run('SET', 'k', 'ahead')
  world.world.wallMs = wallMs
  carry(500)
  const info = client.call('INFO', 'crdt')
  expect(info).toMatch(/^crdt_held_records:1\r$/m)
  const heldMs = Number(/^crdt_held_ms:(\d+)\r$/m.exec(info)?.[1])
  expect(heldMs).toBeGreaterThanOrEqual(300)
  expect(heldMs).toBeLessThanOrEqual(500)
  expect(info).toMatch(new RegExp(`^crdt_replica_2:.*,held_records=1,held_ms=${heldMs},`, 'm'))
  expect(Number(/crdt_replica_2:.*,behind_ms=(\d+),/.exec(info)?.[1])).toBeGreaterThanOrEqual(heldMs)
})

test('full and partial syncs are told apart', () => {
  const { world } = linked()
  const info = world.client().call('INFO', 'crdt')
  expect(info).toMatch(/^crdt_sync_full:0\r$/m)
  expect(info).toMatch(/^crdt_sync_partial_ok:1\r$/m)
  expect(info).toMatch(/^crdt_sync_partial-err:0\r$/m)
})
