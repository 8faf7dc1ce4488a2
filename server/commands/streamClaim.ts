/** XCLAIM and XAUTOCLAIM: what is pending for one consumer becomes another's. */
import { errors, ReplyError } from '#protocol/resp/errors.ts'
import { formatId, minId, type StreamId } from '#protocol/sync/streamId.ts'
import type { EntryName } from '#server/crdt/pendingList.ts'
import type { StreamEntry } from '#server/crdt/streamBlock.ts'
import { lastDeliveredOf, positionBeyond } from '#server/store/groupPosition.ts'
import type { StreamGroupView, StreamView } from '#server/store/views.ts'
import type { Arguments } from './arguments.ts'
import type { CommandContext, Handler } from './context.ts'
import { idAt, intervalStartAt, tryIdAt } from './streamArguments.ts'
import { createConsumer, entryNamed, nameOf } from './streamDelivery.ts'
import { replyEntries } from './streamReply.ts'

/** What a claim has found. */
interface Claimed extends EntryName {
  readonly entry: StreamEntry
  /** How often it will have been delivered. */
  readonly count: number
}

interface Claim {
  readonly claimed: Claimed[]
  /** Pending, but deleted. */
  readonly gone: EntryName[]
}

function groupOf({ args, db }: CommandContext): { stream: StreamView; group: StreamGroupView } {
  const stream = db.stream(args.text(1))
  const group = stream?.group(args.text(2))
  if (stream === undefined || group === undefined)
    throw new ReplyError(errors.noGroup(args.text(1), args.text(2)))
  return { stream, group }
}

function leastIdleAt(args: Arguments, command: string): number {
  return Math.max(0, Number(args.integer(4, errors.claimArgument('min-idle-time', command))))
}

/** Gives what was found to the consumer, which there is. */
function take({ args, write, nowMs }: CommandContext, { claimed, gone }: Claim, deliveredMs: number): void {
  const [key, name, consumer] = [args.text(1), args.text(2), args.text(3)]
  if (gone.length > 0) write.changeGroup(key, name, (sink) => sink.forget(gone))
  if (claimed.length === 0) return
  write.changeGroup(key, name, (sink) => {
    sink.setConsumer(consumer, nowMs, nowMs)
    for (const { id, origin, count } of claimed) sink.deliver(consumer, deliveredMs, count, [{ id, origin }])
  })
}

function tell({ reply }: CommandContext, claimed: readonly Claimed[], justId: boolean): void {
  if (justId) reply.bulks(claimed.map(({ id }) => formatId(id)))
  else
    replyEntries(
      reply,
      claimed.map(({ entry }) => entry),
    )
}

// ---- XCLAIM

interface ClaimOptions {
  deliveredMs: number
  /** undefined: one more. */
  retryCount: number | undefined
  force: boolean
  justId: boolean
  lastId: StreamId
}

const claimNumber = (args: Arguments, i: number, option: string): number =>
  Number(args.integer(i, errors.claimArgument(`${option} option`, 'XCLAIM')))

function parseClaim(args: Arguments, from: number, nowMs: number): ClaimOptions {
  const options: ClaimOptions = {
    deliveredMs: nowMs,
    retryCount: undefined,
    force: false,
    justId: false,
    lastId: minId,
  }
  for (let at = from; at < args.count; at++) {
    const more = args.count - 1 - at
    if (args.is(at, 'FORCE')) options.force = true
    else if (args.is(at, 'JUSTID')) options.justId = true
    else if (args.is(at, 'IDLE') && more > 0) options.deliveredMs = nowMs - claimNumber(args, ++at, 'IDLE')
    else if (args.is(at, 'TIME') && more > 0) options.deliveredMs = claimNumber(args, ++at, 'TIME')
    else if (args.is(at, 'RETRYCOUNT') && more > 0) {
      const count = claimNumber(args, ++at, 'RETRYCOUNT')
      options.retryCount = count < 0 ? undefined : Math.min(count, Number.MAX_SAFE_INTEGER)
    } else if (args.is(at, 'LASTID') && more > 0) options.lastId = idAt(args, ++at)
    else throw new ReplyError(errors.unknownClaimOption(args.text(at)))
  }
  const { deliveredMs } = options
  // A clock of the client's that is wrong is no error.
  if (deliveredMs < 0 || deliveredMs > nowMs) options.deliveredMs = nowMs
  return options
}

