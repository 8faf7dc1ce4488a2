/**
 * `npm run chaos`: real clusters of real processes, what goes wrong with them, and clients that check what must hold all the
 * same. `--help` says more. It runs itself again in a network namespace of its own, which is the clients' one.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { SeededRandom, seedFromEnv } from '#test/seed.ts'
import { Crowd } from './crowd.ts'
import { Deployment, databasePort } from './deployment.ts'
import { fill } from './filling.ts'
import { History } from './history.ts'
import { allLaws } from './laws/index.ts'
import type { Law } from './laws/law.ts'
import { Life } from './laws/life.ts'
import { Nemesis } from './nemesis.ts'
import { Operator } from './operator.ts'
import { options } from './options.ts'
import type { Session } from './session.ts'
import { differences, leftovers, metadata, settled, syncsOf } from './verdict.ts'
import { Wan } from './wan.ts'

const readyMs = 60_000
const settleMs = 60_000
/** For a cluster to tell its state. */
const stateMs = 5_000
const progressMs = 15_000
const lookMs = 100

/** Runs this program again, with what it was told. */
async function outside(): Promise<number> {
  if (process.getuid?.() !== 0 || !existsSync('/dev/net/tun')) {
    console.error('chaos needs root and /dev/net/tun: it makes network namespaces of its own')
    return 2
  }
  const command = ['--net', process.execPath, import.meta.filename, '--inside', ...process.argv.slice(2)]
  const child = spawn('unshare', command, { stdio: 'inherit' })
  // The terminal tells both of Ctrl-C.
  process.on('SIGINT', () => {})
  process.on('SIGTERM', () => child.kill('SIGTERM'))
  const [code] = await once(child, 'exit')
  return code ?? 1
}

class Run {
  readonly #seed = options.seed ?? seedFromEnv()
  readonly #directory = mkdtempSync(join(tmpdir(), 'antipode-chaos-'))
  readonly #history = new History(this.#directory)
  readonly #say = this.#history.say
  readonly #laws: readonly Law[] = allLaws(this.#seed)
  readonly #wan: Wan
  readonly #deployment: Deployment
  readonly #crowd: Crowd
  readonly #nemesis: Nemesis
  readonly #operator: Operator
  readonly #first = numbersTo(options.clusters)
  #untilMs = Number.POSITIVE_INFINITY

