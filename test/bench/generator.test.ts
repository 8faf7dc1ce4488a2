/** The load generator against a server of a few lines, which can be made to stop and to fail. */
import { once } from 'node:events'
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'
import { afterEach, expect, it } from 'vitest'
import { Generator } from '#bench/generator/generator.ts'
import type { Plan } from '#bench/generator/plan.ts'

const servers: Server[] = []
const sockets: Socket[] = []

afterEach(() => {
  for (const socket of sockets.splice(0)) socket.destroy()
  for (const server of servers.splice(0)) server.close()
})

/** Calls `answer` with each request (all have the same length) and a way to reply. */
async function serve(
  requestBytes: number,
  answer: (request: string, reply: (text: string) => void) => void,
): Promise<number> {
  const server = createServer((socket) => {
    sockets.push(socket)
    // The generator hangs up when it is done, with replies under way.
    socket.on('error', () => socket.destroy())
    let pending = ''
    socket.on('data', (chunk) => {
      pending += chunk.toString('latin1')
      for (; pending.length >= requestBytes; pending = pending.slice(requestBytes))
        answer(pending.slice(0, requestBytes), (text) => socket.write(text))
    })
  })
  servers.push(server)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return (server.address() as AddressInfo).port
}

const getBytes = '*2\r\n$3\r\nGET\r\n$16\r\nkey:000000000000\r\n'.length

const plan = (port: number, rest: Pick<Plan, 'pace' | 'until'>): Plan => ({
  port,
  connections: 2,
  mix: [{ weight: 1, args: ['GET', 'key:{n}'] }],
  keys: { first: 5, count: 100, order: 'inTurn' },
  ...rest,
})

it('sends each key in turn, and ends with the last reply', async () => {
  const asked: string[] = []
  const port = await serve(getBytes, (request, reply) => {
    asked.push(request.slice(-14, -2))
    reply('$1\r\nx\r\n')
  })
  const outcome = await new Generator(
    plan(port, { pace: { type: 'closed', pipeline: 8 }, until: { requests: 100 } }),
  ).run()
  expect(outcome.requests).toBe(100)
  expect(outcome.latency.count).toBe(100)
  expect(asked.map(Number).sort((a, b) => a - b)).toEqual(Array.from({ length: 100 }, (_, i) => i + 5))
})

it('waits for all replies of a batch before it sends the next', async () => {
  const waiting: (() => void)[] = []
  let most = 0
  const port = await serve(getBytes, (_, reply) => {
    waiting.push(() => reply('+OK\r\n'))
    most = Math.max(most, waiting.length)
    // Two connections, eight requests each.
    if (waiting.length === 16) for (const go of waiting.splice(0)) go()
  })
  await new Generator(plan(port, { pace: { type: 'closed', pipeline: 8 }, until: { requests: 160 } })).run()
  expect(most).toBe(16)
})

it('charges a stop of the server to every request that was due meanwhile', async () => {
  const stopMs = 400
  const held: (() => void)[] = []
  let seen = 0
  let isStopped = false
  const port = await serve(getBytes, (_, reply) => {
    if (++seen === 100) {
      isStopped = true
      setTimeout(() => {
        isStopped = false
        for (const go of held.splice(0)) go()
      }, stopMs)
    }
    if (isStopped) held.push(() => reply('+OK\r\n'))
    else reply('+OK\r\n')
  })
  const { latency } = await new Generator(
    plan(port, { pace: { type: 'open', perSecond: 1_000 }, until: { requests: 1_000 } }),
  ).run()
  expect(latency.count).toBe(1_000)
  // 400 of 1,000 were due while it stood: a tenth of all waited for 300 ms or more. In a closed loop it would be two.
  expect(latency.p99Ms).toBeGreaterThan(stopMs * 0.9)
  expect(latency.maxMs).toBeGreaterThan(stopMs * 0.95)
  expect(latency.p50Ms).toBeLessThan(stopMs / 2)
})

it('keeps its rate', async () => {
  const port = await serve(getBytes, (_, reply) => reply('+OK\r\n'))
  const startMs = performance.now()
  await new Generator(
    plan(port, { pace: { type: 'open', perSecond: 1_000 }, until: { requests: 500 } }),
  ).run()
  // The 500th is due 499 ms after the start; later only when the machine is busy.
  expect(performance.now() - startMs).toBeGreaterThan(498)
})

it('fails on an error, and on a server that hangs up', async () => {
  const failing = await serve(getBytes, (_, reply) => reply('-OOM too much\r\n'))
  const wish = { pace: { type: 'closed', pipeline: 1 }, until: { requests: 10 } } as const
  await expect(new Generator(plan(failing, wish)).run()).rejects.toThrow('-OOM too much')
  const leaving = await serve(getBytes, () => {
    for (const socket of sockets) socket.destroy()
  })
  await expect(new Generator(plan(leaving, wish)).run()).rejects.toThrow(/closed the connection|ECONNRESET/)
})
