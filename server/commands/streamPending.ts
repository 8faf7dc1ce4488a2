/** XPENDING: what has been delivered and not acknowledged. */
import { errors, ReplyError } from '#protocol/resp/errors.ts'
import { formatId, type StreamId } from '#protocol/sync/streamId.ts'
import type { Delivery } from '#server/crdt/pendingList.ts'
import type { StreamGroupView } from '#server/store/views.ts'
import type { Arguments } from './arguments.ts'
import type { CommandContext, Handler } from './context.ts'
import { intervalEndAt, intervalStartAt } from './streamArguments.ts'
import { countOf } from './streamReply.ts'

interface PendingRange {
  leastIdleMs: number
  from: StreamId
  to: StreamId
  count: number
  /** undefined: of all. */
  consumer: string | undefined
}

const rangeArgumentsMin = 6
const rangeArgumentsMax = 9

/** `[IDLE ms] start end count [consumer]`; undefined: the request asks for the summary. */
function parseRange(args: Arguments): PendingRange | undefined {
  if (args.count === 3) return undefined
  if (args.count < rangeArgumentsMin || args.count > rangeArgumentsMax) throw new ReplyError(errors.syntax)
  const isIdle = args.is(3, 'IDLE')
  const leastIdleMs = isIdle ? Number(args.integer(4)) : 0
  if (isIdle && args.count < rangeArgumentsMin + 2) throw new ReplyError(errors.syntax)
  const at = isIdle ? 5 : 3
  const count = countOf(args.integer(at + 2))
  const from = intervalStartAt(args, at)
  const to = intervalEndAt(args, at + 1)
  return { leastIdleMs, from, to, count, consumer: at + 3 < args.count ? args.text(at + 3) : undefined }
}

export const XPENDING: Handler = (context) => {
  const { args, db } = context
  const range = parseRange(args)
  const group = db.stream(args.text(1))?.group(args.text(2))
  if (group === undefined) throw new ReplyError(errors.noGroup(args.text(1), args.text(2)))
  if (range === undefined) tellSummary(context, group)
  else tellRange(context, group, range)
}

function tellSummary({ reply }: CommandContext, { local }: StreamGroupView): void {
  reply.array(4)
  reply.integer(local?.pendingCount ?? 0)
  const [first, last] = [local?.firstPending, local?.lastPending]
  if (local === undefined || first === undefined || last === undefined) {
    reply.null()
    reply.null()
    reply.nullArray()
    return
  }
  reply.bulk(formatId(first))
  reply.bulk(formatId(last))
  const waiting = local.consumers.filter(({ pending }) => pending.size > 0)
  reply.array(waiting.length)
  for (const { name, pending } of waiting) reply.bulks([name, String(pending.size)])
}

function tellRange({ reply, nowMs }: CommandContext, { local }: StreamGroupView, range: PendingRange): void {
  const found = [...deliveries()]
  reply.array(found.length)
  for (const { id, consumer, deliveredMs, count } of found) {
    reply.array(4)
    reply.bulk(formatId(id))
    reply.bulk(consumer.name)
    reply.integer(Math.max(0, nowMs - deliveredMs))
    reply.integer(count)
  }

  function* deliveries(): Generator<Delivery, void, void> {
    const { consumer, from, to, leastIdleMs } = range
    const list = consumer === undefined ? undefined : local?.consumerNamed(consumer)?.pending
    const all = consumer === undefined ? local?.pendingFrom(from) : list?.from(from)
    let left = range.count
    for (const delivery of all ?? []) {
      if (left <= 0 || delivery.id > to) return
      if (leastIdleMs !== 0 && nowMs - delivery.deliveredMs < leastIdleMs) continue
      left--
      yield delivery
    }
  }
}
