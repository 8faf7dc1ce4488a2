/** Whether a user may run a request. */

import type { CommandSpec } from '#protocol/commands/index.ts'
import { flagsInUse, keyPlacesFound } from '#protocol/commands/keys.ts'
import type { RequestView } from '#protocol/commands/request.ts'
import type { KeyFlag } from '#protocol/commands/table.ts'
import { bytesOf } from '#runtime/bytes/bytes.ts'
import type { KeyAccess, Pattern } from './keyPattern.ts'
import type { Selector } from './selector.ts'
import type { User } from './user.ts'

/** What is not allowed; of several selectors the most that one of them allows counts. */
export const denials = ['command', 'key', 'channel'] as const

export interface Denial {
  readonly reason: (typeof denials)[number]
  /** Index of the argument that is the key or the channel; 0 for a command. */
  readonly at: number
}

interface KeyInUse extends KeyAccess {
  readonly at: number
}

/** Null: it may. */
export function denialOf(user: User, spec: CommandSpec, request: RequestView): Denial | null {
  if (user.isUnrestricted && spec.row.channels === undefined) return null
  let worst: Denial = { reason: 'command', at: 0 }
  let keys: readonly KeyInUse[] | null = null
  const keysInUse = (): readonly KeyInUse[] => {
    keys ??= keysOf(spec, request)
    return keys
  }
  for (const selector of user.selectors) {
    const denial = selectorDenial(selector, spec, request, keysInUse)
    if (denial === null) return null
    if (isWorse(denial, worst)) worst = denial
  }
  return worst
}

/** The one that Redis tells: a later stage, and then a later argument. */
function isWorse(denial: Denial, other: Denial): boolean {
  const difference = denials.indexOf(denial.reason) - denials.indexOf(other.reason)
  return difference > 0 || (difference === 0 && denial.at > other.at)
}

/** Whether some selector allows the request together with `access` to every key. */
export function allowsEveryKey(
  user: User,
  spec: CommandSpec,
  request: RequestView,
  access: KeyAccess,
): boolean {
  const keys = keysOf(spec, request)
  return user.selectors.some(
    (selector) =>
      selector.allowsEveryKey(access) && selectorDenial(selector, spec, request, () => keys) === null,
  )
}

/** True of a command with one key: `denialOf` is null. False: it has to be asked, as the use of the key may depend on options. */
export function allowsOnlyKey(user: User, spec: CommandSpec, request: RequestView): boolean {
  for (const selector of user.selectors) {
    if (!selector.allows(spec.index)) continue
    if (selector.allKeys) return true
    const start = request.start(spec.onlyKey)
    const end = request.endOf(spec.onlyKey)
    const access = onlyKeyAccess(spec)
    if (access !== null && allowsKey(selector, access, request.bytes, start, end)) return true
  }
  return false
}

/** By the command's index; null: it depends on the request. */
const onlyKeyAccesses: (KeyAccess | null)[] = []

function onlyKeyAccess({ index, keys }: CommandSpec): KeyAccess | null {
  const known = onlyKeyAccesses[index]
  if (known !== undefined) return known
  const flags = keys[0]?.flags ?? []
  const access = flags.includes('variable_flags') ? null : accessOf(flags)
  onlyKeyAccesses[index] = access
  return access
}

function selectorDenial(
  selector: Selector,
  spec: CommandSpec,
  request: RequestView,
  keysInUse: () => readonly KeyInUse[],
): Denial | null {
  if (!allowsCommand(selector, spec, request)) return { reason: 'command', at: 0 }
  if (!selector.allKeys && spec.keys.length > 0) {
    for (const key of keysInUse()) {
      const { at } = key
      if (!allowsKey(selector, key, request.bytes, request.start(at), request.endOf(at)))
        return { reason: 'key', at }
    }
  }
  return selector.allChannels ? null : channelDenial(selector, spec, request)
}

/** Logging in is everybody's right. */
function allowsCommand(selector: Selector, spec: CommandSpec, request: RequestView): boolean {
  if (selector.allows(spec.index) || spec.row.flags.includes('no_auth')) return true
  return (
    selector.hasFirstArguments &&
    request.argumentCount > 1 &&
    selector.allowsWith(spec.index, request.text(1))
  )
}

function allowsKey(
  selector: Selector,
  access: KeyAccess,
  bytes: Uint8Array,
  start: number,
  end: number,
): boolean {
  for (const key of selector.keys)
    if (key.allows(access) && key.pattern.matches(bytes, start, end)) return true
  return false
}

/** Whether the user may still hear what it has subscribed to. */
export function allowsChannel(user: User, name: string, isPattern: boolean): boolean {
  const bytes = bytesOf(name)
  const fits = (pattern: Pattern): boolean =>
    isPattern ? pattern.text === name : pattern.matches(bytes, 0, bytes.length)
  return user.selectors.some(({ allChannels, channels }) => allChannels || channels.some(fits))
}

/** A pattern that a client subscribes to must be allowed letter by letter. */
function channelDenial({ channels }: Selector, { row }: CommandSpec, request: RequestView): Denial | null {
  if (row.channels === undefined) return null
  const end = row.channels === 'first' ? 2 : request.argumentCount
  for (let at = 1; at < end; at++) {
    const fits =
      row.channels === 'patterns'
        ? ({ text }: Pattern) => text === request.text(at)
        : (pattern: Pattern) => pattern.matches(request.bytes, request.start(at), request.endOf(at))
    if (!channels.some(fits)) return { reason: 'channel', at }
  }
  return null
}

function keysOf(spec: CommandSpec, request: RequestView): KeyInUse[] {
  const count = request.argumentCount
  const argumentAt = (index: number): string => request.text(index)
  return keyPlacesFound(spec, count, argumentAt).flatMap(({ spec: keySpec, positions }) => {
    const access = accessOf(flagsInUse(spec, keySpec, count, argumentAt))
    return positions.map((at) => ({ at, ...access }))
  })
}

/** Whether a key exists, or what type it is, is told to whoever may do anything with it. */
function accessOf(flags: readonly KeyFlag[]): KeyAccess {
  return {
    reads: flags.includes('access'),
    writes: flags.includes('insert') || flags.includes('delete') || flags.includes('update'),
  }
}
