/** Clusters join and leave while clients write; and every command of docs/members.md, as it stands there. */
import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { Redis } from 'ioredis'
import { afterEach, describe, expect, it } from 'vitest'
import { antipode, freeBasePort, Lab } from './lab.ts'

const execute = promisify(execFile)
let lab: Lab

afterEach(async () => {
  expect(await lab.down()).toBe(0)
})

const configOf = (cluster: number): string => join(lab.directory, `cluster-${cluster}`, 'node.toml')

async function member(...words: string[]): Promise<string> {
  const { stdout } = await execute(antipode, ['member', ...words])
  return stdout
}

async function refusal(...words: string[]): Promise<string> {
  return await member(...words).then(
    (output) => expect.fail(`not refused: ${output}`),
    (error: { stderr: string }) => error.stderr,
  )
}

/** Keeps on incrementing; the result says how often, and how long one took at most. */
class Load {
  readonly #client: Redis
  readonly #key: string
  #stopped = false
  done = 0
  slowestMs = 0
  readonly ended: Promise<void>

  constructor(client: Redis, key: string) {
    this.#client = client
    this.#key = key
    this.ended = this.#run()
  }

  async stop(): Promise<void> {
    this.#stopped = true
    await this.ended
  }

  async #run(): Promise<void> {
    while (!this.#stopped) {
      const startMs = performance.now()
      await this.#client.incr(this.#key)
      this.done++
      this.slowestMs = Math.max(this.slowestMs, performance.now() - startMs)
    }
  }
}

async function fill(client: Redis, count: number): Promise<void> {
  const pipeline = client.pipeline()
  for (let i = 0; i < count; i++) pipeline.set(`key:${i}`, `value ${i}`)
  await pipeline.exec()
}

/** Waits until the clusters have applied the same. */
async function equal(...clusters: number[]): Promise<void> {
  for (;;) {
    const digests = await Promise.all(clusters.map(async (id) => await lab.client(id).call('CRDT', 'DIGEST')))
    if (digests.every((digest) => digest === digests[0])) return
    await new Promise((wake) => setTimeout(wake, 50))
  }
}

describe('members of a database', () => {
  it('join, leave, are forced out and come back, while the others go on', async () => {
    lab = await Lab.up({ clusters: 2 })
    await fill(lab.client(1), 20_000)
    const load = new Load(lab.client(1), 'load')
    await lab.lab('add')
    expect(await lab.client(3).get('key:19999')).toBe('value 19999')
    await lab.client(3).set('from', 'three')
    await equal(2, 3)

    await member('remove', 'cluster-3', '--config', configOf(2))
    await expect(lab.client(3).set('a', 'b')).rejects.toThrow(/^REMOVED /)
    expect(await lab.client(3).get('from')).toBe('three')
    expect(await lab.client(1).get('from')).toBe('three')

    await lab.lab('add', 3)
    await lab.cut(1, 3)
    await lab.client(3).incrby('told to two', 5)
    await expect.poll(async () => await lab.client(2).get('told to two')).toBe('5')
    await lab.cut(2, 3)
    await lab.client(3).set('lost', 'told to nobody')
    await lab.lab('remove', 3, '--force')
    expect(await lab.client(1).get('told to two')).toBe('5')
    await lab.heal()
    await expect
      .poll(async () => await member('list', '--config', configOf(3)), { timeout: 10_000 })
      .toMatch(/cluster-3 .* removed/)
    await expect(lab.client(3).set('a', 'b')).rejects.toThrow(/^REMOVED /)
    expect(await lab.client(1).get('lost')).toBeNull()

    await lab.lab('add', 3)
    expect(await lab.client(3).get('lost')).toBeNull()
    await lab.client(3).incr('told to two')
    await load.stop()
    await equal(1, 2, 3)
    expect(await lab.client(2).get('told to two')).toBe('6')
    expect(await lab.client(3).get('load')).toBe(String(load.done))
    console.log(`${load.done} increments meanwhile, the slowest took ${Math.round(load.slowestMs)} ms`)
    expect(load.slowestMs).toBeLessThan(2000)
  }, 180_000)

  it('survive a coordinator that is killed, and a joiner', async () => {
    lab = await Lab.up({ clusters: 2, shards: 1 })
    await fill(lab.client(1), 20_000)
    const adding = lab.lab('add').catch((error: { stderr: string }) => error.stderr)
    await expect
      .poll(async () => await member('list', '--config', configOf(2)), { timeout: 10_000 })
      .toMatch(/cluster-3 .* joining/)
    await lab.lab('kill', 1, 'agent')
    expect(await adding).toMatch('does not answer')
    await lab.lab('kill', 3, 'shard')
    await expect
      .poll(async () => await lab.lab('add', 3).catch(String), { timeout: 30_000 })
      .toMatch('cluster-3 is active')
    await equal(1, 2, 3)
    expect(await refusal('remove', 'cluster-1', '--config', configOf(1))).toMatch('give the command there')
    expect(await refusal('purge', '--config', configOf(1))).toMatch('is a member')
    expect(await refusal('add', '--config', configOf(1), '--name', 'x', '--address', 'nowhere')).toMatch(
      'HOST:PORT',
    )
  }, 120_000)

  it('do what docs/members.md says', async () => {
    lab = await Lab.up({ clusters: 1, shards: 1 })
    const second = `${lab.directory}/docs`
    const basePort = await freeBasePort(3)
    const page = readFileSync(join(import.meta.dirname, '..', '..', 'docs', 'members.md'), 'utf8')
    const commands = [...page.matchAll(/```sh\n([^`]*)```/g)].flatMap(([, block = '']) =>
      block.trim().split('\n'),
    )
    expect(commands.length).toBeGreaterThan(10)
    const outputs: string[] = []
    for (const command of commands) {
      const [program, ...words] = command.replaceAll('.lab/', `${second}/`).split(' ')
      expect(program).toBe('bin/antipode')
      if (words[0] === 'lab') words.push('--dir', second)
      if (words[1] === 'up') words.push('--base-port', String(basePort))
      outputs.push((await execute(antipode, words)).stdout)
    }
    expect(outputs.at(-1)).toBe('stopped\n')
    expect(outputs.filter((output) => output.includes('cluster-3 removed'))).toHaveLength(2)
    expect(outputs.filter((output) => output.includes('cluster-3 is active'))).toHaveLength(4)
  }, 180_000)
})
