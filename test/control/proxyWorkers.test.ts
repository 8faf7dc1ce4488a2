import { describe, expect, it } from 'vitest'
import { noLibraries } from '#config/libraries.ts'
import { noUsers } from '#config/users.ts'
import { proxyWorkers } from '#control/agent/proxyWorkers.ts'
import type { StoredDatabase } from '#control/store/storeState.ts'

const database = (shards: number): StoredDatabase => ({
  name: `db${shards}`,
  port: 12_000,
  shards,
  sharding: true,
  persistence: 'everysec',
  password: null,
  guid: 'g',
  crdtXaddIdUniquenessMode: 'strict',
  notifyKeyspaceEvents: '',
  causalConsistency: false,
  syncCompression: 3,
  tlsMode: 'disabled',
  tlsClientCertificates: 'disabled',
  tlsAuthorizedSubjects: [],
  members: [],
  epoch: 1,
  promised: null,
  users: noUsers,
  libraries: noLibraries,
  memorySize: 0,
  evictionPolicy: 'noeviction',
  evictionSamples: 5,
})

/** Of a database with `shards`, at a node that also has databases with `otherShards`. */
function workersOf(cores: number, shards: number, ...otherShards: number[]): number {
  const own = database(shards)
  const all = [own, ...otherShards.map(database)]
  return proxyWorkers({ bind: '127.0.0.1', workers: 'auto' }, all, own, { cores, sharesPorts: true })
}

describe('the number of proxy workers', () => {
  it.each([
    [1, 1, 1],
    [2, 1, 1],
    [2, 2, 1],
    [3, 1, 2],
    [4, 1, 2],
    [4, 2, 2],
    [8, 1, 2],
    [8, 2, 4],
    [8, 4, 4],
    [8, 16, 1],
    [64, 16, 32],
  ])('with %i cores and %i shards is %i', (cores, shards, workers) => {
    expect(workersOf(cores, shards)).toBe(workers)
  })

  it('is less when other databases want the cores, too', () => {
    expect(workersOf(8, 2, 2)).toBe(2)
    expect(workersOf(8, 1, 1, 1, 1)).toBe(1)
  })

  it('is what the file says', () => {
    const own = database(1)
    const machine = { cores: 1, sharesPorts: true }
    expect(proxyWorkers({ bind: '127.0.0.1', workers: 5 }, [own], own, machine)).toBe(5)
  })

  it('is one where ports can not be shared', () => {
    const own = database(1)
    for (const workers of ['auto', 5] as const) {
      const machine = { cores: 16, sharesPorts: false }
      expect(proxyWorkers({ bind: '127.0.0.1', workers }, [own], own, machine)).toBe(1)
    }
  })
})
