/**
 * CONFIG: what Redis's settings mean here, and this product's own limits under their names in the configuration file (with
 * dashes). What is set counts at all workers of the node, as long as one of them lives and until the file says something
 * else than it said then; lasting changes are made there. What is about memory, streams, events and tracking is the shards': the
 * workers tell them, and tell one that starts again.
 */

import type { ClientLimits } from '#config/process.ts'
import { gibibyte, kibibyte } from '#config/units.ts'
import { defaultUserName } from '#protocol/acl/user.ts'
import { globMatches } from '#protocol/commands/globPattern.ts'
import { type EvictionPolicy, evictionPolicies, evictionSamplesMax } from '#protocol/frames/memory.ts'
import type { ShardSettings } from '#protocol/frames/shardSettings.ts'
import { type StreamIdMode, streamIdModes } from '#protocol/frames/streams.ts'
import { KeyspaceEventSetting, unknownEventLetter } from '#protocol/pubsub/keyspaceEvents.ts'
import { errors, ReplyError } from '#protocol/resp/errors.ts'
import type { ReplyWriter } from '#protocol/resp/replyWriter.ts'
import type { RequestScanner } from '#protocol/resp/requestScanner.ts'
import type { SessionHost } from '#proxy/session/host.ts'
import type { Settings } from '#proxy/settings.ts'
import { parseInteger64 } from '#runtime/integer64.ts'
import { isJsonObject } from '#runtime/jsonObject.ts'
import type { LocalCommand } from './call.ts'
import { parseMemory } from './memoryValue.ts'
import { checkOutputBufferLimits, outputBufferLimits, parseOutputBufferLimits } from './outputBufferLimit.ts'
import type { Question } from './question.ts'
import { oneOf, type Setting } from './setting.ts'
import { infoOf } from './shardInfos.ts'
import { shardSettings } from './shardSettings.ts'
import { tlsSettings } from './tlsSettings.ts'
import { changingUsers, settingUser } from './userChange.ts'

/** Of the shards, which all proxies of the database ask and tell. */
interface ShardSetting {
  read(settings: ShardSettings): string
  check(text: string): string | null
  parse(text: string): Partial<ShardSettings>
}

const integerMax = 2 ** 31 - 1

const fixed = (value: string): Setting => ({ get: () => value })

const within = (value: number, least: number, most: number): string | null =>
  value >= least && value <= most ? null : `argument must be between ${least} and ${most} inclusive`

function checkInteger(text: string, least: number, most: number): string | null {
  if (!/^-?[0-9]{1,18}$/.test(text)) return "argument couldn't be parsed into an integer"
  return within(Number(text), least, most)
}

function checkMemory(text: string, least: number, most: number): string | null {
  const value = parseMemory(text)
  return value === null ? 'argument must be a memory value' : within(value, least, most)
}

const count = (name: keyof ClientLimits, least: number, most: number): Setting => ({
  get: ({ limits }) => String(limits[name]),
  change: { name, check: (text) => checkInteger(text, least, most), parse: Number },
})

const bytes = (name: keyof ClientLimits, least: number, most: number): Setting => ({
  get: ({ limits }) => String(limits[name]),
  change: {
    name,
    check: (text) => checkMemory(text, least, most),
    parse: (text) => parseMemory(text) ?? least,
  },
})

/** Milliseconds here, seconds in Redis. */
const seconds = (name: 'idleMs' | 'keepAliveMs', most: number): Setting => ({
  get: (host) => String(Math.round((name === 'idleMs' ? host.idleMs : host.limits[name]) / 1000)),
  change: { name, check: (text) => checkInteger(text, 0, most), parse: (text) => Number(text) * 1000 },
})

const requestBytes = bytes('requestBytesMax', 64 * kibibyte, gibibyte - 64 * kibibyte)

const channelDefaults: readonly string[] = ['allchannels', 'resetchannels']
/** The same under an old name. */
const busyReply = count('busyReplyMs', 10, 3_600_000)

/** The memory of a proxy process is not the client's. */
const slowlogLengthMax = 100_000
const integer64Max = 2n ** 63n - 1n

/** Of Redis's 64-bit integers those that a number holds; more is as much. */
const large = (name: keyof ClientLimits, least: number, most = Number.MAX_SAFE_INTEGER): Setting => ({
  get: ({ limits }) => String(limits[name]),
  change: { name, check: (text) => checkLarge(text, least), parse: (text) => Math.min(Number(text), most) },
})

