/**
 * The members of this node's databases: what its agent tells the agents of the others, and what it does when an operator
 * wants to change them. Agents reach each other over the links that are there anyway: our syncer carries a question to the
 * database port of the peer, whose proxy hands it to the agent (see `docs/adr/0022-members-change-by-epochs.md`).
 *
 * A change is promised by all whom it concerns, made at the others, then here; every list is in the config store before any
 * process is told of it. Who misses a change learns of it within `gossipMs`, or when it is turned away at a peer.
 */

import { MendableError } from '#control/contract/mendableError.ts'
import type { MemberRequest } from '#control/contract/requests.ts'
import type { DepartureReached, DepartureReport } from '#control/plan/departure.ts'
import {
  changed,
  commandFor,
  type Member,
  type MemberChange,
  type MemberList,
  participants,
  readMemberChange,
  readMemberList,
  withOwnAddresses,
} from '#control/plan/membership.ts'
import type { ConfigStore } from '#control/store/configStore.ts'
import type { Change, StoredDatabase } from '#control/store/storeState.ts'
import { isJsonObject, type JsonObject } from '#runtime/jsonObject.ts'
import type { Logger } from '#runtime/ports.ts'
import { MemberWishes } from './memberWishes.ts'

const gossipMs = 1_000

export interface MembersPorts {
  /** Name of this cluster. */
  cluster: string
  store: ConfigStore
  logger: Logger
  /** Whether this node has a certificate: without there is no way to another cluster. */
  hasIdentity(): boolean
  /** The store says something else now: processes must be told. */
  changed(): void
  /** Asks a process, or through a syncer the agent of a peer; null: no answer. */
  ask(process: string, peer: number, question: unknown): Promise<unknown>
  /** Ends the processes of a database, removes its data and then, before any of them is started again, does what is to follow. */
  erase(database: string, then: () => Promise<void>): Promise<void>
}

export class Members {
  readonly #ports: MembersPorts
  readonly #wishes: MemberWishes
  #gossip: NodeJS.Timeout | null = null

  constructor(ports: MembersPorts) {
    this.#ports = ports
    this.#wishes = new MemberWishes(this, ports)
  }

