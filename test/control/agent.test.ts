/** The agent with real processes, small ones. */
import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { ProxyConfig } from '#config/process.ts'
import { ask } from '#control/agent/jsonLines.ts'
import type { MemberRequest } from '#control/contract/requests.ts'
import type { NodeStatus, ProcessStatus } from '#control/contract/status.ts'
import { ConfigStore } from '#control/store/configStore.ts'
import { isAlive, PidDirectory, signalProcess } from '#control/supervisor/pidFile.ts'
import { NodeDisk } from '#runtime/node/nodeDisk.ts'
import { silentLogger } from '#test/silentLogger.ts'

let directory: string
let agents: ChildProcess[]

const node = `
[node]
cluster = "here"
data_dir = "data"
[tls]
certificate = "c"
key = "k"
authority = "a"
[agent]
drain_ms = 2000
[[database]]
name = "db1"
port = 12000
shards = 2
guid = "g"
[[database.member]]
id = 1
name = "here"
host = "127.0.0.1"
port = 12000
[[database.member]]
id = 2
name = "there"
host = "127.0.0.1"
port = 12002
`

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'agent-'))
  agents = []
  writeNode(node)
})

afterEach(async () => {
  for (const agent of agents) agent.kill('SIGTERM')
  await Promise.all(agents.map(exited))
  for (const record of pids().read()) signalProcess(record, 'SIGKILL')
  rmSync(directory, { recursive: true })
})

const writeNode = (text: string) => writeFileSync(join(directory, 'node.toml'), text)
const pids = () => new PidDirectory(join(directory, 'data', 'run'))
const logLines = (): Record<string, unknown>[] => {
  const path = join(directory, 'fake.log')
  if (!existsSync(path)) return []
  return (
    readFileSync(path, 'utf8')
      .split('\n')
      // Behind the last line's end is nothing, or a line that is being written.
      .slice(0, -1)
      .map((line) => JSON.parse(line))
  )
}

function startAgent(environment: Record<string, string> = {}, ...more: string[]): ChildProcess {
  const child = spawn(
    process.execPath,
    [join(import.meta.dirname, 'fakeAgent', 'main.ts'), join(directory, 'node.toml'), ...more],
    {
      env: { ...process.env, FAKE_LOG: join(directory, 'fake.log'), ...environment },
      stdio: ['ignore', 'pipe', 'pipe'],
    },
  )
  agents.push(child)
  return child
}

async function exited(child: ChildProcess): Promise<number | null> {
  if (child.exitCode !== null || child.signalCode !== null) return child.exitCode
  return await new Promise((resolve) => child.once('exit', resolve))
}

