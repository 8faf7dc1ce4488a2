/** What operators look at a running database with: redis-cli and redis-benchmark against two shards and two proxy workers. */
import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Lab } from './lab.ts'

const execute = promisify(execFile)
let lab: Lab

beforeAll(async () => {
  lab = await Lab.up({ clusters: 1, shards: 2, settings: ['proxy.workers=2'] })
}, 120_000)

afterAll(async () => {
  expect(await lab.down()).toBe(0)
})

const port = (): string[] => ['-p', String(lab.basePort)]
const cli = async (...args: string[]): Promise<string> =>
  (await execute('redis-cli', [...port(), ...args], { timeout: 60_000 })).stdout

/** What a command that does not end prints until it holds. */
async function printed(
  args: readonly string[],
  holds: (text: string) => boolean,
  meanwhile = async () => {},
) {
  // Into a pipe it would write by blocks.
  const child = spawn('stdbuf', ['-oL', 'redis-cli', ...port(), ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let text = ''
  child.stdout.on('data', (chunk: Buffer) => {
    text += chunk.toString('latin1')
  })
  const deadlineMs = performance.now() + 30_000
  while (!holds(text)) {
    if (performance.now() > deadlineMs) throw new Error(`it was not printed within 30 s, but: ${text}`)
    await meanwhile()
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  const exit = once(child, 'exit')
  child.kill()
  await exit
  return text
}

describe('redis-cli', () => {
  it('monitor shows what the clients of both workers ask for', async () => {
    const clients = Array.from({ length: 8 }, () => lab.client(1))
    const ids = await Promise.all(clients.map(async (client) => Number(await client.client('ID'))))
    expect(new Set(ids.map((id) => id % 2)).size).toBe(2)
    const holds = (text: string) => ids.every((id) => text.includes(`"set" "from ${id}" "1"`))
    const ask = async () => {
      for (const [i, client] of clients.entries()) await client.set(`from ${ids[i]}`, '1')
    }
    expect(await printed(['monitor'], holds, ask)).toMatch(/^OK\n\d+\.\d{6} \[0 127\.0\.0\.1:\d+\] "/)
  })

  it('--stat and --latency go on', async () => {
    await printed(['--stat'], (text) => text.includes('keys') && text.trim().split('\n').length >= 3)
    expect(await cli('--latency', '--raw')).toMatch(/^\d+ \d+ \d/)
  })

  it('--bigkeys, --memkeys and --scan see the keys of both shards', async () => {
    const client = lab.client(1)
    for (let i = 0; i < 20; i++) await client.rpush(`list${i}`, ...Array.from({ length: i + 1 }, String))
    expect(await cli('--bigkeys')).toContain('"list19"\' has 20 items')
    expect(await cli('--memkeys')).toMatch(/Biggest\s+list found '"list\d+"' has \d+ bytes/)
    expect((await cli('--scan', '--pattern', 'list*')).trim().split('\n')).toHaveLength(20)
  })

  it('--hotkeys wants an LFU policy, and has one then', async () => {
    const refused = await cli('--hotkeys').catch(({ stdout, stderr }) => `${stdout}${stderr}`)
    expect(refused).toContain('An LFU maxmemory policy is not selected')
    await cli('config', 'set', 'maxmemory-policy', 'allkeys-lfu')
    expect(await cli('--hotkeys')).toContain('-------- summary -------')
    await cli('config', 'set', 'maxmemory-policy', 'noeviction')
  })

  it('--pipe takes requests in bulk', async () => {
    const child = spawn('redis-cli', [...port(), '--pipe'], { stdio: ['pipe', 'pipe', 'pipe'] })
    let text = ''
    child.stdout.on('data', (chunk: Buffer) => {
      text += chunk.toString()
    })
    const ended = once(child, 'close')
    for (let i = 0; i < 1000; i++) child.stdin.write(`SET piped${i} ${i}\r\n`)
    child.stdin.end()
    await ended
    expect(text).toContain('errors: 0, replies: 1000')
  })

  it('latency and slowlog tell of a slow script', async () => {
    await cli('config', 'set', 'latency-monitor-threshold', '20', 'slowlog-log-slower-than', '20000')
    const busy = 'local sum = 0 for i = 1, 5000000 do sum = sum + i end return sum'
    await cli('eval', busy, '0', 'marked')
    expect(await cli('slowlog', 'get')).toContain('marked')
    expect(await cli('latency', 'latest')).toContain('command')
    expect(await cli('latency', 'graph', 'command')).toContain('command - high')
    expect(await cli('slowlog', 'reset')).toBe('OK\n')
  })
})

it('redis-benchmark’s usual suite runs without an error', async () => {
  const { stdout, stderr } = await execute('redis-benchmark', [...port(), '-n', '1000', '-c', '20', '-q'], {
    timeout: 240_000,
  })
  expect(`${stdout}${stderr}`).not.toMatch(/error|WARNING/i)
  for (const name of ['PING_INLINE', 'GET', 'SPOP', 'ZPOPMIN', 'LRANGE_600', 'MSET (10 keys)'])
    expect(stdout).toContain(`${name}`)
}, 300_000)
