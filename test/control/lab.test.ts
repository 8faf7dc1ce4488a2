/** The parts of the lab that need no cluster. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parse } from 'toml'
import { describe, expect, it } from 'vitest'
import { load } from '#config/load.ts'
import { statusText } from '#control/cli/statusText.ts'
import type { ClusterStatus, LabStatus, ProcessStatus } from '#control/contract/status.ts'
import {
  databasePort,
  type LabFile,
  linksOf,
  planJoining,
  planLab,
  readLabFile,
  writeLabFile,
} from '#control/lab/labFile.ts'
import { decodeLabRequest } from '#control/lab/labSocket.ts'
import { nodeToml } from '#control/lab/nodeToml.ts'
import { waitingFor } from '#control/lab/readiness.ts'

const lab: LabFile = {
  ...planLab(null, { clusters: 3 }),
  guid: 'g',
  relayPorts: { '1-2': 40_012, '1-3': 40_013, '2-1': 40_021, '2-3': 40_023, '3-1': 40_031, '3-2': 40_032 },
}

describe('a lab', () => {
  it('has two clusters of two shards unless it is told otherwise', () => {
    expect(planLab(null, {})).toMatchObject({
      clusters: 2,
      shards: 2,
      persistence: 'everysec',
      basePort: 12_000,
      set: {},
    })
  })

  it('stays what it is when it is started again without options', () => {
    expect(planLab(lab, {})).toEqual(lab)
    expect(planLab(lab, { clusters: 3, shards: 2 })).toEqual(lab)
  })

  it('may get other ports and settings, but not another shape', () => {
    const set = { 'sync.heartbeat_ms': '50' }
    expect(planLab(lab, { basePort: 13_000, set })).toEqual({ ...lab, basePort: 13_000, set })
    expect(() => planLab(lab, { clusters: 2 })).toThrow('this lab has --clusters 3')
    expect(() => planLab(lab, { shards: 1 })).toThrow('this lab has --shards 2')
    expect(() => planLab(lab, { persistence: 'none' })).toThrow('this lab has --persistence everysec')
  })

  it('serves on ports that are allowed', () => {
    expect([1, 2, 3].map((number) => databasePort(lab, number))).toEqual([12_000, 12_002, 12_004])
    expect(() => planLab(null, { basePort: 19_999 })).toThrow('cluster 2 would serve on port 20001')
    expect(() => planLab(null, { basePort: 10_048 })).toThrow('cluster 2 would serve on port 10050')
    expect(() => planLab(null, { clusters: 9 })).toThrow('1 to 8 are possible')
  })

  it('is kept in its directory', () => {
    const directory = mkdtempSync(join(tmpdir(), 'lab-file-'))
    try {
      expect(readLabFile(directory)).toBe(null)
      writeLabFile(directory, lab)
      expect(readLabFile(directory)).toEqual(lab)
    } finally {
      rmSync(directory, { recursive: true })
    }
  })

  it('has a link for each ordered pair of clusters', () => {
    expect(linksOf(lab).map(({ from, to }) => `${from}-${to}`)).toEqual([
      '1-2',
      '1-3',
      '2-1',
      '2-3',
      '3-1',
      '3-2',
    ])
  })
})

describe('the file of a node', () => {
  it('is accepted, and leads to the other clusters over the relays', () => {
    const { settings, problems } = load(parse(nodeToml(lab, 2)))
    expect(problems).toBe(null)
    expect(settings?.node.cluster).toBe('cluster-2')
    expect(settings?.databases[0]).toMatchObject({
      port: 12_002,
      guid: 'g',
      members: [
        { id: 1, name: 'cluster-1', port: 40_021 },
        { id: 2, name: 'cluster-2', port: 12_002 },
        { id: 3, name: 'cluster-3', port: 40_023 },
      ],
    })
  })

  it('has the settings that were asked for', () => {
    const set = {
      'limits.backlog_bytes_max': '65536',
      'clock.servers': '["a:123"]',
      'node.log_level': 'debug',
      'database.memory_size': '100_000_000',
      'database.eviction_policy': 'allkeys-lru',
    }
    const { settings } = load(parse(nodeToml({ ...lab, set }, 1)))
    expect(settings?.limits.backlogBytesMax).toBe(65_536)
    expect(settings?.clock.servers).toEqual(['a:123'])
    expect(settings?.node.logLevel).toBe('debug')
    expect(settings?.databases).toMatchObject([
      { name: 'db1', memorySize: 100_000_000, evictionPolicy: 'allkeys-lru' },
    ])
    expect(() => nodeToml({ ...lab, set: { limits: '1' } }, 1)).toThrow('SECTION.KEY=VALUE')
    expect(() => nodeToml({ ...lab, set: { 'database.port': '1' } }, 1)).toThrow('the lab decides this')
  })
})

const process = (id: string, status: object, more: Partial<ProcessStatus> = {}): ProcessStatus => ({
  id,
  role: id.split('/')[0] ?? '',
  name: id.slice(id.indexOf('/') + 1),
  state: 'running',
  pid: 7,
  restarts: 0,
  stateMs: 5,
  lastEnd: null,
  status: { ...status },
  ...more,
})
const shard = (caughtUp: boolean, writesRefused: string | null = null) =>
  process('shard/db1/0', { keys: 3, writesRefused, sync: { members: [{ name: 'cluster-2', caughtUp }] } })
const cluster = (...processes: ProcessStatus[]): ClusterStatus => ({
  number: 1,
  name: 'cluster-1',
  port: 12_000,
  directory: '/lab/cluster-1',
  agent: { state: 'running', pid: 5, restarts: 1 },
  node: {
    cluster: 'cluster-1',
    pid: 5,
    version: '1',
    clock: { state: 'ok', offsetMs: 0.25, source: 'cluster-2', degradedMs: 100, gateMs: 1_000 },
    databases: [],
    processes,
  },
})

describe('a cluster that joins a lab', () => {
  it('is the next one, or one that was there', () => {
    const lab = planLab(null, { clusters: 2 })
    const three = planJoining(lab, null)
    expect(three).toMatchObject({ clusters: 3, joined: [3] })
    expect(planJoining(three, 2)).toMatchObject({ clusters: 3, joined: [3, 2] })
    expect(planJoining(three, 3)).toEqual(three)
    expect(() => planJoining(lab, 3)).toThrow('there is no cluster 3')
    expect(() => planJoining(planLab(null, { clusters: 8 }), null)).toThrow('1 to 8 are possible')
  })

  it('says so in its file, and only it', () => {
    const joining = { ...planJoining(planLab(null, { clusters: 2 }), null), relayPorts: lab.relayPorts }
    const joins = [1, 3].map((number) => load(parse(nodeToml(joining, number))).settings?.databases[0]?.joins)
    expect(joins).toEqual([false, true])
  })
})

describe('a lab is ready', () => {
  it('when all processes run, writes are taken and the members are in sync', () => {
    expect(waitingFor([cluster(shard(true), process('proxy/db1/0', {}))])).toEqual([])
  })

  it.each([
    [cluster(shard(false)), 'cluster-1: shard/db1/0 to be in sync with cluster-2'],
    [cluster(shard(true, 'STALE x')), 'cluster-1: shard/db1/0 to take writes (STALE x)'],
    [cluster(process('shard/db1/0', {})), 'cluster-1: shard/db1/0 to tell its state'],
    [cluster(process('proxy/db1/0', {}, { state: 'starting' })), 'cluster-1: proxy/db1/0'],
    [
      cluster(process('proxy/db1/0', {}, { state: 'ended', lastEnd: 'exit code 1' })),
      'cluster-1: proxy/db1/0, which ended with exit code 1',
    ],
    [cluster(), 'cluster-1: its processes'],
    [{ ...cluster(), node: null }, 'cluster-1: its agent'],
  ])('and not before (%#)', (status, wait) => {
    expect(waitingFor([status])).toEqual([wait])
  })
})

describe('the status', () => {
  it('can be read by people', () => {
    const whole = {
      relayPort: 1,
      cutForward: false,
      cutBackward: false,
      delayMs: 0,
      megabitsPerSecond: 0,
      connections: 1,
    }
    const status: LabStatus = {
      directory: '/lab',
      pid: 3,
      ready: true,
      waitingFor: [],
      clusters: [
        cluster(
          shard(true),
          process('proxy/db1/0', {}, { restarts: 2, lastEnd: 'signal SIGKILL' }),
          process('syncer/db1', {
            peers: [
              { name: 'cluster-2', state: 'up', error: null },
              { name: 'cluster-3', state: 'down', error: 'no route' },
            ],
          }),
        ),
      ],
      links: [
        { from: 1, to: 2, ...whole, cutForward: true },
        { from: 2, to: 1, ...whole, cutBackward: true },
        { from: 1, to: 3, ...whole, cutForward: true, cutBackward: true, delayMs: 20 },
        { from: 3, to: 1, ...whole, cutForward: true, cutBackward: true },
        { from: 2, to: 3, ...whole, megabitsPerSecond: 20 },
        { from: 3, to: 2, ...whole },
      ],
    }
    expect(statusText(status).split('\n')).toEqual([
      'lab in /lab, process 3: ready',
      '',
      'cluster-1, port 12000, clock ok (0.3 ms from cluster-2)',
      '  agent        running  5  restarted 1 x',
      '  shard/db1/0  running  7                 3 keys, in sync with cluster-2',
      '  proxy/db1/0  running  7  restarted 2 x  last ended with signal SIGKILL',
      '  syncer/db1   running  7                 cluster-2 up, cluster-3 down (no route)',
      '',
      '  link 1-2  cut from 1 to 2  delay 0 ms',
      '  link 1-3  cut              delay 20 ms',
      '  link 2-3  whole            delay 0 ms   20 Mbit/s',
    ])
  })
})

describe('a request to a lab', () => {
  it.each([
    [{ type: 'status' }, { type: 'status' }],
    [
      { type: 'cut', one: 1, other: 2, oneWay: 'yes' },
      { type: 'cut', one: 1, other: 2, oneWay: false },
    ],
    [
      { type: 'delay', one: 1, other: 2, delayMs: 5 },
      { type: 'delay', one: 1, other: 2, delayMs: 5 },
    ],
    [
      { type: 'rate', one: 1, other: 2, megabitsPerSecond: 20 },
      { type: 'rate', one: 1, other: 2, megabitsPerSecond: 20 },
    ],
    [{ type: 'rate', one: 1, other: 2 }, null],
    [{ type: 'cut', one: 1 }, null],
    [{ type: 'delay', one: 1, other: 2 }, null],
    [{ type: 'destroy' }, null],
    [{}, null],
  ])('%j', (message, request) => {
    expect(decodeLabRequest(message)).toEqual(request)
  })
})
