/** Error replies, with the words of Redis 7.2: clients match on them. Each text starts with its code. */
import { cString } from './cString.ts'

/** What a handler throws before it has written an effect; becomes the command's reply. */
export class ReplyError extends Error {
  /** With its code, without the leading `-`. */
  readonly text: string

  constructor(text: string) {
    super(text)
    this.name = 'ReplyError'
    this.text = text
  }
}

/** How much of a client's bytes an error text repeats. */
export const quotedBytesMax = 128

const reasons = {
  command: 'no permission to execute the command or subcommand',
  key: 'no permission to touch the specified keys',
  channel: 'no permission to access one of the channels used as arguments to the command',
} as const

export const errors = {
  syntax: 'ERR syntax error',
  wrongType: 'WRONGTYPE Operation against a key holding the wrong kind of value',
  notHyperLogLog: 'WRONGTYPE Key is not a valid HyperLogLog string value.',
  corruptHyperLogLog: 'INVALIDOBJ Corrupted HLL object detected',
  hyperLogLogNotSparse: 'ERR HLL encoding is not sparse',
  noSuchHyperLogLog: 'ERR The specified key does not exist',
  unknownHyperLogLogDebug: (name: string) => `ERR Unknown PFDEBUG subcommand '${cString(name)}'`,
  notInteger: 'ERR value is not an integer or out of range',
  notFloat: 'ERR value is not a valid float',
  outOfRange: 'ERR value is out of range',
  notPositive: 'ERR value is out of range, must be positive',
  indexOutOfRange: 'ERR index out of range',
  noSuchKey: 'ERR no such key',
  sameObject: 'ERR source and destination objects are the same',
  crossSlot: "CROSSSLOT Keys in request don't hash to the same slot",
  overflow: 'ERR increment or decrement would overflow',
  decrementOverflow: 'ERR decrement would overflow',
  notFinite: 'ERR increment would produce NaN or Infinity',
  incrementNotFinite: 'ERR value is NaN or Infinity',
  hashNotInteger: 'ERR hash value is not an integer',
  hashNotFloat: 'ERR hash value is not a float',
  stringTooLong: 'ERR string exceeds maximum allowed size (proto-max-bulk-len)',
  offsetOutOfRange: 'ERR offset is out of range',
  bitOffset: 'ERR bit offset is not an integer or out of range',
  bitValue: 'ERR bit is not an integer or out of range',
  bitArgument: 'ERR The bit argument must be 1 or 0.',
  bitfieldType:
    'ERR Invalid bitfield type. Use something like i16 u8. Note that u64 is not supported but i64 is.',
  bitfieldOverflow: 'ERR Invalid OVERFLOW type specified',
  bitfieldReadOnly: 'ERR BITFIELD_RO only supports the GET subcommand',
  bitopNotKeys: 'ERR BITOP NOT must be called with a single source key.',
  expireOptionsWithNx: 'ERR NX and XX, GT or LT options at the same time are not compatible',
  expireGtAndLt: 'ERR GT and LT options at the same time are not compatible',
  negativeExpire: 'ERR invalid expire time, must be >= 0',
  fieldsMissing: 'ERR Mandatory argument FIELDS is missing or not at the right position',
  fieldCountNotPositive: 'ERR Parameter `numFields` should be greater than 0',
  fieldCountNotInteger: 'ERR Number of fields must be a positive integer',
  fieldCountMismatch: 'ERR The `numfields` parameter must match the number of arguments',
  invalidCursor: 'ERR invalid cursor',
  lcsNotString: 'ERR The specified keys must contain string values',
  lcsTooLarge: 'ERR Insufficient memory, transient memory for LCS exceeds proto-max-bulk-len',
  lcsLengthAndIndex: 'ERR If you want both the length and indexes, please just use IDX.',
  keyCountNotPositive: 'ERR numkeys should be greater than 0',
  keyCountTooLarge: "ERR Number of keys can't be greater than number of args",
  negativeLimit: "ERR LIMIT can't be negative",
  countNotPositive: 'ERR count should be greater than 0',
  addNxAndXx: 'ERR XX and NX options at the same time are not compatible',
  addGtLtAndNx: 'ERR GT, LT, and/or NX options at the same time are not compatible',
  addIncrOfSeveral: 'ERR INCR option supports a single increment-element pair',
  scoreNotNumber: 'ERR resulting score is not a number (NaN)',
  scoreRange: 'ERR min or max is not a float',
  lexRange: 'ERR min or max not valid string range item',
  limitOfRanks: 'ERR syntax error, LIMIT is only supported in combination with either BYSCORE or BYLEX',
  scoresOfLexRange: 'ERR syntax error, WITHSCORES not supported in combination with BYLEX',
  weightNotFloat: 'ERR weight value is not a float',
  unknownUnit: 'ERR unsupported unit provided. please use M, KM, FT, MI',
  noGeoMember: 'ERR could not decode requested zset member',
  radiusNotNumber: 'ERR need numeric radius',
  widthNotNumber: 'ERR need numeric width',
  heightNotNumber: 'ERR need numeric height',
  negativeRadius: 'ERR radius cannot be negative',
  negativeBox: 'ERR height or width cannot be negative',
  geoCountNotPositive: 'ERR COUNT must be > 0',
  anyWithoutCount: 'ERR the ANY argument requires COUNT argument',
  rankZero:
    "ERR RANK can't be zero: use 1 to start from the first match, 2 from the second ... or use negative to start from the end of the list",
  negativeCount: "ERR COUNT can't be negative",
  negativeMaxlen: "ERR MAXLEN can't be negative",
  timeoutNotFloat: 'ERR timeout is not a float or out of range',
  timeoutNotInteger: 'ERR timeout is not an integer or out of range',
  timeoutNegative: 'ERR timeout is negative',
  timeoutOutOfRange: 'ERR timeout is out of range',
  sortNotNumbers: "ERR One or more scores can't be converted into double",
  busyKey: 'BUSYKEY Target key name already exists.',
  badDump: 'ERR DUMP payload version or checksum are wrong',
  badDumpData: 'ERR Bad data format',
  negativeTtl: 'ERR Invalid TTL value, must be >= 0',
  negativeIdleTime: 'ERR Invalid IDLETIME value, must be >= 0',
  frequencyOutOfRange: 'ERR Invalid FREQ value, must be >= 0 and <= 255',
  noFrequency:
    'ERR An LFU maxmemory policy is not selected, access frequency not tracked. Please note that when switching between policies at runtime LRU and LFU data will take some time to adjust.',
  noIdleTime:
    'ERR An LFU maxmemory policy is selected, idle time not tracked. Please note that when switching between policies at runtime LRU and LFU data will take some time to adjust.',
  outOfMemory: "OOM command not allowed when used memory > 'maxmemory'.",
  listTooDeep:
    'ERR no place is left between these elements of the list: too many were inserted one between the others; write the list anew',
  streamId: 'ERR Invalid stream ID specified as stream command argument',
  streamIntervalStart: 'ERR invalid start ID for the interval',
  streamIntervalEnd: 'ERR invalid end ID for the interval',
  streamIdZero: 'ERR The ID specified in XADD must be greater than 0-0',
  streamIdNotGreater: 'ERR The ID specified in XADD is equal or smaller than the target stream top item',
  streamExhausted: 'ERR The stream has exhausted the last possible ID, unable to add more items',
  streamIdStrict:
    'ERR XADD takes * or milliseconds here, no whole id: two clusters could choose the same (crdt_xadd_id_uniqueness_mode is strict)',
  trimStrategies: 'ERR syntax error, MAXLEN and MINID options at the same time are not compatible',
  negativeTrimLength: 'ERR The MAXLEN argument must be >= 0.',
  negativeTrimLimit: 'ERR The LIMIT argument must be >= 0.',
  limitWithoutTrimming: 'ERR syntax error, LIMIT cannot be used without specifying a trimming strategy',
  noTrimStrategy: 'ERR syntax error, XTRIM must be called with a trimming strategy',
  limitOfExactTrimming: 'ERR syntax error, LIMIT cannot be used without the special ~ option',
  negativeEntriesAdded: 'ERR entries_added must be positive',
  setIdBelowGivenDeleted: 'ERR The ID specified in XSETID is smaller than the provided max_deleted_entry_id',
  setIdBelowDeleted: 'ERR The ID specified in XSETID is smaller than current max_deleted_entry_id',
  setIdBelowTop: 'ERR The ID specified in XSETID is smaller than the target stream top item',
  entriesAddedBelowLength:
    'ERR The entries_added specified in XSETID is smaller than the target stream length',
  unbalancedStreams:
    "ERR Unbalanced XREAD list of streams: for each stream key an ID or '$' must be specified.",
  groupOfXread: 'ERR The GROUP option is only supported by XREADGROUP. You called XREAD instead.',
  noackOfXread: 'ERR The NOACK option is only supported by XREADGROUP. You called XREAD instead.',
  noGroupOption: 'ERR Missing GROUP option for XREADGROUP',
  newEntriesOfXread:
    'ERR The > ID can be specified only when calling XREADGROUP using the GROUP <group> <consumer> option.',
  lastIdOfXreadgroup:
    'ERR The $ ID is meaningless in the context of XREADGROUP: you want to read the history of this consumer by specifying a proper ID, or use the > ID to get new messages. The $ ID would just return an empty result set.',
  noStreamOfGroup:
    'ERR The XGROUP subcommand requires the key to exist. Note that for CREATE you may want to use the MKSTREAM option to create an empty stream automatically.',
  groupExists: 'BUSYGROUP Consumer Group name already exists',
  entriesReadNegative: 'ERR value for ENTRIESREAD must be positive or -1',
  claimCountNotPositive: 'ERR COUNT must be > 0',
  databaseOutOfRange: 'ERR DB index is out of range',
  clusterDisabled: 'ERR This instance has cluster support disabled',
  inMonitorMode: "ERR Replica can't interact with the keyspace",
  monitorInMulti: "ERR MONITOR isn't allowed for DENY BLOCKING client",
  slowlogCount: 'ERR count should be greater than or equal to -1',

  noAuth: 'NOAUTH Authentication required.',
  noAuthHello:
    'NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO <proto> AUTH <user> <pass> option can be used to authenticate the client and select the RESP protocol version at the same time',
  wrongPassword: 'WRONGPASS invalid username-password pair or user is disabled.',
  noPermissionForCommand: (command: string): string =>
    `NOPERM this user has no permissions to run the '${command}' command`,
  noPermissionForKey: 'NOPERM this user has no permissions to access one of the keys used as arguments',
  noPermissionForChannel:
    'NOPERM this user has no permissions to access one of the channels used as arguments',
  noPermissionSinceQueued: (reason: 'command' | 'key' | 'channel'): string =>
    `NOPERM ACLs rules changed between the moment the transaction was accumulated and the EXEC call. This command is no longer allowed for the following reason: ${reasons[reason]}`,
  sortDenied: (option: 'BY' | 'GET'): string =>
    `ERR ${option} option of SORT denied due to insufficient ACL permissions.`,
  noPasswordSet:
    'ERR AUTH <password> called without any password configured for the default user. Are you sure your configuration is correct?',
  unsupportedProtocol: 'NOPROTO unsupported protocol version',
  protocolNotInteger: 'ERR Protocol version is not an integer or out of range',
  noSuchClient: 'ERR No such client',
  noSuchClientId: 'ERR Invalid client ID',
  unblocked: 'UNBLOCKED client unblocked via CLIENT UNBLOCK',
  unblockReason: 'ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR',
  maxClients: 'ERR max number of clients reached',

  redirectedTwice: 'ERR A client can only redirect to a single other client',
  noRedirectClient: 'ERR The client ID you want redirect to does not exist',
  prefixWithoutBroadcast: 'ERR PREFIX option requires BCAST mode to be enabled',
  broadcastSwitched:
    "ERR You can't switch BCAST mode on/off before disabling tracking for this client, and then re-enabling it with a different mode.",
  optInWithBroadcast: 'ERR OPTIN and OPTOUT are not compatible with BCAST',
  optInAndOut: "ERR You can't specify both OPTIN mode and OPTOUT mode",
  optInSwitched:
    "ERR You can't switch OPTIN/OPTOUT mode before disabling tracking for this client, and then re-enabling it with a different mode.",
  prefixOverlaps: (
    prefix: string,
    what: 'an existing prefix' | 'another provided prefix',
    other: string,
  ): string =>
    `ERR Prefix '${cString(prefix)}' overlaps with ${what} '${cString(other)}'. Prefixes for a single client must not overlap.`,
  cachingWithoutTracking:
    'ERR CLIENT CACHING can be called only when the client is in tracking mode with OPTIN or OPTOUT mode enabled',
  cachingYes: 'ERR CLIENT CACHING YES is only valid when tracking is enabled in OPTIN mode.',
  cachingNo: 'ERR CLIENT CACHING NO is only valid when tracking is enabled in OPTOUT mode.',

  nestedMulti: 'ERR MULTI calls can not be nested',
  execWithoutMulti: 'ERR EXEC without MULTI',
  discardWithoutMulti: 'ERR DISCARD without MULTI',
  watchInsideMulti: 'ERR WATCH inside MULTI is not allowed',
  notInMulti: 'ERR Command not allowed inside a transaction',
  amongMessages: (lowerName: string) =>
    `ERR Can't execute '${lowerName}': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in this context`,
  execAborted: 'EXECABORT Transaction discarded because of previous errors.',

  /** Of what runs. */
  busy: (what: 'script' | 'function'): string =>
    `BUSY Redis is busy running a script. You can only call ${what.toUpperCase()} KILL or SHUTDOWN NOSAVE.`,
  loading: 'LOADING Redis is loading the dataset in memory',

  wrongArity: (command: string): string =>
    `ERR wrong number of arguments for '${command.toLowerCase()}' command`,

  /** A command of Redis that there is none of; without marks that are for the documentation. */
  notHere: (name: string, why: string): string =>
    `ERR ${name} is not available here. ${why.replaceAll('`', '')}`,

  noLatencySamples: (event: string): string => `ERR No samples available for event '${cString(event)}'`,

  /** `subcommand` as the client wrote it. */
  unknownSubcommand: (command: string, subcommand: string): string =>
    `ERR unknown subcommand '${cString(subcommand).slice(0, quotedBytesMax)}'. Try ${command.toUpperCase()} HELP.`,

  wrongSubcommandArity: (command: string, subcommand: string): string =>
    `ERR unknown subcommand or wrong number of arguments for '${cString(subcommand).slice(0, quotedBytesMax)}'. Try ${command.toUpperCase()} HELP.`,

  unknownCommand: (command: string, args: readonly string[]): string => {
    let quoted = ''
    for (const argument of args) {
      if (quoted.length >= quotedBytesMax) break
      quoted += `'${cString(argument).slice(0, quotedBytesMax - quoted.length)}' `
    }
    return `ERR unknown command '${cString(command).slice(0, quotedBytesMax)}', with args beginning with: ${quoted}`
  },

  noGroup: (key: string, group: string): string =>
    `NOGROUP No such key '${cString(key)}' or consumer group '${cString(group)}'`,

  noGroupToRead: (key: string, group: string): string =>
    `NOGROUP No such key '${cString(key)}' or consumer group '${cString(group)}' in XREADGROUP with GROUP option`,

  noGroupOfKey: (key: string, group: string): string =>
    `NOGROUP No such consumer group '${cString(group)}' for key name '${cString(key)}'`,

  claimArgument: (argument: string, command: string): string =>
    `ERR Invalid ${argument} argument for ${command}`,

  unknownClaimOption: (option: string): string => `ERR Unrecognized XCLAIM option '${cString(option)}'`,

  /** Words of 7.4: before, such an option was refused wherever its keys were. */
  sortAcrossSlots: (option: 'BY' | 'GET'): string =>
    `ERR ${option} option of SORT denied in cluster mode when keys formed by the pattern may be in different slots.`,

  noInputKey: (command: string): string =>
    `ERR at least 1 input key is needed for '${command.toLowerCase()}' command`,

  noPoint: (longitude: string, latitude: string): string =>
    `ERR invalid longitude,latitude pair ${longitude},${latitude}`,

  storedWithDetails: (what: string): string =>
    `ERR ${what} is not compatible with WITHDIST, WITHHASH and WITHCOORD options`,

  /** `command` as the client wrote it. */
  noGeoCentre: (command: string): string =>
    `ERR exactly one of FROMMEMBER or FROMLONLAT can be specified for ${command}`,

  noGeoExtent: (command: string): string =>
    `ERR exactly one of BYRADIUS and BYBOX can be specified for ${command}`,

  invalidExpire: (command: string): string => `ERR invalid expire time in '${command.toLowerCase()}' command`,

  unsupportedOption: (option: string): string => `ERR Unsupported option ${cString(option)}`,

  outsideRange: (least: number | bigint, most: number | bigint): string =>
    `ERR value is out of range, value must between ${least} and ${most}`,

  protocol: (what: string): string => `ERR Protocol error: ${what}`,
} as const
