/**
 * A random network of replicas under one seed: FIFO links that are cut (what is under way is lost, and sent again when the
 * link is back), are slow, or lose a message; relays, duplicate deliveries, slot states merged at any moment, also long
 * after they were cut; heartbeats and the forgetting of residues. Few keys and elements, so that conflicts are dense.
 *
 * Judged by the history: each replica, at any time, shows what the operations it has seen mean; and when everything has
 * been delivered all are equal, hidden state included, and no residue is left.
 */
import { slotOfKey } from '#protocol/slots/crc16.ts'
import { originOfCluster, type Stamp, stampEpochMs } from '#protocol/sync/stamp.ts'
import { includes } from '#protocol/sync/versionVector.ts'
import type { SeededRandom } from '#test/seed.ts'
import { contextAt, History, hasExpired, type KeyView, type Operation, type ScoreTag } from './history.ts'
import { type Intent, Meanings, replyOf, run } from './intents.ts'
import type { Command, NetworkOptions } from './networkOptions.ts'
import { type Heartbeat, type Replica, reencoded, type Shipment, type SlotCut } from './replica.ts'
import { checkVisible, madeAt, must, productionView, textOf } from './shown.ts'
import { randomStreamIntent } from './streamRun.ts'
import { giveLacking, randomPatch } from './strings.ts'

type Message = { shipment: Shipment } | { heartbeat: Heartbeat }

interface LateCut {
  to: Replica
  from: Replica
  cut: SlotCut
  log: Shipment[]
}

const fieldNames = ['f', 'g']
/** The virtual clock starts here: far from the epoch, so that skewed clocks stay positive. */
const startMs = stampEpochMs + 1_000_000

export class Network {
  readonly history = new History()
  readonly replicas: Replica[]
  readonly #random: SeededRandom
  readonly #options: NetworkOptions
  readonly #meanings: Meanings
  readonly #queues: Map<string, Message[]> = new Map()
  readonly #cutLinks: Set<string> = new Set()
  readonly #slow: string
  #lateCuts: LateCut[] = []
  #nowMs = startMs
  /** Single messages get lost, until the end. */
  #lossy = false
  #values = 0
  /** Most scores are written with one tag, so that all concurrent ones often have it. */
  readonly #scoreTag: ScoreTag

  constructor(random: SeededRandom, options: NetworkOptions) {
    this.#random = random
    this.#options = options
    this.#scoreTag = random.pick(['GT', 'LT', undefined] as const)
    this.#meanings = new Meanings(this.history, options.keys)
    const origins = Array.from({ length: options.replicas }, (_, at) => originOfCluster(at + 1))
    const { production } = options
    this.replicas = origins.map((origin) => new production.Replica(origin, origins, production))
    for (const replica of this.replicas) {
      replica.skewMs = options.skews !== false && random.chance(0.3) ? random.below(5) : 0
    }
    this.#slow = options.slowLink ? linkName(this.#anyReplica(), this.#anyReplica()) : ''
  }

  get nowMs(): number {
    return this.#nowMs
  }

  advance(byMs: number): void {
    this.#nowMs += byMs
  }

  // ---- one random step

