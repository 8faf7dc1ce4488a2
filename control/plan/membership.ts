/**
 * The members of a database, and how the list of them changes. Pure.
 *
 * A list has an epoch, and every change makes the next one: whoever has a higher epoch is right. A change is prepared on an
 * epoch (every member promises it) and then made everywhere. Who has seen the next epoch refuses the promise, and so does who
 * has promised another change of the same epoch; the same change may be promised to anybody, for what comes out of it is
 * the same. So two operators who change the members at the same moment get in each other's way, and no two lists of one epoch
 * ever differ.
 */
import type { MemberState } from '#protocol/sync/member.ts'
import { originsMax } from '#protocol/sync/stamp.ts'
import { isCount } from '#runtime/jsonObject.ts'

export interface Member {
  id: number
  name: string
  /** As seen from here: not part of what members agree on once they know each other. */
  host: string
  port: number
  state: MemberState
  /** Being removed without its help: nothing is taken from it. */
  forced: boolean
  /** Another one at every join. */
  instance: string
  /** Who had the id before gave stamps up to here, or this member did, when it is removed. */
  stampFloor: number
  /** It has asked to be forced out and let in again, and is not back yet. */
  returns?: true
}

export interface MemberList {
  epoch: number
  members: readonly Member[]
}

export type MemberChange =
  | { kind: 'add'; id: number; name: string; host: string; port: number; instance: string }
  | { kind: 'activate'; id: number }
  /** The members are on their way out; forced: without their help. One of them may want to come back. */
  | { kind: 'leave'; ids: readonly number[]; forced: boolean; returning?: number }
  | { kind: 'remove'; ids: readonly number[]; stampFloor: number }
  /** A removal that has begun is called off. */
  | { kind: 'stay'; ids: readonly number[] }

/** Members at the first import count as joined under this; all clusters make up the same. */
export const firstInstance = (guid: string, id: number): string => `${guid}/${id}`

export const isPresent = ({ state }: Member): boolean => state !== 'removed'

/** Who must promise a change of the list, or be told of it: all but those that are gone, or treated as such. */
export const participants = ({ members }: MemberList): Member[] =>
  members.filter((member) => isPresent(member) && !member.forced)

/** The list after the change; a text says why it can't be. */
export function changed(list: MemberList, change: MemberChange): MemberList | string {
  const members = change.kind === 'add' ? withAdded(list, change) : withStates(list, change)
  return typeof members === 'string' ? members : { epoch: list.epoch + 1, members }
}

function withAdded(
  { members }: MemberList,
  { id, name, host, port, instance }: Extract<MemberChange, { kind: 'add' }>,
): Member[] | string {
  const before = members.find((member) => member.id === id)
  if (before !== undefined && isPresent(before)) return `${before.name} has the id ${id}`
  const named = members.find((member) => member.name === name && isPresent(member))
  if (named !== undefined) return `${name} is a member already, with the id ${named.id}`
  if (id < 1 || id > originsMax) return `the id ${id}: 1 to ${originsMax} are possible`
  if (members.some(({ state }) => state === 'joining' || state === 'removing'))
    return 'another member is joining, or being removed; one at a time'
  const added: Member = {
    id,
    name,
    host,
    port,
    state: 'joining',
    forced: false,
    instance,
    stampFloor: before?.stampFloor ?? 0,
    ...(before?.returns === true && before.name === name ? { returns: true } : {}),
  }
  return [...members.filter((member) => member.id !== id), added].sort((a, b) => a.id - b.id)
}

function withStates(
  { members }: MemberList,
  change: Exclude<MemberChange, { kind: 'add' }>,
): Member[] | string {
  const ids = change.kind === 'activate' ? [change.id] : change.ids
  const refusal = ids.map((id) => stateRefusal(members, id, change)).find((text) => text !== null)
  if (refusal !== undefined) return refusal
  const after = members.map((member) => (ids.includes(member.id) ? withState(member, change) : member))
  if (!after.some(({ state }) => state === 'active')) return 'the last member can not be removed'
  return after
}

function stateRefusal(
  members: readonly Member[],
  id: number,
  change: Exclude<MemberChange, { kind: 'add' }>,
): string | null {
  const member = members.find((candidate) => candidate.id === id)
  if (member === undefined || !isPresent(member)) return `there is no member with the id ${id}`
  const { state, name } = member
  if (change.kind === 'activate') return state === 'joining' ? null : `${name} is ${state}, not joining`
  if (change.kind === 'leave') {
    // An orderly removal that will not end may be forced.
    return state !== 'removing' || (change.forced && !member.forced)
      ? null
      : `${name} is being removed already`
  }
  return state === 'removing' ? null : `${name} is ${state}, not on its way out`
}

