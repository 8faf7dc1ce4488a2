/**
 * What an operator wants of the members, step by step. A command that was interrupted is given again: it goes on from where
 * the list of members says that it was.
 */
import { randomUUID } from 'node:crypto'
import { MendableError } from '#control/contract/mendableError.ts'
import type { MemberRequest } from '#control/contract/requests.ts'
import { Departure, type DepartureStep } from '#control/plan/departure.ts'
import { freeId, isPresent, type Member, type MemberChange, participants } from '#control/plan/membership.ts'
import type { Change, StoredDatabase } from '#control/store/storeState.ts'
import { stampWallMs } from '#protocol/sync/stamp.ts'
import { isJsonObject, type JsonObject } from '#runtime/jsonObject.ts'
import type { Members, MembersPorts } from './members.ts'

const lookMs = 200
/** What takes long is told again so often. */
const tellMs = 3_000

type Tell = (text: string) => void

export class MemberWishes {
  readonly #members: Members
  readonly #ports: MembersPorts
  readonly #tellLog: Tell
  readonly #backNews: News

  constructor(members: Members, ports: MembersPorts) {
    this.#members = members
    this.#ports = ports
    this.#tellLog = (text) => ports.logger.info({}, text)
    this.#backNews = new News(this.#tellLog)
  }

  async serve(request: MemberRequest, tell: Tell): Promise<string> {
    const database = this.#members.database(request.database)
    const own = this.#members.ownOf(database)
    if (request.type === 'purgeDatabase') return await this.#purge(database, own)
    if (request.type === 'rejoin') return await this.#rejoin(database, own, request.forced, tell)
    if (own.state !== 'active' && own.state !== 'joining')
      throw new MendableError(`this cluster, ${own.name}, is ${own.state}; give the command at a member`)
    switch (request.type) {
      case 'addMember':
        return await this.#add(database, request, tell)
      case 'removeMembers':
        return await this.#remove(database, request, tell)
      case 'cancelMemberChange':
        return await this.#cancel(database)
      case 'moveMember': {
        const { name, host, port } = request
        const { id } = memberOf(database, name)
        await this.#members.commit({ kind: 'address', guid: database.guid, id, host, port })
        return `${name} is reached at ${host}:${port} from here`
      }
    }
  }

