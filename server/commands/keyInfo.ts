/**
 * CRDT.INFO: what is held of a key, or of one field or member, beside what shows. It costs the same for a key of any size: of large
 * values it tells counts.
 */
import { errors, ReplyError } from '#protocol/resp/errors.ts'
import type { ReplyWriter } from '#protocol/resp/replyWriter.ts'
import { clusterOfOrigin, type Stamp } from '#protocol/sync/stamp.ts'
import { stampText } from '#protocol/sync/stampText.ts'
import { formatId } from '#protocol/sync/streamId.ts'
import { formatAmount } from '#server/crdt/amount.ts'
import type { CounterEntry } from '#server/crdt/counter.ts'
import { type KeyState, type KeyType, TypeBit } from '#server/crdt/keyState.ts'
import { type Score, Tag } from '#server/crdt/score.ts'
import type { Strnum } from '#server/crdt/strnum.ts'
import { shownTtl, type TtlWrites } from '#server/crdt/ttl.ts'
import { type KeyMetadata, keyMetadata } from '#server/store/keyMetadata.ts'
import type { Handler } from './context.ts'

/** In the order in which they are told. */
type Facts = readonly (readonly [name: string, value: Fact])[]
type Fact = number | string | null | readonly Facts[]

const noExpiry = -1

export const CRDT_INFO: Handler = ({ args, db, reply }) => {
  if (args.count !== 2 && args.count !== 4) throw new ReplyError(errors.syntax)
  const ofField = args.count === 4 && args.is(2, 'FIELD')
  if (args.count === 4 && !ofField && !args.is(2, 'MEMBER')) throw new ReplyError(errors.syntax)
  const held = keyMetadata(db.tables, args.text(1))
  if (args.count === 2) writeFacts(reply, held === undefined ? null : keyFacts(held))
  else writeFacts(reply, ofField ? fieldFacts(held, args.text(3)) : memberFacts(held, args.text(3)))
}

function keyFacts(held: KeyMetadata): Facts {
  const { slot, usedBytes, hasExpired, expireAtMs, expiryOwner: owner, state, text } = held
  const ttl = state?.ttl ?? text?.ttl ?? []
  const shown = state === null ? 'string' : state.visibleType()
  const implicit = state === null ? ttl.length === 0 : state.hasImplicitTtl
  return [
    ['slot', slot],
    ['type', shown === undefined ? 'none' : typeName(shown)],
    ['expired', hasExpired ? 1 : 0],
    ['bytes', usedBytes],
    ['expire-at-ms', atMs(expireAtMs)],
    ['expire-owner', owner === undefined ? null : clusterOfOrigin(owner)],
    ['ttl-writes', ttlWritesOf(ttl, implicit)],
    ['implicit-no-ttl', implicit ? 1 : 0],
    ['residue-ghost', state?.hasGhost ? 1 : 0],
    ['residue-baselines', state?.hasBaselines ? 1 : 0],
    ['residue-deletes', state?.hasDeletes ? 1 : 0],
    ['states', state === null ? [textFacts(held)] : statesOf(state, shown)],
  ]
}

const typeName = (type: KeyType): string => (type === 'hll' ? 'hyperloglog' : type)

const atMs = (expireAtMs: number): number => (expireAtMs === Number.POSITIVE_INFINITY ? noExpiry : expireAtMs)

/** `implicit`: a write of a value stands for "no TTL", which shows. */
function ttlWritesOf(writes: TtlWrites, implicit: boolean): readonly Facts[] {
  const shown = implicit ? undefined : shownTtl(writes)
  return writes.map((write) => [
    ['stamp', stampText(write.stamp)],
    ['expire-at-ms', atMs(write.expireAtMs)],
    ['shown', write === shown ? 1 : 0],
  ])
}

/** A string without conflicts and counters. */
function textFacts({ text }: KeyMetadata): Facts {
  const { stamp, sizeBytes } = text ?? { stamp: 0, sizeBytes: 0 }
  return [
    ['type', 'string'],
    ['shown', 1],
    ['live', 1],
    ['writes', [writeOfText(stamp, sizeBytes, true)]],
    ['counters', []],
  ]
}

