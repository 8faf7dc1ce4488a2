/**
 * What the simulation has found, as scripts: seeds don't keep, since every change of the system makes another run of them.
 * Each ends with a convergence, which checks contents, digests, vectors, and that every residue is forgotten.
 */
import { expect, test } from 'vitest'
import { slotOfKey } from '#protocol/slots/crc16.ts'
import { stampWallMs } from '#protocol/sync/stamp.ts'
import { leaseAheadMs, stampsAheadMs } from '#server/log/lease.ts'
import type { Shard } from '#server/shard.ts'
import { judgedAfterMs } from '#server/steadyClock.ts'
import type { Reply } from './simClient.ts'
import { defaultRun, Simulation } from './simulation.ts'
import { keyOf, spreadTags } from './workload.ts'
import type { SimCluster, SimShard, WorldOptions } from './world.ts'

const [low, high] = spreadTags(2) as [string, string]

function scripted(world: Partial<WorldOptions>): Simulation {
  const simulation = new Simulation(7, {
    ...defaultRun,
    world: { clusters: 2, shards: [1, 1], persistence: 'everysec', backlogBytesMax: 1 << 20, ...world },
  })
  simulation.world.run(500)
  return simulation
}

const clusterOf = ({ world }: Simulation, id: number): SimCluster => world.clusters[id - 1] as SimCluster
const shardOf = (simulation: Simulation, id: number, index = 0): SimShard =>
  clusterOf(simulation, id).shards[index] as SimShard
const running = ({ shard, name }: SimShard): Shard => {
  if (shard === null) throw new Error(`shard ${name} is down`)
  return shard
}
const stop = (shard: SimShard): void => shard.process?.kill()
const start = (shard: SimShard): void => shard.cluster.startShard(shard)

test('a shard with nothing to do does not keep the residues of others', () => {
  // The clusters cut their slots differently, and only one half of the slots is written to.
  const simulation = scripted({ clusters: 3, shards: [2, 2, 1] })
  const key = keyOf(high, 'c')
  simulation.ask(1, ['INCRBY', key, '5'])
  simulation.world.run(300)
  simulation.ask(2, ['DEL', key])
  simulation.ask(2, ['INCRBY', key, '7'])
  expect(slotOfKey(keyOf(low, 'c'))).toBeLessThan(8192)
  simulation.converge()
})

test('a crash while lost data is coming back does not make it look complete', () => {
  const simulation = scripted({})
  for (let i = 0; i < 20; i++) simulation.ask(1, ['SADD', keyOf(low, 't'), `member ${i}`])
  simulation.world.run(500)
  const shard = shardOf(simulation, 1)
  simulation.nemesis.wipe(shard)
  stop(shard)
  start(shard)
  expect(running(shard).replication.stale).toBe(true)
  // It has been open, and has a log; nothing is in it.
  stop(shard)
  start(shard)
  expect(running(shard).replication.stale).toBe(true)
  simulation.world.run(2000)
  expect(running(shard).replication.stale).toBe(false)
  expect(running(shard).db.set(keyOf(low, 't'))?.size).toBe(20)
  stop(shard)
  start(shard)
  expect(running(shard).replication.stale).toBe(false)
  simulation.converge()
})

test('a clock that was put ahead stays there over a restart that finds its log whole', () => {
  const simulation = scripted({})
  const cluster = clusterOf(simulation, 1)
  const shard = shardOf(simulation, 1)
  // Its stamps run ahead of the wall clock from now on.
  cluster.clock.offsetMs = 3000
  simulation.world.run(judgedAfterMs + 100)
  simulation.ask(1, ['INCR', keyOf(low, 'c')])
  cluster.clock.offsetMs = 0
  simulation.world.run(100)
  // The second is not durable when the power goes.
  shard.disk.syncMs = () => 10_000
  simulation.ask(1, ['INCR', keyOf(low, 'c')])
  const last = running(shard).db.vectors.greatest(slotOfKey(keyOf(low, 'c')))
  simulation.nemesis.cutPower(cluster)
  shard.disk.syncMs = () => 1
  start(shard)
  // Killed before it has written anything: its log is whole.
  stop(shard)
  simulation.world.run(1000)
  simulation.ask(1, ['INCR', keyOf(low, 'c')])
  expect(running(shard).db.vectors.greatest(slotOfKey(keyOf(low, 'c')))).toBeGreaterThan(last)
  simulation.converge()
})

