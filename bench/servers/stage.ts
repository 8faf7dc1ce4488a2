/** The servers of one suite: whatever it has started is stopped when it ends, however it ends. */
import { type LabOptions, type LabServer, startLab } from './lab.ts'
import { startNutcracker } from './nutcracker.ts'
import { startRedis } from './redis.ts'
import type { Restartable, Server } from './server.ts'

export class Stage {
  #servers: Server[] = []
  readonly #starting = new Set<Promise<Server>>()

  async lab(options: LabOptions): Promise<LabServer> {
    return await this.#keep(startLab(options))
  }

  async redis(options = { appendOnly: false }): Promise<Restartable> {
    return await this.#keep(startRedis(options))
  }

  async nutcracker(redis: Server): Promise<Server> {
    return await this.#keep(startNutcracker(redis))
  }

  /** Ours without persistence, nutcracker with a redis-server of its own, and a redis-server. */
  async three(): Promise<Server[]> {
    const behind = await this.redis()
    return [
      await this.lab({ name: 'Antipode', clusters: 1, persistence: 'none' }),
      await this.nutcracker(behind),
      await this.redis(),
    ]
  }

  async stop(server: Server): Promise<void> {
    this.#servers = this.#servers.filter((other) => other !== server)
    await server.stop()
  }

  async stopAll(): Promise<void> {
    // One that fails to start cleans up itself.
    await Promise.allSettled(this.#starting)
    for (const server of this.#servers.toReversed()) await this.stop(server)
  }

  async #keep<S extends Server>(starting: Promise<S>): Promise<S> {
    this.#starting.add(starting)
    try {
      const server = await starting
      this.#servers.push(server)
      return server
    } finally {
      this.#starting.delete(starting)
    }
  }
}
