/** Every setting of a node's TOML file. `docs/configuration.md` and `config/example.toml` are written from this table. */
import {
  boolean,
  choice,
  integer,
  integerOr,
  optionalText,
  type Section,
  type SectionSettings,
  type SectionValues,
  text,
  texts,
} from './setting.ts'

const kibibyte = 1024
const mebibyte = 1024 * kibibyte
const gibibyte = 1024 * mebibyte
const second = 1000
const minute = 60 * second
const hour = 60 * minute

const name = /^[a-z0-9]([a-z0-9._-]*[a-z0-9])?$/
const nameForm = 'lower-case letters, digits, dots, dashes and underscores'
const serverAddress = /^[^\s:[\]]+(:\d{1,5})?$|^\[[0-9a-fA-F:.]+\](:\d{1,5})?$/
const hostForm = 'a host name or an address'
const host = /^[^\s/]+$/

/** Ports of database endpoints. 10050 belongs to the Zabbix agent. */
export const databasePortMin = 10_000
export const databasePortMax = 19_999
export const databasePortsExcluded: readonly number[] = [10_050]
/** Members of one database: the stamp has three bits for the cluster. */
export const clusterIdMax = 8
export const databasesMax = 128
/** Proxy processes of a database. */
const workersMax = 64

const section = <S extends SectionSettings>(doc: string, settings: S): Section<S> => ({ doc, settings })

