/** The files of the container demo agree with each other and with the project. No container is started. */
import { accessSync, constants, existsSync, readdirSync, readFileSync } from 'node:fs'
import { join, posix } from 'node:path'
import { describe, expect, it } from 'vitest'
import { readNodeFile } from '#control/agent/nodeFile.ts'
import { nodeFaults } from '#control/cli/nodeHealth.ts'
import type { NodeStatus, ProcessStatus } from '#control/contract/status.ts'

const root = join(import.meta.dirname, '..', '..')
const folder = join(root, 'compose')
const read = (path: string): string => readFileSync(join(root, path), 'utf8')

const dockerfile = read('Dockerfile')
const two = read('compose/docker-compose.yml')
const three = read('compose/three-clusters.yml')

/** The lines of one service, as they stand. Enough YAML for files of our own. */
function serviceText(file: string, service: string): string {
  const text = file.slice(file.indexOf('\nservices:'))
  const start = text.indexOf(`\n  ${service}:\n`)
  expect(start).toBeGreaterThan(-1)
  const rest = text.slice(start + 1)
  const end = rest.slice(1).search(/^( {2})?\S/m)
  return end < 0 ? rest : rest.slice(0, end + 1)
}

const listOf = (text: string, key: string): string[] =>
  (new RegExp(`^    ${key}: \\[(.*)\\]$`, 'm').exec(text)?.[1] ?? '').split(', ')

const entriesOf = (text: string, key: string): string[] =>
  (new RegExp(`^    ${key}:\\n((?: {6}- .*\\n)+)`, 'm').exec(text)?.[1] ?? '')
    .split('\n')
    .filter(Boolean)
    .map((line) => line.slice('      - '.length))

/** In effect with both files when there is `over`. */
function clusterOf(number: number, over: string | null) {
  const service = `cluster-${number}`
  const base = number < 3 ? serviceText(two, service) : ''
  const top = over === null ? '' : serviceText(over, service)
  const networks = listOf(top === '' ? base : top, 'networks')
  const mounts = [base, top]
    .flatMap((text) => entriesOf(text, 'volumes'))
    .map((entry) => entry.split(':') as [source: string, target: string])
  return {
    containerName: /container_name: (\S+)/.exec(base + top)?.[1],
    ports: [base, top].flatMap((text) => entriesOf(text, 'ports')),
    networks,
    /** Later files replace what is mounted in the same place. */
    mounts: new Map(mounts.map(([source, target]) => [target, source])),
  }
}

const demos = [
  { name: 'two', numbers: [1, 2], over: null, certificates: two },
  { name: 'three', numbers: [1, 2, 3], over: three, certificates: three },
] as const

describe.each(demos)('$name clusters', ({ name, numbers, over, certificates }) => {
  const clusters = numbers.map((number) => ({
    number,
    facts: clusterOf(number, over),
    file: readNodeFile(join(folder, name, `cluster-${number}.toml`)),
  }))
  const databases = clusters.map(({ file }) => file.settings.databases[0])

  it('have no other node files', () => {
    expect(readdirSync(join(folder, name)).sort()).toEqual(numbers.map((number) => `cluster-${number}.toml`))
  })

  it.each(clusters)('cluster $number finds its files where they are mounted', ({ number, facts, file }) => {
    expect(file.settings.node.cluster).toBe(`cluster-${number}`)
    expect(facts.mounts.get('/etc/antipode/node.toml')).toBe(`./${name}/cluster-${number}.toml`)
    expect(facts.mounts.get(file.dataDirectory)).toBe(`data-${number}`)
    const { certificate, key, authority } = file.settings.tls
    const directory = posix.dirname(authority ?? '')
    expect(facts.mounts.get(directory)).toBe('certificates')
    expect(certificate).toBe(posix.join(directory, `cluster-${number}.crt`))
    expect(key).toBe(posix.join(directory, `cluster-${number}.key`))
    expect(authority).toBe(posix.join(directory, 'authority.crt'))
  })

  it.each(clusters)('cluster $number publishes the port that it listens on', ({ facts, file }) => {
    const ports = file.settings.databases.map(({ port }) => `127.0.0.1:${port}:${port}`)
    expect(facts.ports).toEqual(ports)
    expect(file.settings.proxy.bind).toBe('0.0.0.0')
  })

  it('are the members of one database, which they name alike', () => {
    const members = clusters.map(({ number, facts, file }) => ({
      id: number,
      name: file.settings.node.cluster,
      host: facts.containerName,
      port: file.settings.databases[0]?.port,
    }))
    for (const database of databases) {
      expect(database?.members).toEqual(members)
      expect(database?.guid).toBe(databases[0]?.guid)
      expect(database?.name).toBe(databases[0]?.name)
    }
  })

  it('share a network with each other, of that pair alone', () => {
    for (const { number, facts } of clusters) {
      const links = numbers
        .filter((other) => other !== number)
        .map((other) => `link-${Math.min(number, other)}-${Math.max(number, other)}`)
      expect(facts.networks).toEqual([`clients-${number}`, ...links])
      for (const link of links) expect(two + (over ?? '')).toContain(`name: antipode-${link}\n`)
    }
  })

  it('get their certificates', () => {
    const [subcommand, option, directory, ...names] = listOf(
      serviceText(certificates, 'certificates'),
      'command',
    )
    expect([subcommand, option]).toEqual(['certificates', '--dir'])
    expect(names).toEqual(clusters.map(({ file }) => file.settings.node.cluster))
    expect(entriesOf(serviceText(two, 'certificates'), 'volumes')).toEqual([`certificates:${directory}`])
  })
})

