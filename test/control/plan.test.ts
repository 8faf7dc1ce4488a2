import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  type DesiredProcess,
  type ObservedProcess,
  type ProcessState,
  plan,
  restartPauseMs,
  type SupervisionPolicy,
  uncertainMs,
} from '#control/plan/plan.ts'

const policy: SupervisionPolicy = {
  restartMinMs: 250,
  restartMaxMs: 4_000,
  stableMs: 2_000,
  silentMs: 60_000,
  drainMs: 5_000,
}
const nowMs = 1_000_000

const want = (id: string, stopRank = 0): DesiredProcess => ({ id, stopRank, reports: true })
const running = (...processes: DesiredProcess[]) => ({ processes, stoppingSinceMs: null })
const stopping = (sinceMs: number, ...processes: DesiredProcess[]) => ({
  processes,
  stoppingSinceMs: sinceMs,
})
const seen = (
  id: string,
  state: ProcessState,
  agoMs = 0,
  more: Partial<ObservedProcess> = {},
): ObservedProcess => ({
  id,
  state,
  sinceMs: nowMs - agoMs,
  reportedMs: nowMs,
  earlyEnds: 0,
  ...more,
})

const planned = (
  desired: ReturnType<typeof running> | ReturnType<typeof stopping>,
  ...observed: ObservedProcess[]
) => plan(desired, observed, nowMs, policy)
const nothing = { steps: [], againInMs: null, stopped: false }

describe('a node that runs', () => {
  it('starts what is missing', () => {
    expect(planned(running(want('a'), want('b')), seen('a', 'running'))).toEqual({
      ...nothing,
      steps: [{ do: 'start', id: 'b' }],
      againInMs: 60_000,
    })
  })

  it('starts at once what has ended for the first time, and later what ends again soon', () => {
    for (const earlyEnds of [0, 1]) {
      expect(planned(running(want('a')), seen('a', 'ended', 0, { earlyEnds })).steps).toEqual([
        { do: 'start', id: 'a' },
      ])
    }
    expect(planned(running(want('a')), seen('a', 'ended', 100, { earlyEnds: 2 }))).toEqual({
      ...nothing,
      againInMs: 150,
    })
    expect(planned(running(want('a')), seen('a', 'ended', 250, { earlyEnds: 2 })).steps).toHaveLength(1)
  })

  it('waits before it starts what an earlier agent may have started', () => {
    expect(planned(running(want('a')), seen('a', 'uncertain', 500))).toEqual({
      ...nothing,
      againInMs: uncertainMs - 500,
    })
    expect(planned(running(want('a')), seen('a', 'uncertain', uncertainMs)).steps).toEqual([
      { do: 'start', id: 'a' },
    ])
  })

  it('kills what has been silent for too long, if it is one that reports', () => {
    const silent = seen('a', 'running', 0, { reportedMs: nowMs - policy.silentMs })
    expect(planned(running(want('a')), silent).steps).toEqual([{ do: 'kill', id: 'a', because: 'silent' }])
    expect(planned(running({ ...want('a'), reports: false }), silent)).toEqual(nothing)
  })

  it('ends what is not wanted, and kills it when it does not end', () => {
    expect(planned(running(), seen('a', 'running')).steps).toEqual([{ do: 'terminate', id: 'a' }])
    expect(planned(running(), seen('a', 'stopping', 1_000))).toEqual({ ...nothing, againInMs: 4_000 })
    expect(planned(running(), seen('a', 'stopping', 5_000)).steps).toEqual([
      { do: 'kill', id: 'a', because: 'slow to stop' },
    ])
    expect(planned(running(), seen('a', 'ended'))).toEqual(nothing)
  })

  it('lets a process end before it starts it again', () => {
    expect(planned(running(want('a')), seen('a', 'stopping', 1_000)).steps).toEqual([])
  })
})

