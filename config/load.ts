/**
 * Turns a parsed TOML file into checked settings. Reports everything that is wrong at once, each with its place in the
 * file: whoever mends a file wants to do it once. Reading and parsing the file is the caller's business.
 */
import { nearest } from './nearest.ts'
import {
  clusterIdMax,
  type DatabaseSettings,
  databasePortsExcluded,
  databaseSection,
  databasesMax,
  type MemberSettings,
  memberSection,
  type NodeSettings,
  type Sections,
  schema,
  servesTls,
} from './schema.ts'
import { camelCase, type Section, type SectionSettings, type SectionValues, type Setting } from './setting.ts'

export interface Problem {
  /** Such as `limits.clients_max` or `database[0].member[1].id`, counted from 0; empty for the file as a whole. */
  path: string
  message: string
}

export type Loaded = { settings: NodeSettings; problems: null } | { settings: null; problems: Problem[] }

type Table = Readonly<Record<string, unknown>>

export function load(parsed: unknown): Loaded {
  const problems: Problem[] = []
  if (!isTable(parsed)) return { settings: null, problems: [{ path: '', message: 'is not a table' }] }
  const known = [...Object.keys(schema), 'database']
  for (const key of Object.keys(parsed)) {
    if (!known.includes(key)) problems.push({ path: key, message: unknownKey('table', key, known) })
  }
  const part = <S extends SectionSettings>(name: string, section: Section<S>) =>
    loadSection(parsed[name], name, section, problems)
  const sections: Sections = {
    node: part('node', schema.node),
    clock: part('clock', schema.clock),
    tls: part('tls', schema.tls),
    proxy: part('proxy', schema.proxy),
    limits: part('limits', schema.limits),
    sync: part('sync', schema.sync),
    agent: part('agent', schema.agent),
  }
  const databases = loadTables(parsed['database'], 'database', databasesMax, problems).map((table, i) =>
    loadDatabase(table, `database[${i}]`, problems),
  )
  const settings: NodeSettings = { ...sections, databases }
  // Settings that contradict each other are looked for among values that are right by themselves.
  if (problems.length === 0) problems.push(...contradictions(settings))
  return problems.length === 0 ? { settings, problems: null } : { settings: null, problems }
}

/** One line for each problem, for people. */
export function problemLines(problems: readonly Problem[]): string[] {
  return problems.map(({ path, message }) => (path === '' ? message : `${path}: ${message}`))
}

function isTable(value: unknown): value is Table {
  return (
    typeof value === 'object' &&
    value !== null &&
    !Array.isArray(value) &&
    // A date of TOML arrives as an object too.
    [null, Object.prototype].includes(Object.getPrototypeOf(value))
  )
}

function unknownKey(what: string, key: string, known: readonly string[]): string {
  const meant = nearest(key, known)
  if (meant !== null) return `unknown ${what}; did you mean \`${meant}\`?`
  const elsewhere = Object.entries(schema).find(([, { settings }]) => Object.hasOwn(settings, key))
  if (elsewhere !== undefined) return `unknown ${what} here; it belongs to [${elsewhere[0]}]`
  return `unknown ${what}; known are ${known.join(', ')}`
}

function loadSection<S extends SectionSettings>(
  value: unknown,
  path: string,
  section: Section<S>,
  problems: Problem[],
  /** Tables inside, which the caller loads. */
  inner: readonly string[] = [],
): SectionValues<S> {
  const table = value === undefined ? {} : value
  if (!isTable(table)) {
    problems.push({ path, message: 'must be a table' })
    return {} as SectionValues<S>
  }
  const known = [...Object.keys(section.settings), ...inner]
  for (const key of Object.keys(table)) {
    if (!known.includes(key)) {
      problems.push({ path: `${path}.${key}`, message: unknownKey('setting', key, known) })
    }
  }
  const values: Record<string, unknown> = {}
  for (const [key, setting] of Object.entries(section.settings)) {
    const given = table[key]
    const wrong = given === undefined ? absent(setting) : mistake(given, setting)
    if (wrong !== null) problems.push({ path: `${path}.${key}`, message: wrong })
    values[camelCase(key)] = given === undefined ? setting.fallback : given
  }
  return values as SectionValues<S>
}