function checkLarge(text: string, least: number): string | null {
  const value = parseInteger64(text)
  if (value === null) return "argument couldn't be parsed into an integer"
  return value >= least ? null : `argument must be between ${least} and ${integer64Max} inclusive`
}

const yesOrNo = (text: string): string | null =>
  /^(yes|no)$/i.test(text) ? null : "argument must be 'yes' or 'no'"

/** Clients name what they like, and every object has a `constructor`. */
const byName = <T>(all: Readonly<Record<string, T>>): ReadonlyMap<string, T> => new Map(Object.entries(all))

/** From where on values of Redis have another encoding: what OBJECT ENCODING goes by. */
const encodings: Readonly<Record<string, Setting>> = {
  'hash-max-listpack-entries': fixed('512'),
  'hash-max-listpack-value': fixed('64'),
  'hash-max-ziplist-entries': fixed('512'),
  'hash-max-ziplist-value': fixed('64'),
  'hll-sparse-max-bytes': fixed('3000'),
  'list-compress-depth': fixed('0'),
  'list-max-listpack-size': fixed('-2'),
  'list-max-ziplist-size': fixed('-2'),
  'set-max-intset-entries': fixed('512'),
  'set-max-listpack-entries': fixed('128'),
  'set-max-listpack-value': fixed('64'),
  'stream-node-max-bytes': fixed('4096'),
  'stream-node-max-entries': fixed('100'),
  'zset-max-listpack-entries': fixed('128'),
  'zset-max-listpack-value': fixed('64'),
  'zset-max-ziplist-entries': fixed('128'),
  'zset-max-ziplist-value': fixed('64'),
}

const settings = byName<Setting>({
  ...encodings,
  aclfile: { get: ({ config }) => config.aclFilePath },
  'acl-pubsub-default': {
    get: ({ users }) => channelDefaults[users.defaults.allChannels ? 0 : 1] as string,
    change: {
      name: 'aclPubsubAll',
      check: (text) => oneOf(channelDefaults, text),
      parse: (text) => (text.toLowerCase() === channelDefaults[0] ? 1 : 0),
    },
  },
  'acllog-max-len': count('aclLogMax', 0, 100_000),
  appendfsync: { get: ({ config }) => (config.database.persistence === 'always' ? 'always' : 'everysec') },
  appendonly: { get: ({ config }) => (config.database.persistence === 'none' ? 'no' : 'yes') },
  bind: { get: ({ config }) => config.database.bind },
  'busy-reply-threshold': busyReply,
  'client-output-buffer-limit': {
    get: ({ limits }) => outputBufferLimits(limits),
    change: { check: checkOutputBufferLimits, parse: parseOutputBufferLimits },
  },
  'client-query-buffer-limit': requestBytes,
  'cluster-enabled': fixed('no'),
  databases: fixed('1'),
  'handshake-ms': count('handshakeMs', 50, 60_000),
  'handshakes-max': count('handshakesMax', 1, 100_000),
  'latency-monitor-threshold': large('latencyThresholdMs', 0),
  'latency-tracking': {
    get: ({ observation }) => (observation.isTracking ? 'yes' : 'no'),
    change: {
      name: 'latencyTracking',
      check: yesOrNo,
      parse: (text) => (text.toLowerCase() === 'yes' ? 1 : 0),
    },
  },
  'latency-tracking-info-percentiles': fixed('50 99 99.9'),
  'io-threads': { get: ({ config }) => String(config.workers.length) },
  'lfu-decay-time': fixed('1'),
  'lfu-log-factor': fixed('10'),
  'lua-time-limit': busyReply,
  maxclients: count('clientsMax', 1, 1_000_000),
  'maxmemory-clients': bytes('clientsBytesMax', 0, 1024 * gibibyte),
  'monitor-output-bytes-max': bytes('monitorOutputBytesMax', 64 * kibibyte, 8 * gibibyte),
  'output-bytes-max': bytes('outputBytesMax', 64 * kibibyte, 8 * gibibyte),
  'output-pause-bytes': bytes('outputPauseBytes', 4 * kibibyte, gibibyte),
  'pending-connections-max': count('pendingConnectionsMax', 10, 1_000_000),
  'pipeline-max': count('pipelineMax', 1, 1_000_000),
  // Replicas of a cluster's shards are none of a client's business.
  'min-replicas-to-write': fixed('0'),
  'min-slaves-to-write': fixed('0'),
  port: { get: ({ config }) => String(config.database.port) },
  'proto-max-bulk-len': { get: ({ requestLimits }) => String(requestLimits.authenticated.bulkBytesMax) },
  'request-bytes-max': requestBytes,
  // Passwords are kept hashed, so there is none to show.
  requirepass: fixed(''),
  save: fixed(''),
  'shard-pending-max': count('shardPendingMax', 100, 10_000_000),
  'slowlog-log-slower-than': large('slowlogSlowerThanUs', -1),
  'slowlog-max-len': large('slowlogMax', 0, slowlogLengthMax),
  'subscriber-output-bytes-max': bytes('subscriberOutputBytesMax', 64 * kibibyte, 8 * gibibyte),
  'tcp-keepalive': seconds('keepAliveMs', 3600),
  timeout: seconds('idleMs', integerMax),
  ...tlsSettings,
  'transaction-commands-max': count('transactionCommandsMax', 1, 10_000_000),
})

