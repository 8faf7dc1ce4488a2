/** What may differ in replies about streams: times, by what lies between two servers' clocks, and what came with 7.2. */
import { isAggregate, type Reply, type Rule, show } from './reply.ts'

const toleranceMs = 5000

const isNear = (own: Reply, redis: Reply): boolean =>
  own.mark === ':' && redis.mark === ':' && Math.abs(Number(own.text) - Number(redis.text)) <= toleranceMs

/** An entry that is pending: id, consumer (where it isn't known anyway), a time, how often it was delivered. */
function sameDelivery(own: Reply, redis: Reply): boolean {
  const timeAt = own.items.length - 2
  return (
    own.items.length === redis.items.length &&
    own.items.every((item, i) =>
      i === timeAt ? isNear(item, redis.items[i] as Reply) : show(item) === show(redis.items[i] as Reply),
    )
  )
}

const sameDeliveries = (own: Reply, redis: Reply): boolean =>
  own.mark === redis.mark &&
  own.items.length === redis.items.length &&
  own.items.every((item, i) => sameDelivery(item, redis.items[i] as Reply))

/** A summary has no times. */
const pending: Rule = (own, redis) =>
  own.items[0]?.mark === '*' && !own.isNull ? sameDeliveries(own, redis) : false

/** Since 7.2; payloads of 7.0 don't tell it either. */
const newNames = new Set(['active-time', 'inactive'])
/** Of Redis's tree, which there is none of here. */
const treeNames = new Set(['radix-tree-keys', 'radix-tree-nodes'])
const timeNames = new Set(['seen-time', 'idle'])

/** Maps, which RESP2 tells as names and values in turn; lists of them; the rest has to be the same. */
const info: Rule = (own, redis) => {
  if (own.mark !== redis.mark) return false
  if (!isAggregate(own) || own.items[0] === undefined) return show(own) === show(redis)
  if (isAggregate(own.items[0]))
    return (
      own.items.length === redis.items.length &&
      own.items.every((item, i) => info(item, redis.items[i] as Reply))
    )
  const [mine, theirs] = [byName(own), byName(redis)]
  for (const name of newNames) for (const values of [mine, theirs]) values.delete(name)
  return (
    [...mine.keys()].join() === [...theirs.keys()].join() &&
    [...mine].every(([name, value]) => sameValue(name, value, theirs.get(name) as Reply))
  )
}

function sameValue(name: string, own: Reply, redis: Reply): boolean {
  // A consumer that reads in vain is seen only since 7.2.
  if (timeNames.has(name) || treeNames.has(name)) return own.mark === ':' && redis.mark === ':'
  if (name === 'pending' && own.mark !== ':') return sameDeliveries(own, redis)
  return name === 'groups' || name === 'consumers' ? info(own, redis) : show(own) === show(redis)
}

function byName({ items }: Reply): Map<string, Reply> {
  const values = new Map<string, Reply>()
  for (let i = 0; i < items.length; i += 2) values.set(items[i]?.text ?? '', items[i + 1] as Reply)
  return values
}

export const streamRules: Readonly<Record<string, Rule>> = {
  XPENDING: pending,
  'XINFO|CONSUMERS': info,
  'XINFO|STREAM': info,
}