const absent = (setting: Setting<unknown>): string | null =>
  setting.fallback === undefined ? 'must be given' : null

/** What is wrong with a given value; null: nothing. */
function mistake(value: unknown, setting: Setting<unknown>): string | null {
  switch (setting.kind) {
    case 'integer':
      return integerMistake(value, setting)
    case 'boolean':
      return typeof value === 'boolean' ? null : `must be true or false, not ${shown(value)}`
    case 'text':
      return textMistake(value, setting)
    case 'texts': {
      if (!Array.isArray(value)) return `must be a list of texts, not ${shown(value)}`
      if (value.length > setting.countMax)
        return `has ${value.length} entries; at most ${setting.countMax} are allowed`
      for (const one of value) {
        const wrong = textMistake(one, setting)
        if (wrong !== null) return wrong
      }
      return null
    }
  }
}

function integerMistake(value: unknown, { min, max, unit, choices }: Setting<unknown>): string | null {
  const words = choices ?? []
  if (typeof value === 'string' && words.includes(value)) return null
  if (typeof value !== 'number' || !Number.isInteger(value))
    return `must be ${['a whole number', ...words.map((word) => `"${word}"`)].join(' or ')}, not ${shown(value)}`
  const suffix =
    unit === 'us' || unit === 'ms' || unit === 'bytes' ? ` ${unit}` : unit === 'percent' ? ' %' : ''
  if (value < min) return `is ${value}; at least ${min}${suffix} is allowed`
  if (value > max) return `is ${value}; at most ${max}${suffix} is allowed`
  return null
}

