/**
 * Of a user who may not do everything the shard judges what its scripts call: it is told the user's rules by the proxy, and
 * tells the proxy what was denied, for ACL LOG.
 */
import { areTexts, isJsonObject } from '#runtime/jsonObject.ts'
import { type AclLogEntry, isDenialReason } from './aclLog.ts'
import type { Frame } from './frame.ts'
import { readJson } from './hello.ts'

export interface ScriptUserRules {
  name: string
  /** What it may do, as `ACL SETUSER` takes it; no passwords. */
  rules: readonly string[]
}

/** Denied to one run of a script, so many times. */
export interface ScriptDenial {
  reason: Exclude<AclLogEntry['reason'], 'auth'>
  object: string
  count: number
}

export interface ScriptDenials {
  user: string
  denials: readonly ScriptDenial[]
}

/** Null: it makes no sense. */
export function readScriptUserRules(frame: Frame): ScriptUserRules | null {
  const value = readJson(frame)
  if (!isJsonObject(value)) return null
  const { name, rules } = value
  return typeof name === 'string' && areTexts(rules) ? { name, rules } : null
}

/** Null: it makes no sense. */
export function readScriptDenials(frame: Frame): ScriptDenials | null {
  const value = readJson(frame)
  if (!isJsonObject(value)) return null
  const { user, denials } = value
  if (typeof user !== 'string' || !Array.isArray(denials)) return null
  return denials.every(isDenial) ? { user, denials } : null
}

const isDenial = (value: unknown): value is ScriptDenial =>
  isJsonObject(value) &&
  isDenialReason(value['reason']) &&
  typeof value['object'] === 'string' &&
  Number.isSafeInteger(value['count'])
