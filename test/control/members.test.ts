/**
 * The agents of several clusters change their members: real stores on simulated disks, and questions that get lost. Shards
 * are played: each knows one stamp of each cluster.
 */
import { describe, expect, it } from 'vitest'
import { Members } from '#control/agent/members.ts'
import { ConfigStore } from '#control/store/configStore.ts'
import { completeDatabase } from '#control/store/databaseImport.ts'
import type { StoredDatabase } from '#control/store/storeState.ts'
import { FaultyDisk } from '#test/faultyDisk.ts'
import { SeededRandom, seedFromEnv } from '#test/seed.ts'
import { silentLogger } from '#test/silentLogger.ts'
import { inFile } from './fileDatabase.ts'

class World {
  readonly clusters = new Map<number, Cluster>()
  /** Links that are down, as `1-2`, both ways. */
  readonly down = new Set<string>()
  /** Whether this question, or its answer, gets lost. */
  loses: () => boolean = () => false

  constructor(count: number, total = count) {
    const ids = Array.from({ length: count }, (_, i) => i + 1)
    for (const id of ids) this.clusters.set(id, new Cluster(this, id, ids, false))
    for (let id = count + 1; id <= total; id++) this.clusters.set(id, new Cluster(this, id, [1, id], true))
  }

  cluster(id: number): Cluster {
    const found = this.clusters.get(id)
    if (found === undefined) throw new Error(`no cluster ${id}`)
    return found
  }

  cut(id: number): void {
    for (const other of this.clusters.keys()) this.down.add(linkOf(id, other))
  }

  /** By epoch, what any cluster has ever held under it, whom that forces out, and who held it. */
  readonly seen = new Map<number, { text: string; forced: readonly number[]; by: number }[]>()

  /** Who is being forced out may be in the middle of a change that it will never know to be void. */
  note(): void {
    for (const cluster of this.clusters.values()) {
      if (cluster.databases === 0 || cluster.database.epoch === 0) continue
      const { id: by, database } = cluster
      const members = database.members.map(({ id, name, state, instance }) => [id, name, state, instance])
      const forced = database.members.filter((member) => member.forced).map(({ id }) => id)
      const held = { text: JSON.stringify(members), forced, by }
      const all = this.seen.get(database.epoch) ?? []
      for (const other of all) {
        const isOut = other.forced.includes(by) || forced.includes(other.by)
        if (other.text !== held.text && !isOut)
          throw new Error(`two lists of epoch ${database.epoch}: ${other.text} and ${held.text}`)
      }
      if (!all.some((other) => other.text === held.text && other.by === by)) all.push(held)
      this.seen.set(database.epoch, all)
    }
  }
}

const linkOf = (a: number, b: number): string => (a < b ? `${a}-${b}` : `${b}-${a}`)

class Cluster {
  readonly id: number
  /** What its one shard has of each cluster. */
  readonly stamps = new Map<number, number>()
  synced = true
  /** While it removes its data. */
  dies = false
  run = 'run 1'
  told: string[] = []
  readonly #world: World
  readonly #store = ConfigStore.open(new FaultyDisk(), silentLogger)
  members: Members
  /** Of the agents before this one, which say nothing more. */
  #lives = 0

  constructor(world: World, id: number, ids: readonly number[], joins: boolean) {
    this.#world = world
    this.id = id
    const members = ids.map((one) => ({ id: one, name: nameOf(one), host: 'h', port: 12_000 + one }))
    const file = { ...inFile, guid: 'g', members, joins, shards: 1 }
    const stored = completeDatabase(file, nameOf(id), 'h', () => 'g')
    this.#store.commit({ kind: 'import', databases: [stored] }, () => {})
    this.members = this.#newMembers()
  }

  /** The agent is killed, with all that it was about to do, and started again. */
  restart(): void {
    this.#lives++
    this.members = this.#newMembers()
  }