async function until<T>(look: () => Promise<T | null> | T | null): Promise<T> {
  const deadlineMs = performance.now() + 20_000
  for (;;) {
    const found = await look()
    if (found !== null) return found
    if (performance.now() > deadlineMs) throw new Error('it did not happen within 20 s')
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}

async function status(): Promise<NodeStatus | null> {
  try {
    const reply = await ask(join(directory, 'data', 'agent.sock'), { type: 'status' }, 5_000)
    return reply['status'] as NodeStatus
  } catch {
    // Not there yet, or not there any more.
    return null
  }
}

/** Resolves when every process runs (and has told its status), except those named. */
async function allRunning(...except: string[]): Promise<NodeStatus> {
  return await until(async () => {
    const found = await status()
    const waits = found?.processes.filter(({ id }) => !except.includes(id)) ?? []
    return found !== null && waits.length > 0 && waits.every(isRunning) ? found : null
  })
}

const isRunning = (process: ProcessStatus) =>
  process.state === 'running' && process.status['fake'] === process.name

const pidOf = (found: NodeStatus, id: string) =>
  found.processes.find((process) => process.id === id)?.pid ?? 0

describe('an agent', () => {
  it('runs the processes of its databases and tells about them', async () => {
    const agent = startAgent()
    let said = ''
    agent.stdout?.on('data', (chunk) => {
      said += chunk
    })
    const found = await allRunning()
    expect(said).toContain('{"peer":2,"offsetMs":12.5}')
    expect(found.processes.map(({ id }) => id)).toEqual([
      'shard/db1/0',
      'shard/db1/1',
      'proxy/db1/0',
      'syncer/db1',
    ])
    expect(found.databases).toMatchObject([
      { name: 'db1', guid: 'g', port: 12_000, shardCount: 2, clusterId: 1 },
    ])
    expect(found.clock).toMatchObject({ state: 'ok' })
    const configs = logLines().filter(({ type }) => type === 'config')
    expect(configs.map(({ role, name }) => `${role}/${name}`).sort()).toEqual(
      found.processes.map(({ id }) => id).sort(),
    )
    const clocks = logLines().filter(({ type }) => type === 'clock')
    expect(new Set(clocks.map(({ role }) => role))).toEqual(new Set(['shard', 'proxy']))
  })

  it('tells proxies what the syncer has received', async () => {
    startAgent()
    await allRunning()
    const told = await until(() => {
      const all = logLines().filter(({ type }) => type === 'pulled')
      return all.find(({ peers }) => Array.isArray(peers) && peers.length > 0) ?? null
    })
    expect(told).toMatchObject({ role: 'proxy', peers: [{ clusterId: 2, bytes: 3, rawBytes: 4 }] })
    expect(logLines().filter(({ type, role }) => type === 'pulled' && role !== 'proxy')).toEqual([])
  })

  it('tells each process what it needs to know', async () => {
    startAgent()
    await allRunning()
    const config = (role: string, name: string) =>
      logLines().find(
        (line) => line['type'] === 'config' && line['role'] === role && line['name'] === name,
      )?.['config']
    expect(config('shard', 'db1/1')).toMatchObject({
      role: 'shard',
      index: 1,
      ranges: [{ first: 8192, last: 16_383 }],
      initialised: false,
      directory: join(directory, 'data', 'databases', 'db1', 'shard-1'),
      database: {
        name: 'db1',
        clusterId: 1,
        clusterName: 'here',
        members: [{ clusterId: 1 }, { clusterId: 2 }],
      },
    })
    expect(config('proxy', 'db1/0')).toMatchObject({
      role: 'proxy',
      worker: 0,
      workers: [{ worker: 0 }],
      sharesPort: true,
      tls: { keyPath: join(directory, 'k') },
      clientTls: {
        mode: 'disabled',
        server: { certificatePath: join(directory, 'c'), keyPath: join(directory, 'k') },
        authorityPath: null,
      },
    })
    expect(config('syncer', 'db1')).toMatchObject({ role: 'syncer', shards: [{ index: 0 }, { index: 1 }] })
  })

  it('has as many proxy workers as the cores allow', async () => {
    startAgent({ FAKE_CORES: '5' })
    const { processes } = await allRunning()
    expect(processes.filter(({ role }) => role === 'proxy').map(({ name }) => name)).toEqual([
      'db1/0',
      'db1/1',
      'db1/2',
    ])
    const configs = logLines().filter(({ type, role }) => type === 'config' && role === 'proxy')
    const told = configs.map(({ config }) => config as { worker: number; workers: { socketPath: string }[] })
    expect(told.map(({ worker }) => worker).sort()).toEqual([0, 1, 2])
    for (const { workers } of told) expect(new Set(workers.map(({ socketPath }) => socketPath)).size).toBe(3)
  })

  it('has one proxy worker where ports can not be shared, and says so', async () => {
    writeNode(`${node}[proxy]\nworkers = 4\n`)
    const agent = startAgent({ FAKE_CORES: '8', FAKE_SHARES_PORTS: 'no' })
    let said = ''
    agent.stdout?.on('data', (chunk) => {
      said += chunk
    })
    const { processes } = await allRunning()
    expect(processes.filter(({ role }) => role === 'proxy')).toHaveLength(1)
    expect(said).toContain('processes can not share a port on this system')
  })

  it('starts a killed process again, which is then known to have held data', async () => {
    startAgent()
    const before = await allRunning()
    const startMs = performance.now()
    process.kill(pidOf(before, 'shard/db1/1'), 'SIGKILL')
    const after = await until(async () => {
      const found = await allRunning()
      return pidOf(found, 'shard/db1/1') === pidOf(before, 'shard/db1/1') ? null : found
    })
    // Within a second, says the promise; the rest is the start of Node on a machine that does other things.
    expect(performance.now() - startMs).toBeLessThan(5_000)
    expect(after.processes[1]).toMatchObject({ restarts: 1, lastEnd: 'signal SIGKILL' })
    const configs = logLines().filter(
      ({ type, role, name }) => type === 'config' && role === 'shard' && name === 'db1/1',
    )
    expect(configs.map(({ config }) => (config as { initialised: boolean }).initialised)).toEqual([
      false,
      true,
    ])
  })

  it('is patient with a process that ends again and again, and keeps the others running', async () => {
    startAgent({ FAKE_CRASHES: 'proxy/db1/0' })
    const found = await until(async () => {
      const now = await allRunning('proxy/db1/0')
      return (now.processes[2]?.restarts ?? 0) >= 3 ? now : null
    })
    expect(found.processes[2]).toMatchObject({ lastEnd: 'exit code 7' })
  })

  it('stops everything on SIGTERM, shards last, and leaves no process and no socket', async () => {
    const agent = startAgent()
    await allRunning()
    agent.kill('SIGTERM')
    agent.kill('SIGTERM')
    expect(await exited(agent)).toBe(0)
    expect(pids().read()).toEqual([])
    expect(readdirSync(join(directory, 'data')).filter((name) => /sock|pid/.test(name))).toEqual([])
    const stopped = logLines()
      .filter(({ type }) => type === 'stopped')
      .map(({ role }) => role)
    expect(stopped.slice(2)).toEqual(['shard', 'shard'])
    expect(stopped.slice(0, 2).sort()).toEqual(['proxy', 'syncer'])
  })
})

describe('an agent that was killed', () => {
  it('leaves its processes running for the next one', async () => {
    const first = startAgent()
    const before = await allRunning()
    first.kill('SIGKILL')
    await exited(first)
    expect(pids().read().every(isAlive)).toBe(true)
    const second = startAgent()
    const after = await allRunning()
    expect(after.processes.map(({ pid }) => pid)).toEqual(before.processes.map(({ pid }) => pid))
    expect(after.pid).not.toBe(before.pid)
    // What it took over it also watches, and stops.
    process.kill(pidOf(after, 'syncer/db1'), 'SIGKILL')
    await until(async () =>
      pidOf(await allRunning(), 'syncer/db1') === pidOf(after, 'syncer/db1') ? null : true,
    )
    second.kill('SIGTERM')
    expect(await exited(second)).toBe(0)
    expect(pids().read()).toEqual([])
  })
})

describe('the data of a database that this cluster was removed from', () => {
  const databasePath = () => join(directory, 'data', 'databases', 'db1')

  async function removed(): Promise<ChildProcess> {
    const agent = startAgent()
    const { databases } = await allRunning()
    agent.kill('SIGTERM')
    await exited(agent)
    const store = ConfigStore.open(new NodeDisk(join(directory, 'data', 'config')), silentLogger)
    const members = (databases[0]?.members ?? []).map(({ clusterId, ...member }) => ({
      ...member,
      id: clusterId,
      state: member.name === 'here' ? ('removed' as const) : member.state,
      forced: false,
      instance: 'i',
      stampFloor: 0,
    }))
    await new Promise((done) =>
      store.commit({ kind: 'members', guid: 'g', list: { epoch: 2, members } }, done),
    )
    const next = startAgent()
    await allRunning()
    mkdirSync(join(databasePath(), 'shard-0'))
    return next
  }

  const give = (request: MemberRequest) => ask(join(directory, 'data', 'agent.sock'), request, 20_000)

  it('goes before the database is forgotten, so a purge that was interrupted is given again', async () => {
    const first = await removed()
    const shard = pids()
      .read()
      .find(({ id }) => id === 'shard/db1/0')
    // It will not end when it is asked to.
    process.kill(shard?.pid ?? 0, 'SIGSTOP')
    const purged = give({ type: 'purgeDatabase', database: 'db1' }).catch(String)
    await until(() => logLines().some(({ type, name }) => type === 'stopped' && name === 'db1/1') || null)
    first.kill('SIGKILL')
    expect(await purged).toMatch('Error')
    process.kill(shard?.pid ?? 0, 'SIGCONT')
    startAgent()
    expect((await allRunning()).databases[0]?.members[0]?.state).toBe('removed')
    expect(existsSync(databasePath())).toBe(true)
    expect(await give({ type: 'purgeDatabase', database: 'db1' })).toMatchObject({ type: 'done' })
    expect(existsSync(databasePath())).toBe(false)
    expect((await status())?.databases).toEqual([])
  })

  it('is new when it joins once more, and known to be of the same database', async () => {
    const first = await removed()
    // It would go on until the cluster is a member again.
    expect(await give({ type: 'rejoin', forced: false, database: 'db1' })).toMatchObject({ type: 'progress' })
    await until(async () => ((await status())?.databases[0]?.members[0]?.state === 'joining' ? true : null))
    // Before it knows who the members are there are no shards.
    await allRunning('shard/db1/0', 'shard/db1/1', 'proxy/db1/0')
    expect(readdirSync(databasePath())).toEqual(['guid'])
    first.kill('SIGKILL')
    await exited(first)
    startAgent({}, '--reimport')
    expect((await allRunning()).databases[0]?.members[0]?.state).toBe('joining')
  })
})

describe('a second agent', () => {
  it('is refused while the first lives', async () => {
    startAgent()
    const { pid } = await allRunning()
    const second = startAgent()
    let said = ''
    second.stderr?.on('data', (chunk) => {
      said += chunk
    })
    expect(await exited(second)).toBe(1)
    expect(said).toContain(`is held by process ${pid}`)
  })
})

describe('the file', () => {
  it('is what counts at the first start only', async () => {
    const first = startAgent()
    await allRunning()
    first.kill('SIGTERM')
    await exited(first)
    writeNode(node.replace('port = 12000\nshards', 'port = 12345\nshards'))
    const second = startAgent()
    let said = ''
    second.stdout?.on('data', (chunk) => {
      said += chunk
    })
    expect((await allRunning()).databases[0]?.port).toBe(12_000)
    expect(said).toContain('"setting":"port","inForce":"12000","inFile":"12345"')
    second.kill('SIGTERM')
    await exited(second)
    startAgent({}, '--reimport')
    expect((await allRunning()).databases[0]?.port).toBe(12_345)
  })

  it('can not make the data of one database that of another', async () => {
    const first = startAgent()
    await allRunning()
    first.kill('SIGTERM')
    await exited(first)
    // The store is lost, and with it what the databases were; the data knows whose it is.
    rmSync(join(directory, 'data', 'config'), { recursive: true })
    writeNode(node.replace('guid = "g"', 'guid = "other"'))
    const second = startAgent()
    let said = ''
    second.stderr?.on('data', (chunk) => {
      said += chunk
    })
    expect(await exited(second)).toBe(1)
    expect(said).toContain('holds the data of another database, guid g')
    writeNode(node)
    startAgent()
    expect((await allRunning()).databases[0]?.guid).toBe('g')
  })

  it('is read again on SIGHUP', async () => {
    const agent = startAgent()
    let said = ''
    agent.stdout?.on('data', (chunk) => {
      said += chunk
    })
    await allRunning()
    writeNode(`${node}[sync]\nheartbeat_ms = 77\n[proxy]\nworkers = 3\n`)
    agent.kill('SIGHUP')
    await until(() => {
      const configs = logLines().filter(({ type, role }) => type === 'config' && role === 'syncer')
      const last = configs.at(-1)?.['config'] as { timings: { heartbeatMs: number } } | undefined
      return last?.timings.heartbeatMs === 77 ? true : null
    })
    expect(said).toContain('"setting":"proxy.workers"')
    writeNode(
      node.replace(
        '[agent]',
        'server_certificate = "s"\nserver_key = "sk"\nclient_min_version = "1.3"\n[agent]',
      ),
    )
    agent.kill('SIGHUP')
    await until(() => {
      const configs = logLines().filter(({ type, role }) => type === 'config' && role === 'proxy')
      const { clientTls } = (configs.at(-1)?.['config'] ?? {}) as Partial<ProxyConfig>
      return clientTls?.server?.keyPath === join(directory, 'sk') && clientTls.minVersion === '1.3'
        ? true
        : null
    })
    writeNode('[node')
    agent.kill('SIGHUP')
    await until(() => (said.includes('the file was not read again') ? true : null))
    expect((await allRunning()).processes).toHaveLength(4)
  })

  it('that names a cipher which nobody knows is refused', async () => {
    writeNode(node.replace('[agent]', 'client_ciphers = "NO-SUCH"\n[agent]'))
    const agent = startAgent()
    let said = ''
    agent.stderr?.on('data', (chunk) => {
      said += chunk
    })
    expect(await exited(agent)).toBe(1)
    expect(said).toContain('node.toml: tls.client_ciphers: has no cipher that is known')
  })

  it('that can not be used is refused with every reason', async () => {
    writeNode('[node]\nclutser = "a"\n')
    const agent = startAgent()
    let said = ''
    agent.stderr?.on('data', (chunk) => {
      said += chunk
    })
    expect(await exited(agent)).toBe(1)
    expect(said).toContain('node.toml: node.clutser: unknown setting; did you mean `cluster`?')
    expect(said).toContain('node.toml: node.data_dir: must be given')
  })
})

describe('config/example.toml', () => {
  it('runs a node as it stands', async () => {
    writeNode(readFileSync(join(import.meta.dirname, '..', '..', 'config', 'example.toml'), 'utf8'))
    startAgent()
    expect((await allRunning()).processes.map(({ id }) => id)).toEqual(['shard/db1/0', 'proxy/db1/0'])
  })
})

describe('a long data directory', () => {
  it('has its sockets elsewhere, which are gone at the end', async () => {
    const long = 'd'.repeat(120)
    writeNode(node.replace('data_dir = "data"', `data_dir = "${long}"`))
    const agent = startAgent()
    const config = await until(
      () => logLines().find(({ type, role }) => type === 'config' && role === 'syncer') ?? null,
    )
    const { shards } = config['config'] as { shards: { socketPath: string }[] }
    const socketPath = shards[0]?.socketPath ?? ''
    expect(socketPath.length).toBeLessThan(100)
    expect(socketPath).not.toContain(long)
    agent.kill('SIGTERM')
    expect(await exited(agent)).toBe(0)
    expect(existsSync(join(socketPath, '..'))).toBe(false)
  })
})