  async #add(
    database: StoredDatabase,
    request: Extract<MemberRequest, { type: 'addMember' }>,
    tell: Tell,
  ): Promise<string> {
    const { name, host, port } = request
    if (!this.#ports.hasIdentity())
      throw new MendableError('this node has no certificate: set [tls] in its file and start it again')
    const before = database.members.find((member) => member.name === name && isPresent(member))
    if (before?.state !== 'joining') {
      const id = request.id ?? freeId(database)
      if (id === null) throw new MendableError('there are as many members as there can be')
      await this.#members.change(database.name, this.#changeToAdd(database, { id, name, host, port }))
    }
    const { id } = memberOf(this.#members.database(database.name), name)
    tell(`${name} is a member, id ${id}, guid ${database.guid}, and may join now`)
    await this.#untilSynced(database.name, name, tell)
    await this.#members.change(database.name, { kind: 'activate', id })
    return `${name} is active`
  }

  /** The same as was promised before, when that was interrupted: the new member has one instance only. */
  #changeToAdd(
    { promised }: StoredDatabase,
    wish: Omit<Extract<MemberChange, { kind: 'add' }>, 'kind' | 'instance'>,
  ): MemberChange {
    const before = promised?.change
    if (before?.kind === 'add' && before.name === wish.name && before.port === wish.port) return before
    return { kind: 'add', ...wish, instance: randomUUID() }
  }

  async #untilSynced(databaseName: string, name: string, tell: Tell): Promise<void> {
    const news = new News(tell)
    for (;;) {
      const database = this.#members.database(databaseName)
      const { id, state } = memberOf(database, name)
      if (state !== 'joining') throw new MendableError(`${name} is ${state}: it was changed from elsewhere`)
      const answer = await this.#members.askPeer(database, id, {
        ask: 'state',
        epoch: database.epoch,
        synced: true,
      })
      if (answer?.['synced'] === true && answer['epoch'] === database.epoch) return
      news.say(answer === null ? `waiting for ${name} to be reachable` : `${name} is getting the data`)
      await pause()
    }
  }

  async #remove(
    database: StoredDatabase,
    request: Extract<MemberRequest, { type: 'removeMembers' }>,
    tell: Tell,
  ): Promise<string> {
    const { names, forced } = request
    const leaving = names.map((name) => memberOf(database, name))
    if (leaving.some(({ name }) => name === this.#ports.cluster))
      throw new MendableError('a member is removed by another one: give the command there')
    const [first] = leaving
    if (first === undefined || (!forced && leaving.length > 1))
      throw new MendableError('name one member; several only with --force')
    const ids = leaving.map(({ id }) => id)
    if (!leaving.every((member) => member.state === 'removing' && (!forced || member.forced)))
      await this.#members.change(database.name, { kind: 'leave', ids, forced })
    tell(
      forced
        ? `${names.join(', ')}: nothing is taken from there any more`
        : `${first.name} takes no writes any more`,
    )
    let stampFloor = 0
    for (const member of leaving) {
      const last = await this.#part(database.name, member, ids, forced, tell)
      stampFloor = Math.max(stampFloor, last)
      if (forced) tell(lossText(member.name, last))
    }
    await this.#members.change(database.name, { kind: 'remove', ids, stampFloor })
    return `${names.join(', ')} removed`
  }

  /** Until all have the same of the member; returns its last stamp. */
  async #part(
    databaseName: string,
    member: Member,
    leaving: readonly number[],
    forced: boolean,
    tell: Tell,
  ): Promise<number> {
    const database = this.#members.database(databaseName)
    const all = participants(database).map(({ id }) => id)
    const witnesses = forced ? all.filter((id) => !leaving.includes(id)) : all
    const departure = new Departure(forced ? witnesses : [member.id], witnesses)
    const news = new News(tell)
    for (;;) {
      const { step } = departure
      if (step.ask === 'nothing') return Math.max(0, ...step.final.values())
      const current = this.#members.database(databaseName)
      if (memberOf(current, member.name).state !== 'removing')
        throw new MendableError('the removal was called off from elsewhere')
      await Promise.all(step.of.map(async (id) => await this.#step(current, departure, step, id, member.id)))
      const rest = departure.step
      if (rest.ask === 'nothing') continue
      const waits = rest.of.map((id) => nameOf(current, id)).join(', ')
      const what = rest.ask === 'report' ? 'to say what they have' : 'to have all'
      news.say(`waiting for ${waits} ${what} of ${member.name}`)
      await pause()
    }
  }

  async #step(
    database: StoredDatabase,
    departure: Departure,
    step: Exclude<DepartureStep, { ask: 'nothing' }>,
    id: number,
    clusterId: number,
  ): Promise<void> {
    const question =
      step.ask === 'report'
        ? { ask: 'report', clusterId }
        : { ask: 'reached', clusterId, slots: Object.fromEntries(step.final) }
    const answer = await this.#members.askMember(database, id, question)
    if (answer === null) return
    const report = step.ask === 'report' ? readReport(answer) : null
    if (report !== null) departure.takeReport(id, report)
    if (step.ask === 'reached')
      departure.takeReached(id, { runs: String(answer['runs']), reached: answer['reached'] === true })
  }

  /** Safe only when all answer: somebody may have made the change already. */
  async #cancel(database: StoredDatabase): Promise<string> {
    const { name, epoch } = database
    const own = this.#members.ownOf(database).id
    const others = participants(database).filter(({ id }) => id !== own)
    for (const member of others) {
      const answer = await this.#members.askPeer(database, member.id, { ask: 'state', epoch })
      if (answer?.['epoch'] === epoch) continue
      throw new MendableError(
        answer === null
          ? `${member.name} can not be reached; it may have made the change. Nothing was called off`
          : `${member.name} has other members (epoch ${String(answer['epoch'])}); try again in a moment`,
      )
    }
    if (database.promised !== null) await this.#members.withdraw(database, others, null)
    const leaving = database.members.filter(({ state }) => state === 'removing').map(({ id }) => id)
    if (leaving.length === 0) return 'called off what had not happened yet'
    await this.#members.change(name, { kind: 'stay', ids: leaving })
    return `${leaving.map((id) => nameOf(database, id)).join(', ')}: the removal is called off`
  }

  /**
   * The others force this cluster out and let it in again, under the same id; here the data is dropped in between. Given again after
   * an interruption it goes on; the others do without (`bringBack`).
   */
  async #rejoin(database: StoredDatabase, own: Member, forced: boolean, tell: Tell): Promise<string> {
    const { name, epoch } = database
    const news = new News(tell)
    const isDropped = own.state === 'joining' && (epoch === 0 || own.returns === true)
    if (!isDropped) await this.#startAnew(name, own, forced, tell)
    while (memberOf(this.#members.database(name), own.name).state !== 'active') {
      const isKnown = this.#members.database(name).epoch > 0
      news.say(
        `what was here is dropped; ${isKnown ? 'getting the data of the others' : 'waiting to be let in'}`,
      )
      await pause()
    }
    return `${own.name} is active`
  }

  /** Until the others have forced this cluster out and it has dropped what it has. */
  async #startAnew(name: string, own: Member, forced: boolean, tell: Tell): Promise<void> {
    const news = new News(tell)
    // Asked once: who has forced this cluster out doesn't answer it any more.
    const silent = own.state === 'removed' ? [] : await this.#silentOf(this.#members.database(name), own)
    if (forced && silent.length > 0)
      tell(`${this.#namesOf(name, silent)}: forced out, too; what only they have is lost`)
    while (memberOf(this.#members.database(name), own.name, true).state !== 'removed') {
      const database = this.#members.database(name)
      const other = participants(database).find(
        ({ id, state }) => id !== own.id && state === 'active' && !silent.includes(id),
      )
      if (other === undefined) throw new MendableError('there is no other member to join that can be reached')
      if (silent.length > 0 && !forced) throw new MendableError(silentText(this.#namesOf(name, silent)))
      const answer = await this.#members.askPeer(database, other.id, { ask: 'replace', gone: silent })
      const failure = answer?.['failure']
      if (typeof failure === 'string') throw new MendableError(`${other.name}: ${failure}`)
      news.say(`waiting for ${other.name} to force this cluster out`)
      await pause()
    }
    const database = this.#members.database(name)
    const members = database.members
      .filter((member) => isPresent(member) || member.id === own.id)
      .map((member): Member => (member.id === own.id ? { ...member, state: 'joining' } : member))
    const joining = { ...database, epoch: 0, promised: null, members }
    await this.#erase(database, { kind: 'join', database: joining })
  }

  #namesOf(databaseName: string, ids: readonly number[]): string {
    return ids.map((id) => nameOf(this.#members.database(databaseName), id)).join(', ')
  }

  /** Other members that don't answer. */
  async #silentOf(database: StoredDatabase, own: Member): Promise<number[]> {
    const others = participants(database).filter(({ id }) => id !== own.id)
    const answers = await Promise.all(
      others.map(async ({ id }) => await this.#members.askPeer(database, id, { ask: 'state', epoch: 0 })),
    )
    return others.filter((_, i) => answers[i] === null).map(({ id }) => id)
  }

  /** By database, what came of replacing a member; null: it is under way. */
  readonly #replacing = new Map<string, string | null>()

  /** A member asks to be forced out, with those that are gone, and let in again. Says why that failed, once. */
  replace(database: StoredDatabase, peer: number, gone: readonly number[]): { failure: string | null } {
    const key = `${database.guid}/${peer}`
    const before = this.#replacing.get(key)
    if (before === null) return { failure: null }
    this.#replacing.delete(key)
    if (before !== undefined) return { failure: before }
    this.#replacing.set(key, null)
    void this.#replace(database, peer, gone).then(
      () => this.#replacing.delete(key),
      (error: unknown) => this.#replacing.set(key, error instanceof Error ? error.message : String(error)),
    )
    return { failure: null }
  }

  async #replace({ name, members }: StoredDatabase, peer: number, gone: readonly number[]): Promise<void> {
    const alsoGone = members.filter((member) => gone.includes(member.id) && isPresent(member))
    const ids = [peer, ...alsoGone.map(({ id }) => id)]
    await this.#members.change(name, { kind: 'leave', ids, forced: true, returning: peer })
    await this.bringBack(name)
  }

  /** Databases of which a member is being brought back from here. */
  readonly #returning = new Set<string>()

  /**
   * Goes on with a member that has asked to be forced out and let in again, wherever that stopped: it can't ask any more. Of
   * those who could the first one does.
   */
  async bringBack(databaseName: string): Promise<void> {
    const database = this.#members.database(databaseName)
    const back = database.members.find(({ returns }) => returns === true)
    const first = participants(database).find(({ state }) => state === 'active')
    if (back === undefined || first?.name !== this.#ports.cluster || this.#returning.has(databaseName)) return
    this.#returning.add(databaseName)
    const { name, host, port, id } = back
    try {
      if (back.state === 'removing') await this.#finishForcedRemoval(database)
      const wish = { database: databaseName, name, host, port, id }
      await this.#add(this.#members.database(databaseName), { type: 'addMember', ...wish }, this.#tellLog)
    } catch (error) {
      if (!(error instanceof MendableError)) throw error
      this.#backNews.say(`${name} is not back yet: ${error.message}`)
    } finally {
      this.#returning.delete(databaseName)
    }
  }

  async #finishForcedRemoval(database: StoredDatabase): Promise<void> {
    const leaving = database.members.filter(({ state, forced }) => state === 'removing' && forced)
    const names = leaving.map(({ name }) => name)
    const request = { type: 'removeMembers', database: database.name, names, forced: true } as const
    await this.#remove(database, request, this.#tellLog)
  }

  async #purge(database: StoredDatabase, own: Member): Promise<string> {
    if (own.state !== 'removed')
      throw new MendableError(
        `this cluster is a member of ${database.name} (${own.state}); remove it first, at another`,
      )
    await this.#erase(database)
    return `${database.name} and its data are gone from ${own.name}`
  }

  /**
   * The data goes first: interrupted, it is given again, as nothing has changed yet. The other way round a cluster could
   * join once more with the data of its former life.
   */
  async #erase({ name, guid }: StoredDatabase, ...then: Change[]): Promise<void> {
    await this.#ports.erase(name, async () => await this.#members.commit({ kind: 'drop', guid }, ...then))
  }
}