function textMistake(value: unknown, { choices, pattern, form, min, max }: Setting<unknown>): string | null {
  if (typeof value !== 'string') return `must be a text in quotes, not ${shown(value)}`
  if (choices !== null) {
    if (choices.includes(value)) return null
    const meant = nearest(value, choices)
    return `must be one of ${choices.join(', ')}${meant === null ? '' : `; did you mean \`${meant}\`?`}`
  }
  if (value.length < min) return 'must not be empty'
  if (value.length > max) return `has ${value.length} characters; at most ${max} are allowed`
  // The value is not shown: it may be a password.
  return pattern === null || pattern.test(value) ? null : `must be ${form}`
}

function shown(value: unknown): string {
  if (Array.isArray(value)) return 'a list'
  if (typeof value === 'string') return 'a text in quotes'
  if (typeof value === 'object' && value !== null) return isTable(value) ? 'a table' : 'a date'
  return String(value)
}

function loadTables(value: unknown, path: string, countMax: number, problems: Problem[]): unknown[] {
  if (value === undefined) return []
  if (!Array.isArray(value)) {
    problems.push({ path, message: `must be written with two brackets: [[${path.replace(/\[\d+\]/g, '')}]]` })
    return []
  }
  if (value.length > countMax) {
    problems.push({ path, message: `there are ${value.length}; at most ${countMax} are allowed` })
  }
  return value
}

function loadDatabase(value: unknown, path: string, problems: Problem[]): DatabaseSettings {
  const table = loadSection(value, path, databaseSection, problems, ['member'])
  if (databasePortsExcluded.includes(table.port)) {
    problems.push({
      path: `${path}.port`,
      message: `${table.port} is not allowed: it belongs to other software`,
    })
  }
  const inner = isTable(value) ? value['member'] : undefined
  const members = loadTables(inner, `${path}.member`, clusterIdMax, problems).map(
    (member, i): MemberSettings => loadSection(member, `${path}.member[${i}]`, memberSection, problems),
  )
  return { ...table, members }
}

function contradictions(settings: NodeSettings): Problem[] {
  const { clock, tls, limits, sync, agent } = settings
  const problems: Problem[] = []
  const claim = (holds: boolean, path: string, message: string) => {
    if (!holds) problems.push({ path, message })
  }
  claim(clock.gateMs > clock.degradedMs, 'clock.gate_ms', 'must be more than clock.degraded_ms')
  claim(
    limits.outputBytesMax > limits.outputPauseBytes,
    'limits.output_bytes_max',
    'must be more than limits.output_pause_bytes',
  )
  claim(sync.linkDownMs > sync.heartbeatMs, 'sync.link_down_ms', 'must be more than sync.heartbeat_ms')
  claim(
    sync.reconnectMaxMs >= sync.reconnectMinMs,
    'sync.reconnect_max_ms',
    'must be at least sync.reconnect_min_ms',
  )
  claim(
    agent.restartMaxMs >= agent.restartMinMs,
    'agent.restart_max_ms',
    'must be at least agent.restart_min_ms',
  )
  const identity = [tls.certificate, tls.key, tls.authority]
  const complete = identity.every((file) => file !== null)
  claim(
    complete || identity.every((file) => file === null),
    'tls',
    'certificate, key and authority are needed together',
  )
  claim(
    (tls.serverCertificate === null) === (tls.serverKey === null),
    'tls',
    'server_certificate and server_key are needed together',
  )
  const { databases } = settings
  databases.forEach(({ tlsMode, tlsClientCertificates }, i) => {
    const asksClients = servesTls(tlsMode) && tlsClientCertificates !== 'disabled'
    const needed = `must be given: database[${i}] needs it for its clients`
    claim(!servesTls(tlsMode) || complete || tls.serverCertificate !== null, 'tls.server_certificate', needed)
    claim(!asksClients || tls.clientAuthority !== null, 'tls.client_authority', needed)
  })
  databases.forEach(({ joins, members }, i) => {
    const path = `database[${i}].joins`
    claim(!joins || members.length > 1, path, 'needs a member that is there already, beside this cluster')
  })
  databases.forEach(({ sharding, shards }, i) => {
    claim(sharding || shards === 1, `database[${i}].shards`, 'must be 1 when sharding is off')
  })
  problems.push(
    ...duplicates(databases, (database) => database.name, 'name', 'database'),
    ...duplicates(databases, (database) => database.port, 'port', 'database'),
    ...duplicates(databases, (database) => database.guid, 'guid', 'database'),
  )
  databases.forEach((database, i) => {
    problems.push(...memberContradictions(database, `database[${i}]`, settings.node.cluster, complete))
  })
  return problems
}

function memberContradictions(
  { members, guid }: DatabaseSettings,
  path: string,
  cluster: string,
  hasIdentity: boolean,
): Problem[] {
  if (members.length === 0) return []
  const problems = [
    ...duplicates(members, (member) => member.id, 'id', `${path}.member`),
    ...duplicates(members, (member) => member.name, 'name', `${path}.member`),
    ...duplicates(members, (member) => `${member.host} ${member.port}`, 'port', `${path}.member`),
  ]
  if (!members.some((member) => member.name === cluster)) {
    problems.push({ path: `${path}.member`, message: `none is this cluster, \`${cluster}\` (node.cluster)` })
  }
  if (members.length > 1) {
    if (guid === null)
      problems.push({ path: `${path}.guid`, message: 'must be given when there are other members' })
    if (!hasIdentity) problems.push({ path: 'tls', message: `must be given: ${path} has members elsewhere` })
  }
  return problems
}

function duplicates<T>(
  items: readonly T[],
  identify: (item: T) => string | number | null,
  key: string,
  path: string,
): Problem[] {
  const seenAt = new Map<string | number, number>()
  const problems: Problem[] = []
  items.forEach((item, i) => {
    const value = identify(item)
    if (value === null) return
    const before = seenAt.get(value)
    if (before === undefined) seenAt.set(value, i)
    else problems.push({ path: `${path}[${i}].${key}`, message: `is the same as that of ${path}[${before}]` })
  })
  return problems
}