  start(): void {
    let isAsking = false
    this.#gossip = setInterval(() => {
      if (isAsking) return
      isAsking = true
      void this.#askAround()
        .catch((error: unknown) => this.#fail(error))
        .finally(() => {
          isAsking = false
        })
    }, gossipMs)
  }

  stop(): void {
    if (this.#gossip !== null) clearInterval(this.#gossip)
  }

  async serve(request: MemberRequest, tell: (text: string) => void): Promise<string> {
    return await this.#wishes.serve(request, tell)
  }

  database(name: string): StoredDatabase {
    const { databases } = this.#ports.store.state
    const found = databases.find((database) => database.name === name)
    if (found !== undefined) return found
    const [only] = databases
    if (name === '' && only !== undefined && databases.length === 1) return only
    const names = databases.map((database) => database.name)
    if (name === '') throw new MendableError(`say which database: ${names.join(', ') || 'there is none'}`)
    throw new MendableError(`there is no database ${name} here; there is ${names.join(', ') || 'none'}`)
  }

  ownOf(database: StoredDatabase): Member {
    const own = database.members.find(({ name }) => name === this.#ports.cluster)
    if (own === undefined) throw new MendableError(`${this.#ports.cluster} is no member of ${database.name}`)
    return own
  }

  async commit(...changes: Change[]): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      this.#ports.store.commitTogether(changes, (error) => (error === null ? resolve() : reject(error)))
    })
    this.#ports.changed()
  }

  /** The agent of another member; null: it can't be reached. */
  async askPeer(database: StoredDatabase, peer: number, question: object): Promise<JsonObject | null> {
    const answer = await this.#ports.ask(`syncer/${database.name}`, peer, question)
    return isJsonObject(answer) ? answer : null
  }

  /** Any member, this cluster among them. */
  async askMember(database: StoredDatabase, id: number, question: object): Promise<JsonObject | null> {
    if (id !== this.ownOf(database).id) return await this.askPeer(database, id, question)
    const answer = await this.answer(database.name, id, question)
    return isJsonObject(answer) ? answer : null
  }

  /** All that must agree, this cluster left out, to a change that makes `next` of the list here. */
  othersConcerned(database: StoredDatabase, next: MemberList): Member[] {
    const own = this.ownOf(database).id
    const forced = next.members.filter((member) => member.forced).map(({ id }) => id)
    return participants(database).filter(({ id }) => id !== own && !forced.includes(id))
  }

  /** Makes a change at all whom it concerns, or nowhere. */
  async change(name: string, change: MemberChange): Promise<void> {
    const database = this.database(name)
    const next = changed(database, change)
    if (typeof next === 'string') throw new MendableError(next)
    const others = this.othersConcerned(database, next)
    const own = this.ownOf(database).id
    const refusal = await this.#keepPromise(database, change, own)
    if (refusal !== null) throw new MendableError(refusal)
    const question = { ask: 'promise', list: listOf(database), change }
    const answers = await Promise.all(
      others.map(async (member) => ({ member, answer: await this.askPeer(database, member.id, question) })),
    )
    const failed = answers.filter(({ answer }) => answer?.['promised'] !== true)
    if (failed.length > 0 || !this.#hasPromised(name, database.epoch, change, own)) {
      await this.withdraw(database, others, own)
      throw new MendableError(
        failed.map(({ member, answer }) => refusalText(member, answer)).join('\n') ||
          'the change was called off from elsewhere; nothing was changed',
      )
    }
    await Promise.all(
      others.map(async ({ id }) => await this.askPeer(database, id, { ask: 'commit', list: next })),
    )
    await this.#adopt(name, next)
  }

  /** Nothing becomes of what was promised to the cluster; to all, when that is null. */
  async withdraw(database: StoredDatabase, others: readonly Member[], to: number | null): Promise<void> {
    const question = { ask: 'withdraw', epoch: database.epoch, all: to === null }
    await Promise.all(others.map(async ({ id }) => await this.askPeer(database, id, question)))
    await this.#withdrawHere(database.name, database.epoch, to)
  }

  async #withdrawHere(name: string, epoch: number, cluster: number | null): Promise<void> {
    const { guid, promised, epoch: now } = this.database(name)
    if (now !== epoch || promised === null) return
    const to = cluster === null ? [] : promised.to.filter((id) => id !== cluster)
    await this.commit({
      kind: 'promise',
      guid,
      epoch,
      promised: to.length === 0 ? null : { change: promised.change, to },
    })
  }

  /** Promises the change to a cluster; a text says why not. */
  async #keepPromise(
    { name, guid, epoch }: StoredDatabase,
    change: MemberChange,
    to: number,
  ): Promise<string | null> {
    const refusal = promiseRefusal(this.database(name), change)
    if (refusal !== null) return refusal
    const { promised } = this.database(name)
    const before = promised !== null && isSame(promised.change, change) ? promised.to : []
    const all = [...new Set([...before, to])]
    await this.commit({ kind: 'promise', guid, epoch, promised: { change, to: all } })
    return this.#hasPromised(name, epoch, change, to) ? null : 'the members are being changed from elsewhere'
  }

  #hasPromised(name: string, epoch: number, change: MemberChange, to: number): boolean {
    const { epoch: now, promised } = this.database(name)
    return now === epoch && promised !== null && isSame(promised.change, change) && promised.to.includes(to)
  }

  /** A peer has told its list. */
  learn(name: string, peer: number, told: unknown): void {
    const list = readMemberList(told)
    // The database may have been purged meanwhile.
    const isThere = this.#ports.store.state.databases.some((database) => database.name === name)
    if (list === null || !isThere || this.#isGoing(name, peer)) return
    void this.#adopt(name, list).catch((error: unknown) => this.#fail(error))
  }

  /** It is about to be forced out, as has been promised: whatever it wants to change comes too late. */
  #isGoing(name: string, peer: number): boolean {
    const change = this.database(name).promised?.change
    return change?.kind === 'leave' && change.forced && change.ids.includes(peer)
  }

  /** Answers the agent of a peer. */
  async answer(name: string, peer: number, question: unknown): Promise<unknown> {
    const database = this.#ports.store.state.databases.find((candidate) => candidate.name === name)
    if (database === undefined || !isJsonObject(question)) return null
    try {
      return await this.#answer(database, peer, question)
    } catch (error) {
      this.#fail(error)
      return null
    }
  }

  /** What this cluster has of a member that goes; see `server/sync/membership.ts`. */
  async #report(database: StoredDatabase, clusterId: number): Promise<DepartureReport> {
    const answers = await this.#askShards(database, { what: 'memberReport', clusterId })
    const slots = new Map<number, number>()
    let isWhole = true
    for (const answer of answers) {
      const told = answer?.['slots']
      if (!isJsonObject(told)) isWhole = false
      else for (const [slot, stamp] of Object.entries(told)) slots.set(Number(slot), Number(stamp))
    }
    return { runs: runsOf(answers), slots: isWhole ? slots : null }
  }

  async #hasReached(
    database: StoredDatabase,
    clusterId: number,
    slots: JsonObject,
  ): Promise<DepartureReached> {
    const answers = await this.#askShards(database, { what: 'memberReached', clusterId, slots })
    return { runs: runsOf(answers), reached: answers.every((answer) => answer?.['reached'] === true) }
  }

  /** Whether every shard here has what the others had when they were asked. */
  async isSynced(database: StoredDatabase): Promise<boolean> {
    const answers = await this.#askShards(database, { what: 'info' })
    return answers.every((answer) => answer?.['stale'] === false)
  }

  async #answer(database: StoredDatabase, peer: number, question: JsonObject): Promise<unknown> {
    const { name, epoch } = database
    switch (question['ask']) {
      case 'state': {
        const list = Number(question['epoch']) < epoch ? listOf(database) : null
        const isSynced = question['synced'] === true && (await this.isSynced(database))
        return { epoch, list, synced: isSynced }
      }
      case 'replace':
        return this.#wishes.replace(database, peer, idsOf(question['gone']))
      case 'promise':
        return await this.#promise(name, peer, question)
      case 'withdraw':
        await this.#withdrawHere(name, Number(question['epoch']), question['all'] === true ? null : peer)
        return { withdrawn: this.database(name).epoch === question['epoch'] }
      case 'commit': {
        const list = readMemberList(question['list'])
        if (list !== null && !this.#isGoing(name, peer)) await this.#adopt(name, list)
        return { epoch: this.database(name).epoch }
      }
      case 'report': {
        const { runs, slots } = await this.#report(database, Number(question['clusterId']))
        return { runs, slots: slots === null ? null : Object.fromEntries(slots) }
      }
      case 'reached': {
        const { slots } = question
        return isJsonObject(slots)
          ? await this.#hasReached(database, Number(question['clusterId']), slots)
          : null
      }
      default:
        return null
    }
  }

  async #promise(name: string, peer: number, question: JsonObject): Promise<object> {
    const list = readMemberList(question['list'])
    const change = readMemberChange(question['change'])
    if (list === null || change === null) return { refused: 'the question is not understood' }
    // Who is behind catches up first.
    await this.#adopt(name, list)
    const database = this.database(name)
    if (database.epoch !== list.epoch)
      return { refused: `the members have changed since (epoch ${database.epoch})`, list: listOf(database) }
    const next = changed(database, change)
    if (typeof next === 'string') return { refused: next }
    const refusal = await this.#keepPromise(database, change, peer)
    if (refusal !== null) return { refused: refusal }
    return { promised: true }
  }

  /** Takes over a list with a higher epoch. */
  async #adopt(name: string, told: MemberList): Promise<void> {
    const database = this.database(name)
    if (told.epoch <= database.epoch) return
    const own = this.ownOf(database)
    const self = told.members.find(({ id }) => id === own.id)
    // Who wants to join may come before it is let in, when the others only know of its former life.
    if (database.epoch === 0 && (self?.name !== own.name || self.state !== 'joining')) return
    const isOther = self === undefined || self.name !== own.name || self.instance !== own.instance
    const list = withOwnAddresses(told, database)
    // The first list that who joins is told says which instance it is.
    if (isOther && database.epoch > 0) {
      // The id is somebody else's by now, or free: this cluster was removed while it was away.
      const others = list.members.filter(({ id }) => id !== own.id)
      list.members = [...others, { ...own, state: 'removed', forced: false }]
    }
    await this.commit({ kind: 'members', guid: database.guid, list })
    const states = list.members.map((member) => `${member.name} ${member.state}`)
    this.#ports.logger.info(
      { database: name, epoch: list.epoch, members: states },
      'the members have changed',
    )
  }

  async #askAround(): Promise<void> {
    for (const database of this.#ports.store.state.databases) {
      const { name, epoch } = database
      const own = database.members.find((member) => member.name === this.#ports.cluster)
      if (own === undefined || own.state === 'removed') continue
      const peers = participants(database).filter(({ id }) => id !== own.id)
      for (const { id } of peers) {
        const answer = await this.askPeer(database, id, { ask: 'state', epoch })
        if (answer !== null && answer['list'] !== null) this.learn(name, id, answer['list'])
      }
      void this.#wishes.bringBack(name).catch((error: unknown) => this.#fail(error))
    }
  }

  async #askShards(database: StoredDatabase, question: object): Promise<(JsonObject | null)[]> {
    const indexes = Array.from({ length: database.shards }, (_, index) => index)
    return await Promise.all(
      indexes.map(async (index) => {
        const answer = await this.#ports.ask(`shard/${database.name}/${index}`, 0, question)
        return isJsonObject(answer) ? answer : null
      }),
    )
  }

  #fail(error: unknown): void {
    const message = error instanceof Error ? error.message : String(error)
    this.#ports.logger.error({ error: message }, 'the list of members was not changed')
  }
}