/** Of a member that was forced out, by the stamp of its last operation that anybody has. */
function lossText(name: string, last: number): string {
  if (last === 0) return `none of its operations has reached anybody: what ${name} wrote is lost`
  const time = new Date(stampWallMs(last)).toISOString()
  return `all have its operations up to ${time}: what ${name} wrote after that, and sent to nobody, is lost`
}

const silentText = (names: string): string =>
  `${names} can not be reached, and may have what nobody else has: its own last operations, and some of this cluster's. Start it, or give ` +
  'the command again with --force: then it is forced out, that is lost, and it may come back only after `antipode member purge`'

/** Tells what is new, and what is not now and then. */
class News {
  readonly #tell: Tell
  #last = ''
  #toldMs = 0

  constructor(tell: Tell) {
    this.#tell = tell
  }

  say(text: string): void {
    const nowMs = performance.now()
    if (text === this.#last && nowMs - this.#toldMs < tellMs) return
    this.#last = text
    this.#toldMs = nowMs
    this.#tell(text)
  }
}

const pause = async (): Promise<void> => {
  await new Promise((wake) => setTimeout(wake, lookMs))
}

function memberOf(database: StoredDatabase, name: string, orFormer = false): Member {
  const found = database.members.find((member) => member.name === name && (orFormer || isPresent(member)))
  if (found !== undefined) return found
  const names = database.members.filter(isPresent).map((member) => member.name)
  throw new MendableError(`${name} is no member of ${database.name}; the members are ${names.join(', ')}`)
}

const nameOf = ({ members }: StoredDatabase, id: number): string =>
  members.find((member) => member.id === id)?.name ?? String(id)

function readReport(answer: JsonObject) {
  const slots = answer['slots']
  if (!isJsonObject(slots)) return null
  const stamps = Object.entries(slots).map(([slot, stamp]): [number, number] => [Number(slot), Number(stamp)])
  return { runs: String(answer['runs']), slots: new Map(stamps) }
}
