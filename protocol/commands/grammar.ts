/** The words in which the rows of the table write key positions and argument grammars. */
import type { ArgumentFlag, ArgumentSpec, ArgumentType, KeyFlag, KeySpec } from './table.ts'

/** One key, the argument at `index`. */
export function keyAt(index: number, ...flags: KeyFlag[]): KeySpec {
  return { flags, begin: index, find: { kind: 'range', last: 0, step: 1 } }
}

/** Keys from the argument at `index` to the last one, `step` apart. */
export function keysFrom(index: number, step: number, ...flags: KeyFlag[]): KeySpec {
  return { flags, begin: index, find: { kind: 'range', last: -1, step } }
}

/** Keys from the argument at `index` to the last but one. */
export function keysBeforeLast(index: number, ...flags: KeyFlag[]): KeySpec {
  return { flags, begin: index, find: { kind: 'range', last: -2, step: 1 } }
}

/** Two neighbouring keys. */
export function keyPairAt(index: number, ...flags: KeyFlag[]): KeySpec {
  return { flags, begin: index, find: { kind: 'range', last: 1, step: 1 } }
}

/** The argument at `index` says how many keys follow. */
export function countedKeys(index: number, ...flags: KeyFlag[]): KeySpec {
  return { flags, begin: index, find: { kind: 'counted' } }
}

/** The key behind an option. */
export function keyBehind(word: string, from: number, ...flags: KeyFlag[]): KeySpec {
  return { flags, begin: from, find: { kind: 'behind', word } }
}

/** Keys behind a word, as many as other arguments follow them. */
export function keysInFirstHalfBehind(word: string, from: number, ...flags: KeyFlag[]): KeySpec {
  return { flags, begin: from, find: { kind: 'halfBehind', word } }
}

/** The key behind an option that may stand anywhere; `passed` says how many values other options have. */
export function keyAnywhere(
  word: string,
  from: number,
  passed: Readonly<Record<string, number>>,
  ...flags: KeyFlag[]
): KeySpec {
  return { flags, begin: from, find: { kind: 'anywhere', word, passed } }
}

/** Keys that the request doesn't name. */
export function unknownKeys(...flags: KeyFlag[]): KeySpec {
  return { flags, begin: 0, find: { kind: 'unknown' } }
}

export function noted(notes: string, spec: KeySpec): KeySpec {
  return { ...spec, notes }
}

export function value(name: string, type: ArgumentType): ArgumentSpec {
  return { name, type }
}

export function text(name: string): ArgumentSpec {
  return { name, type: 'string' }
}

export function integer(name: string): ArgumentSpec {
  return { name, type: 'integer' }
}

export function key(name = 'key', keySpecIndex = 0): ArgumentSpec {
  return { name, type: 'key', keySpecIndex }
}

/** A word that stands for itself. */
export function word(token: string, name = token.toLowerCase()): ArgumentSpec {
  return { name, type: 'pure-token', token }
}

/** A word before an argument. */
export function behind(token: string, argument: ArgumentSpec): ArgumentSpec {
  return { ...argument, token }
}

export function oneOf(name: string, ...choices: ArgumentSpec[]): ArgumentSpec {
  return { name, type: 'oneof', arguments: choices }
}

export function block(name: string, ...parts: ArgumentSpec[]): ArgumentSpec {
  return { name, type: 'block', arguments: parts }
}

export function optional(argument: ArgumentSpec): ArgumentSpec {
  return withFlag(argument, 'optional')
}

export function multiple(argument: ArgumentSpec): ArgumentSpec {
  return withFlag(argument, 'multiple')
}

/** The word before it is said each time, too. */
export function multipleWithToken(argument: ArgumentSpec): ArgumentSpec {
  return withFlag(multiple(argument), 'multiple_token')
}

export function since(version: string, argument: ArgumentSpec): ArgumentSpec {
  return { ...argument, since: version }
}

export function deprecatedSince(version: string, argument: ArgumentSpec): ArgumentSpec {
  return { ...argument, deprecatedSince: version }
}

function withFlag(argument: ArgumentSpec, flag: ArgumentFlag): ArgumentSpec {
  return { ...argument, flags: [...(argument.flags ?? []), flag] }
}