export const schema = {
  node: section('What this node is and where it keeps things.', {
    cluster: text({
      lengthMax: 63,
      pattern: name,
      form: nameForm,
      example: '"cluster-1"',
      doc: "Name of the cluster that this node belongs to: its own entry among a database's members, and the common name of its certificate.",
    }),
    data_dir: text({
      lengthMax: 1024,
      example: '"data"',
      doc: 'Directory of everything that this node keeps. A relative path starts at the directory of this file, here and in `[tls]`.',
    }),
    log_level: choice(['debug', 'info', 'warn', 'error'], 'info', {
      doc: 'Log lines below this level are not written.',
    }),
  }),

  clock: section('Against what the clock is checked, and when a wrong one stops writes.', {
    servers: texts(16, {
      reloadable: true,
      pattern: serverAddress,
      form: 'HOST or HOST:PORT',
      doc: 'SNTP servers. With none, the clock is only compared with those of the peers.',
    }),
    poll_ms: integer('ms', 100, hour, 16 * second, {
      reloadable: true,
      doc: 'Time between two questions to a server.',
    }),
    timeout_ms: integer('ms', 50, minute, second, {
      reloadable: true,
      doc: 'How long an answer of a server is waited for.',
    }),
    degraded_ms: integer('ms', 1, hour, 100, {
      reloadable: true,
      doc: 'Off by more than this the clock counts as degraded, which is told in `INFO clock` and in the log.',
    }),
    gate_ms: integer('ms', 2, hour, second, {
      reloadable: true,
      doc: 'Off by more than this writes are refused with `CLOCKSKEW`. More than `degraded_ms`.',
    }),
    hysteresis_percent: integer('percent', 0, 90, 20, {
      reloadable: true,
      doc: 'How far below a threshold the offset must fall before the state changes back.',
    }),
  }),

  tls: section(
    'Identity of this cluster. Needed by each database that has members elsewhere. Files are PEM and are read again at each connection.',
    {
      certificate: optionalText({
        lengthMax: 1024,
        example: '"tls/cluster.crt"',
        doc: "Certificate; its common name is this cluster's name.",
      }),
      key: optionalText({
        lengthMax: 1024,
        example: '"tls/cluster.key"',
        doc: 'Private key of the certificate.',
      }),
      authority: optionalText({
        lengthMax: 1024,
        example: '"tls/authority.crt"',
        doc: 'Certificates of the authorities that the clusters of the members have theirs from.',
      }),
    },
  ),

  proxy: section('The processes that clients and peers connect to.', {
    bind: text({
      fallback: '127.0.0.1',
      pattern: host,
      form: hostForm,
      doc: 'Address that the database ports listen on. `0.0.0.0` is every IPv4 address of this machine: then set a password.',
    }),
    workers: integerOr('auto', 'count', 1, workersMax, {
      doc: 'Proxy processes for each database, sharing its port. `auto`: the cores that the shards of all databases leave, divided by the databases; at least one, at most two for each shard. Where processes can not share a port (macOS, Windows) there is always one.',
    }),
  }),

  limits: section('How much of what is allowed, and what happens beyond.', {
    clients_max: integer('count', 1, 1_000_000, 10_000, {
      reloadable: true,
      doc: 'Clients of a database at one node, all its proxy processes together. One more gets an error and is disconnected. Connections that come to several processes at the same instant may exceed it.',
    }),
    request_bytes_max: integer(
      'bytes',
      64 * kibibyte,
      gibibyte - 64 * kibibyte,
      512 * mebibyte + 64 * kibibyte,
      {
        reloadable: true,
        doc: 'One request, all arguments together. A client that sends more gets an error and is disconnected.',
      },
    ),
    pipeline_max: integer('count', 1, 1_000_000, 10_000, {
      reloadable: true,
      doc: 'Requests of one client that are not answered yet. Beyond, nothing is read from it until replies have left.',
    }),
    output_pause_bytes: integer('bytes', 4 * kibibyte, gibibyte, mebibyte, {
      reloadable: true,
      doc: 'Replies that a client does not read. Beyond, nothing is read from it until it reads.',
    }),
    output_bytes_max: integer('bytes', 64 * kibibyte, 8 * gibibyte, gibibyte, {
      reloadable: true,
      doc: 'Replies that a client does not read. Beyond, it is disconnected. More than `output_pause_bytes`.',
    }),
    shard_pending_max: integer('count', 100, 10_000_000, 100_000, {
      reloadable: true,
      doc: 'Requests of one proxy process that one shard has not answered yet. Beyond, clients are not read from.',
    }),
    transaction_commands_max: integer('count', 1, 10_000_000, 100_000, {
      reloadable: true,
      doc: 'Commands queued in one MULTI. One more is refused, and so is the EXEC.',
    }),
    watched_keys_max: integer('count', 1, 100_000_000, 1_000_000, {
      reloadable: true,
      doc: 'Keys that all clients of one shard watch. One more WATCH is refused.',
    }),
    blocked_clients_max: integer('count', 1, 10_000_000, 100_000, {
      reloadable: true,
      doc: 'Clients that wait at one shard in a blocking command such as BLPOP. One more is refused.',
    }),
    backlog_bytes_max: integer('bytes', 64 * kibibyte, 64 * gibibyte, 64 * mebibyte, {
      reloadable: true,
      doc: 'Latest part of the log that a shard keeps in memory for its peers. A peer that missed more gets the state of the slots instead. A database with one member keeps 1 MiB at most.',
    }),
    link_inflight_bytes_max: integer('bytes', 64 * kibibyte, gibibyte, 8 * mebibyte, {
      reloadable: true,
      doc: 'Sent to a shard of a peer and not acknowledged yet. Beyond, sending waits.',
    }),
    snapshot_log_bytes_min: integer('bytes', 64 * kibibyte, 64 * gibibyte, 64 * mebibyte, {
      reloadable: true,
      doc: 'Log that a shard has written since its last snapshot. Below, it takes no new one unasked; what a snapshot holds is removed from the log.',
    }),
    snapshot_log_percent: integer('percent', 0, 10_000, 100, {
      reloadable: true,
      doc: 'The same as a part of the size of the last snapshot: at 100 a new one is taken when the log is as large. With 0 none is taken unasked.',
    }),
    hold_queue_bytes_max: integer('bytes', 64 * kibibyte, 16 * gibibyte, 64 * mebibyte, {
      reloadable: true,
      doc: 'Operations of peers that wait in one shard for an operation they depend on. Beyond, they are dropped and the state of their slots is fetched.',
    }),
  }),

  sync: section('Timings of the exchange with the peers.', {
    heartbeat_ms: integer('ms', 10, second, 250, {
      reloadable: true,
      doc: 'Time between two heartbeats.',
    }),
    link_down_ms: integer('ms', 100, 10 * minute, 2 * second, {
      reloadable: true,
      doc: 'Without a sign of life for so long a link counts as down: it is dialled again, and other members relay. More than `heartbeat_ms`.',
    }),
    hold_ms: integer('ms', 10, minute, 200, {
      reloadable: true,
      doc: 'An operation that waits for another for so long makes the shard ask for the missing one.',
    }),
    future_hold_ms: integer('ms', second, 24 * hour, minute, {
      reloadable: true,
      doc: 'Operations of a peer that are further in the future than this wait until it is less.',
    }),
    reconnect_min_ms: integer('ms', 1, minute, 50, {
      reloadable: true,
      doc: 'Pause before the second attempt to reach a peer; doubles with each.',
    }),
    reconnect_max_ms: integer('ms', 10, 10 * minute, second, {
      reloadable: true,
      doc: 'Longest pause between two attempts. At least `reconnect_min_ms`.',
    }),
  }),

  agent: section("How the agent treats this node's processes.", {
    restart_min_ms: integer('ms', 1, minute, 250, {
      reloadable: true,
      doc: 'A process that ends is started again at once; when it ends again soon, after this pause, which doubles each time.',
    }),
    restart_max_ms: integer('ms', 10, hour, 10 * second, {
      reloadable: true,
      doc: 'Longest pause between two starts. At least `restart_min_ms`.',
    }),
    stable_ms: integer('ms', 100, hour, 2 * second, {
      reloadable: true,
      doc: 'A process that has served for so long counts as sound: when it ends it is started again at once.',
    }),
    silent_ms: integer('ms', second, hour, minute, {
      reloadable: true,
      doc: 'A process that does not report for so long is killed, and so started again.',
    }),
    drain_ms: integer('ms', 100, 10 * minute, 5 * second, {
      reloadable: true,
      doc: 'How long processes may take to stop in order. Beyond, they are killed.',
    }),
    log_bytes_max: integer('bytes', 64 * kibibyte, 16 * gibibyte, 64 * mebibyte, {
      reloadable: true,
      doc: 'Log file of one process. A greater one is renamed to `.1`, replacing the last, when the process starts.',
    }),
  }),
} as const satisfies Record<string, Section>