const shardSettingsByName = byName<ShardSetting>({
  // Redis Enterprise's name, letter by letter.
  crdt_xadd_id_uniqueness_mode: {
    read: ({ streamIdMode }) => streamIdMode,
    check: (text) => oneOf(streamIdModes, text),
    parse: (text) => ({ streamIdMode: text.toLowerCase() as StreamIdMode }),
  },
  maxmemory: {
    read: ({ memorySizeBytes }) => String(memorySizeBytes),
    check: (text) => checkMemory(text, 0, Number.MAX_SAFE_INTEGER),
    parse: (text) => ({ memorySizeBytes: parseMemory(text) as number }),
  },
  'maxmemory-policy': {
    read: ({ evictionPolicy }) => evictionPolicy,
    check: (text) => oneOf(evictionPolicies, text),
    parse: (text) => ({ evictionPolicy: text.toLowerCase() as EvictionPolicy }),
  },
  'maxmemory-samples': {
    read: ({ evictionSamples }) => String(evictionSamples),
    check: (text) => checkInteger(text, 1, evictionSamplesMax),
    parse: (text) => ({ evictionSamples: Number(text) }),
  },
  'notify-keyspace-events': {
    // A shard that is not there leaves what the file says.
    read: ({ notifyKeyspaceEvents }) => KeyspaceEventSetting.parse(notifyKeyspaceEvents)?.letters ?? '',
    check: (text) => (KeyspaceEventSetting.parse(text) === undefined ? unknownEventLetter : null),
    parse: (text) => ({ notifyKeyspaceEvents: text }),
  },
  'tracking-table-max-keys': {
    read: ({ trackingTableKeysMax }) => String(trackingTableKeysMax),
    check: (text) => checkInteger(text, 0, 100_000_000),
    parse: (text) => ({ trackingTableKeysMax: Number(text) }),
  },
})

const passwordName = 'requirepass'

/** A request that names so many patterns or settings. */
const namesMax = 1024

type Pair = readonly [name: string, value: string]

function chosenPairs<T>(
  patterns: readonly string[],
  from: ReadonlyMap<string, T>,
  read: (setting: T) => string,
): Pair[] {
  return [...from]
    .filter(([name]) => patterns.some((pattern) => globMatches(pattern, name)))
    .map(([name, setting]) => [name, read(setting)])
}

function writePairs(pairs: readonly Pair[], reply: ReplyWriter): void {
  reply.map(pairs.length)
  for (const [name, value] of [...pairs].sort(([a], [b]) => (a < b ? -1 : 1))) {
    reply.bulk(name)
    reply.bulk(value)
  }
}

