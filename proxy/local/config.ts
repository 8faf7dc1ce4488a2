/**
 * CONFIG: what Redis's settings mean here, and this product's own limits under their names in the configuration file (with
 * dashes). What is set counts at all workers of the node, as long as one of them lives and until the file says something
 * else than it said then; lasting changes are made there. What is about memory and streams is the shards', who know it as
 * long as they run.
 */
import type { ClientLimits } from '#config/process.ts'
import { globMatches } from '#protocol/commands/globPattern.ts'
import { type EvictionPolicy, evictionPolicies, evictionSamplesMax } from '#protocol/frames/memory.ts'
import { type StreamIdMode, streamIdModes } from '#protocol/frames/streams.ts'
import { errors, ReplyError } from '#protocol/resp/errors.ts'
import type { ReplyWriter } from '#protocol/resp/replyWriter.ts'
import type { RequestScanner } from '#protocol/resp/requestScanner.ts'
import type { SessionHost } from '#proxy/session/host.ts'
import type { Settings } from '#proxy/settings.ts'
import { isJsonObject } from '#runtime/jsonObject.ts'
import type { LocalCommand } from './call.ts'
import { infoOf } from './shardInfos.ts'
import { type ShardSettings, shardSettings } from './shardSettings.ts'

/** Of the proxies. */
interface Setting {
  get(host: SessionHost): string
  /** Absent: fixed while the process runs. */
  change?: SettingChange
}

interface SettingChange {
  name: keyof Settings
  /** Null: the value can be taken; else what is wrong with it. */
  check(text: string): string | null
  /** Of a text that `check` has found right. */
  parse(text: string): number
}

/** Of the shards, which all proxies of the database ask and tell. */
interface ShardSetting {
  read(settings: ShardSettings): string
  check(text: string): string | null
  parse(text: string): Partial<ShardSettings>
}

const kibibyte = 1024
const integerMax = 2 ** 31 - 1

const fixed = (value: string): Setting => ({ get: () => value })

const memoryUnits: Readonly<Record<string, number>> = {
  '': 1,
  b: 1,
  k: 1000,
  kb: kibibyte,
  m: 1000 ** 2,
  mb: kibibyte ** 2,
  g: 1000 ** 3,
  gb: kibibyte ** 3,
}

function parseMemory(text: string): number | null {
  const [, digits = '', unit = ''] = /^([0-9]{1,15})([a-z]{0,2})$/.exec(text.toLowerCase()) ?? []
  const scale = memoryUnits[unit]
  return digits === '' || scale === undefined ? null : Number(digits) * scale
}

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

const gibibyte = kibibyte ** 3
const requestBytes = bytes('requestBytesMax', 64 * kibibyte, gibibyte - 64 * kibibyte)

const settings: Readonly<Record<string, Setting>> = {
  appendfsync: { get: ({ config }) => (config.database.persistence === 'always' ? 'always' : 'everysec') },
  appendonly: { get: ({ config }) => (config.database.persistence === 'none' ? 'no' : 'yes') },
  bind: { get: ({ config }) => config.database.bind },
  'client-query-buffer-limit': requestBytes,
  'cluster-enabled': fixed('no'),
  databases: fixed('1'),
  'lfu-decay-time': fixed('1'),
  'lfu-log-factor': fixed('10'),
  maxclients: count('clientsMax', 1, 1_000_000),
  'notify-keyspace-events': fixed(''),
  'output-bytes-max': bytes('outputBytesMax', 64 * kibibyte, 8 * gibibyte),
  'output-pause-bytes': bytes('outputPauseBytes', 4 * kibibyte, gibibyte),
  'pipeline-max': count('pipelineMax', 1, 1_000_000),
  port: { get: ({ config }) => String(config.database.port) },
  'proto-max-bulk-len': { get: ({ requestLimits }) => String(requestLimits.authenticated.bulkBytesMax) },
  'request-bytes-max': requestBytes,
  save: fixed(''),
  'shard-pending-max': count('shardPendingMax', 100, 10_000_000),
  'tcp-keepalive': fixed('300'),
  timeout: {
    get: ({ idleMs }) => String(Math.round(idleMs / 1000)),
    change: {
      name: 'idleMs',
      check: (text) => checkInteger(text, 0, integerMax),
      parse: (text) => Number(text) * 1000,
    },
  },
  'transaction-commands-max': count('transactionCommandsMax', 1, 10_000_000),
}

const oneOf = (names: readonly string[], text: string): string | null =>
  names.includes(text.toLowerCase()) ? null : `argument(s) must be one of the following: ${names.join(', ')}`

const shardSettingsByName: Readonly<Record<string, ShardSetting>> = {
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
}

/** A request that names so many patterns or settings. */
const namesMax = 1024

type Pair = readonly [name: string, value: string]

function chosenPairs<T>(
  patterns: readonly string[],
  from: Readonly<Record<string, T>>,
  read: (setting: T) => string,
): Pair[] {
  return Object.entries(from)
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
  if (chosen(host.config.database).length === 0) {
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
function chosenTexts(args: RequestScanner): Map<string, string> {
  if (args.argumentCount > namesMax) throw new ReplyError(errors.syntax)
  if (args.argumentCount % 2 !== 0) throw new ReplyError(errors.syntax)
  const chosen = new Map<string, string>()
  for (let i = 2; i < args.argumentCount; i += 2) {
    const given = args.text(i)
    const name = given.toLowerCase()
    if (shardSettingsByName[name] === undefined) {
      const setting = settings[name]
      if (setting === undefined)
        throw new ReplyError(`ERR Unknown option or number of arguments for CONFIG SET - '${given}'`)
      if (setting.change === undefined) throw failure(name, "can't set immutable config")
    }
    if (chosen.has(name)) throw failure(name, 'duplicate parameter')
    chosen.set(name, args.text(i + 1))
  }
  for (const [name, text] of chosen) {
    const wrong = (shardSettingsByName[name] ?? settings[name]?.change)?.check(text) ?? null
    if (wrong !== null) throw failure(name, wrong)
  }
  return chosen
}

/** All are set or none. Answered when they count at every shard; those of the workers alone when they count at each that answers. */
const SET: LocalCommand = ({ args, host }) => {
  const chosen = chosenTexts(args)
  const values: Partial<Settings> = {}
  const ofShards: Partial<ShardSettings> = {}
  for (const [name, text] of chosen) {
    Object.assign(ofShards, shardSettingsByName[name]?.parse(text))
    const change = settings[name]?.change
    if (change !== undefined) values[change.name] = change.parse(text)
  }
  host.logger.info({ settings: [...chosen.keys()] }, 'settings are changed by CONFIG SET')
  if (Object.keys(ofShards).length === 0) {
    host.changeSettings(values)
    return { askWorkers: host.siblings.news(), answer: (_, reply) => reply.ok() }
  }
  const { streamIdMode, ...memory } = ofShards
  return {
    askShards: { what: 'configure', memory, ...(streamIdMode === undefined ? {} : { streamIdMode }) },
    answer: ({ shards }, reply) => {
      const silent = shards.find(({ value }) => !isTaken(value))
      if (silent !== undefined) {
        reply.error(`UNAVAILABLE shard ${silent.shard} did not take the settings; try again`)
        return
      }
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