  #newMembers(): Members {
    const life = this.#lives
    const never = new Promise<never>(() => {})
    return new Members({
      cluster: nameOf(this.id),
      store: this.#store,
      logger: silentLogger,
      hasIdentity: () => true,
      changed: () => this.#world.note(),
      ask: async (process, peer, question) => {
        const answer = await this.#ask(process, peer, question)
        return life === this.#lives ? answer : await never
      },
      erase: async (_, then) => {
        if (this.dies) throw new Error('the agent is killed')
        await then()
      },
    })
  }

  get database(): StoredDatabase {
    const [database] = this.#store.state.databases
    if (database === undefined) throw new Error('it was purged')
    return database
  }

  get databases(): number {
    return this.#store.state.databases.length
  }

  get states(): string {
    return this.database.members.map(({ id, state }) => `${id} ${state}`).join(', ')
  }

  async add(id: number): Promise<string> {
    const place = { name: nameOf(id), host: 'h', port: 12_000 + id }
    return await this.#serve({ type: 'addMember', database: 'db1', ...place, id })
  }

  async remove(ids: readonly number[], forced: boolean): Promise<string> {
    return await this.#serve({ type: 'removeMembers', database: 'db1', names: ids.map(nameOf), forced })
  }

  async rejoin(forced = false): Promise<string> {
    return await this.#serve({ type: 'rejoin', database: 'db1', forced })
  }

  async cancel(): Promise<string> {
    return await this.#serve({ type: 'cancelMemberChange', database: 'db1' })
  }

  async #serve(request: Parameters<Members['serve']>[0]): Promise<string> {
    return await this.members.serve(request, (text) => this.told.push(text))
  }

  async #ask(process: string, peer: number, question: unknown): Promise<unknown> {
    // Others may come in between.
    await Promise.resolve()
    if (!process.startsWith('syncer')) return this.#answerAsShard(question as { what: string })
    const world = this.#world
    const target = world.clusters.get(peer)
    const self = target?.database.members.find(({ id }) => id === this.id)
    const isShut = self === undefined || self.state === 'removed' || self.forced
    if (target === undefined || isShut || world.down.has(linkOf(this.id, peer)) || world.loses()) return null
    const answer = await target.members.answer('db1', this.id, structuredClone(question))
    return world.loses() ? null : structuredClone(answer)
  }

  #answerAsShard(question: { what: string; clusterId?: number; slots?: Record<number, number> }): unknown {
    const { what, clusterId = 0, slots = {} } = question
    const stamp = this.stamps.get(clusterId) ?? 0
    const member = this.database.members.find(({ id }) => id === clusterId)
    if (what === 'info') return { stale: !this.synced }
    if (what === 'memberReached') return { runId: this.run, reached: (slots[7] ?? 0) === stamp }
    return { runId: this.run, slots: member?.state === 'removing' ? { 7: stamp } : null }
  }
}

const nameOf = (id: number): string => `cluster-${id}`

const outcome = async (wish: Promise<string>): Promise<string> =>
  await wish.catch((error: unknown) => (error instanceof Error ? error.message : String(error)))

