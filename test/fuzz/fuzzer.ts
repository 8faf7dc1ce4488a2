/** One seed: hostile clients have their way with a database for some steps, and then it must be as good as new. */
import type { MemoryConnection } from '#test/memoryConnection.ts'
import { FuzzWorld, Judge } from './fuzzWorld.ts'
import { HostileClient } from './hostileClient.ts'
import { HostileRequests } from './hostileRequests.ts'

export interface FuzzOptions {
  steps?: number
  /** Told before each step, for those who watch that it comes to an end. */
  onStep?(step: number): void
  /** Plants a fault. */
  spoil?(world: FuzzWorld): void
}

export interface FuzzResult {
  seed: number
  steps: number
  requests: number
  replies: number
  /** Null: everything held. */
  failure: string | null
}

const stepsDefault = 150
const clientsMax = 6
const restoreEvery = 40
const readingPauseSteps = 10
/** In which none of those that wait gets a reply. */
const unblockRoundsMax = 200
/** Of memory in use after everything is deleted, above what there was at first: tables keep some of their size. */
const leftBytesMax = 512 * 1024

interface Played {
  client: HostileClient
  connection: MemoryConnection
  isClosed: boolean
  readsFromStep: number
}

/** Of a request beyond the limit, after which its client is disconnected. */
const tooLarge = /^-ERR Protocol error: (request larger|invalid (multi)?bulk length)/
/** After one of these any client may be disconnected. */
const disconnecting = /"(CLIENT|ACL|CONFIG|SHUTDOWN)"/i

class Fuzzing {
  readonly #world: FuzzWorld
  readonly #judge: Judge
  readonly #requests: HostileRequests
  readonly #played: Played[] = []
  /** Those that have ended, too: a server that does not read from one has not noticed. */
  readonly #connections: MemoryConnection[] = []
  #mayDisconnect = false
  requests = 0
  replies = 0