const listOf = ({ epoch, members }: MemberList): MemberList => ({ epoch, members })

/** Of a peer, which may be of a release that names none. */
const idsOf = (ids: unknown): number[] =>
  Array.isArray(ids) ? ids.filter((id): id is number => Number.isInteger(id)) : []

const runsOf = (answers: readonly (JsonObject | null)[]): string =>
  answers.map((answer) => String(answer?.['runId'])).join()

const isSame = (one: MemberChange, other: MemberChange): boolean =>
  JSON.stringify(one) === JSON.stringify(other)

/** Why another change can't be promised now. A promise to members that are being forced out is void. */
function promiseRefusal({ promised, members }: StoredDatabase, change: MemberChange): string | null {
  if (promised === null || isSame(promised.change, change)) return null
  const gone = change.kind === 'leave' && change.forced ? change.ids : []
  const to = promised.to.filter((id) => !gone.includes(id))
  if (to.length === 0) return null
  const names = to.map((id) => members.find((member) => member.id === id)?.name ?? `cluster ${id}`)
  const command = `antipode member ${commandFor(promised.change, members)} --config FILE`
  return (
    `${names.join(', ')} is changing the members. Wait until it is done; if it was interrupted, give its command there again ` +
    `(${command}), or call it off at any member (antipode member cancel --config FILE), which takes that all answer`
  )
}

function refusalText({ name }: Member, answer: JsonObject | null): string {
  if (answer === null) return `${name} can not be reached; nothing was changed`
  return `${name} refuses: ${String(answer['refused'])}`
}