describe('the image', () => {
  /** Words of an instruction; that of the health check is indented. */
  const words = (pattern: RegExp): string[] => JSON.parse(pattern.exec(dockerfile)?.[1] ?? '[]')

  it('runs what there is, with the file that is mounted', () => {
    const [entry = ''] = words(/^ENTRYPOINT (.*)$/m)
    const directory = /^WORKDIR (.*)$/m.exec(dockerfile)?.[1] ?? ''
    const program = join(root, posix.relative(directory, entry))
    accessSync(program, constants.X_OK)
    const commandLine = read('control/cli/main.ts') + read('control/cli/nodeCommands.ts')
    const [agent, ...agentArguments] = words(/^CMD (.*)$/m)
    const [asked, health, ...healthArguments] = words(/^ +CMD (.*)$/m)
    expect(asked).toBe(entry)
    expect(agentArguments).toEqual(['--config', '/etc/antipode/node.toml'])
    expect(healthArguments).toEqual(agentArguments)
    for (const subcommand of [agent, health]) expect(commandLine).toContain(`.command('${subcommand}')`)
  })

  it('holds every folder that code is imported from, but tests and benchmarks', () => {
    const { imports } = JSON.parse(read('package.json')) as { imports: Record<string, string> }
    const folders = Object.keys(imports).map((name) => name.slice(1, name.indexOf('/')))
    const kept = read('.dockerignore')
      .split('\n')
      .filter((line) => line.startsWith('!'))
      .map((line) => line.slice(1))
    const neededFolders = folders.filter((name) => name !== 'test' && name !== 'bench')
    expect(kept).toEqual(expect.arrayContaining(neededFolders))
    for (const path of kept) expect(existsSync(join(root, path))).toBe(true)
  })

  it('gives the directories that volumes are mounted over to its user', () => {
    const [, user] = /^USER (.*)$/m.exec(dockerfile) ?? []
    const { dataDirectory, settings } = readNodeFile(join(folder, 'two', 'cluster-1.toml'))
    const directories = [posix.dirname(settings.tls.authority ?? ''), dataDirectory]
    expect(dockerfile).toContain(`chown ${user}:${user} ${directories.join(' ')}\n`)
  })
})

describe('the health of a node', () => {
  const processOf = (facts: Partial<ProcessStatus>): ProcessStatus => ({
    id: 'shard/db1/0',
    role: 'shard',
    name: 'db1/0',
    state: 'running',
    pid: 7,
    restarts: 0,
    stateMs: 1,
    lastEnd: null,
    status: { writesRefused: null },
    ...facts,
  })
  const faults = (...processes: ProcessStatus[]) => nodeFaults({ processes } as unknown as NodeStatus)

  it('is good when all run and take writes, whatever the peers do', () => {
    const members = [{ name: 'cluster-2', caughtUp: false }]
    const shard = processOf({ status: { writesRefused: null, sync: { members } } })
    expect(faults(shard, processOf({ id: 'syncer/db1', role: 'syncer', status: {} }))).toEqual([])
  })

  it('is not when something is missing', () => {
    expect(faults()).toEqual(['there are no processes yet'])
    expect(faults(processOf({ status: {} }))).toEqual(['shard/db1/0 has not told its state'])
    expect(faults(processOf({ status: { writesRefused: 'STALE' } }))).toEqual([
      'shard/db1/0 refuses writes: STALE',
    ])
    expect(
      faults(processOf({ id: 'proxy/db1/0', role: 'proxy', state: 'ended', lastEnd: 'exit code 1' })),
    ).toEqual(['proxy/db1/0 is ended, ended with exit code 1'])
  })
})