/** The shards are asked only for what is theirs. */
const GET: LocalCommand = ({ args, reply, host }) => {
  if (args.argumentCount > namesMax) throw new ReplyError(errors.syntax)
  const patterns: string[] = []
  for (let i = 2; i < args.argumentCount; i++) patterns.push(args.text(i).toLowerCase())
  const own = chosenPairs(patterns, settings, (setting) => setting.get(host))
  const chosen = (values: ShardSettings) =>
    chosenPairs(patterns, shardSettingsByName, (setting) => setting.read(values))
  if (chosen(shardSettings(host, [])).length === 0) {
    writePairs(own, reply)
    return null
  }
  return {
    askShards: { what: 'info' },
    answer: ({ shards }, later) =>
      writePairs([...own, ...chosen(shardSettings(host, infoOf(shards).shards))], later),
  }
}

function failure(name: string, why: string): ReplyError {
  return new ReplyError(`ERR CONFIG SET failed (possibly related to argument '${name}') - ${why}`)
}

/** What a CONFIG SET names, by name, all of it found right. */
function chosenTexts(args: RequestScanner, host: SessionHost): Map<string, string> {
  if (args.argumentCount > namesMax) throw new ReplyError(errors.syntax)
  if (args.argumentCount % 2 !== 0) throw new ReplyError(errors.syntax)
  const chosen = new Map<string, string>()
  for (let i = 2; i < args.argumentCount; i += 2) {
    const given = args.text(i)
    const name = given.toLowerCase()
    if (!shardSettingsByName.has(name)) {
      const setting = settings.get(name)
      if (setting === undefined)
        throw new ReplyError(`ERR Unknown option or number of arguments for CONFIG SET - '${given}'`)
      if (setting.change === undefined && name !== passwordName)
        throw failure(name, "can't set immutable config")
    }
    if (chosen.has(name)) throw failure(name, 'duplicate parameter')
    chosen.set(name, args.text(i + 1))
  }
  for (const [name, text] of chosen) {
    const wrong = (shardSettingsByName.get(name) ?? settings.get(name)?.change)?.check(text, host) ?? null
    if (wrong !== null) throw failure(name, wrong)
  }
  return chosen
}

/**
 * All are set or none; shards that took what another did not are told the former. Answered when they count at every shard; those of
 * the workers alone when they count at each that answers.
 */
const SET: LocalCommand = (call) => {
  const chosen = chosenTexts(call.args, call.host)
  const password = chosen.get(passwordName)
  if (password === undefined) return change(call.host, chosen)
  chosen.delete(passwordName)
  // None: nobody needs one.
  const rules = password === '' ? ['nopass'] : ['resetpass', `>${password}`]
  const plan = settingUser(call.host, defaultUserName, rules)
  return changingUsers(call, plan, () => change(call.host, chosen))
}

function change(host: SessionHost, chosen: ReadonlyMap<string, string>): Question {
  const values: Partial<Settings> = {}
  const ofShards: Partial<ShardSettings> = {}
  for (const [name, text] of chosen) {
    Object.assign(ofShards, shardSettingsByName.get(name)?.parse(text))
    const change = settings.get(name)?.change
    if (change === undefined) continue
    if ('name' in change) Object.assign(values, { [change.name]: change.parse(text) })
    else Object.assign(values, change.parse(text))
  }
  host.logger.info({ settings: [...chosen.keys()] }, 'settings are changed by CONFIG SET')
  if (Object.keys(ofShards).length === 0) {
    host.changeSettings(values)
    return { askWorkers: host.siblings.news(), answer: (_, reply) => reply.ok() }
  }
  return {
    askShards: { what: 'configure', settings: ofShards },
    answer: ({ shards }, reply) => {
      const silent = shards.find(({ value }) => !isTaken(value))
      if (silent !== undefined) {
        host.shardSettings.restore(ofShards)
        reply.error(`UNAVAILABLE shard ${silent.shard} did not take the settings; try again`)
        return
      }
      host.shardSettings.change(ofShards)
      host.changeSettings(values)
      host.siblings.ask(host.siblings.news(), () => {})
      reply.ok()
    },
  }
}

/** Not a refusal, nor no answer at all. */
const isTaken = (answer: unknown): boolean => isJsonObject(answer) && !('error' in answer)

const RESETSTAT: LocalCommand = ({ host }) => {
  host.counters.reset()
  return {
    askShards: { what: 'resetStats' },
    askWorkers: { what: 'resetStats' },
    answer: (_, reply) => reply.ok(),
  }
}

export const configCommands = { 'CONFIG|GET': GET, 'CONFIG|RESETSTAT': RESETSTAT, 'CONFIG|SET': SET }
