import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { crc32 } from 'node:zlib'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { noLibraries } from '#config/libraries.ts'
import { noUsers } from '#config/users.ts'
import { ConfigStore, journalBytesMax, StoreDamage } from '#control/store/configStore.ts'
import { keepingLists } from '#control/store/databaseImport.ts'
import {
  applyChange,
  type Change,
  emptyState,
  isInitialised,
  type StoredDatabase,
} from '#control/store/storeState.ts'
import { DiskError } from '#runtime/ports.ts'
import { FaultyDisk } from '#test/faultyDisk.ts'
import { SeededRandom, seedFromEnv } from '#test/seed.ts'
import { RecordingLogger, silentLogger } from '#test/silentLogger.ts'

const database = (name: string): StoredDatabase => ({
  name,
  port: 12_000,
  shards: 2,
  sharding: true,
  persistence: 'everysec',
  memorySize: 1_000_000,
  evictionPolicy: 'allkeys-lru',
  evictionSamples: 7,
  password: 'pässword',
  guid: `guid of ${name}`,
  crdtXaddIdUniquenessMode: 'strict',
  notifyKeyspaceEvents: '',
  causalConsistency: false,
  syncCompression: 3,
  tlsMode: 'disabled',
  tlsClientCertificates: 'disabled',
  tlsAuthorizedSubjects: [],
  epoch: 1,
  promised: null,
  users: noUsers,
  libraries: noLibraries,
  members: [
    {
      id: 1,
      name: 'here',
      host: 'h',
      port: 12_000,
      state: 'active',
      forced: false,
      instance: `guid of ${name}/1`,
      stampFloor: 0,
    },
  ],
})
const imported: Change = { kind: 'import', databases: [database('db1')] }
const mark = (shard: number): Change => ({ kind: 'initialised', guid: 'guid of db1', shard })

function commit(store: ConfigStore, change: Change): boolean {
  let durable = false
  store.commit(change, (error) => {
    durable = error === null
  })
  return durable
}

const open = (disk: FaultyDisk) => ConfigStore.open(disk, silentLogger)