  constructor(wan: Wan) {
    const { shards, persistence, backlogBytes, clientsOfEach, thinkMsMax } = options
    const [laws, say, seed] = [this.#laws, this.#say, this.#seed]
    this.#wan = wan
    const limits = { backlog_bytes_max: backlogBytes, snapshot_log_bytes_min: 1024 * 1024 }
    this.#deployment = new Deployment({ directory: this.#directory, shards, persistence, limits }, wan)
    const { record } = this.#history
    const place = (cluster: number) => ({ host: Wan.addressOf(cluster), port: databasePort })
    this.#crowd = new Crowd(laws, { seed, each: clientsOfEach, thinkMsMax, place, record })
    const [deployment, crowd] = [this.#deployment, this.#crowd]
    this.#nemesis = new Nemesis(wan, deployment, new SeededRandom(seed), say)
    const parts = { wan, deployment, crowd, nemesis: this.#nemesis, laws, shards, say }
    const random = new SeededRandom(seed + 1)
    this.#operator = new Operator({ ...parts, random }, this.#first, options.clustersMax)
  }

  /** The exit code. */
  async run(): Promise<number> {
    process.once('SIGINT', () => this.#endEarly())
    process.once('SIGTERM', () => this.#endEarly())
    const faults = await this.#faults()
    await this.#deployment.stopAll()
    await this.#wan.down()
    for (const fault of faults) this.#say(`BROKEN  ${fault}`)
    this.#say(faults.length === 0 ? 'everything held' : `${faults.length} broken`)
    if (faults.length === 0 && !options.keep) rmSync(this.#directory, { recursive: true, force: true })
    else {
      this.#say(`report, history of all clients, states, logs and data are in ${this.#directory}`)
      this.#say(
        `again: npm run chaos -- ${process.argv.slice(3).join(' ')}${options.seed === null ? ` --seed ${this.#seed}` : ''}`,
      )
    }
    this.#history.close()
    return faults.length === 0 ? 0 : 1
  }

  /** Trouble, peace, judgement; what was found broken. */
  async #faults(): Promise<string[]> {
    const found: string[] = []
    try {
      await this.#start()
      await this.#trouble()
      found.push(...(await this.#judged()))
    } catch (error) {
      // Of a cluster that does not do what it should, or of this program.
      found.push(error instanceof Error ? (error.stack ?? error.message) : String(error))
      await this.#tellStates()
    }
    this.#report()
    return [...this.#laws.flatMap(({ faults }) => faults), ...this.#operator.faults, ...found]
  }

  async #start(): Promise<void> {
    this.#say(`${options.clusters} clusters start in ${this.#directory}`)
    await this.#nemesis.settleLinks(numbersTo(options.clustersMax))
    for (const cluster of this.#first) await this.#deployment.start(cluster, this.#first, false)
    const watchers = this.#first.map((cluster) => this.#crowd.session(new Life(cluster)))
    await settled(watchers, readyMs)
    const [first] = watchers
    if (first !== undefined) await fill(first)
    for (const watcher of watchers) watcher.close()
    for (const cluster of this.#first) this.#crowd.start(cluster)
  }

  /** Clients, nemesis and operator side by side for the time asked for. */
  async #trouble(): Promise<void> {
    this.#untilMs = Math.min(this.#untilMs, performance.now() + options.minutes * 60_000)
    let failure: unknown = null
    const fail = (error: unknown) => {
      failure ??= error
      this.#endEarly()
    }
    const troubles = this.#nemesis.run().catch(fail)
    const changes = (options.still ? Promise.resolve() : this.#operator.run()).catch(fail)
    let toldMs = performance.now()
    while (performance.now() < this.#untilMs && this.#laws.every(({ faults }) => faults.length === 0)) {
      await new Promise((resolve) => setTimeout(resolve, lookMs))
      if (performance.now() - toldMs < progressMs) continue
      toldMs = performance.now()
      this.#say(`${this.#history.count} asked; members ${this.#operator.members.join(', ')}`)
    }
    this.#operator.stop()
    this.#nemesis.stop()
    await troubles
    // What was begun with the members is ended in peace.
    await changes
    await this.#crowd.stopAll()
    if (failure !== null) throw failure
  }

  async #judged(): Promise<string[]> {
    await this.#nemesis.settleLinks(numbersTo(options.clustersMax))
    const judges = this.#judges()
    try {
      this.#say(`mended; equal after ${Math.round(await settled(judges, settleMs))} ms`)
      for (const line of await syncsOf(judges)) this.#say(line)
      for (const law of this.#laws) for (const judge of judges) await law.judge(judge)
      const different = await differences(judges)
      const broken = [...different, ...this.#laws.flatMap(({ faults }) => faults)]
      for (const line of await metadata(judges, broken)) this.#say(line)
      // What is left must not be taken away before it has been looked at.
      if (broken.length > 0) return different
      return await leftovers(judges, settleMs)
    } finally {
      for (const judge of judges) judge.close()
    }
  }

  /** What each cluster says of itself, for a file beside its logs. */
  async #tellStates(): Promise<void> {
    for (const cluster of this.#deployment.running) {
      const session = this.#crowd.session(new Life(cluster))
      const deadlineMs = performance.now() + stateMs
      let info = await session.ask('INFO', 'all')
      while (info.outcome !== 'done' && performance.now() < deadlineMs)
        info = await session.ask('INFO', 'all')
      writeFileSync(join(this.#deployment.directoryOf(cluster), 'info.txt'), String(info.reply))
      session.close()
    }
  }

  #judges(): Session[] {
    return this.#operator.members.map((cluster) => this.#crowd.session(this.#crowd.lifeOf(cluster)))
  }

  #endEarly(): void {
    this.#untilMs = 0
  }

  #report(): void {
    for (const { name, tally } of this.#laws)
      this.#say(`${name}: ${tally.done} done, ${tally.refused} refused, ${tally.unknown} unknown`)
    const all = { ...this.#nemesis.tally, ...this.#operator.tally }
    const troubles = Object.entries(all).map(([kind, count]) => `${count} x ${kind}`)
    this.#say(`${this.#history.count} asked; troubles: ${troubles.join(', ')}`)
  }
}

const numbersTo = (most: number): number[] => Array.from({ length: most }, (_, i) => i + 1)

// Clients of a run that has failed may not have come to an end.
process.exit(options.inside ? await new Run(await Wan.up(options.clustersMax)).run() : await outside())
