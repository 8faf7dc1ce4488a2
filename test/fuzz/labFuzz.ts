/**
 * Hostile clients at real processes: two clusters of two shards and two proxy workers each. A judge undoes what they set for
 * all, ends what waits and stops scripts; a witness of each cluster has to be served all the time. In the end no process
 * may have been started anew, memory must have come back, and the clusters must be equal.
 */
import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Redis } from 'ioredis'
import type { ProxyStatus } from '#proxy/proxyStatus.ts'
import { Lab } from '#test/e2e/lab.ts'
import { residentBytesOf } from '#test/e2e/residentBytes.ts'
import { SeededRandom } from '#test/seed.ts'
import { HostileRequests } from './hostileRequests.ts'
import { HostileSocket } from './hostileSocket.ts'
import { judgeName, restoringRequests } from './peace.ts'

const clusters = [1, 2]
const hostilePerCluster = 8
const judgeEveryMs = 500
const witnessEveryMs = 20
/** Without a reply for so long a witness is not served. Scripts are stopped, and clients pause, for less. */
const witnessWaitMs = 15_000
const progressMs = 30_000
const quietMs = 5_000
/** Processes have reported meanwhile. */
const reportMs = 1_500
/** Longer than clients wait for their last replies. */
const clearMs = 90_000
const mebibyte = 1024 * 1024
const memorySizeBytes = 256 * mebibyte
const pipelineMax = 10_000
const busyReplyMs = 100
/** A heap keeps some of what it once needed, and Lua's memory does not shrink. */
const grownBytesMax = 512 * mebibyte
/** Of each log. */
const logLinesMax = 12
/** What a witness may be told instead of what it asked for. */
const excuses = /^(BUSY|OOM|NOAUTH)|max number of clients|Connection is closed/

/** A shard runs a script. */
const isBusy = (error: unknown): boolean => /BUSY|UNAVAILABLE/.test(String(error))

type ShardReport = ProxyStatus['shards'][number]

interface Watched {
  pid: number
  restarts: number
  residentBytes: number
}

const pause = (delayMs: number) => new Promise((resolve) => setTimeout(resolve, delayMs))

export async function fuzzLab(seed: number, minutes: number): Promise<string[]> {
  const settings = ['proxy.workers=2', `limits.busy_reply_ms=${busyReplyMs}`]
  const lab = await Lab.up({ clusters: clusters.length, shards: 2, settings })
  try {
    const faults = await new LabFuzzing(lab, seed).run(minutes)
    if (faults.length > 0) tellLogs(lab.directory)
    return faults
  } finally {
    await lab.down()
  }
}

class LabFuzzing {
  readonly #lab: Lab
  readonly #hostile: HostileSocket[]
  readonly #faults: string[] = []
  readonly #judges: Redis[]
  readonly #witnesses: Redis[]
  readonly #waitsMs: number[] = []
  #isEnding = false
  #excused = 0
  #stoppedScripts = 0