describe('the config store', () => {
  it('makes changes that belong together all or not at all', () => {
    const disk = new FaultyDisk()
    const store = open(disk)
    commit(store, imported)
    const before = store.state
    const drop: Change = { kind: 'drop', guid: 'guid of db1' }
    store.commitTogether([drop, { kind: 'join', database: database('db2') }], () => {})
    const after = store.state
    expect(after.databases.map(({ name }) => name)).toEqual(['db2'])
    const [journal = ''] = disk.list()
    for (let cut = disk.sizeBytes(journal); cut > 0; cut--) {
      disk.truncate(journal, cut)
      const { state } = open(disk)
      expect([before, after, emptyState]).toContainEqual(state)
      if (state.databases.length === 0) return
    }
  })

  it('is empty at first', () => {
    expect(open(new FaultyDisk()).state).toEqual({
      imported: false,
      databases: [],
      initialised: {},
      left: [],
    })
  })

  it('has after a start what was committed before it', () => {
    const disk = new FaultyDisk()
    const store = open(disk)
    expect(commit(store, imported)).toBe(true)
    expect(commit(store, mark(1))).toBe(true)
    const next = open(disk.afterKill())
    expect(next.state).toEqual(store.state)
    expect(next.state.databases).toEqual([database('db1')])
    expect([0, 1].map((shard) => isInitialised(next.state, 'guid of db1', shard))).toEqual([false, true])
  })

  it('fills in what a store of an earlier release does not have', () => {
    const {
      memorySize: _,
      evictionPolicy: __,
      evictionSamples: ___,
      sharding: ____,
      epoch: _____,
      promised: ______,
      users: _______,
      libraries: ________,
      ...later
    } = database('db1')
    const earlier = { ...later, members: [{ id: 1, name: 'here', host: 'h', port: 12_000 }] }
    const wanted = {
      ...database('db1'),
      memorySize: 0,
      evictionPolicy: 'noeviction',
      evictionSamples: 5,
      sharding: true,
    }
    const lineOf = (value: object): string => {
      const json = JSON.stringify(value)
      return `${crc32(Buffer.from(json)).toString(16).padStart(8, '0')} ${json}\n`
    }
    const state = { imported: true, databases: [earlier], initialised: {} }
    const snapshot = Buffer.from(`antipode-config 1\n${lineOf({ sequence: 3, state })}`)
    const changes = [{ kind: 'import', databases: [earlier] }, mark(1)]
    const journal = Buffer.from(`antipode-config-journal 1\n${lineOf({ sequence: 1, changes })}`)
    for (const [name, bytes] of [
      ['snapshot', snapshot],
      ['journal', journal],
    ] as const) {
      const disk = new FaultyDisk()
      disk.replace(name, bytes)
      expect(open(disk).state.databases).toEqual([wanted])
      // What an earlier release would misread it must not take for its own.
      expect(Buffer.from(disk.files.get('snapshot')?.bytes ?? []).toString()).toMatch(/^antipode-config 4\n/)
      expect(disk.files.has('journal')).toBe(false)
      const again = open(disk.afterKill())
      expect(again.state.databases).toEqual([wanted])
      expect(isInitialised(again.state, 'guid of db1', 1)).toBe(name === 'journal')
    }
  })

  it('reads what the release before wrote, as it lies on the disk', () => {
    const disk = new FaultyDisk()
    const fixtures = join(import.meta.dirname, '..', 'fixtures', 'config', 'v1')
    for (const name of ['snapshot', 'journal']) disk.replace(name, readFileSync(join(fixtures, name)))
    const { state } = open(disk)
    expect(state.databases.map(({ name, port, epoch, promised }) => [name, port, epoch, promised])).toEqual([
      ['db1', 12_000, 1, null],
      ['db2', 12_010, 1, null],
    ])
    expect(state.databases[1]?.members).toEqual(
      [1, 2].map((id) => ({
        id,
        name: `cluster-${id}`,
        host: '127.0.0.1',
        port: 12_000 + id,
        state: 'active',
        forced: false,
        instance: `guid of db2/${id}`,
        stampFloor: 0,
      })),
    )
    expect(state.initialised).toEqual({ 'guid of db1': [0, 1] })
    expect(open(disk.afterKill()).state).toEqual(state)
  })

  it('reads version 2, which knew no users', () => {
    const disk = new FaultyDisk()
    const fixtures = join(import.meta.dirname, '..', 'fixtures', 'config', 'v2')
    for (const name of ['snapshot', 'journal']) disk.replace(name, readFileSync(join(fixtures, name)))
    const { state } = open(disk)
    expect(state.databases.map(({ name, password, users }) => [name, password, users])).toEqual([
      ['db1', 'secret', noUsers],
    ])
    expect(state.initialised).toEqual({ 'guid-of-db1': [0, 1] })
    expect(open(disk.afterKill()).state).toEqual(state)
  })

  it('reads version 3, which knew no libraries', () => {
    const disk = new FaultyDisk()
    const fixtures = join(import.meta.dirname, '..', 'fixtures', 'config', 'v3')
    for (const name of ['snapshot', 'journal']) disk.replace(name, readFileSync(join(fixtures, name)))
    const { state } = open(disk)
    expect(state.databases.map(({ name, libraries }) => [name, libraries])).toEqual([['db1', noLibraries]])
    expect(state.databases[0]?.users.users).toEqual({ alice: { rules: ['on', '+get'], since: 1 } })
    expect(state.initialised).toEqual({ 'guid-of-db1': [0, 1] })
    expect(open(disk.afterKill()).state).toEqual(state)
  })

  it('keeps libraries, and takes no change of another version of them', () => {
    const disk = new FaultyDisk()
    const store = open(disk)
    commit(store, imported)
    const library = (name: string) => ({
      name,
      code: `#!lua name=${name}\n\xff`,
      functions: [{ name: 'f', description: null, flags: ['no-writes'] }],
    })
    const change = (version: number, put: string[], remove: string[] = []): Change => ({
      kind: 'libraries',
      guid: 'guid of db1',
      change: { version, put: put.map(library), remove },
    })
    commit(store, change(0, ['one', 'two']))
    commit(store, change(0, ['late']))
    commit(store, change(1, ['one'], ['two', 'nosuch']))
    const { databases } = open(disk.afterKill()).state
    expect(databases[0]?.libraries).toEqual({ version: 2, libraries: [library('one')] })
    // Not of a file.
    const [again] = [database('db1')].map((read) => keepingLists(read, databases))
    expect(again?.libraries.version).toBe(2)
  })

  it('keeps users, and takes no change of another version of them', () => {
    const disk = new FaultyDisk()
    const store = open(disk)
    commit(store, imported)
    const change = (version: number, name: string): Change => ({
      kind: 'users',
      guid: 'guid of db1',
      change: { version, put: { [name]: ['on', '+get'] }, remove: [], replacesAll: false },
    })
    commit(store, change(0, 'one'))
    commit(store, change(0, 'late'))
    commit(store, change(1, '__proto__'))
    const users = open(disk.afterKill()).state.databases[0]?.users
    expect(users?.version).toBe(2)
    expect(Object.entries(users?.users ?? {})).toEqual([
      ['one', { rules: ['on', '+get'], since: 1 }],
      ['__proto__', { rules: ['on', '+get'], since: 2 }],
    ])
  })

  it('replaces a long journal by a snapshot, and goes on from there', () => {
    const disk = new FaultyDisk()
    const store = open(disk)
    while ((disk.files.get('journal')?.bytes.length ?? 0) <= journalBytesMax) commit(store, imported)
    commit(store, mark(0))
    const next = open(disk)
    expect([...disk.files.keys()]).toEqual(['snapshot'])
    commit(next, mark(1))
    expect(open(disk.afterKill()).state).toEqual(next.state)
    expect(next.state.initialised).toEqual({ 'guid of db1': [0, 1] })
  })

  it('survives a crash between the snapshot and the end of the journal', () => {
    const disk = new FaultyDisk()
    const store = open(disk)
    for (let shard = 0; (disk.files.get('journal')?.bytes.length ?? 0) <= journalBytesMax; shard++) {
      commit(store, shard === 0 ? imported : mark(shard))
    }
    disk.failAt = Number.POSITIVE_INFINITY
    const before = store.state
    const crashing = disk.afterKill()
    crashing.remove = () => {
      throw new DiskError('EIO', 'crash')
    }
    expect(() => open(crashing)).toThrow('crash')
    expect([...crashing.files.keys()].sort()).toEqual(['journal', 'snapshot'])
    expect(open(crashing.afterKill()).state).toEqual(before)
  })

  it('drops a change that was cut short, tells it, and can be written to', () => {
    const whole = new FaultyDisk()
    const store = open(whole)
    commit(store, imported)
    const after = whole.files.get('journal')?.bytes.length ?? 0
    commit(store, mark(0))
    const size = whole.files.get('journal')?.bytes.length ?? 0
    for (let length = 'antipode-config-journal 2\n'.length; length < size; length++) {
      const torn = whole.afterKill()
      torn.truncate('journal', length)
      const logger = new RecordingLogger()
      const next = ConfigStore.open(torn, logger)
      expect(next.state.imported).toBe(length >= after)
      const isEdge = length === after || length === 'antipode-config-journal 2\n'.length
      expect(logger.lines.map(({ level }) => level)).toEqual(isEdge ? [] : ['warn'])
      commit(next, imported)
      commit(next, mark(3))
      expect(open(torn.afterKill()).state).toEqual(next.state)
    }
  })

  it('refuses damage anywhere else, with the place', () => {
    const disk = new FaultyDisk()
    const store = open(disk)
    for (let shard = 0; shard < 3; shard++) commit(store, mark(shard))
    const bytes = disk.files.get('journal')?.bytes ?? new Uint8Array(0)
    const lastLine = bytes.lastIndexOf(10, bytes.length - 2) + 1
    // Without the line end before the last line, the two look like one that was cut short.
    for (let at = 0; at < lastLine - 1; at++) {
      const damaged = disk.afterKill()
      const copy = bytes.slice()
      copy[at] = (copy[at] as number) ^ 0x04
      damaged.files.set('journal', { bytes: copy, syncedBytes: copy.length })
      expect(() => open(damaged), `byte ${at}`).toThrow(StoreDamage)
    }
  })

  it('refuses a damaged snapshot', () => {
    const disk = new FaultyDisk()
    disk.replace('snapshot', new TextEncoder().encode('antipode-config 1\n00000000 {}\n'))
    expect(() => open(disk)).toThrow('snapshot at byte 18 has a wrong checksum')
    disk.replace('snapshot', new TextEncoder().encode('antipode-config 3\n00000000 {}\n'))
    expect(() => open(disk)).toThrow(StoreDamage)
  })

  it('changes nothing when a change can not be written', () => {
    const disk = new FaultyDisk()
    const store = open(disk)
    commit(store, imported)
    disk.failAt = disk.calls
    disk.failsOn = true
    disk.tornFraction = 0.5
    expect(commit(store, mark(0))).toBe(false)
    expect(store.state.initialised).toEqual({})
    disk.failAt = Number.POSITIVE_INFINITY
    expect(commit(store, mark(1))).toBe(true)
    expect(open(disk.afterKill()).state).toEqual(store.state)
  })

  it('keeps what it confirmed over any power cut', () => {
    const random = new SeededRandom(seedFromEnv())
    fc.assert(
      fc.property(fc.array(fc.nat(5), { maxLength: 12 }), fc.nat(12), (shards, slowFrom) => {
        const disk = new FaultyDisk()
        const store = open(disk)
        let confirmed = store.state
        shards.forEach((shard, i) => {
          disk.slow = i >= slowFrom
          if (disk.slow && i % 3 === 0) disk.finishSyncs()
          const change = shard === 5 ? imported : mark(shard)
          store.commit(change, () => {
            confirmed = applyChange(confirmed, change)
          })
        })
        const { state } = open(disk.afterPowerCut(random))
        expect(state.imported || !confirmed.imported).toBe(true)
        const kept = state.initialised['guid of db1'] ?? []
        for (const shard of confirmed.initialised['guid of db1'] ?? []) expect(kept).toContain(shard)
      }),
    )
  })
})
