/**
 * What operations on streams mean, for the history to judge by; none of the production code. Ids are plain numbers here, the
 * milliseconds of ids with sequence 0.
 *
 * Entries and marks (last id, entries added, greatest deleted id) are adds as all others are. Groups are the other way round: an
 * add to a group is live only if it has seen every removal of the group, and of the key.
 */
import { type Origin, originOf, originsMax, type Stamp } from '#protocol/sync/stamp.ts'
import type { Add, History, Told } from './history.ts'
import type { Meaning } from './intents.ts'

export type StreamAdd =
  | { kind: 'entry'; key: string; type: 'stream'; id: number; text: string }
  /** What its origin knows of the stream; `added` are its own entries. */
  | { kind: 'marks'; key: string; type: 'stream'; lastId: number; added: number; maxDeletedId: number }
  /** Known to the marks that the operation had seen. */
  | { kind: 'deletion'; key: string; id: number }
  | { kind: 'group'; key: string; type: 'stream'; group: string; starts: number[] }
  | { kind: 'acked'; key: string; group: string; origin: Origin; from: number; upto: number }

export type StreamKill =
  | { kind: 'entries'; key: string; id: number }
  /** `own`: of the operation's origin only. */
  | { kind: 'marks'; key: string; own: boolean }
  /** One, or all. */
  | { kind: 'groups'; key: string; group?: string }

export interface StreamTold {
  entries: [id: number, text: string][]
  lastId: number
  added: number
  maxDeletedId: number
  groups: GroupTold[]
}

interface GroupTold {
  name: string
  created: Stamp[]
  starts: number[]
  /** By origin of the entries: acknowledged up to here. */
  acked: number[]
}

type StreamToldAdd = Told<StreamAdd>
const ofKind = <K extends StreamAdd['kind']>(live: readonly StreamToldAdd[], kind: K) =>
  live.filter((told): told is Told<Extract<StreamAdd, { kind: K }>> => told.what.kind === kind)

const origins = Array.from({ length: originsMax }, (_, origin) => origin)

/** `hasSeen`: whether the first operation had seen the second. */
export function streamOf(
  live: readonly StreamToldAdd[],
  hasSeen: (a: StreamToldAdd, b: StreamToldAdd) => boolean,
): StreamTold | undefined {
  const marks = ofKind(live, 'marks')
  const groups = groupsOf(live)
  if (marks.length === 0 && groups.length === 0) return undefined
  const deletions = ofKind(live, 'deletion')
  const deleted = marks.flatMap((mark) => [
    mark.what.maxDeletedId,
    ...deletions.filter((deletion) => hasSeen(deletion, mark)).map(({ what }) => what.id),
  ])
  return {
    entries: ofKind(live, 'entry')
      .sort((a, b) => a.what.id - b.what.id || a.operation.stamp - b.operation.stamp)
      .map(({ what }) => [what.id, what.text]),
    lastId: Math.max(0, ...marks.map(({ what }) => what.lastId)),
    added: marks.reduce((sum, { what }) => sum + what.added, 0),
    maxDeletedId: Math.max(0, ...deleted),
    groups,
  }
}

function groupsOf(live: readonly StreamToldAdd[]): GroupTold[] {
  const adds = ofKind(live, 'group')
  const acks = ofKind(live, 'acked')
  return [...new Set(adds.map(({ what }) => what.group))].sort().map((name) => {
    const mine = adds.filter(({ what }) => what.group === name)
    const starts = origins.map((origin) => Math.min(...mine.map(({ what }) => what.starts[origin] as number)))
    return {
      name,
      created: mine.map(({ operation }) => operation.stamp).sort((a, b) => a - b),
      starts,
      acked: origins.map((origin) =>
        ackedUpto(
          starts[origin] as number,
          acks.filter(({ what }) => what.group === name && what.origin === origin),
        ),
      ),
    }
  })
}

/** Of each cluster what it has said last; then as far as there is no gap. */
function ackedUpto(start: number, acks: readonly Told<Extract<StreamAdd, { kind: 'acked' }>>[]): number {
  const last = acks.filter(({ operation }) =>
    acks.every(
      (other) =>
        originOf(other.operation.stamp) !== originOf(operation.stamp) ||
        other.operation.stamp <= operation.stamp,
    ),
  )
  let upto = start
  for (const { what } of last.sort((a, b) => a.what.from - b.what.from))
    if (what.from <= upto) upto = Math.max(upto, what.upto)
  return upto
}