  constructor(seed: number, spoil: (world: FuzzWorld) => void) {
    this.#world = new FuzzWorld(seed)
    this.#judge = new Judge(this.#world)
    const { random, sharded, world } = this.#world
    spoil(this.#world)
    this.#requests = new HostileRequests(random, { sharded, startMs: world.wallMs(), mayBeEndless: false })
  }

  run(steps: number, onStep: (step: number) => void): void {
    const usedBytes = this.#emptied()
    for (let step = 0; step < steps; step++) {
      onStep(step)
      this.#step(step)
      this.#check()
      if (step % restoreEvery === restoreEvery - 1) {
        this.#judge.restore()
        this.#judge.expect('+PONG\r\n', 'PING')
      }
    }
    onStep(steps)
    this.#letAllAnswer()
    for (const connection of this.#connections) connection.destroy()
    this.#world.world.advance(1_000)
    this.#checkEmpty(usedBytes)
  }

  /** What the clients that are there have sent last. */
  get recent(): string {
    return this.#played
      .filter(({ isClosed }) => !isClosed)
      .map(({ client }, i) => `client ${i}: ${client.recent.slice(-8).join('\n  ')}`)
      .join('\n')
  }

  #step(step: number): void {
    const { random, world } = this.#world
    for (const played of this.#played) {
      if (played.readsFromStep === step) played.connection.resume()
    }
    const played = this.#pick()
    const act = played.client.act()
    if (played.client.recent.some((text) => disconnecting.test(text))) this.#mayDisconnect = true
    if (act.stopsReading) {
      played.connection.pause()
      played.readsFromStep = step + 1 + random.below(readingPauseSteps)
    }
    for (const piece of act.pieces) {
      played.connection.write(piece)
      if (random.chance(0.5)) world.settle()
    }
    if (act.ending !== 'stays') played.isClosed = true
    if (act.ending === 'ends') played.connection.close()
    if (act.ending === 'vanishes') played.connection.destroy()
    if (random.chance(0.7)) world.settle()
    if (random.chance(0.3)) world.advance(random.below(300))
  }

  #pick(): Played {
    const { random } = this.#world
    const alive = this.#played.filter(({ isClosed }) => !isClosed)
    if (alive.length > 0 && (alive.length >= clientsMax || random.chance(0.7))) return random.pick(alive)
    const client = new HostileClient(random, this.#requests)
    const played: Played = {
      client,
      isClosed: false,
      readsFromStep: -1,
      connection: this.#world.connect({
        onData: (chunk) => client.replies.take(chunk),
        onDrain() {},
        onClose: () => this.#onClose(played),
      }),
    }
    this.#played.push(played)
    this.#connections.push(played.connection)
    return played
  }

  #onClose(played: Played): void {
    const { client } = played
    const isExpected =
      client.hasQuit || this.#mayDisconnect || tooLarge.test(client.replies.lastLine) || this.#hasOverflowed()
    if (!played.isClosed && client.isCounted && !isExpected)
      throw new Error(`a client was disconnected for nothing, behind ${client.replies.lastLine}`)
    played.isClosed = true
  }

  #hasOverflowed(): boolean {
    return this.#world.logger.lines.some(({ message }) => message.includes('does not read'))
  }

  #check(): void {
    const { fault } = this.#world
    if (fault !== null) throw new Error(fault)
    for (let i = this.#played.length - 1; i >= 0; i--) {
      const { client, isClosed } = this.#played[i] as Played
      if (client.fault !== null) throw new Error(`${client.fault}\n  ${client.recent.join('\n  ')}`)
      if (!isClosed) continue
      this.requests += client.requestCount
      this.replies += client.replies.replyCount
      this.#played.splice(i, 1)
    }
  }

  /** Each whole request of a client that is still there has to be answered when nothing holds it up. */
  #letAllAnswer(): void {
    this.#judge.restore()
    for (const { connection } of this.#played) connection.resume()
    let replyCount = -1
    for (let round = 0, idleRounds = 0; idleRounds < unblockRoundsMax; round++, idleRounds++) {
      this.#world.world.advance(20)
      this.#check()
      const waiting = this.#played.filter(({ client }) => client.isWaiting)
      if (waiting.length === 0) return
      const before = replyCount
      replyCount = waiting.reduce((sum, { client }) => sum + client.replies.replyCount, 0)
      if (replyCount !== before) idleRounds = 0
      for (const client of this.#world.proxy.clients.list()) {
        if (client.isBlocked) this.#judge.call('CLIENT', 'UNBLOCK', String(client.id))
      }
      if (round % restoreEvery === 0) this.#judge.restore()
    }
    const waiting = this.#played.find(({ client }) => client.isWaiting)
    if (waiting === undefined) return
    const { replies, requestCount, recent } = waiting.client
    throw new Error(`${replies.replyCount} replies to ${requestCount} requests:\n  ${recent.join('\n  ')}`)
  }

  #checkEmpty(usedBytesBefore: number): void {
    const { proxy } = this.#world
    if (proxy.clients.count !== 1) throw new Error(`${proxy.clients.count} clients are left`)
    const pending = proxy.links.all.reduce((sum, link) => sum + link.pending, 0)
    if (pending !== 0) throw new Error(`${pending} requests have not been answered by shards`)
    const usedBytes = this.#emptied()
    if (usedBytes > usedBytesBefore + leftBytesMax)
      throw new Error(`${usedBytes} bytes are in use after everything was deleted, ${usedBytesBefore} before`)
    this.#judge.expect('+OK\r\n', 'SET', 'a', '1')
    this.#judge.expect('$1\r\n1\r\n', 'GET', 'a')
    this.#check()
  }

  /** Bytes in use without any key. */
  #emptied(): number {
    this.#judge.restore()
    this.#judge.expect('+OK\r\n', 'FLUSHALL')
    this.#judge.call('SCRIPT', 'FLUSH')
    this.#world.world.advance(2_000)
    this.#judge.expect(':0\r\n', 'DBSIZE')
    const info = this.#judge.call('INFO', 'memory', 'clients', 'stats')
    const blocked = /blocked_clients:(\d+)/.exec(info)?.[1]
    if (blocked !== '0') throw new Error(`${blocked} clients are blocked`)
    const bytesOf = (name: string): number => Number(new RegExp(`^${name}:(\\d+)`, 'm').exec(info)?.[1])
    // The log's window in memory has a limit of its own.
    return bytesOf('used_memory') - bytesOf('mem_replication_backlog')
  }
}

export function fuzzSeed(seed: number, options: FuzzOptions = {}): FuzzResult {
  const { steps = stepsDefault, onStep = () => {}, spoil = () => {} } = options
  let atStep = -1
  const fuzzing = new Fuzzing(seed, spoil)
  let failure: string | null = null
  try {
    fuzzing.run(steps, (step) => {
      atStep = step
      onStep(step)
    })
  } catch (error) {
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error)
    failure = `at step ${atStep}: ${text}\n${fuzzing.recent}`
  }
  return { seed, steps: atStep, requests: fuzzing.requests, replies: fuzzing.replies, failure }
}