  step(): void {
    const random = this.#random
    this.#lossy = true
    const a = this.#anyReplica()
    const b = this.#anyReplica()
    let x = random.fraction()
    const calm = this.#options.calm ?? 0
    if (calm > 0 && random.chance(0.3 * calm)) x = random.pick([0.5, 0.5, 0.9, 0.9, 0.94])
    if (this.#options.statesOften && random.chance(0.2)) x = 0.8
    if (random.chance(0.2)) this.#nowMs += 1 + random.below(400)
    if (x < 0.42) this.command(a)
    else if (x < 0.89) this.#transfer(x, a, b)
    else if (x < 0.93) this.heartbeat(a)
    else if (x < 0.97) a.forget()
    else if (a !== b) this.#toggleLink(a, b)
    if (random.chance(0.05)) this.#sendExpiries(a)
    if (random.chance(0.2)) giveLacking(this.#sourcesOf(a), a)
    if (random.chance(0.1)) this.checkReplica(a)
  }

  #transfer(x: number, a: Replica, b: Replica): void {
    const random = this.#random
    if (a === b) return
    if (x < 0.72) {
      if (linkName(a, b) === this.#slow && random.chance(0.9)) return
      for (let count = random.below(3); count >= 0; count--) this.#deliver(a, b)
    } else if (x < 0.76) {
      if (this.#isUp(a, b) && !(this.#options.slowLink && random.chance(0.8))) this.relay(a, b)
    } else if (this.#options.operationsOnly) {
      this.#deliver(a, b)
    } else if (x < 0.82) {
      if (this.#isUp(a, b)) this.mergeFrom(b, a)
    } else if (x < 0.86) this.#cutLate(a, b)
    else this.#mergeLate()
  }

  /** One command, or several as a transaction, on `replica`. */
  command(replica: Replica): void {
    for (let attempt = 0; attempt < 5; attempt++) {
      const command = this.#random.pick(this.#options.commands)
      const count = command === 'transaction' ? 2 + this.#random.below(2) : 1
      const done: Operation[] = []
      const shipment = replica.commit(this.#nowMs + replica.skewMs, () => {
        for (let at = 0; at < count; at++) this.#give(replica, this.#intent(command), done)
      })
      if (shipment === undefined) continue
      must(reencoded(shipment), () => 'effects are not what they were encoded from')
      for (const other of this.replicas) if (other !== replica) this.#queue(replica, other).push({ shipment })
      return
    }
  }

  /** A command given by the test itself; false: the command did nothing. */
  give(replica: Replica, ...intents: Intent[]): boolean {
    const done: Operation[] = []
    const shipment = replica.commit(this.#nowMs, () => {
      for (const intent of intents) this.#give(replica, intent, done)
    })
    if (shipment === undefined) return false
    for (const other of this.replicas) if (other !== replica) this.#queue(replica, other).push({ shipment })
    return true
  }

  #give(replica: Replica, intent: Intent, done: Operation[]): void {
    const slot = slotOfKey(intent.key)
    const { nowMs } = replica.keyspace
    // Operations of the running transaction count as seen, though the slot's vector isn't raised yet.
    const seen = replica.seen(slot)
    seen[replica.origin] = Math.max(seen[replica.origin] as number, ...ownStamps(done, slot))
    const before = this.history.view(intent.key, seen)
    const meaning = this.#meanings.of(intent, seen, nowMs, replica.origin)
    if (meaning === undefined) return
    const reply = run(replica.keyspace, replica.write, intent)
    const stamp = replica.clock.last
    this.#meanings.name(meaning, intent.key, stamp, (index) => madeAt(replica, intent.key, index))
    const operation = {
      stamp,
      context: contextAt(seen, stamp),
      adds: meaning.adds,
      kills: meaning.kills,
      slot,
    }
    this.history.tell(operation)
    done.push(operation)
    const after = this.history.view(intent.key, contextAt(seen, stamp + 8))
    this.#expectView(replica, intent.key, after, intent)
    const told = replyOf(intent, before, after)
    must(
      reply === undefined || reply === told,
      () => `reply ${reply}, told ${told} of ${JSON.stringify(intent)}`,
    )
    const keeps = !meaning.keepsTtl || after.type === 'none' || after.expireAtMs === before.expireAtMs
    must(keeps, () => `a write that is no TTL write changed the TTL: ${JSON.stringify(intent)}`)
  }

  #intent(command: Command): Intent {
    const random = this.#random
    const key = random.pick(this.#options.keys)
    const field = random.pick(fieldNames)
    const amount = random.chance(0.2) ? (1 + random.below(40)) / 4 : 1 + random.below(9)
    const text = random.chance(0.5) ? `s${this.#values++}` : String(1000 * ++this.#values)
    const expireAtMs = this.#nowMs + 1000 * (1 + random.below(40))
    switch (command) {
      case 'set':
      case 'setKeepTtl':
        return { command, key, text }
      case 'setExpiring':
        return { command, key, text, expireAtMs }
      case 'patch':
        return randomPatch(random, key, text)
      case 'increment':
        return { command, key, amount: random.chance(0.2) ? -amount : amount }
      case 'expire':
        return { command, key, expireAtMs: random.chance(0.25) ? Number.POSITIVE_INFINITY : expireAtMs }
      case 'hashSet':
        return { command, key, field, text }
      case 'hashIncrement':
        return { command, key, field, amount }
      case 'hashDelete':
        return { command, key, fields: random.chance(0.5) ? [field] : fieldNames }
      case 'hashExpire': {
        const fields = random.chance(0.7) ? [field] : fieldNames
        return { command, key, fields, expireAtMs: random.chance(0.25) ? never : this.#soonMs() }
      }
      case 'hashDeleteExpired':
        return { command, key, fields: [] }
      case 'setAdd':
      case 'setRemove':
      case 'zsetRemove':
        return { command, key, members: random.chance(0.7) ? [field] : fieldNames }
      case 'zsetAdd': {
        const tag = random.pick([undefined, 'GT', 'LT', this.#scoreTag, this.#scoreTag] as const)
        return { command, key, member: field, score: random.below(20), tag }
      }
      case 'zsetIncrement':
        return { command, key, member: field, amount: random.chance(0.2) ? 100 : amount }
      case 'hllAdd':
      case 'hllSet': {
        const rank = (): [number, number] => [random.below(3), 1 + random.below(4)]
        const values = Array.from({ length: random.pick([0, 1, 1, 2]) }, rank)
        if (command === 'hllAdd') return { command, key, values }
        return { command, key, values, keep: random.chance(0.5) }
      }
      case 'listPush': {
        const values = Array.from({ length: 1 + random.below(3) }, () => `e${this.#values++}`)
        return { command, key, side: random.pick(['left', 'right']), values }
      }
      case 'listPop':
        return { command, key, side: random.pick(['left', 'right']), count: random.pick([1, 1, 1, 2, 4]) }
      case 'listSet':
      case 'listInsert':
        return { command, key, index: random.below(5), text }
      case 'listRemove':
        return { command, key, indexes: [0, 1, 2, 3].filter(() => random.chance(0.4)) }
      case 'listTrim':
        return { command, key, start: random.below(3), end: random.below(6) }
      case 'transaction': {
        const others = this.#options.commands.filter((other) => other !== 'transaction' && other !== 'flush')
        return this.#intent(random.pick(others.length > 0 ? others : ['set']))
      }
      case 'flush':
      case 'delete':
      case 'deleteExpired':
      case 'zsetRemoveRange':
        return { command, key }
      default:
        return randomStreamIntent(random, command, key, field, `x${this.#values++}`)
    }
  }

  /** In a moment, too: fields that have expired and aren't deleted yet are to be met. */
  #soonMs(): number {
    const random = this.#random
    return this.#nowMs + (random.chance(0.5) ? random.below(600) : 1000 * (1 + random.below(40)))
  }

  // ---- links

  #queue(from: Replica, to: Replica): Message[] {
    const name = linkName(from, to)
    let queue = this.#queues.get(name)
    if (queue === undefined) {
      queue = []
      this.#queues.set(name, queue)
    }
    return queue
  }

  #isUp(from: Replica, to: Replica): boolean {
    return !this.#cutLinks.has(linkName(from, to))
  }

  #deliver(from: Replica, to: Replica): boolean {
    const queue = this.#queue(from, to)
    if (!this.#isUp(from, to)) return false
    const message = queue.shift()
    if (message === undefined) return false
    if (this.#lossy && this.#random.chance(0.02)) return true
    if ('heartbeat' in message) to.receiveHeartbeat(message.heartbeat)
    else {
      to.receive(message.shipment)
      if (this.#random.chance(0.1)) to.receive(message.shipment)
    }
    return true
  }

  deliverAll(from: Replica, to: Replica): void {
    while (this.#deliver(from, to));
  }

  /** What is under way from `from` to `to`. */
  loseAll(from: Replica, to: Replica): void {
    this.#queue(from, to).length = 0
  }

  heartbeat(from: Replica): void {
    for (const to of this.replicas)
      if (to !== from) this.#queue(from, to).push({ heartbeat: from.heartbeat() })
  }

  /** `to` tells what it has; `from` sends its own operations above that, and goes on from there. */
  #resubscribe(from: Replica, to: Replica): void {
    const queue = this.#queue(from, to)
    queue.length = 0
    for (const shipment of from.log) {
      if (shipment.origin === from.origin && !to.isKnown(shipment)) queue.push({ shipment })
    }
  }

  #toggleLink(a: Replica, b: Replica): void {
    const name = linkName(a, b)
    if (this.#cutLinks.delete(name)) this.#resubscribe(a, b)
    else {
      this.#cutLinks.add(name)
      if (this.#random.chance(0.5)) this.#queue(a, b).length = 0
    }
  }

  /** `from` gives `to` whatever `to` can apply, of any origin. */
  relay(from: Replica, to: Replica): void {
    for (const shipment of from.log) {
      if (to.isKnown(shipment) || !to.isReady(shipment)) continue
      to.receive(shipment)
      if (this.#random.chance(0.3)) return
    }
  }

  #sourcesOf(to: Replica): Replica[] {
    return this.replicas.filter((from) => from !== to && this.#isUp(from, to))
  }

  #slots(): number[] {
    return [...new Set(this.#options.keys.map(slotOfKey))]
  }

  mergeFrom(from: Replica, to: Replica): void {
    const slot = this.#random.pick(this.#slots())
    to.merge(from.cut(slot), from.log)
  }

  #cutLate(to: Replica, from: Replica): void {
    if (this.#lateCuts.length >= 3) return
    const cut = from.cut(this.#random.pick(this.#slots()))
    this.#lateCuts.push({ to, from, cut, log: from.log.slice() })
  }

  #mergeLate(): void {
    const [late] = this.#lateCuts.splice(this.#random.below(Math.max(1, this.#lateCuts.length)), 1)
    if (late !== undefined) late.to.merge(late.cut, late.log)
  }

  // ---- the end

  /** Everything gets everywhere. */
  heal(): void {
    this.#lossy = false
    this.#cutLinks.clear()
    this.#lateCuts = []
    for (let round = 0; round < 60; round++) {
      for (const [a, b] of this.#pairs()) {
        this.#resubscribe(a, b)
        this.deliverAll(a, b)
        if (round > 1) for (const shipment of a.log) if (b.isReady(shipment)) b.receive(shipment)
        giveLacking(this.replicas, b)
      }
      if (this.#haveAllTheSame()) return
    }
    throw new Error('some operations can be delivered nowhere')
  }

  #haveAllTheSame(): boolean {
    const [first, ...others] = this.replicas as [Replica, ...Replica[]]
    return this.#slots().every((slot) =>
      others.every(
        (other) =>
          includes(other.seen(slot), first.seen(slot)) && includes(first.seen(slot), other.seen(slot)),
      ),
    )
  }

  checkReplica(replica: Replica): void {
    for (const key of this.#options.keys) {
      this.#expectView(replica, key, this.history.view(key, replica.seen(slotOfKey(key))), 'delivery')
    }
    const views = this.#options.keys.map((key) => productionView(replica, key))
    const live = views.filter((view) => view.type !== 'none')
    const timed = live.filter((view) => view.expireAtMs !== Number.POSITIVE_INFINITY)
    for (const [at, key] of this.#options.keys.entries()) checkVisible(replica, key, views[at] as KeyView)
    const { size, expiring } = replica.keyspace
    must(
      size === live.length && expiring === timed.length,
      () => `counted ${size} keys, ${expiring} with a TTL`,
    )
  }

  #expectView(replica: Replica, key: string, told: KeyView, cause: unknown): void {
    const shown = productionView(replica, key)
    must(
      textOf(shown) === textOf(told),
      () =>
        `${key} at origin ${replica.origin} after ${JSON.stringify(cause)}:\n  shows ${textOf(shown)}\n  told  ${textOf(told)}`,
    )
  }

  /** All equal, and what the whole history means. */
  checkConverged(): void {
    for (const replica of this.replicas) this.checkReplica(replica)
    for (const slot of this.#slots()) {
      const digests = this.replicas.map((replica) => replica.keyspace.slotDigest(slot))
      must(new Set(digests).size === 1, () => `hidden state differs in slot ${slot}: ${digests}`)
    }
  }

  finish(): void {
    this.heal()
    this.checkConverged()
    for (const replica of this.replicas) replica.rest()
    if (this.#random.chance(0.5)) {
      for (const [a, b] of this.#pairs()) for (const slot of this.#slots()) a.merge(b.cut(slot), b.log)
      this.checkConverged()
    }
    for (let round = 0; round < 3; round++) {
      for (const a of this.replicas) this.heartbeat(a)
      for (const [a, b] of this.#pairs()) this.deliverAll(a, b)
      for (const a of this.replicas) a.forget()
      this.checkConverged()
    }
    for (const replica of this.replicas) {
      must(replica.keyspace.residues === 0, () => `${replica.keyspace.residues} residues left`)
    }
  }

  /** Time passes; nothing outlives its TTL, nothing else goes, even if one replica is silent. */
  expireAll(): void {
    const lasting = this.#options.keys.filter((key) => {
      const view = this.history.view(key)
      return view.type !== 'none' && !hasExpired(view, never - 1)
    })
    const silent = this.#random.chance(0.5) ? this.#anyReplica() : undefined
    for (let second = 0; second < 110; second++) {
      this.#nowMs += 1000
      for (const replica of this.replicas) if (replica !== silent) this.#sendExpiries(replica)
      if (second % 20 === 19) this.heal()
    }
    this.heal()
    this.checkConverged()
    const left = this.#options.keys.filter((key) => this.history.view(key).type !== 'none')
    must(left.join() === lasting.join(), () => `left ${left}, without a TTL were ${lasting}`)
    const timed = left.filter((key) => {
      const view = this.history.view(key)
      return view.type === 'hash' && Object.keys(view.fieldExpiry).length > 0
    })
    must(timed.length === 0, () => `fields of ${timed} outlive their TTL`)
  }

  #sendExpiries(replica: Replica): void {
    replica.keyspace.nowMs = this.#nowMs
    for (const key of replica.keyspace.dueExpiries(10)) {
      const seen = replica.seen(slotOfKey(key))
      const { type, expireAtMs, fieldExpiry } = this.history.view(key, seen)
      const timed = type === 'hash' ? Object.keys(fieldExpiry) : []
      const isDue = (atMs: number, field?: string): boolean =>
        this.#nowMs >= atMs + (this.history.expiryOwner(key, seen, field) === replica.origin ? 1_000 : 30_000)
      if (expireAtMs !== never && isDue(expireAtMs)) this.give(replica, { command: 'deleteExpired', key })
      else {
        must(timed.length > 0, () => `expiry of ${key} sent too early`)
        const fields = timed.filter((field) => isDue(fieldExpiry[field] ?? never, field))
        if (fields.length > 0) this.give(replica, { command: 'hashDeleteExpired', key, fields })
      }
    }
  }

  /** Any two, both ways. */
  #pairs(): [Replica, Replica][] {
    const { replicas } = this
    return replicas.flatMap((a) => replicas.flatMap((b): [Replica, Replica][] => (a === b ? [] : [[a, b]])))
  }

  #anyReplica(): Replica {
    return this.#random.pick(this.replicas)
  }
}

const never = Number.POSITIVE_INFINITY

const linkName = (from: Replica, to: Replica): string => `${from.origin}>${to.origin}`

const ownStamps = (done: readonly (Operation & { slot?: number })[], slot: number): Stamp[] =>
  done.filter((operation) => operation.slot === slot).map(({ stamp }) => stamp)