export type StreamIntent =
  /** So far above the last id. */
  | { command: 'streamAdd'; key: string; gap: number; texts: string[] }
  | { command: 'streamDelete'; key: string; indexes: number[] }
  /** Leaves so many of the last entries. */
  | { command: 'streamTrim'; key: string; keep: number }
  | { command: 'streamSetId'; key: string; gap: number; added: number | undefined }
  | { command: 'streamCreateGroup'; key: string; group: string; start: number | 'end' }
  | { command: 'streamDestroyGroup'; key: string; group: string }
  | { command: 'streamAcknowledge'; key: string; group: string; of: Origin; back: number; count: number }

export const isOfStream = (intent: { command: string }): intent is StreamIntent =>
  intent.command.startsWith('stream')

/** Replica and history both read it off what shows before. */
export const idsAt = (
  entries: readonly (readonly [number, string])[],
  indexes: readonly number[],
): number[] => indexes.flatMap((index) => entries[index]?.[0] ?? [])

export function ackedInterval(
  acked: number,
  { back, count }: { back: number; count: number },
): { from: number; upto: number } {
  const from = Math.max(0, acked - back)
  return { from, upto: from + count }
}

/** What shows is `stream`. False: a handler would refuse it, or do nothing. */
export function ofStream(
  intent: StreamIntent,
  meaning: Meaning,
  stream: StreamTold | undefined,
  { ownAdded, lastIdOf }: Known,
): boolean {
  const { key } = intent
  const { entries, lastId, maxDeletedId, groups, added } = stream ?? emptyStream
  const group = 'group' in intent ? groups.find(({ name }) => name === intent.group) : undefined
  const killEntries = (ids: readonly number[]): boolean => {
    for (const id of ids) meaning.kills.push({ kind: 'entries', key, id })
    return ids.length > 0
  }
  const mark = (own: boolean, marks: { lastId: number; added: number }): void => {
    meaning.kills.push({ kind: 'marks', key, own })
    meaning.adds.push({ kind: 'marks', key, type: 'stream', maxDeletedId, ...marks })
  }
  switch (intent.command) {
    case 'streamAdd': {
      const first = lastId + intent.gap
      for (const [at, text] of intent.texts.entries())
        meaning.adds.push({ kind: 'entry', key, type: 'stream', id: first + at, text })
      mark(true, { lastId: first + intent.texts.length - 1, added: ownAdded + intent.texts.length })
      return true
    }
    case 'streamDelete': {
      const ids = idsAt(entries, intent.indexes)
      if (ids.length > 0) meaning.adds.push({ kind: 'deletion', key, id: Math.max(...ids) })
      return killEntries(ids)
    }
    case 'streamTrim':
      return killEntries(
        entries.map(([id]) => id).filter((id) => id <= (entries[entries.length - intent.keep - 1]?.[0] ?? 0)),
      )
    case 'streamSetId':
      if (stream === undefined) return false
      mark(false, { lastId: lastId + intent.gap, added: intent.added ?? added })
      return true
    case 'streamCreateGroup': {
      const { start } = intent
      if (group !== undefined) return false
      const starts = origins.map((origin) => (start === 'end' ? lastIdOf(origin) : start))
      meaning.adds.push({ kind: 'group', key, type: 'stream', group: intent.group, starts })
      return true
    }
    case 'streamDestroyGroup':
      meaning.kills.push({ kind: 'groups', key, group: intent.group })
      return group !== undefined
    case 'streamAcknowledge': {
      if (group === undefined) return false
      const interval = ackedInterval(group.acked[intent.of] as number, intent)
      meaning.adds.push({ kind: 'acked', key, group: intent.group, origin: intent.of, ...interval })
      return true
    }
  }
}

const emptyStream: StreamTold = { entries: [], lastId: 0, added: 0, maxDeletedId: 0, groups: [] }

/** What the writer knows besides what shows. */
interface Known {
  /** Entries that it has added, as its own marks say. */
  ownAdded: number
  /** Of the entries of one origin. */
  lastIdOf(origin: Origin): number
}

export function known(
  history: History,
  shown: StreamTold | undefined,
  key: string,
  seen: Float64Array,
  own: Origin,
): Known {
  const live = shown === undefined ? [] : history.liveAdds(key, seen)
  const of = (origin: Origin): Add[] =>
    live.flatMap(({ operation, what }) => (originOf(operation.stamp) === origin ? [what] : []))
  return {
    ownAdded: of(own).reduce((added, what) => (what.kind === 'marks' ? what.added : added), 0),
    lastIdOf: (origin) =>
      Math.max(
        0,
        ...of(origin).map((what) =>
          what.kind === 'marks' ? what.lastId : what.kind === 'entry' ? what.id : 0,
        ),
      ),
  }
}
