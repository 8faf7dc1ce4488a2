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
import { subjectRuleForm, subjectRulePattern } from './subjectRule.ts'
import { gibibyte, hour, kibibyte, mebibyte, minute, second } from './units.ts'

const name = /^[a-z0-9]([a-z0-9._-]*[a-z0-9])?$/
const nameForm = 'lower-case letters, digits, dots, dashes and underscores'
const serverAddress = /^[^\s:[\]]+(:\d{1,5})?$|^\[[0-9a-fA-F:.]+\](:\d{1,5})?$/
const hostForm = 'a host name or an address'
const host = /^[^\s/]+$/
const cipherList = /^[A-Za-z0-9!+@=._-]+(:[A-Za-z0-9!+@=._-]+)*$/

/** Ports of database endpoints. 10050 belongs to the Zabbix agent. */
export const databasePortMin = 10_000
export const databasePortMax = 19_999
export const databasePortsExcluded: readonly number[] = [10_050]
/** Members of one database: the stamp has three bits for the cluster. */
export const clusterIdMax = 8
export const databasesMax = 128
export const authorizedSubjectsMax = 64
/** The levels of Redis Enterprise. */
const syncCompressionMax = 6
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
    'Identity of this cluster, which each database needs that has members elsewhere, and what clients are shown that come over TLS (`tls_mode` of the database). Files are PEM; when they are replaced, later connections get the new ones. See [TLS](tls.md).',
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
      server_certificate: optionalText({
        lengthMax: 1024,
        reloadable: true,
        example: '"tls/server.crt"',
        doc: 'Certificate that clients are shown, with those of the authorities between it and a root. Without it they are shown `certificate`.',
      }),
      server_key: optionalText({
        lengthMax: 1024,
        reloadable: true,
        example: '"tls/server.key"',
        doc: 'Private key of `server_certificate`.',
      }),
      client_authority: optionalText({
        lengthMax: 1024,
        reloadable: true,
        example: '"tls/clients.crt"',
        doc: 'Certificates of the authorities that clients have theirs from. Needed where `tls_client_certificates` asks for them. It should not be `authority`: who may issue certificates for clients could issue those of clusters.',
      }),
      client_min_version: choice(['1.2', '1.3'], '1.2', {
        reloadable: true,
        doc: 'Lowest version of TLS for clients. Peers always use 1.3.',
      }),
      client_ciphers: optionalText({
        lengthMax: 2048,
        pattern: cipherList,
        form: "OpenSSL's names with colons between them",
        reloadable: true,
        example: '"ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256"',
        doc: 'Ciphers of TLS 1.2 for clients. Without it those that Node.js allows.',
      }),
      client_cipher_suites: optionalText({
        lengthMax: 2048,
        pattern: /^TLS_[A-Z0-9_]+(:TLS_[A-Z0-9_]+)*$/,
        form: 'names such as `TLS_AES_128_GCM_SHA256` with colons between them',
        reloadable: true,
        example: '"TLS_AES_256_GCM_SHA384:TLS_AES_128_GCM_SHA256"',
        doc: 'Cipher suites of TLS 1.3 for clients. Without it all three.',
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
    pending_connections_max: integer('count', 10, 1_000_000, 10_000, {
      reloadable: true,
      doc: 'Connections to one proxy process that have sent nothing yet, or whose TLS handshake is not over. Beyond, the oldest of them is ended.',
    }),
    handshakes_max: integer('count', 1, 100_000, 1_000, {
      reloadable: true,
      doc: 'TLS handshakes at the same time in one proxy process. Beyond, connections wait for their turn.',
    }),
    handshake_ms: integer('ms', 50, minute, 10 * second, {
      reloadable: true,
      doc: 'How long a TLS handshake may take. Then the connection is ended.',
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
      doc: 'Requests of one client that are not answered yet. Beyond, nothing is read from it until replies have left. A new client may have 8, one that holds a shard for long only one, and more with each reply.',
    }),
    output_pause_bytes: integer('bytes', 4 * kibibyte, gibibyte, mebibyte, {
      reloadable: true,
      doc: 'Replies that a client does not read. Beyond, nothing is read from it until it reads.',
    }),
    output_bytes_max: integer('bytes', 64 * kibibyte, 8 * gibibyte, gibibyte, {
      reloadable: true,
      doc: 'Replies that a client does not read. Beyond, it is disconnected. More than `output_pause_bytes`.',
    }),
    subscriber_output_bytes_max: integer('bytes', 64 * kibibyte, 8 * gibibyte, 32 * mebibyte, {
      reloadable: true,
      doc: 'Messages and replies that a client which has subscribed does not read. Beyond, it is disconnected.',
    }),
    monitor_output_bytes_max: integer('bytes', 64 * kibibyte, 8 * gibibyte, 64 * mebibyte, {
      reloadable: true,
      doc: 'Lines of `MONITOR` that a client does not read. Beyond, it is disconnected. The same for lines that one proxy process has for another: beyond, they are lost, which is told in the log.',
    }),
    slowlog_slower_than_us: integer('us', -1, 2 ** 53 - 1, 10_000, {
      reloadable: true,
      doc: 'Requests that take longer are in `SLOWLOG`. 0: all of them; -1: none. `slowlog-log-slower-than` of Redis.',
    }),
    slowlog_max: integer('count', 0, 100_000, 128, {
      reloadable: true,
      doc: 'Entries of `SLOWLOG` that one proxy process keeps, and that all together show. Beyond, the oldest is forgotten. `slowlog-max-len` of Redis.',
    }),
    latency_threshold_ms: integer('ms', 0, hour, 0, {
      reloadable: true,
      doc: 'What takes so long is a sample of `LATENCY`. 0: none is kept. `latency-monitor-threshold` of Redis.',
    }),
    output_soft_bytes: integer('bytes', 0, 8 * gibibyte, 0, {
      reloadable: true,
      doc: 'Replies that a client does not read for `output_soft_ms`. Beyond, it is disconnected. 0: only `output_bytes_max` counts. Both, and those of subscribers, are `client-output-buffer-limit` of Redis.',
    }),
    output_soft_ms: integer('ms', 0, hour, minute, {
      reloadable: true,
      doc: 'How long a client may have more than `output_soft_bytes` to read. Looked at every second.',
    }),
    subscriber_output_soft_bytes: integer('bytes', 0, 8 * gibibyte, 8 * mebibyte, {
      reloadable: true,
      doc: 'Messages and replies that a client which has subscribed does not read for `subscriber_output_soft_ms`. Beyond, it is disconnected. 0: only `subscriber_output_bytes_max` counts.',
    }),
    subscriber_output_soft_ms: integer('ms', 0, hour, minute, {
      reloadable: true,
      doc: 'How long a client which has subscribed may have more than `subscriber_output_soft_bytes` to read.',
    }),
    clients_bytes_max: integer('bytes', 0, 1024 * gibibyte, 2 * gibibyte, {
      reloadable: true,
      doc: 'What all clients of one proxy process have sent and is not whole or not taken yet, have queued in MULTI and have not read. Beyond, those with most of it are disconnected, but for those that asked for `CLIENT NO-EVICT`. Looked at every second. 0: no limit. `maxmemory-clients` of Redis.',
    }),
    keep_alive_ms: integer('ms', 0, hour, 5 * minute, {
      reloadable: true,
      doc: 'After so long without a word from a client its machine is asked whether it is still there, and a client that is not is disconnected. 0: never. `tcp-keepalive` of Redis.',
    }),
    shard_pending_max: integer('count', 100, 10_000_000, 100_000, {
      reloadable: true,
      doc: 'Requests of one proxy process that one shard has not answered yet. Beyond, clients are not read from.',
    }),
    transaction_commands_max: integer('count', 1, 10_000_000, 100_000, {
      reloadable: true,
      doc: 'Commands queued in one MULTI. One more is refused, and so is the EXEC.',
    }),
    busy_reply_ms: integer('ms', 10, 3_600_000, 5_000, {
      reloadable: true,
      doc: 'How long a script may run before other clients of its shard get `BUSY` instead of waiting. `busy-reply-threshold` and `lua-time-limit` of Redis.',
    }),
    script_memory_bytes_max: integer('bytes', 32 * mebibyte, 2 * gibibyte, 256 * mebibyte, {
      reloadable: true,
      doc: 'Memory of Lua in one shard, with all that the running script holds. A script that needs more ends with an error. It is not part of `memory_size`; a larger limit holds once Lua is started anew.',
    }),
    script_cache_bytes_max: integer('bytes', 64 * kibibyte, gibibyte, 16 * mebibyte, {
      reloadable: true,
      doc: 'Texts of scripts that one shard remembers. Beyond, the oldest are forgotten, and EVALSHA answers NOSCRIPT.',
    }),
    watched_keys_max: integer('count', 1, 100_000_000, 1_000_000, {
      reloadable: true,
      doc: 'Keys that all clients of one shard watch. One more WATCH is refused.',
    }),
    tracking_table_keys_max: integer('count', 0, 100_000_000, 1_000_000, {
      reloadable: true,
      doc: 'Keys that all shards of a database in a cluster together remember for CLIENT TRACKING, and 16 readers to each on the average. Beyond, old ones are forgotten and their readers told that they have changed. 0: no limit. `tracking-table-max-keys` of Redis.',
    }),
    blocked_clients_max: integer('count', 1, 10_000_000, 100_000, {
      reloadable: true,
      doc: 'Clients that wait at one shard in a blocking command such as BLPOP. One more is refused.',
    }),
    key_events_bytes_max: integer('bytes', 64 * kibibyte, 8 * gibibyte, 64 * mebibyte, {
      reloadable: true,
      doc: 'Keyspace notifications that one shard holds until what they tell of is in its log, as those of a long script. Beyond, further ones are dropped, and the log says so.',
    }),
    users_bytes_max: integer('bytes', 4 * kibibyte, 512 * kibibyte, 256 * kibibyte, {
      reloadable: true,
      doc: 'Rules of all users of a database together. A change that would make them more is refused.',
    }),
    functions_bytes_max: integer('bytes', 4 * kibibyte, 2 * mebibyte, mebibyte, {
      reloadable: true,
      doc: 'Libraries of functions of a database together, as JSON. A FUNCTION LOAD or RESTORE that would make them more is refused.',
    }),
    acl_log_max: integer('count', 0, 100_000, 128, {
      reloadable: true,
      doc: 'Entries of `ACL LOG` that one proxy process keeps. Beyond, the oldest is forgotten.',
    }),
    login_delay_max_ms: integer('ms', 0, minute, second, {
      reloadable: true,
      doc: 'Longest pause before a password is looked at when wrong ones for the same user came from the same address before. The first pause, after four wrong passwords, is 50 ms, and each further one twice as long. 0: none.',
    }),
    backlog_bytes_max: integerOr('auto', 'bytes', 64 * kibibyte, 64 * gibibyte, {
      reloadable: true,
      doc: 'Latest part of the log that a shard keeps in memory for its peers. `auto`: a hundredth of what the shard may hold (`memory_size`) or, without a limit, holds, but 64 MiB at least and 250 MiB at most. A peer that missed more gets the state of the slots instead. A database with one member keeps 1 MiB at most.',
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
      doc: 'Without a sign of life for so long a link counts as down and is dialled again. More than `heartbeat_ms`; other members relay after three heartbeats that did not come, or after this if it is less.',
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
      doc: 'A process that does not report for so long is killed, and so started again. A shard reports nothing while it runs one script or one transaction.',
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
    joins: boolean(false, {
      doc: 'Whether this cluster joins a database that other clusters have already. Its members are then this cluster and at least one that is there, with the ids that they have at the others; the rest of them it learns. See [members](members.md).',
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
    notify_keyspace_events: text({
      fallback: '',
      lengthMin: 0,
      lengthMax: 32,
      pattern: /^[Ag$lshzxetdmnKEL]*$/,
      form: 'letters out of A g $ l s h z x e t d m n K E L',
      doc: 'Which changes of keys subscribers in this cluster are told of, in the letters of Redis, and `L`; see [notifications](notifications.md). Empty: none. Members may differ in it.',
    }),
    causal_consistency: boolean(false, {
      doc: 'Whether peers are told of operations of other members that have come here, so that they can ask at once for what has not come to them. Else they ask when another operation needs it, or when a member is silent. Delivery is causal within a hash slot in both cases.',
    }),
    tls_mode: choice(['disabled', 'replica_ssl', 'allowed', 'enabled'], 'disabled', {
      doc: 'Whether clients use TLS. `disabled`: no. `replica_ssl`: the same, as peers always use it. `allowed`: with it or without it, for the time in which clients are changed over. `enabled`: yes, others are refused. See [TLS](tls.md).',
    }),
    tls_client_certificates: choice(['disabled', 'optional', 'required'], 'disabled', {
      doc: 'Whether clients that come over TLS are asked for certificates, which `client_authority` has issued. `optional`: one without is let in, one with a wrong one is not.',
    }),
    tls_authorized_subjects: texts(authorizedSubjectsMax, {
      lengthMax: 1024,
      pattern: subjectRulePattern,
      form: subjectRuleForm,
      doc: 'Whose certificates are let in: one of the rules must hold for the subject, as `CN=app,OU=Payments`. With none all are that `client_authority` has issued.',
    }),
    sync_compression: integer('count', 0, syncCompressionMax, 3, {
      doc: 'How hard what peers get from here is compressed, from 1 (little time) to 6 (few bytes), whenever their link is slower than compressing is; 0: never. Members may differ in it.',
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

/** Whether clients of a database may come over TLS. */
export const servesTls = (mode: DatabaseSettings['tlsMode']): boolean =>
  mode === 'allowed' || mode === 'enabled'
