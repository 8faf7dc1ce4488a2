/** Error replies, with the words of Redis 7.2: clients match on them. Each text starts with its code. */

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

/** What Redis's `%s` prints of a client's bytes. */
function quotable(text: string): string {
  const nul = text.indexOf('\0')
  return nul < 0 ? text : text.slice(0, nul)
}

export const errors = {
  syntax: 'ERR syntax error',
  wrongType: 'WRONGTYPE Operation against a key holding the wrong kind of value',
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
  busyKey: 'BUSYKEY Target key name already exists.',
  badDump: 'ERR DUMP payload version or checksum are wrong',
  noFrequency:
    'ERR An LFU maxmemory policy is not selected, access frequency not tracked. Please note that when switching between policies at runtime LRU and LFU data will take some time to adjust.',
  noIdleTime:
    'ERR An LFU maxmemory policy is selected, idle time not tracked. Please note that when switching between policies at runtime LRU and LFU data will take some time to adjust.',
  outOfMemory: "OOM command not allowed when used memory > 'maxmemory'.",
  databaseOutOfRange: 'ERR DB index is out of range',

  noAuth: 'NOAUTH Authentication required.',
  noAuthHello:
    'NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO <proto> AUTH <user> <pass> option can be used to authenticate the client and select the RESP protocol version at the same time',
  wrongPassword: 'WRONGPASS invalid username-password pair or user is disabled.',
  noPasswordSet:
    'ERR AUTH <password> called without any password configured for the default user. Are you sure your configuration is correct?',
  unsupportedProtocol: 'NOPROTO unsupported protocol version',
  protocolNotInteger: 'ERR Protocol version is not an integer or out of range',
  noSuchClient: 'ERR No such client',
  noSuchClientId: 'ERR Invalid client ID',
  noSuchUser: "ERR No such user 'default'",
  maxClients: 'ERR max number of clients reached',

  nestedMulti: 'ERR MULTI calls can not be nested',
  execWithoutMulti: 'ERR EXEC without MULTI',
  discardWithoutMulti: 'ERR DISCARD without MULTI',
  watchInsideMulti: 'ERR WATCH inside MULTI is not allowed',
  notInMulti: 'ERR Command not allowed inside a transaction',
  execAborted: 'EXECABORT Transaction discarded because of previous errors.',

  loading: 'LOADING Redis is loading the dataset in memory',

  wrongArity: (command: string): string =>
    `ERR wrong number of arguments for '${command.toLowerCase()}' command`,

  /** `subcommand` as the client wrote it. */
  unknownSubcommand: (command: string, subcommand: string): string =>
    `ERR unknown subcommand '${quotable(subcommand).slice(0, quotedBytesMax)}'. Try ${command.toUpperCase()} HELP.`,

  wrongSubcommandArity: (command: string, subcommand: string): string =>
    `ERR unknown subcommand or wrong number of arguments for '${quotable(subcommand).slice(0, quotedBytesMax)}'. Try ${command.toUpperCase()} HELP.`,

  unknownCommand: (command: string, args: readonly string[]): string => {
    let quoted = ''
    for (const argument of args) {
      if (quoted.length >= quotedBytesMax) break
      quoted += `'${quotable(argument).slice(0, quotedBytesMax - quoted.length)}' `
    }
    return `ERR unknown command '${quotable(command).slice(0, quotedBytesMax)}', with args beginning with: ${quoted}`
  },

  invalidExpire: (command: string): string => `ERR invalid expire time in '${command.toLowerCase()}' command`,

  unsupportedOption: (option: string): string => `ERR Unsupported option ${quotable(option)}`,

  outsideRange: (least: number | bigint, most: number | bigint): string =>
    `ERR value is out of range, value must between ${least} and ${most}`,

  protocol: (what: string): string => `ERR Protocol error: ${what}`,
} as const