/** One for each type of which anything is held: values that are hidden by another type, and residues. */
function statesOf(state: KeyState, shown: KeyType | undefined): Facts[] {
  const live = state.liveTypes
  const { string, hash, set, zset, list, stream, hll } = state
  const facts: Facts[] = []
  const add = (type: KeyType, own: Facts): void => {
    const isLive = (live & TypeBit[type]) !== 0 ? 1 : 0
    const head: Facts = [
      ['type', typeName(type)],
      ['shown', type === shown ? 1 : 0],
      ['live', isLive],
    ]
    facts.push([...head, ...own])
  }
  if (string !== undefined) add('string', valueFacts(string))
  if (hash !== undefined)
    add('hash', [
      ['elements', hash.size],
      ['elements-with-ttl', hash.timedFields],
      ['elements-with-baselines', hash.residueFields?.size ?? 0],
    ])
  if (set !== undefined) add('set', [['elements', set.size]])
  if (zset !== undefined)
    add('zset', [
      ['elements', zset.size],
      ['elements-with-baselines', zset.residueMembers?.size ?? 0],
    ])
  if (list !== undefined) add('list', [['elements', list.size]])
  if (stream !== undefined)
    add('stream', [
      ['elements', stream.size],
      ['groups', stream.heldGroups],
      ['last-id', formatId(stream.lastId)],
    ])
  if (hll !== undefined)
    add('hll', [
      ['stamp', hll.greatest === 0 ? null : stampText(hll.greatest)],
      ['deletes', hll.deletes.map(stampFact)],
    ])
  return facts
}

const stampFact = (stamp: Stamp): Facts => [['stamp', stampText(stamp)]]

/** A text, a number or both: what no later write has covered, and what each cluster has added. */
function valueFacts({ siblings, entries }: Strnum): Facts {
  const shown = siblings.at(-1)
  return [
    ['writes', siblings.map((sibling) => writeOfText(sibling.stamp, sibling.text.length, sibling === shown))],
    ['counters', entries.map((entry) => counterFacts(entry, formatAmount))],
  ]
}

const writeOfText = (stamp: Stamp, sizeBytes: number, isShown: boolean): Facts => [
  ['stamp', stampText(stamp)],
  ['bytes', sizeBytes],
  ['shown', isShown ? 1 : 0],
]

/** What a cluster has added since `from`; what a reset saw of it no longer counts. */
function counterFacts<Sum extends CounterEntry['sum']>(
  entry: CounterEntry<Sum>,
  format: (sum: Sum) => string,
): Facts {
  return [
    ['cluster', clusterOfOrigin(entry.origin)],
    ['sum', format(entry.sum)],
    ['from', stampText(entry.from)],
    ['last', stampText(entry.last)],
    ['live', entry.live ? 1 : 0],
    ['reset-by', entry.resetStamp === 0 ? null : stampText(entry.resetStamp)],
  ]
}

function fieldFacts(held: KeyMetadata | undefined, field: string): Facts | null {
  const found = held?.state?.hash?.fieldMetadata(field)
  if (found === undefined) return null
  const { state, ttl } = found
  const implicit = state.siblings.some(({ ttlApart }) => !ttlApart)
  return [
    ['type', 'hash'],
    ['live', state.live ? 1 : 0],
    ...valueFacts(state),
    [
      'expire-at-ms',
      atMs(implicit ? Number.POSITIVE_INFINITY : (shownTtl(ttl)?.expireAtMs ?? Number.POSITIVE_INFINITY)),
    ],
    ['ttl-writes', ttlWritesOf(ttl, implicit)],
  ]
}

/** Of a set and of a sorted set, should both be held. */
function memberFacts(held: KeyMetadata | undefined, member: string): Facts | null {
  const dots = held?.state?.set?.memberDots(member) ?? []
  const score = held?.state?.zset?.memberState(member)
  if (score !== undefined && !score.nothing) return scoreFacts(score)
  return dots.length === 0
    ? null
    : [
        ['type', 'set'],
        ['live', 1],
        ['writes', dots.map(stampFact)],
      ]
}

const tagNames: Readonly<Record<Tag, string>> = { [Tag.none]: 'none', [Tag.greater]: 'GT', [Tag.less]: 'LT' }

function scoreFacts({ siblings, entries, live }: Score): Facts {
  return [
    ['type', 'zset'],
    ['live', live ? 1 : 0],
    [
      'writes',
      siblings.map(({ stamp, score, tag }) => [
        ['stamp', stampText(stamp)],
        ['score', String(score)],
        ['condition', tagNames[tag]],
      ]),
    ],
    ['counters', entries.map((entry) => counterFacts(entry, String))],
  ]
}

function writeFacts(reply: ReplyWriter, facts: Facts | null): void {
  if (facts === null) {
    reply.null()
    return
  }
  reply.map(facts.length)
  for (const [name, fact] of facts) {
    reply.bulk(name)
    if (fact === null) reply.null()
    else if (typeof fact === 'number') reply.integer(fact)
    else if (typeof fact === 'string') reply.bulk(fact)
    else {
      reply.array(fact.length)
      for (const part of fact) writeFacts(reply, part)
    }
  }
}