  constructor(lab: Lab, seed: number) {
    this.#lab = lab
    this.#hostile = clusters.flatMap((cluster) =>
      Array.from({ length: hostilePerCluster }, (_, i) => {
        const random = new SeededRandom(seed + cluster * hostilePerCluster + i)
        const choice = { sharded: true, startMs: Date.now(), mayBeEndless: true }
        return new HostileSocket(lab.port(cluster), random, new HostileRequests(random, choice))
      }),
    )
    const options = {
      username: judgeName,
      password: judgeName,
      retryStrategy: () => 100,
      maxRetriesPerRequest: null,
    }
    // Without its user it is the default one.
    this.#judges = clusters.map((cluster) => lab.client(cluster, { ...options, lazyConnect: true }))
    this.#witnesses = clusters.map((cluster) =>
      lab.client(cluster, { ...options, lazyConnect: true, commandTimeout: witnessWaitMs }),
    )
  }

  async run(minutes: number): Promise<string[]> {
    for (const cluster of clusters) {
      const first = this.#lab.client(cluster)
      await first.call(
        'ACL',
        'SETUSER',
        judgeName,
        'on',
        `>${judgeName}`,
        'allkeys',
        'allchannels',
        'allcommands',
      )
      await first.call('ACL', 'SAVE')
    }
    for (const judge of this.#judges) await this.#restore(judge)
    const before = await this.#processes()
    const endMs = performance.now() + minutes * 60_000
    const judging = this.#judges.map((judge) => this.#judge(judge))
    const witnessing = this.#witnesses.map((witness) => this.#witness(witness))
    const playing = this.#hostile.map((hostile) => hostile.run())
    let toldMs = performance.now()
    while (performance.now() < endMs) {
      await pause(200)
      if (performance.now() - toldMs < progressMs) continue
      toldMs = performance.now()
      await this.#tell()
    }
    for (const hostile of this.#hostile) hostile.stop()
    await Promise.all(playing)
    this.#isEnding = true
    await Promise.all([...judging, ...witnessing])
    await this.#judgeEnd(before)
    return [...this.#faults, ...this.#hostile.flatMap(({ faults }) => faults)]
  }

  async #restore(judge: Redis): Promise<void> {
    const requests = restoringRequests(pipelineMax, memorySizeBytes)
    for (const [name = '', ...args] of [...requests, ['CONFIG', 'SET', 'maxmemory-policy', 'allkeys-lru']])
      await judge.call(name, ...args)
  }

  async #judge(judge: Redis): Promise<void> {
    while (!this.#isEnding) {
      try {
        await this.#restore(judge)
        const list = String(await judge.call('CLIENT', 'LIST'))
        for (const [, id = ''] of list.matchAll(/^id=(\d+) .* flags=[^ ]*b/gm))
          await judge.call('CLIENT', 'UNBLOCK', id, 'ERROR')
      } catch (error) {
        // A shard that runs a script takes no settings.
        if (isBusy(error)) await this.#stopScripts(judge)
        else if (!excuses.test((error as Error).message)) this.#faults.push(`the judge: ${error}`)
      }
      await pause(judgeEveryMs)
    }
  }

  async #stopScripts(judge: Redis): Promise<void> {
    try {
      await judge.call('SCRIPT', 'KILL')
      this.#stoppedScripts++
    } catch {
      // It has ended by itself, or the connection has.
    }
  }

  async #witness(witness: Redis): Promise<void> {
    for (let count = 0; !this.#isEnding; count++) {
      const startMs = performance.now()
      try {
        await witness.ping()
        await witness.set(`witness:${count % 100}`, count)
        await witness.get(`witness:${count % 100}`)
      } catch (error) {
        const { message } = error as Error
        if (message.startsWith('BUSY')) for (const judge of this.#judges) await this.#stopScripts(judge)
        if (excuses.test(message)) this.#excused++
        else this.#faults.push(`a witness: ${message} after ${Math.round(performance.now() - startMs)} ms`)
      }
      this.#waitsMs.push(performance.now() - startMs)
      await pause(witnessEveryMs)
    }
  }

  /** What clients that are gone have sent before still runs, scripts without an end among it. */
  async #awaitReplies(): Promise<void> {
    const endMs = performance.now() + clearMs
    let pending: number
    do {
      await pause(reportMs)
      for (const judge of this.#judges) await this.#stopScripts(judge)
      pending = await this.#pendingRequests()
    } while (pending > 0 && performance.now() < endMs)
    if (pending > 0) this.#faults.push(`${pending} requests have no replies`)
  }

  async #pendingRequests(): Promise<number> {
    const { clusters: all } = await this.#lab.status()
    const reports = all.flatMap(({ node }) => (node?.processes ?? []).map(({ status }) => status))
    const links = reports.flatMap(({ shards }) => (Array.isArray(shards) ? (shards as ShardReport[]) : []))
    return links.reduce((sum, { pending }) => sum + pending, 0)
  }

  async #clear(judge: Redis): Promise<void> {
    const endMs = performance.now() + clearMs
    for (let keys = 1; keys > 0 && performance.now() < endMs; await pause(judgeEveryMs)) {
      try {
        await this.#restore(judge)
        await judge.flushall()
        await judge.call('SCRIPT', 'FLUSH')
        keys = await judge.dbsize()
      } catch (error) {
        if (!isBusy(error)) throw error
        await this.#stopScripts(judge)
      }
    }
  }

  async #judgeEnd(before: ReadonlyMap<string, Watched>): Promise<void> {
    await this.#awaitReplies()
    await Promise.all(this.#judges.map((judge) => this.#clear(judge)))
    await pause(quietMs)
    await this.#lab.settle()
    for (const judge of this.#judges) {
      const keys = await judge.dbsize()
      if (keys !== 0) this.#faults.push(`${keys} keys are left`)
      const clients = /connected_clients:(\d+)/.exec(await judge.info('clients'))?.[1]
      if (Number(clients) > 10) this.#faults.push(`${clients} clients are left`)
    }
    const after = await this.#processes()
    for (const [id, was] of before) {
      const is = after.get(id)
      if (is === undefined || is.pid !== was.pid || is.restarts !== was.restarts)
        this.#faults.push(`${id} was started anew`)
      const grown = (is?.residentBytes ?? 0) - was.residentBytes
      console.log(
        `${id}: ${Math.round(was.residentBytes / mebibyte)} MiB, now ${Math.round(grown / mebibyte)} more`,
      )
      if (grown > grownBytesMax) this.#faults.push(`${id} keeps ${Math.round(grown / mebibyte)} MiB`)
    }
    await this.#tell()
  }

  async #processes(): Promise<Map<string, Watched>> {
    const status = await this.#lab.status()
    const found = new Map<string, Watched>()
    for (const { number, node } of status.clusters) {
      for (const { id, pid, restarts } of node?.processes ?? [])
        found.set(`${number}/${id}`, { pid: pid ?? 0, restarts, residentBytes: residentBytesOf(pid ?? 0) })
    }
    return found
  }

  async #tell(): Promise<void> {
    const total = (pick: (hostile: HostileSocket) => number) =>
      this.#hostile.reduce((sum, one) => sum + pick(one), 0)
    const sorted = [...this.#waitsMs].sort((a, b) => a - b)
    const at = (part: number) => Math.round(sorted[Math.floor(sorted.length * part)] ?? 0)
    const resident = [...(await this.#processes())].map(
      ([id, { residentBytes }]) => `${id} ${Math.round(residentBytes / mebibyte)}`,
    )
    console.log(
      `${total(({ totals }) => totals.clients)} clients, ${total(({ totals }) => totals.requests)} requests, ${total(({ totals }) => totals.replies)} replies, ` +
        `${this.#stoppedScripts} scripts stopped; witnesses: ${sorted.length} rounds, ${this.#excused} excused, p50 ${at(0.5)} p99 ${at(0.99)} max ${at(0.999999)} ms; ` +
        `${this.#faults.length + total(({ faults }) => faults.length)} faults; MiB: ${resident.join(', ')}`,
    )
  }
}

/** The folder goes with the lab. */
function tellLogs(directory: string): void {
  for (const path of globSync(join(directory, '**', '*.log'))) {
    const lines = readFileSync(path, 'utf8').split('\n')
    const bad = lines.filter((line) => /"level":"(error|fatal)"|killing|a process ended|silent/.test(line))
    if (bad.length > 0) console.log(`${path}:\n  ${bad.slice(-logLinesMax).join('\n  ')}`)
  }
}
