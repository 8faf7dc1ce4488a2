import { parse } from 'toml'
import { describe, expect, it } from 'vitest'
import { load, problemLines } from '#config/load.ts'
import { type NodeSettings, schema } from '#config/schema.ts'

const node = '[node]\ncluster = "here"\ndata_dir = "data"\n'
const tlsKeys = Object.keys(schema.tls.settings).join(', ')
const tls = '[tls]\ncertificate = "c"\nkey = "k"\nauthority = "a"\n'
const database = (more = '') => `[[database]]\nname = "db1"\nport = 12000\n${more}`
const member = (id: number, name: string, port: number) =>
  `[[database.member]]\nid = ${id}\nname = "${name}"\nhost = "h"\nport = ${port}\n`

function problemsOf(toml: string): string[] {
  const { problems } = load(parse(toml))
  return problems === null ? [] : problemLines(problems)
}

function settingsOf(toml: string): NodeSettings {
  const { settings, problems } = load(parse(toml))
  if (settings === null) throw new Error(problemLines(problems).join('\n'))
  return settings
}

describe('a file', () => {
  it('needs two lines only', () => {
    const settings = settingsOf(node)
    expect(settings.node).toEqual({ cluster: 'here', dataDir: 'data', logLevel: 'info' })
    expect(settings.clock).toMatchObject({ servers: [], degradedMs: 100, gateMs: 1000 })
    expect(settings.limits.backlogBytesMax).toBe('auto')
    expect(settings.sync.heartbeatMs).toBe(250)
    expect(settings.tls).toEqual({
      certificate: null,
      key: null,
      authority: null,
      serverCertificate: null,
      serverKey: null,
      clientAuthority: null,
      clientMinVersion: '1.2',
      clientCiphers: null,
      clientCipherSuites: null,
    })
    expect(settings.databases).toEqual([])
  })

  it('holds databases and their members', () => {
    const guid = 'guid = "g-1"\nshards = 4\npersistence = "always"\n'
    const members = member(1, 'here', 12000) + member(2, 'there', 12002)
    const { databases } = settingsOf(node + tls + database(guid + members))
    expect(databases).toEqual([
      {
        name: 'db1',
        port: 12000,
        shards: 4,
        sharding: true,
        persistence: 'always',
        memorySize: 0,
        evictionPolicy: 'noeviction',
        evictionSamples: 5,
        password: null,
        guid: 'g-1',
        crdtXaddIdUniquenessMode: 'strict',
        notifyKeyspaceEvents: '',
        causalConsistency: false,
        syncCompression: 3,
        tlsMode: 'disabled',
        tlsClientCertificates: 'disabled',
        tlsAuthorizedSubjects: [],
        joins: false,
        members: [
          { id: 1, name: 'here', host: 'h', port: 12000 },
          { id: 2, name: 'there', host: 'h', port: 12002 },
        ],
      },
    ])
  })
})