describe('a node that stops', () => {
  const both = [want('proxy', 0), want('shard', 1)]

  it('stops the proxies first, then the shards', () => {
    expect(
      planned(stopping(nowMs, ...both), seen('proxy', 'running'), seen('shard', 'running')).steps,
    ).toEqual([{ do: 'terminate', id: 'proxy' }])
    expect(planned(stopping(nowMs, ...both), seen('proxy', 'stopping'), seen('shard', 'running'))).toEqual({
      ...nothing,
      againInMs: 2_500,
    })
    expect(planned(stopping(nowMs, ...both), seen('proxy', 'ended'), seen('shard', 'running')).steps).toEqual(
      [{ do: 'terminate', id: 'shard' }],
    )
  })

  it('is patient for a share of the time with each rank', () => {
    const late = stopping(nowMs - 2_500, ...both)
    expect(planned(late, seen('proxy', 'stopping'), seen('shard', 'running')).steps).toEqual([
      { do: 'kill', id: 'proxy', because: 'slow to stop' },
    ])
    expect(planned(late, seen('proxy', 'ended'), seen('shard', 'stopping'))).toEqual({
      ...nothing,
      againInMs: 2_500,
    })
  })

  it('has stopped when nothing lives', () => {
    expect(planned(stopping(nowMs, ...both), seen('proxy', 'ended')).stopped).toBe(true)
    expect(planned(stopping(nowMs, ...both)).stopped).toBe(true)
    expect(planned(stopping(nowMs, ...both), seen('shard', 'uncertain', 100))).toEqual({
      ...nothing,
      againInMs: uncertainMs - 100,
    })
    expect(planned(stopping(nowMs, ...both), seen('shard', 'uncertain', uncertainMs)).stopped).toBe(true)
  })

  it('ends what is not wanted, too', () => {
    expect(planned(stopping(nowMs, ...both), seen('stray', 'running')).steps).toEqual([
      { do: 'terminate', id: 'stray' },
    ])
  })
})

describe('the pause before a restart', () => {
  it('doubles up to its limit', () => {
    expect([0, 1, 2, 3, 4, 5, 6, 7, 1_000_000].map((ends) => restartPauseMs(ends, policy))).toEqual([
      0, 0, 250, 500, 1_000, 2_000, 4_000, 4_000, 4_000,
    ])
  })
})

describe('every plan', () => {
  const states: ProcessState[] = ['ended', 'uncertain', 'running', 'stopping', 'killed']
  const process = fc.record({
    id: fc.constantFrom('a', 'b', 'c'),
    state: fc.constantFrom(...states),
    sinceMs: fc.integer({ min: nowMs - 10_000, max: nowMs }),
    reportedMs: fc.integer({ min: nowMs - 100_000, max: nowMs }),
    earlyEnds: fc.nat(40),
  })
  const observed = fc.uniqueArray(process, { selector: ({ id }) => id })
  const wanted = fc.uniqueArray(fc.constantFrom('a', 'b', 'c', 'd'))
  const since = fc.option(fc.integer({ min: nowMs - 10_000, max: nowMs }))

  it('does something, waits for a time or for an end that has been asked for', () => {
    fc.assert(
      fc.property(observed, wanted, since, (processes, ids, stoppingSinceMs) => {
        const desired = { processes: ids.map((id, i) => want(id, i % 2)), stoppingSinceMs }
        const { steps, againInMs, stopped } = plan(desired, processes, nowMs, policy)
        if (againInMs !== null) expect(againInMs).toBeGreaterThan(0)
        for (const step of steps) {
          const state = processes.find(({ id }) => id === step.id)?.state ?? 'ended'
          if (step.do === 'start') expect(['ended', 'uncertain']).toContain(state)
          else expect(['running', 'stopping']).toContain(state)
        }
        const killed = processes.some(({ state }) => state === 'killed')
        const settled = ids.every((id) => processes.some((one) => one.id === id && one.state === 'running'))
        const moves = steps.length > 0 || againInMs !== null || killed
        if (stoppingSinceMs !== null) expect(stopped || moves).toBe(true)
        else if (!settled) expect(moves).toBe(true)
      }),
    )
  })
})
