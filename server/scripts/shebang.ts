/** The first line of a script: `#!lua name=library flags=no-writes,allow-stale`. */
import { defaultRequestLimits, RequestScanner } from '#protocol/resp/requestScanner.ts'
import { bytesOf } from '#runtime/bytes/bytes.ts'

export interface ScriptFlags {
  readonly noWrites: boolean
  readonly allowOom: boolean
  readonly allowStale: boolean
  readonly noCluster: boolean
  readonly allowCrossSlotKeys: boolean
}

/** By the names that scripts use. */
const flagNames = {
  'no-writes': 'noWrites',
  'allow-oom': 'allowOom',
  'allow-stale': 'allowStale',
  'no-cluster': 'noCluster',
  'allow-cross-slot-keys': 'allowCrossSlotKeys',
} as const satisfies Readonly<Record<string, keyof ScriptFlags>>

export type FlagName = keyof typeof flagNames

const noFlags: ScriptFlags = {
  noWrites: false,
  allowOom: false,
  allowStale: false,
  noCluster: false,
  allowCrossSlotKeys: false,
}

export interface ScriptText {
  /** What Lua is given: line numbers stay. */
  readonly code: string
  /** Null: without a shebang, which allows what scripts always might. */
  readonly flags: ScriptFlags | null
}

/** An error text when the line is none that Redis takes. */
export function readShebang(text: string): ScriptText | string {
  if (!text.startsWith('#!')) return { code: text, flags: null }
  const lineEnd = text.indexOf('\n')
  if (lineEnd < 0) return 'ERR Invalid script shebang'
  const [engine = '', ...words] = text.slice(0, lineEnd).split(/[ \t\r\v\f]+/)
  if (engine !== '#!lua') return `ERR Unexpected engine in script shebang: ${engine}`
  let flags: ScriptFlags = noFlags
  for (const word of words) {
    if (word === '') continue
    if (!word.startsWith('flags=')) return `ERR Unknown lua shebang option: ${word}`
    const read = readFlags(word.slice('flags='.length).split(','))
    if (typeof read === 'string') return `ERR Unexpected flag in script shebang: ${read}`
    flags = read
  }
  return { code: text.slice(lineEnd), flags }
}

/** The name of the first flag that is none. */
export function readFlags(names: readonly string[]): ScriptFlags | string {
  const flags = { ...noFlags }
  for (const name of names) {
    if (name === '') continue
    if (!isFlagName(name)) return name
    flags[flagNames[name]] = true
  }
  return flags
}

const isFlagName = (name: string): name is FlagName => Object.hasOwn(flagNames, name)

/** Each once, in the order in which they are shown; null: one is none. */
export function flagNamesIn(names: readonly string[]): FlagName[] | null {
  if (!names.every(isFlagName)) return null
  return Object.keys(flagNames)
    .filter(isFlagName)
    .filter((name) => names.includes(name))
}

/** Into words, as a line that is typed as a request is; null: its quotes don't match. */
export function splitLine(line: string): string[] | null {
  const scanner = new RequestScanner(defaultRequestLimits)
  const bytes = bytesOf(`${line}\r\n`)
  if (scanner.scan(bytes, 0, bytes.length) <= 0) return null
  return Array.from({ length: scanner.argumentCount }, (_, i) => scanner.text(i))
}