/** `[[database]]`: read at the first start of the node only; from then on the config store holds the databases. */
export const databaseSection = section(
  'A database. These tables are imported at the first start of the node; from then on the config store holds the databases, and a difference is told in the log.',
  {
    name: text({
      lengthMax: 63,
      pattern: name,
      form: nameForm,
      example: '"db1"',
      doc: 'Unique on this node.',
    }),
    port: integer('port', databasePortMin, databasePortMax, undefined, {
      example: '12000',
      doc: 'Of clients and of peers. 10050 is not allowed.',
    }),
    shards: integer('count', 1, 256, 1, {
      doc: 'Processes that share the hash slots. Members may differ in it.',
    }),
    sharding: boolean(true, {
      doc: 'Whether the keys of one command, and of one transaction, must lie in one hash slot, as in a Redis cluster. With `false` there is one shard and no such limit, and a transaction over several slots is one step at every member. The same at every member.',
    }),
    persistence: choice(['none', 'everysec', 'always'], 'everysec', {
      doc: '`none`: nothing is kept over a restart. `everysec`: a crash of a process loses nothing, one of the machine at most a second. `always`: a write is on the disk before it is answered.',
    }),
    password: optionalText({
      lengthMax: 512,
      pattern: /^[\x21-\x7e]+$/,
      form: 'printable ASCII without spaces',
      example: '"a-long-secret"',
      doc: 'Of the default user. Without it nobody is asked for one.',
    }),
    guid: optionalText({
      lengthMax: 63,
      pattern: /^[A-Za-z0-9-]+$/,
      form: 'letters, digits and dashes',
      example: '"3b8f1d5e-6a0c-4f2b-9d57-0e4c8a7b2f11"',
      doc: 'The same at every member: databases of different guids never exchange data. Must be given when there are members elsewhere; made up otherwise.',
    }),
    memory_size: integer('bytes', 0, 1024 ** 5, 0, {
      doc: 'Of keys and values in this cluster, shared evenly by its shards. From 80 % on keys are evicted, as `eviction_policy` says; from 95 % on commands that need memory are refused with `OOM`; at 100 % operations of peers wait. 0: no limit.',
    }),
    eviction_policy: choice(
      [
        'noeviction',
        'allkeys-lru',
        'allkeys-lfu',
        'allkeys-random',
        'volatile-lru',
        'volatile-lfu',
        'volatile-random',
        'volatile-ttl',
      ],
      'noeviction',
      {
        doc: 'Which keys go when `memory_size` is short: of all, or of those with a TTL (`volatile`), the least recently used (`lru`), the least frequently used (`lfu`), any, or the next to expire. An evicted key is deleted at every member.',
      },
    ),
    eviction_samples: integer('count', 1, 64, 5, {
      doc: 'Keys that are looked at for each one that is evicted: more find a better one and take longer.',
    }),
    crdt_xadd_id_uniqueness_mode: choice(['strict', 'semi-strict', 'liberal'], 'strict', {
      doc: 'Which ids XADD takes and gives. `strict`: `*` or milliseconds only, with sequence numbers that no other member gives. `semi-strict`: whole ids are taken, too, and two members may be given the same one. `liberal`: exactly those of Redis, so that members may make the same one at the same time.',
    }),
    causal_consistency: boolean(false, {
      doc: 'Whether operations that a peer lacks are relayed to it unasked. Delivery is causal within a hash slot in both cases.',
    }),
  },
)

/** `[[database.member]]` */
export const memberSection = section(
  'A cluster that holds the database; this cluster is one of them. Without any the database lives here alone.',
  {
    id: integer('count', 1, clusterIdMax, undefined, {
      example: '1',
      doc: 'The same at every member, unique. Of two writes at the same instant, that of the smaller id wins.',
    }),
    name: text({
      lengthMax: 63,
      pattern: name,
      form: nameForm,
      example: '"cluster-1"',
      doc: "The cluster's name and the common name of its certificate.",
    }),
    host: text({
      pattern: host,
      form: hostForm,
      example: '"127.0.0.1"',
      doc: "Where the member's proxies are.",
    }),
    port: integer('port', 1, 65_535, undefined, { example: '12000', doc: "The database's port there." }),
  },
)

export type MemberSettings = SectionValues<typeof memberSection.settings>
export type DatabaseSettings = SectionValues<typeof databaseSection.settings> & { members: MemberSettings[] }

export type Sections = { [Name in keyof typeof schema]: SectionValues<(typeof schema)[Name]['settings']> }
/** A node's file, checked and complete. */
export type NodeSettings = Sections & { databases: DatabaseSettings[] }