function withState(member: Member, change: Exclude<MemberChange, { kind: 'add' }>): Member {
  const { returns: _, ...rest } = member
  switch (change.kind) {
    case 'activate':
    case 'stay':
      return { ...rest, state: 'active', forced: false }
    case 'leave': {
      const leaving: Member = { ...rest, state: 'removing', forced: change.forced }
      return change.returning === member.id ? { ...leaving, returns: true } : leaving
    }
    case 'remove':
      return { ...member, state: 'removed', stampFloor: Math.max(member.stampFloor, change.stampFloor) }
  }
}

/** What an operator types to go on with the change, behind `antipode member`. */
export function commandFor(change: MemberChange, members: readonly Member[]): string {
  const nameOf = (id: number) => members.find((member) => member.id === id)?.name ?? `cluster ${id}`
  switch (change.kind) {
    case 'add': {
      const { id, name, host, port } = change
      return `add --name ${name} --address ${host}:${port} --id ${id}`
    }
    case 'activate': {
      const { host, port } = members.find(({ id }) => id === change.id) ?? { host: 'HOST', port: 'PORT' }
      return `add --name ${nameOf(change.id)} --address ${host}:${port}`
    }
    case 'leave':
    case 'remove': {
      const { ids } = change
      const forced =
        change.kind === 'leave' ? change.forced : members.some((one) => ids.includes(one.id) && one.forced)
      return `remove ${ids.map(nameOf).join(' ')}${forced ? ' --force' : ''}`
    }
    case 'stay':
      return 'cancel'
  }
}

/** The list of a peer, with the addresses by which members have been reached from here. */
export function withOwnAddresses(told: MemberList, own: MemberList): MemberList {
  const members = told.members.map((member) => {
    const known = own.members.find(({ id, name }) => id === member.id && name === member.name)
    return known === undefined ? member : { ...member, host: known.host, port: known.port }
  })
  return { epoch: told.epoch, members }
}

/** The smallest id that nobody has; those of former members come last. Null: there is none. */
export function freeId({ members }: MemberList): number | null {
  const ids = Array.from({ length: originsMax }, (_, i) => i + 1)
  const unused = ids.find((id) => !members.some((member) => member.id === id))
  return unused ?? ids.find((id) => !members.some((member) => member.id === id && isPresent(member))) ?? null
}

const states: readonly unknown[] = ['joining', 'active', 'removing', 'removed'] satisfies MemberState[]

/** Of a peer; null: it is none. */
export function readMemberList(value: unknown): MemberList | null {
  if (typeof value !== 'object' || value === null) return null
  const { epoch, members } = value as Record<string, unknown>
  if (!isCount(epoch) || !Array.isArray(members) || members.length > originsMax) return null
  if (!members.every(isMember) || new Set(members.map(({ id }) => id)).size < members.length) return null
  return { epoch, members }
}

function isMember(value: unknown): value is Member {
  if (typeof value !== 'object' || value === null) return false
  const { id, name, host, port, state, forced, instance, stampFloor } = value as Record<string, unknown>
  const areTexts = [name, host, instance].every((text) => typeof text === 'string' && text.length <= 1024)
  const areCounts = isCount(id) && isCount(port) && isCount(stampFloor)
  return (
    areTexts &&
    areCounts &&
    id >= 1 &&
    id <= originsMax &&
    states.includes(state) &&
    typeof forced === 'boolean'
  )
}

export function readMemberChange(value: unknown): MemberChange | null {
  if (typeof value !== 'object' || value === null) return null
  const { kind, id, ids, name, host, port, instance, forced, returning, stampFloor } = value as Record<
    string,
    unknown
  >
  const areIds = Array.isArray(ids) && ids.length > 0 && ids.length <= originsMax && ids.every(isCount)
  switch (kind) {
    case 'add': {
      const texts = [name, host, instance].every((text) => typeof text === 'string' && text.length <= 1024)
      return texts && isCount(id) && isCount(port) ? (value as MemberChange) : null
    }
    case 'activate':
      return isCount(id) ? { kind, id } : null
    case 'leave':
      if (!areIds || typeof forced !== 'boolean') return null
      return isCount(returning) ? { kind, ids, forced, returning } : { kind, ids, forced }
    case 'remove':
      return areIds && isCount(stampFloor) ? { kind, ids, stampFloor } : null
    case 'stay':
      return areIds ? { kind, ids } : null
    default:
      return null
  }
}
