import { beforeEach, describe, expect, it } from 'vitest'
import { uncertainMs } from '#control/plan/plan.ts'
import type { PidRecord } from '#control/supervisor/pidFile.ts'
import type { ProcessHost, ProcessSpec } from '#control/supervisor/processHost.ts'
import { Supervisor, type WantedProcess } from '#control/supervisor/supervisor.ts'
import { MemoryWorld } from '#test/memoryWorld.ts'
import { RecordingLogger } from '#test/silentLogger.ts'

/** Processes that live in a table. Records outlive a supervisor, as files do. */
class MemoryHost implements ProcessHost {
  readonly #world: MemoryWorld
  readonly living = new Map<number, { id: string; ended: ((how: string) => void) | null }>()
  readonly #records = new Map<string, PidRecord>()
  readonly signals: string[] = []
  /** Processes end on SIGTERM only when they are obedient. */
  obedient = true
  #lastPid = 100

  constructor(world: MemoryWorld) {
    this.#world = world
  }

  start({ id }: ProcessSpec, ended: (how: string) => void): PidRecord {
    const record = { id, pid: ++this.#lastPid, startTime: 'then' }
    this.living.set(record.pid, { id, ended })
    this.#records.set(id, record)
    return record
  }

  /** Its supervisor dies: nobody is told of ends any more. */
  orphanAll(): void {
    for (const process of this.living.values()) process.ended = null
  }

  intend(id: string): void {
    this.#records.set(id, { id, pid: 0, startTime: null })
  }

  isAlive({ pid }: PidRecord): boolean {
    return this.living.has(pid)
  }

  signal({ pid }: PidRecord, signal: string): void {
    this.signals.push(`${signal} ${this.living.get(pid)?.id}`)
    if (signal === 'SIGKILL' || this.obedient) this.end(pid, signal)
  }

  end(pid: number, how: string): void {
    const process = this.living.get(pid)
    this.living.delete(pid)
    this.#world.post(() => process?.ended?.(how))
  }

  records(): PidRecord[] {
    return [...this.#records.values()]
  }

  forget(id: string): void {
    this.#records.delete(id)
  }
}

const policy = { restartMinMs: 250, restartMaxMs: 4_000, stableMs: 2_000, silentMs: 60_000, drainMs: 5_000 }

const wanted = (id: string, stopRank = 0): WantedProcess => ({
  id,
  stopRank,
  reports: true,
  command: '',
  arguments: [],
  environment: {},
  logPath: '',
})

let world: MemoryWorld
let host: MemoryHost
let logger: RecordingLogger
let supervisor: Supervisor

const makeSupervisor = () => new Supervisor(policy, { host, clock: world, timers: world, logger })
const pidOf = (id: string) => supervisor.processes().find((process) => process.id === id)?.pid ?? 0
const stateOf = (id: string) => supervisor.processes().find((process) => process.id === id)?.state

beforeEach(() => {
  world = new MemoryWorld()
  host = new MemoryHost(world)
  logger = new RecordingLogger()
  supervisor = makeSupervisor()
})

describe('a process that ends', () => {
  it('is started again at once', () => {
    supervisor.want([wanted('a')])
    const first = pidOf('a')
    supervisor.ready('a')
    host.end(first, 'signal SIGKILL')
    world.settle()
    expect(pidOf('a')).not.toBe(first)
    expect(supervisor.processes()[0]).toMatchObject({
      state: 'starting',
      restarts: 1,
      lastEnd: 'signal SIGKILL',
    })
  })

  it('is started again later and later when it ends again and again', () => {
    supervisor.want([wanted('a')])
    const pauses: number[] = []
    for (let i = 0; i < 6; i++) {
      host.end(pidOf('a'), 'exit code 1')
      world.settle()
      let waitedMs = 0
      for (; stateOf('a') === 'ended'; waitedMs += 50) world.advance(50)
      pauses.push(waitedMs)
    }
    expect(pauses).toEqual([0, 250, 500, 1_000, 2_000, 4_000])
  })

  it('is sound again after it has served for a while', () => {
    supervisor.want([wanted('a')])
    for (let i = 0; i < 5; i++) {
      supervisor.ready('a')
      world.advance(policy.stableMs)
      host.end(pidOf('a'), 'exit code 1')
      world.settle()
      expect(stateOf('a')).toBe('starting')
    }
  })

  it('never served: having lived for long does not make it sound', () => {
    supervisor.want([wanted('a')])
    for (let i = 0; i < 3; i++) {
      world.advance(policy.stableMs)
      host.end(pidOf('a'), 'exit code 1')
      world.settle()
    }
    expect(stateOf('a')).toBe('ended')
  })
})

describe('a silent process', () => {
  it('is killed and started again', () => {
    supervisor.want([wanted('a')])
    const first = pidOf('a')
    world.advance(policy.silentMs - 1)
    supervisor.reported('a')
    world.advance(policy.silentMs - 1)
    expect(pidOf('a')).toBe(first)
    world.advance(1)
    expect(host.signals).toEqual(['SIGKILL a'])
    expect(pidOf('a')).not.toBe(first)
  })

  it('may be silent while it prepares to serve', () => {
    supervisor.want([wanted('a')])
    supervisor.claim('a', { id: 'a', pid: pidOf('a'), startTime: 'then' })
    world.advance(10 * policy.silentMs)
    expect(host.signals).toEqual([])
    supervisor.ready('a')
    supervisor.reported('a')
    world.advance(policy.silentMs)
    expect(host.signals).toEqual(['SIGKILL a'])
  })
})

describe('a process that is no longer wanted', () => {
  it('is asked to end, and killed if it does not', () => {
    supervisor.want([wanted('a'), wanted('b')])
    host.obedient = false
    supervisor.want([wanted('b')])
    world.advance(policy.drainMs)
    expect(host.signals).toEqual(['SIGTERM a', 'SIGKILL a'])
    expect(stateOf('a')).toBe('ended')
    expect(host.living.size).toBe(1)
  })
})

describe('stopping', () => {
  it('ends the ranks in order', () => {
    supervisor.want([wanted('shard', 1), wanted('proxy', 0)])
    let stopped = false
    supervisor.stop(() => {
      stopped = true
    })
    world.settle()
    expect(host.signals).toEqual(['SIGTERM proxy', 'SIGTERM shard'])
    expect(stopped).toBe(true)
    expect(host.records()).toEqual([])
    expect(world.timerCount).toBe(0)
  })

  it('kills who does not end within the time', () => {
    supervisor.want([wanted('shard', 1), wanted('proxy', 0)])
    host.obedient = false
    let stopped = false
    supervisor.stop(() => {
      stopped = true
    })
    world.advance(policy.drainMs)
    expect(host.signals).toEqual(['SIGTERM proxy', 'SIGKILL proxy', 'SIGTERM shard', 'SIGKILL shard'])
    expect(stopped).toBe(true)
  })

  it('does not start a process that ends meanwhile', () => {
    supervisor.want([wanted('shard', 1), wanted('proxy', 0)])
    host.obedient = false
    supervisor.stop(() => {})
    host.end(pidOf('shard'), 'signal SIGSEGV')
    world.settle()
    expect(stateOf('shard')).toBe('ended')
  })
})

describe('a supervisor that follows another', () => {
  beforeEach(() => {
    supervisor.want([wanted('a'), wanted('b')])
    host.orphanAll()
  })

  it('takes over what lives and starts what does not', () => {
    const [a, b] = [pidOf('a'), pidOf('b')]
    host.living.delete(b)
    supervisor = makeSupervisor()
    supervisor.adopt()
    supervisor.want([wanted('a'), wanted('b')])
    expect(pidOf('a')).toBe(a)
    expect(pidOf('b')).not.toBe(b)
  })

  it('finds out by itself when a process that it took over ends', () => {
    const a = pidOf('a')
    supervisor = makeSupervisor()
    supervisor.adopt()
    supervisor.want([wanted('a'), wanted('b')])
    supervisor.ready('a')
    host.living.delete(a)
    world.advance(100)
    expect(pidOf('a')).not.toBe(a)
  })

  it('stops what it took over', () => {
    supervisor = makeSupervisor()
    supervisor.adopt()
    supervisor.want([wanted('a')])
    let stopped = false
    supervisor.stop(() => {
      stopped = true
    })
    world.advance(1_000)
    expect([host.living.size, stopped]).toEqual([0, true])
  })

  it('waits for a process that may just have been started, and takes it when it reports', () => {
    host.intend('a')
    supervisor = makeSupervisor()
    supervisor.adopt()
    supervisor.want([wanted('a'), wanted('b')])
    expect(stateOf('a')).toBe('uncertain')
    host.living.set(7, { id: 'a', ended: null })
    expect(supervisor.claim('a', { id: 'a', pid: 7, startTime: 'then' })).toBe(true)
    world.advance(uncertainMs)
    expect(pidOf('a')).toBe(7)
  })

  it('starts it when nobody reports', () => {
    host.intend('a')
    supervisor = makeSupervisor()
    supervisor.adopt()
    supervisor.want([wanted('a'), wanted('b')])
    world.advance(uncertainMs)
    expect(pidOf('a')).toBeGreaterThan(0)
  })
})

describe('a process that reports', () => {
  it('is believed when it is the one that was started, and refused when it is a second one', () => {
    supervisor.want([wanted('a')])
    expect(supervisor.claim('a', { id: 'a', pid: pidOf('a'), startTime: 'then' })).toBe(true)
    expect(supervisor.claim('a', { id: 'a', pid: 7, startTime: 'then' })).toBe(false)
    expect(logger.lines.filter(({ level }) => level === 'error')).toHaveLength(1)
  })
})
