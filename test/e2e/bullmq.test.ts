/** BullMQ, all of whose work is done by scripts, runs unchanged: priorities, delays, retries, bulk, a flow, a rate limit. */
import { FlowProducer, type Job, Queue, Worker } from 'bullmq'
import { Redis } from 'ioredis'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { Lab } from './lab.ts'

/** A queue's keys lie in one slot. */
const prefix = '{queue}'
const started: { lab?: Lab } = {}
const opened: { close(): Promise<unknown> }[] = []

beforeAll(async () => {
  started.lab = await Lab.up({ clusters: 1 })
})
afterAll(async () => {
  for (const one of opened.reverse()) await one.close()
  await started.lab?.down()
})

function options() {
  if (started.lab === undefined) throw new Error('the lab is not up')
  const connection = { host: '127.0.0.1', port: started.lab.port(1), maxRetriesPerRequest: null }
  return { connection, prefix }
}

function opening<T extends { close(): Promise<unknown> }>(one: T): T {
  opened.push(one)
  return one
}

/** Works until so many jobs are done; resolves to their names in order. */
function done(
  name: string,
  count: number,
  run: (job: Job) => void,
  limiter?: { max: number; duration: number },
) {
  const names: string[] = []
  return new Promise<string[]>((resolve, reject) => {
    const worker = opening(
      new Worker(name, async (job) => run(job), {
        ...options(),
        ...(limiter === undefined ? {} : { limiter }),
      }),
    )
    worker.on('error', reject)
    worker.on('completed', (job) => {
      if (names.push(job.name) === count) resolve(names)
    })
  })
}

it('keeps priorities and delays, and tries again what failed', async () => {
  const queue = opening(new Queue('jobs', options()))
  await queue.add('low', {}, { priority: 10 })
  await queue.add('high', {}, { priority: 1 })
  await queue.add('late', {}, { delay: 1000 })
  await queue.add('flaky', {}, { attempts: 3, backoff: { type: 'fixed', delay: 50 } })
  await queue.addBulk([
    { name: 'one', data: {} },
    { name: 'two', data: {} },
  ])
  let tries = 0
  const names = await done('jobs', 6, ({ name }) => {
    if (name === 'flaky' && ++tries < 3) throw new Error('again')
  })
  expect(tries).toBe(3)
  expect(names.filter((name) => name !== 'flaky')).toEqual(['one', 'two', 'high', 'low', 'late'])
  expect(await queue.getJobCounts('completed', 'failed', 'delayed', 'waiting')).toEqual({
    completed: 6,
    failed: 0,
    delayed: 0,
    waiting: 0,
  })
})

it('runs the children of a flow before their parent', async () => {
  const flows = opening(new FlowProducer(options()))
  const children = ['a', 'b'].map((name) => ({ name, queueName: 'flow' }))
  await flows.add({ name: 'parent', queueName: 'flow', children })
  const names = await done('flow', 3, () => {})
  expect(names.slice(0, 2).sort()).toEqual(['a', 'b'])
  expect(names[2]).toBe('parent')
})

it('holds a rate limit', async () => {
  const queue = opening(new Queue('limited', options()))
  await queue.addBulk(Array.from({ length: 4 }, (_, i) => ({ name: `${i}`, data: {} })))
  const startMs = performance.now()
  const names = await done('limited', 4, () => {}, { max: 1, duration: 200 })
  expect(names).toEqual(['0', '1', '2', '3'])
  expect(performance.now() - startMs).toBeGreaterThan(600)
})

it('works as a user who may touch the keys of its queues only', async () => {
  const { connection } = options()
  const admin = new Redis(connection.port, connection.host)
  opened.push({ close: () => admin.quit() })
  const rules = ['resetchannels', `~${prefix}:*`, '+@all', '-@dangerous', '+info']
  await admin.call('ACL', 'SETUSER', 'worker', 'on', '>secret', ...rules)
  const user = { ...options(), connection: { ...connection, username: 'worker', password: 'secret' } }
  const queue = opening(new Queue('restricted', user))
  await queue.addBulk(
    Array.from({ length: 3 }, (_, i) => ({ name: `${i}`, data: {}, opts: { priority: i } })),
  )
  await queue.add('late', {}, { delay: 100 })
  const names: string[] = []
  await new Promise<void>((resolve, reject) => {
    const worker = opening(new Worker('restricted', async ({ name }) => name, user))
    worker.on('error', reject)
    worker.on('completed', ({ name }) => names.push(name) === 4 && resolve())
  })
  // How late a delayed job is, is the machine's.
  expect(names).toContain('late')
  expect(names.filter((name) => name !== 'late')).toEqual(['0', '1', '2'])
  expect(await admin.call('ACL', 'LOG')).toEqual([])
  const other = opening(new Queue('restricted', { ...user, prefix: '{other}' }))
  await expect(other.add('x', {})).rejects.toThrow('NOPERM')
})
