/**
 * What the clients were told, and what must therefore be true. An operation either must be there in the end, may be there, or
 * was refused. It must be there when the client was told that it was done, unless the shard lost what the persistence
 * policy allows it to lose:
 *
 *     always      nothing, whatever happens to processes and power
 *     everysec    nothing when a process is killed; about the last second of a process when the power is cut
 *     none        everything, with the process
 *
 * (and everything, when the disk itself is lost). What a member that has left in order had handed over is lost, too, when the policy is
 * `none` and the last who had it goes.
 */
import { slotOfKey } from '#protocol/slots/crc16.ts'
import { includesSlot } from '#protocol/slots/slotMap.ts'
import type { Outcome } from '#test/outcome.ts'
import { isSumOfSome } from '#test/sums.ts'
import type { Reply, SimClient } from './simClient.ts'
import { keyOf, type Operation } from './workload.ts'
import type { SimShard, World } from './world.ts'

type LossKind = 'kill' | 'power' | 'disk'

interface Loss {
  shard: SimShard
  kind: LossKind
  atMs: number
  /** Shards of other clusters that were well. */
  holders: readonly SimShard[]
}

interface Entry {
  operation: Operation
  shard: SimShard
  sentMs: number
  /** When it was known to be done; Infinity: it never was. */
  doneMs: number
}

/** A process that has run for so long since, give or take a turn, has synced what was written with everysec. */
const everysecLossMs = 1100
/** With more that may or may not be there only bounds are checked. */
const uncertainMax = 14

export class Ledger {
  readonly #world: World
  /** Shards that may have been given the slots of one transaction at different times. */
  readonly #torn: ReadonlySet<SimShard>
  readonly #entries: Entry[] = []
  readonly #losses: Loss[] = []
  #flushed = false
  done = 0
  refused = 0
  unknown = 0
  /** Reads of two slots that had to agree. */
  wholeReads = 0

  constructor(world: World, torn: ReadonlySet<SimShard>) {
    this.#world = world
    this.#torn = torn
  }

  onLoss(shard: SimShard, kind: LossKind): void {
    const others = this.#world.clusters.filter((cluster) => cluster !== shard.cluster)
    const holders = others.flatMap(({ shards }) => shards.filter(isWell))
    this.#losses.push({ shard, kind, atMs: this.#nowMs, holders })
  }

  /** A client sends the operation; the result is what to call with its outcome. */
  enter(client: SimClient, operation: Operation): (outcome: Outcome, replies: Reply[]) => void {
    const shard = shardOf(client, operation.tag)
    const sentMs = this.#nowMs
    const entry: Entry = { operation, shard, sentMs, doneMs: Number.POSITIVE_INFINITY }
    if (operation.law === 'flush') this.#flushed = true
    if (operation.write) this.#entries.push(entry)
    return (outcome, replies) => {
      this[outcome]++
      if (outcome === 'refused') this.#entries.splice(this.#entries.indexOf(entry), operation.write ? 1 : 0)
      if (outcome !== 'done') return
      entry.doneMs = this.#nowMs
      if (!operation.write) this.#checkRead(entry, replies.at(-1) ?? null)
    }
  }

  /** A read of the final state of a tag's keys at one cluster. */
  checkFinal(tag: string, clusterName: string, read: Record<string, Reply>): void {
    const at = `${clusterName}, ${tag}:`
    this.#checkPair(at, [read['left'] ?? null, read['right'] ?? null])
    this.#checkText(at, tag, read['text'] ?? null)
    if (this.#flushed) return
    this.#checkSum(`${at} sum`, this.#of('sum', tag), Number(read['sum'] ?? 0))
    const points = read['points'] as string[] | null
    this.#checkSum(`${at} points`, this.#of('points', tag), Number(points?.[1] ?? 0))
    this.#checkSum(`${at} left`, this.#of('pair', tag), Number(read['left'] ?? 0))
    this.#checkGrow(at, tag, read['grow'] as string[])
    this.#checkOrder(at, this.#of('order', tag), read['order'] as string[])
    const feed = (read['feed'] as string[]).map((entry) => entry.split('=') as [id: string, value: string])
    if (new Set(feed.map(([id]) => id)).size < feed.length)
      this.#world.fail(`${at} an id twice in ${feed.join()}`)
    this.#checkOrder(
      at,
      this.#of('feed', tag),
      feed.map(([, value]) => value),
    )
  }

  /** A read of the final state of the two counters in two slots. */
  checkAcross(clusterName: string, near: Reply, far: Reply): void {
    if (this.#flushedHalf) return
    this.#checkPair(`${clusterName}, two slots:`, [near, far])
    const entries = this.#entries.filter(({ operation }) => operation.law === 'across')
    if (!this.#flushed) this.#checkSum(`${clusterName} near`, entries, Number(near ?? 0))
  }

  /** Whether a FLUSHALL may have seen, and so removed, one slot of a transaction and not the other. */
  get #flushedHalf(): boolean {
    return this.#flushed && this.#torn.size > 0
  }

  get #nowMs(): number {
    return this.#world.events.nowMs
  }