describe('what is wrong with a file', () => {
  it('is told all at once, each with its place', () => {
    expect(
      problemsOf(
        '[node]\ncluster = "Here"\nlog_level = 3\n[limits]\nclients_max = 0\n[[database]]\nname = "x"\nport = 12\n',
      ),
    ).toEqual([
      'node.cluster: must be lower-case letters, digits, dots, dashes and underscores',
      'node.data_dir: must be given',
      'node.log_level: must be a text in quotes, not 3',
      'limits.clients_max: is 0; at least 1 is allowed',
      'database[0].port: is 12; at least 10000 is allowed',
    ])
  })

  it.each([
    ['[nod]\n', 'nod: unknown table; did you mean `node`?'],
    ['[node]\nclutser = "a"\n', 'node.clutser: unknown setting; did you mean `cluster`?'],
    ['[node]\nheartbeat_ms = 1\n', 'node.heartbeat_ms: unknown setting here; it belongs to [sync]'],
    ['[tls]\nzzzzzzzzzz = 1\n', `tls.zzzzzzzzzz: unknown setting; known are ${tlsKeys}`],
    ['[tls]\nconstructor = 1\n', `tls.constructor: unknown setting; known are ${tlsKeys}`],
    ['[tls]\n__proto__ = 1\n', `tls.__proto__: unknown setting; known are ${tlsKeys}`],
    ['[[database]]\nprot = 1\n', 'database[0].prot: unknown setting; did you mean `port`?'],
    [
      '[[database]]\n[[database.member]]\nhots = 1\n',
      'database[0].member[0].hots: unknown setting; did you mean `host`?',
    ],
  ])('%j: an unknown key and the nearest known one', (toml, problem) => {
    expect(problemsOf(toml)).toContain(problem)
  })

  it.each([
    ['[limits]\nclients_max = "many"\n', 'limits.clients_max: must be a whole number, not a text in quotes'],
    ['[proxy]\nworkers = "many"\n', 'proxy.workers: must be a whole number or "auto", not a text in quotes'],
    ['[proxy]\nworkers = 65\n', 'proxy.workers: is 65; at most 64 is allowed'],
    ['[limits]\nclients_max = 1.5\n', 'limits.clients_max: must be a whole number, not 1.5'],
    ['[limits]\nclients_max = 2000000\n', 'limits.clients_max: is 2000000; at most 1000000 is allowed'],
    ['[sync]\nheartbeat_ms = 9\n', 'sync.heartbeat_ms: is 9; at least 10 ms is allowed'],
    ['[clock]\nhysteresis_percent = 91\n', 'clock.hysteresis_percent: is 91; at most 90 % is allowed'],
    ['[clock]\nservers = "a"\n', 'clock.servers: must be a list of texts, not a text in quotes'],
    ['[clock]\nservers = ["a b"]\n', 'clock.servers: must be HOST or HOST:PORT'],
    [`[clock]\nservers = [${'"a",'.repeat(17)}]\n`, 'clock.servers: has 17 entries; at most 16 are allowed'],
    [
      '[[database]]\ntls_authorized_subjects = ["CN=a", "XX=b"]\n',
      'database[0].tls_authorized_subjects: must be such as "CN=app,OU=Payments", of CN, O, OU, L, ST, C and SAN',
    ],
    [
      '[tls]\nclient_cipher_suites = "AES"\n',
      'tls.client_cipher_suites: must be names such as `TLS_AES_128_GCM_SHA256` with colons between them',
    ],
    ['[node]\ncluster = ""\n', 'node.cluster: must not be empty'],
    [`[node]\ncluster = "${'a'.repeat(64)}"\n`, 'node.cluster: has 64 characters; at most 63 are allowed'],
    ['[node]\ncluster = 1979-05-27T07:32:00Z\n', 'node.cluster: must be a text in quotes, not a date'],
    [
      '[node]\nlog_level = "inof"\n',
      'node.log_level: must be one of debug, info, warn, error; did you mean `info`?',
    ],
    ['node = 3\n', 'node: must be a table'],
    ['[database]\nname = "a"\n', 'database: must be written with two brackets: [[database]]'],
    [
      '[[database]]\ncausal_consistency = "no"\n',
      'database[0].causal_consistency: must be true or false, not a text in quotes',
    ],
    ['[[database]]\npassword = "a b"\n', 'database[0].password: must be printable ASCII without spaces'],
    ['[[database]]\nport = 10050\n', 'database[0].port: 10050 is not allowed: it belongs to other software'],
    ['[[database]]\nport = 20000\n', 'database[0].port: is 20000; at most 19999 is allowed'],
    ['[[database]]\n[[database.member]]\nid = 9\n', 'database[0].member[0].id: is 9; at most 8 is allowed'],
    [database(member(1, 'here', 1).repeat(9)), 'database[0].member: there are 9; at most 8 are allowed'],
    [database().repeat(129), 'database: there are 129; at most 128 are allowed'],
  ])('%j: a value of the wrong type, form or size', (toml, problem) => {
    expect(problemsOf(toml)).toContain(problem)
  })

  it('never shows a password', () => {
    expect(problemsOf(`${node}${database('password = "very secret"')}`).join()).not.toContain('secret')
  })

  it('is a value that is no table at all', () => {
    expect(load(3).problems).toEqual([{ path: '', message: 'is not a table' }])
  })
})

describe('settings that contradict each other', () => {
  it.each([
    ['[clock]\ndegraded_ms = 1000\n', 'clock.gate_ms: must be more than clock.degraded_ms'],
    [
      '[limits]\noutput_bytes_max = 1_000_000\n',
      'limits.output_bytes_max: must be more than limits.output_pause_bytes',
    ],
    ['[sync]\nlink_down_ms = 200\n', 'sync.link_down_ms: must be more than sync.heartbeat_ms'],
    ['[sync]\nreconnect_min_ms = 2000\n', 'sync.reconnect_max_ms: must be at least sync.reconnect_min_ms'],
    ['[agent]\nrestart_min_ms = 20000\n', 'agent.restart_max_ms: must be at least agent.restart_min_ms'],
    ['[tls]\nkey = "k"\n', 'tls: certificate, key and authority are needed together'],
    ['[tls]\nserver_key = "k"\n', 'tls: server_certificate and server_key are needed together'],
    [
      database('tls_mode = "enabled"\n'),
      'tls.server_certificate: must be given: database[0] needs it for its clients',
    ],
    [
      `${tls}${database('tls_mode = "allowed"\ntls_client_certificates = "optional"\n')}`,
      'tls.client_authority: must be given: database[0] needs it for its clients',
    ],
    [database().repeat(2), 'database[1].name: is the same as that of database[0]'],
    [database().repeat(2), 'database[1].port: is the same as that of database[0]'],
    [database('guid = "g"\n').repeat(2), 'database[1].guid: is the same as that of database[0]'],
    [database(member(1, 'there', 1)), 'database[0].member: none is this cluster, `here` (node.cluster)'],
    [
      database(member(1, 'here', 1) + member(1, 'there', 2)),
      'database[0].member[1].id: is the same as that of database[0].member[0]',
    ],
    [
      database(member(1, 'here', 1) + member(2, 'here', 2)),
      'database[0].member[1].name: is the same as that of database[0].member[0]',
    ],
    [
      database(member(1, 'here', 1) + member(2, 'there', 1)),
      'database[0].member[1].port: is the same as that of database[0].member[0]',
    ],
    [
      database(member(1, 'here', 1) + member(2, 'there', 2)),
      'database[0].guid: must be given when there are other members',
    ],
    [
      database(member(1, 'here', 1) + member(2, 'there', 2)),
      'tls: must be given: database[0] has members elsewhere',
    ],
    [
      database(`joins = true\n${member(1, 'here', 1)}`),
      'database[0].joins: needs a member that is there already, beside this cluster',
    ],
    [database('shards = 2\nsharding = false\n'), 'database[0].shards: must be 1 when sharding is off'],
  ])('%j', (toml, problem) => {
    expect(problemsOf(node + toml)).toContain(problem)
  })
})