export const XCLAIM: Handler = (context) => {
  const { args, write, nowMs } = context
  const { stream, group } = groupOf(context)
  const leastIdleMs = leastIdleAt(args, 'XCLAIM')
  const ids: StreamId[] = []
  for (let i = 5; i < args.count; i++) {
    const id = tryIdAt(args, i)
    if (id === undefined) break
    ids.push(id)
  }
  const options = parseClaim(args, 5 + ids.length, nowMs)
  const [key, name] = [args.text(1), args.text(2)]
  if (options.lastId > lastDeliveredOf(group)) {
    const position = positionBeyond(group, options.lastId)
    write.changeGroup(key, name, (sink) => sink.setPosition(position))
  }
  createConsumer(context, key, { name, consumer: args.text(3), noAck: false })
  const claimed: Claimed[] = []
  for (const id of ids) {
    const claim = claimOf(stream, group, id, leastIdleMs, options, nowMs)
    take(context, claim, options.deliveredMs)
    claimed.push(...claim.claimed)
  }
  tell(context, claimed, options.justId)
}

/** Several when clusters have chosen the same id. */
function claimOf(
  stream: StreamView,
  group: StreamGroupView,
  id: StreamId,
  leastIdleMs: number,
  { retryCount, force, justId }: ClaimOptions,
  nowMs: number,
): Claim {
  const { local } = group
  const gone = (local?.deliveriesOf(id) ?? []).filter(
    (delivery) => entryNamed(stream, delivery) === undefined,
  )
  const claimed: Claimed[] = []
  for (const entry of stream.range(id, id)) {
    const entryName = nameOf(entry)
    const delivery = local?.delivery(entryName)
    if (delivery === undefined && !force) continue
    if (delivery !== undefined && leastIdleMs > 0 && nowMs - delivery.deliveredMs < leastIdleMs) continue
    const before = delivery?.count ?? 1
    claimed.push({ ...entryName, entry, count: retryCount ?? (justId ? before : before + 1) })
  }
  return { claimed, gone }
}

// ---- XAUTOCLAIM

const claimCountDefault = 100
/** Redis looks at so many times more than it may give. */
const attemptsFactor = 10
const claimCountMax = (2n ** 63n - 1n) / 16n

interface AutoClaimOptions {
  count: number
  justId: boolean
}

function parseAutoClaim(args: Arguments): AutoClaimOptions {
  const options: AutoClaimOptions = { count: claimCountDefault, justId: false }
  for (let at = 6; at < args.count; at++) {
    if (args.is(at, 'COUNT') && at + 1 < args.count) {
      const count = args.integer(++at, errors.claimCountNotPositive)
      if (count < 1 || count > claimCountMax) throw new ReplyError(errors.claimCountNotPositive)
      options.count = Number(count)
    } else if (args.is(at, 'JUSTID')) options.justId = true
    else throw new ReplyError(errors.syntax)
  }
  return options
}

export const XAUTOCLAIM: Handler = (context) => {
  const { args, db, reply, nowMs } = context
  // Used before the options are looked at.
  db.use(args.text(1))
  const leastIdleMs = leastIdleAt(args, 'XAUTOCLAIM')
  const from = intervalStartAt(args, 5)
  const options = parseAutoClaim(args)
  const { stream, group } = groupOf(context)
  createConsumer(context, args.text(1), { name: args.text(2), consumer: args.text(3), noAck: false })
  const { next, ...claim } = scanPending(stream, group, from, leastIdleMs, options, nowMs)
  take(context, claim, nowMs)
  reply.array(3)
  reply.bulk(formatId(next))
  tell(context, claim.claimed, options.justId)
  reply.bulks(claim.gone.map(({ id }) => formatId(id)))
}

/** `next` is where the next call goes on; 0-0: this was the end. */
function scanPending(
  stream: StreamView,
  { local }: StreamGroupView,
  from: StreamId,
  leastIdleMs: number,
  { count, justId }: AutoClaimOptions,
  nowMs: number,
): Claim & { next: StreamId } {
  const claimed: Claimed[] = []
  const gone: EntryName[] = []
  let attempts = count * attemptsFactor
  let last: StreamId | undefined
  for (const delivery of local?.pendingFrom(from) ?? []) {
    // Entries with one id go together: a call that goes on behind it would leave out the others.
    const isFull = attempts <= 0 || claimed.length + gone.length >= count
    if (isFull && delivery.id !== last) return { claimed, gone, next: delivery.id }
    last = delivery.id
    attempts--
    const entry = entryNamed(stream, delivery)
    const { id, origin } = delivery
    if (entry === undefined) gone.push({ id, origin })
    else if (leastIdleMs === 0 || nowMs - delivery.deliveredMs >= leastIdleMs)
      claimed.push({ id, origin, entry, count: justId ? delivery.count : delivery.count + 1 })
  }
  return { claimed, gone, next: minId }
}