  #of(law: Operation['law'], tag: string): Entry[] {
    return this.#entries.filter(({ operation }) => operation.law === law && operation.tag === tag)
  }

  #checkRead({ operation, shard, sentMs }: Entry, reply: Reply): void {
    const at = `read at cluster ${shard.cluster.clusterId}, ${operation.tag}:`
    if (operation.law === 'pair') this.#checkPair(at, reply as Reply[])
    if (operation.law === 'across' && !this.#torn.has(shard) && !this.#flushedHalf) {
      this.wholeReads++
      this.#checkPair(at, reply as Reply[])
    }
    if (operation.law === 'text') this.#checkText(at, operation.tag, reply)
    if (operation.law !== 'grow' || this.#flushed) return
    // What this cluster had acknowledged before, unless it lost something since.
    for (const entry of this.#of('grow', operation.tag)) {
      if (entry.shard !== shard || entry.doneMs > sentMs || this.#losses.some((loss) => mayHit(loss, entry)))
        continue
      if (!(reply as string[]).includes(entry.operation.token))
        this.#world.fail(
          `${at} ${entry.operation.token} was added at ${entry.doneMs.toFixed(1)} ms and is not there`,
        )
    }
  }

  #checkPair(at: string, [left, right]: Reply[]): void {
    if (Number(left ?? 0) + Number(right ?? 0) !== 0)
      this.#world.fail(`${at} half a transaction shows: ${left} and ${right}`)
  }

  #checkText(at: string, tag: string, value: Reply): void {
    if (value === null || this.#of('text', tag).some(({ operation }) => operation.token === value)) return
    this.#world.fail(`${at} ${value} was never written`)
  }

  #checkGrow(at: string, tag: string, members: readonly string[]): void {
    const entries = this.#of('grow', tag)
    for (const entry of entries) {
      if (this.#mustBeThere(entry) && !members.includes(entry.operation.token))
        this.#world.fail(
          `${at} ${entry.operation.token} was added at ${entry.doneMs.toFixed(1)} ms and is lost`,
        )
    }
    for (const member of members) {
      if (!entries.some(({ operation }) => operation.token === member))
        this.#world.fail(`${at} ${member} was never added`)
    }
  }

  /** Nothing is there twice, and what one cluster pushed later lies behind. */
  #checkOrder(at: string, entries: readonly Entry[], list: readonly string[]): void {
    const places = new Map(list.map((value, place) => [value, place]))
    if (places.size < list.length) this.#world.fail(`${at} something is twice in ${list.join()}`)
    for (const value of list) {
      if (!entries.some(({ operation }) => operation.token === value))
        this.#world.fail(`${at} ${value} was never added`)
    }
    for (const entry of entries) {
      const place = places.get(entry.operation.token)
      if (place === undefined && this.#mustBeThere(entry))
        this.#world.fail(`${at} ${entry.operation.token}, pushed at ${entry.doneMs.toFixed(1)} ms, is lost`)
      for (const later of entries) {
        const isLater = later.shard === entry.shard && later.sentMs > entry.doneMs
        const laterPlace = places.get(later.operation.token)
        if (isLater && place !== undefined && laterPlace !== undefined && laterPlace < place)
          this.#world.fail(`${at} ${later.operation.token} was pushed later and lies before ${list[place]}`)
      }
    }
  }

  /** The sum of all that must be there and of any of those that may. */
  #checkSum(at: string, entries: readonly Entry[], sum: number): void {
    let certain = 0
    const uncertain: number[] = []
    for (const entry of entries) {
      const amount = Number(entry.operation.token)
      if (this.#mustBeThere(entry)) certain += amount
      else uncertain.push(amount)
    }
    if (!isSumOfSome(sum - certain, uncertain, uncertainMax))
      this.#world.fail(`${at} is ${sum}: ${certain} must be in it, and any of [${uncertain.join(', ')}] may`)
  }

  #mustBeThere(entry: Entry): boolean {
    if (entry.doneMs === Number.POSITIVE_INFINITY) return false
    return !this.#losses.some((loss) => this.#excuses(loss, entry))
  }

  #excuses(loss: Loss, entry: Entry): boolean {
    if (this.#world.options.persistence === 'none' && isLastOf(loss, entry)) return true
    if (!mayHit(loss, entry)) return false
    if (loss.kind === 'disk') return true
    const { persistence } = this.#world.options
    if (persistence === 'none') return true
    if (persistence === 'always' || loss.kind !== 'power') return false
    // Nobody syncs what a killed process has written until there is another one.
    return entry.shard.lives.every(
      ({ fromMs, toMs }) => Math.min(toMs, loss.atMs) - Math.max(fromMs, entry.doneMs) < everysecLossMs,
    )
  }
}

/** It is there, and has its data. */
export const isWell = ({ shard }: SimShard): boolean => shard !== null && !shard.replication.stale

/** Nobody else had it. */
function isLastOf({ shard, atMs, holders }: Loss, { operation, sentMs }: Entry): boolean {
  const slot = slotOfKey(keyOf(operation.tag, ''))
  const owns = (one: SimShard) => includesSlot(one.address.ranges, slot)
  return atMs >= sentMs && owns(shard) && !holders.some(owns)
}

const mayHit = (loss: Loss, entry: Entry): boolean => loss.shard === entry.shard && loss.atMs >= entry.sentMs

function shardOf({ cluster }: SimClient, tag: string): SimShard {
  const slot = slotOfKey(keyOf(tag, ''))
  const owner = cluster.shards.find(({ address }) => includesSlot(address.ranges, slot))
  if (owner === undefined) throw new Error(`nobody owns slot ${slot}`)
  return owner
}