test('many power cuts put the clock ahead by little, not by a lease each', () => {
  const simulation = scripted({})
  const cluster = clusterOf(simulation, 1)
  const shard = shardOf(simulation, 1)
  for (let i = 0; i < 6; i++) {
    simulation.ask(1, ['INCR', keyOf(low, 'c')])
    simulation.nemesis.cutPower(cluster)
    simulation.world.run(600)
  }
  simulation.ask(1, ['INCR', keyOf(low, 'c')])
  const stamp = running(shard).db.vectors.greatest(slotOfKey(keyOf(low, 'c')))
  const aheadMs = stampWallMs(stamp) - cluster.clock.wallMs()
  expect(aheadMs).toBeLessThan(leaseAheadMs + 6 * stampsAheadMs)
  simulation.converge()
})

test('a killed process that had just begun another log file leaves none of them unsynced', () => {
  const simulation = scripted({})
  const shard = shardOf(simulation, 1)
  shard.disk.syncMs = () => 60_000
  for (let i = 0; i < 60; i++) simulation.ask(1, ['SADD', keyOf(low, 't'), `member ${i}`.padEnd(100, '.')])
  stop(shard)
  shard.disk.syncMs = () => 1
  start(shard)
  simulation.world.run(1500)
  const { end, synced } = running(shard).log
  expect(synced).toBe(end)
  simulation.nemesis.cutPower(clusterOf(simulation, 1))
  simulation.world.run(1500)
  expect(running(shard).log.end).toBe(end)
  expect(running(shard).db.set(keyOf(low, 't'))?.size).toBe(60)
  simulation.converge()
})

test('what is acknowledged is durable, also when nothing is to be sent before the heartbeat', () => {
  const simulation = scripted({})
  const shard = shardOf(simulation, 2)
  shard.disk.syncMs = () => 10_000
  simulation.ask(1, ['INCR', keyOf(low, 'c')])
  simulation.world.run(1500)
  const [first, second] = [running(shardOf(simulation, 1)), running(shard)]
  const origin = 7
  const slot = slotOfKey(keyOf(low, 'c'))
  expect(second.db.vectors.get(slot, origin)).toBe(first.db.vectors.get(slot, origin))
  expect(first.replication.acknowledgements.inSlot(slot).stamp(6, origin)).toBeLessThan(
    first.db.vectors.get(slot, origin),
  )
  shard.disk.syncMs = () => 1
  simulation.nemesis.cutPower(clusterOf(simulation, 2))
  simulation.world.run(1500)
  simulation.converge()
})

test('what a client has under way when the clusters are equal is waited for', () => {
  const simulation = scripted({})
  simulation.ask(1, ['SET', keyOf(low, 's'), 'before'])
  simulation.world.run(2000)
  const [client] = simulation.clients
  expect(client?.isFree).toBe(true)
  client?.send([['SET', keyOf(low, 's'), 'last']], () => {})
  simulation.converge()
  expect(simulation.ask(2, ['GET', keyOf(low, 's')])).toEqual(['last'])
})

test('CRDT.WAIT does not vouch for what a power cut may have taken from a shard, though the connection lives on', () => {
  const simulation = scripted({})
  const { world, nemesis } = simulation
  const [client] = simulation.clients
  if (client === undefined) throw new Error('there are no clients')
  const of = shardOf(simulation, 1)
  const ask = (...command: string[]): Reply => {
    let answer: Reply | undefined
    client.send([command], (_, [reply]) => {
      answer = reply
    })
    while (answer === undefined) world.run(1)
    return answer
  }
  // One of them is answered before it is durable.
  for (let i = 0; running(of).log.synced === running(of).log.end; i++) ask('SADD', keyOf(low, 't'), `${i}`)
  const { connections } = client
  nemesis.cutShardPower(of)
  world.run(1000)
  expect(client.connections).toBe(connections)
  const refused = ask('CRDT.WAIT', '1', '1000')
  expect(refused instanceof Error && refused.message).toMatch(/^UNAVAILABLE shard 0 was started anew/)
  ask('SADD', keyOf(low, 't'), 'again')
  // Its stamp is a few seconds ahead: the peer holds it as long as that.
  world.run(6000)
  expect(ask('CRDT.WAIT', '1', '1000')).toBe(1)
  simulation.converge()
})