describe('members', () => {
  it('let another one in, which is full when it has the data', async () => {
    const world = new World(2, 3)
    const joiner = world.cluster(3)
    joiner.synced = false
    const adding = world.cluster(1).add(3)
    // As when it is turned away with the list.
    await until(() => world.cluster(1).states.includes('3 joining'))
    joiner.members.learn('db1', 1, world.cluster(1).database)
    await until(() => joiner.database.epoch === 2)
    expect(joiner.states).toBe('1 active, 2 active, 3 joining')
    joiner.synced = true
    expect(await adding).toBe('cluster-3 is active')
    for (const { states } of world.clusters.values()) expect(states).toBe('1 active, 2 active, 3 active')
    const [first] = world.cluster(1).database.members
    const third = world.cluster(2).database.members[2]
    expect(third?.instance).not.toBe(first?.instance)
  })

  it('part in order: when all have what the member wrote', async () => {
    const world = new World(3)
    for (const { stamps } of world.clusters.values()) stamps.set(3, 50)
    world.cluster(2).stamps.set(3, 40)
    const removing = world.cluster(1).remove([3], false)
    await until(() => world.cluster(1).told.some((text) => text.includes('to have all of cluster-3')))
    expect(world.cluster(3).states).toBe('1 active, 2 active, 3 removing')
    world.cluster(2).stamps.set(3, 50)
    expect(await removing).toBe('cluster-3 removed')
    for (const { states } of world.clusters.values()) expect(states).toBe('1 active, 2 active, 3 removed')
    expect(world.cluster(1).database.members[2]?.stampFloor).toBe(50)
    expect(await outcome(world.cluster(3).add(4))).toMatch('is removed; give the command at a member')
  })

  it('force one out that is gone, and what it does not know it learns later', async () => {
    const world = new World(3)
    world.cluster(1).stamps.set(3, 40)
    world.cluster(2).stamps.set(3, 50)
    world.cut(3)
    const removing = world.cluster(1).remove([3], true)
    await until(() => world.cluster(1).told.some((text) => text.includes('to have all of cluster-3')))
    world.cluster(1).stamps.set(3, 50)
    expect(await removing).toBe('cluster-3 removed')
    expect(world.cluster(3).states).toBe('1 active, 2 active, 3 active')
    world.cluster(3).members.learn('db1', 1, world.cluster(2).database)
    await until(() => world.cluster(3).states.includes('removed'))
  })

  it('ask all again when a survivor has started again since its report', async () => {
    const world = new World(3)
    world.cluster(2).stamps.set(3, 50)
    world.cut(3)
    const removing = world.cluster(1).remove([3], true)
    await until(() => world.cluster(1).told.some((text) => text.includes('to have all of cluster-3')))
    // It was the only one that had it, and has lost it.
    world.cluster(2).stamps.set(3, 0)
    world.cluster(2).run = 'run 2'
    expect(await removing).toBe('cluster-3 removed')
    expect(world.cluster(1).database.members[2]?.stampFloor).toBe(0)
  })

  it('change nothing when one of them can not be reached, and say who', async () => {
    const world = new World(3)
    world.cut(3)
    expect(await outcome(world.cluster(1).remove([2], true))).toBe(
      'cluster-3 can not be reached; nothing was changed',
    )
    for (const { database } of world.clusters.values()) {
      expect([database.epoch, database.promised]).toEqual([1, null])
    }
    expect(await world.cluster(1).remove([2, 3], true)).toBe('cluster-2, cluster-3 removed')
  })

  it('join when they have asked for it before they are let in', async () => {
    const world = new World(3)
    await world.cluster(1).remove([3], true)
    const [former] = world.cluster(1).database.members.filter(({ id }) => id === 3)
    expect(former?.state).toBe('removed')
    const back = new Cluster(world, 3, [1, 3], true)
    world.clusters.set(3, back)
    back.members.learn('db1', 1, world.cluster(1).database)
    const removing = world.cluster(1).database.members.map((one) => ({ ...one, state: 'removing' }))
    back.members.learn('db1', 2, { ...world.cluster(1).database, members: removing })
    await Promise.resolve()
    expect(back.database).toMatchObject({ epoch: 0 })
    const adding = world.cluster(1).add(3)
    await until(() => world.cluster(1).states.includes('3 joining'))
    back.members.learn('db1', 1, world.cluster(1).database)
    expect(await adding).toBe('cluster-3 is active')
    for (const { states } of world.clusters.values()) expect(states).toBe('1 active, 2 active, 3 active')
  })

  it('rejoin as new, by another member', async () => {
    const world = new World(3)
    world.cluster(1).stamps.set(3, 50)
    world.cluster(2).stamps.set(3, 50)
    const [before] = world.cluster(3).database.members.filter(({ id }) => id === 3)
    const rejoining = world.cluster(3).rejoin()
    await until(() => world.cluster(1).states.includes('3 joining'))
    // It is turned away, with a list in which somebody else has its id.
    world.cluster(3).members.learn('db1', 1, world.cluster(1).database)
    await until(() => world.cluster(3).databases === 1 && world.cluster(3).database.epoch === 0)
    expect(world.cluster(3).states).toBe('1 active, 2 active, 3 joining')
    world.cluster(3).members.learn('db1', 1, world.cluster(1).database)
    expect(await rejoining).toBe('cluster-3 is active')
    for (const { states } of world.clusters.values()) expect(states).toBe('1 active, 2 active, 3 active')
    const [after] = world.cluster(2).database.members.filter(({ id }) => id === 3)
    expect(after?.instance).not.toBe(before?.instance)
    expect(after?.stampFloor).toBe(50)
  })

  it('come back though the others were cut off from each other when they were to be let in again', async () => {
    const world = new World(3)
    const [first, second, third] = [world.cluster(1), world.cluster(2), world.cluster(3)]
    let isCut = true
    world.loses = () => isCut && first.states.includes('3 removed')
    const rejoining = third.rejoin()
    await until(() => first.states.includes('3 removed'))
    third.members.learn('db1', 1, first.database)
    await until(() => third.databases === 1 && third.database.epoch === 0)
    expect(first.database.members[2]).toMatchObject({ state: 'removed', returns: true })
    isCut = false
    for (const { members } of [first, second]) members.start()
    try {
      await until(() => first.states.includes('3 joining'))
      // Its agent is started again, and the command is given again.
      const again = third.rejoin()
      third.members.learn('db1', 1, first.database)
      expect(await again).toBe('cluster-3 is active')
      expect(await rejoining).toBe('cluster-3 is active')
    } finally {
      for (const { members } of [first, second]) members.stop()
    }
    for (const { states } of world.clusters.values()) expect(states).toBe('1 active, 2 active, 3 active')
    expect(first.database.members[2]).not.toHaveProperty('returns')
  })

  it('come back when who was to let them in has forgotten that it does', async () => {
    const world = new World(3)
    const [first, third] = [world.cluster(1), world.cluster(3)]
    world.cluster(2).stamps.set(3, 50)
    const rejoining = third.rejoin()
    await until(() => first.states.includes('3 removing'))
    first.restart()
    first.stamps.set(3, 50)
    first.members.start()
    try {
      await until(() => first.states.includes('3 joining'))
      third.members.learn('db1', 1, first.database)
      await until(() => third.databases === 1 && third.database.epoch === 0)
      third.members.learn('db1', 1, first.database)
      expect(await rejoining).toBe('cluster-3 is active')
    } finally {
      first.members.stop()
    }
  })

  it('rejoin when an agent was killed while it removed the data', async () => {
    const world = new World(3)
    world.cluster(3).dies = true
    const learn = () => world.cluster(3).members.learn('db1', 1, world.cluster(1).database)
    const interrupted = outcome(world.cluster(3).rejoin())
    await until(() => world.cluster(1).states.includes('3 joining'))
    learn()
    expect(await interrupted).toMatch('the agent is killed')
    expect(world.cluster(3).states).toMatch('3 removed')
    world.cluster(3).dies = false
    const rejoining = world.cluster(3).rejoin()
    await until(() => world.cluster(3).database.epoch === 0)
    learn()
    expect(await rejoining).toBe('cluster-3 is active')
  })

  it('rejoin only when all others answer', async () => {
    const world = new World(3)
    world.cut(2)
    const refusal = await outcome(world.cluster(3).rejoin())
    expect(refusal).toMatch('cluster-2 can not be reached')
    expect(refusal).toMatch(/--force: .* that is lost/)
    expect(world.cluster(3).states).toBe('1 active, 2 active, 3 active')
    expect(world.cluster(1).database.epoch).toBe(1)
    world.cut(1)
    expect(await outcome(world.cluster(3).rejoin(true))).toMatch(
      'no other member to join that can be reached',
    )
  })

  it('rejoin by force without those that do not answer, who are forced out for it', async () => {
    const world = new World(3)
    world.cut(2)
    world.cluster(1).stamps.set(2, 0)
    const rejoining = world.cluster(3).rejoin(true)
    await until(() => world.cluster(1).states.includes('3 joining'))
    expect(world.cluster(1).states).toBe('1 active, 2 removed, 3 joining')
    world.cluster(3).members.learn('db1', 1, world.cluster(1).database)
    await until(() => world.cluster(3).databases === 1 && world.cluster(3).database.epoch === 0)
    world.cluster(3).members.learn('db1', 1, world.cluster(1).database)
    expect(await rejoining).toBe('cluster-3 is active')
    expect(world.cluster(3).told.join('\n')).toMatch(
      'cluster-2: forced out, too; what only they have is lost',
    )
    expect(world.cluster(1).states).toBe('1 active, 2 removed, 3 active')
  })

  it('tell what is lost with one that is forced out', async () => {
    const world = new World(3)
    world.cut(3)
    const stamp = stampAt(Date.UTC(2026, 5, 1, 12), 5)
    world.cluster(1).stamps.set(3, stamp)
    world.cluster(2).stamps.set(3, stamp)
    expect(await world.cluster(1).remove([3], true)).toBe('cluster-3 removed')
    expect(world.cluster(1).told.join('\n')).toMatch(
      'up to 2026-06-01T12:00:00.000Z: what cluster-3 wrote after that, and sent to nobody, is lost',
    )
  })

  it('learn from each other what they missed', async () => {
    const world = new World(3)
    world.down.add('1-3')
    world.loses = () => false
    const { epoch, members } = world.cluster(1).database
    const list = { epoch: epoch + 3, members: members.map((one) => ({ ...one, host: 'told' })) }
    world.cluster(2).members.learn('db1', 1, list)
    world.cluster(2).members.learn('no such database', 1, list)
    world.cluster(2).members.learn('db1', 1, { epoch: 'high' })
    expect(world.cluster(2).database.epoch).toBe(4)
    // Where members are is known better here.
    expect(world.cluster(2).database.members.map(({ host }) => host)).toEqual(['h', 'h', 'h'])
    world.cluster(3).members.start()
    try {
      await until(() => world.cluster(3).database.epoch === 4)
    } finally {
      world.cluster(3).members.stop()
    }
    expect(world.cluster(1).database.epoch).toBe(1)
  })

  it('call a removal off', async () => {
    const world = new World(3)
    world.cluster(3).stamps.set(3, 50)
    const removing = outcome(world.cluster(1).remove([3], false))
    await until(() => world.cluster(3).states.includes('3 removing'))
    expect(await world.cluster(2).cancel()).toBe('cluster-3: the removal is called off')
    expect(await removing).toBe('the removal was called off from elsewhere')
    for (const { states } of world.clusters.values()) expect(states).toBe('1 active, 2 active, 3 active')
  })

  it('do not take an id over from somebody else, nor remove the last member or themselves', async () => {
    const world = new World(2)
    expect(await outcome(world.cluster(1).add(2))).toBe('cluster-2 has the id 2')
    expect(await outcome(world.cluster(1).remove([1], false))).toMatch('give the command there')
    expect(await outcome(world.cluster(1).remove([3], false))).toMatch('cluster-3 is no member')
    expect(await world.cluster(1).remove([2], true)).toBe('cluster-2 removed')
  })

  it('that was removed while it was away, and whose id is used again, learns that it is out', async () => {
    const world = new World(3, 3)
    world.cut(3)
    await world.cluster(1).remove([3], true)
    const { epoch, members } = world.cluster(1).database
    const successor = members.map((member) =>
      member.id === 3 ? { ...member, name: 'other', state: 'active', instance: 'new' } : member,
    )
    world.seen.clear()
    world.cluster(3).members.learn('db1', 1, { epoch: epoch + 1, members: successor })
    await until(() => world.cluster(3).states.includes('3 removed'))
    expect(world.cluster(3).database.members.find(({ id }) => id === 3)?.name).toBe('cluster-3')
  })

  it('never have two lists of one epoch, whoever changes them at the same time and whatever gets lost', async () => {
    const seed = seedFromEnv()
    let changes = 0
    for (let run = 0; run < 150; run++) {
      const random = new SeededRandom(seed + run)
      const world = new World(3, 5)
      world.loses = () => random.chance(0.1)
      for (let round = 0; round < 4; round++) {
        const wishes = [1, 2, 3].map(async (id) => {
          const leave = { kind: 'leave', ids: [1 + random.below(3)], forced: random.chance(0.3) } as const
          const stay = { kind: 'stay', ids: leave.ids } as const
          const change = random.pick([leave, leave, stay])
          return await outcome(
            world
              .cluster(id)
              .members.change('db1', change)
              .then(() => 'changed'),
          )
        })
        changes += (await Promise.all(wishes)).filter((text) => text === 'changed').length
      }
      world.note()
    }
    expect(changes).toBeGreaterThan(100)
  })
})

async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise((wake) => setTimeout(wake, 5))
}

import { stampAt } from '#protocol/sync/stamp.ts'
