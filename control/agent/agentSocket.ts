/** The agent's Unix socket: its processes report here and get their configuration, and whoever asks gets the status. */
import { rmSync } from 'node:fs'
import { createServer, type Server } from 'node:net'
import type { FromAgent, ProcessConfig, ToAgent } from '#config/process.ts'
import type { AgentReply } from '#control/contract/requests.ts'
import type { NodeStatus } from '#control/contract/status.ts'
import { isJsonObject, type JsonObject } from '#runtime/jsonObject.ts'
import type { Logger } from '#runtime/ports.ts'
import { JsonLines } from './jsonLines.ts'
import { listening } from './listening.ts'

/** Processes of a node and those who ask for the status, at the same time. */
export const agentConnectionsMax = 2_000

export interface AgentSocketEvents {
  /** A process says who it is; false: it is not accepted. */
  onHello(id: string, pid: number): boolean
  /** Of a process that was accepted. */
  onMessage(id: string, message: Exclude<ToAgent, { type: 'hello' }>): void
  onGone(id: string): void
  status(): NodeStatus
}

export class AgentSocket {
  readonly #path: string
  readonly #events: AgentSocketEvents
  readonly #logger: Logger
  readonly #server: Server
  /** By id; the latest connection of a process counts. */
  readonly #links = new Map<string, JsonLines>()
  readonly #open = new Set<JsonLines>()

  constructor(path: string, events: AgentSocketEvents, logger: Logger) {
    this.#path = path
    this.#events = events
    this.#logger = logger
    this.#server = createServer((socket) => {
      let id: string | null = null
      const lines: JsonLines = new JsonLines(
        socket,
        (message) => {
          id = this.#take(lines, id, message)
        },
        () => {
          this.#open.delete(lines)
          if (id === null || this.#links.get(id) !== lines) return
          this.#links.delete(id)
          this.#events.onGone(id)
        },
      )
      this.#open.add(lines)
    })
    this.#server.maxConnections = agentConnectionsMax
  }

  async listen(): Promise<void> {
    // Left behind by an agent that was killed; the lock on the directory says that none is there now.
    rmSync(this.#path, { force: true })
    await listening(this.#server, { path: this.#path }, (error) => {
      this.#logger.error({ error: error.message }, 'a connection to the agent socket is lost')
    })
  }

  send(id: string, message: FromAgent): void {
    this.#links.get(id)?.send(message)
  }

  close(): void {
    this.#server.close()
    for (const lines of this.#open) lines.destroy()
    rmSync(this.#path, { force: true })
  }

  /** Returns the id of the process behind the connection, if it is one. */
  #take(lines: JsonLines, id: string | null, message: JsonObject): string | null {
    if (message['type'] === 'status' && id === null) {
      lines.send({ type: 'status', status: this.#events.status() } satisfies AgentReply)
      return null
    }
    const decoded = decodeToAgent(message)
    if (decoded?.type === 'hello' && id === null) return this.#hello(lines, decoded)
    if (decoded === null || decoded.type === 'hello' || id === null) {
      this.#logger.warn(
        { process: id, type: String(message['type']) },
        'a message on the agent socket makes no sense',
      )
      lines.destroy()
      return id
    }
    this.#events.onMessage(id, decoded)
    return id
  }

  #hello(lines: JsonLines, { role, name, pid }: Extract<ToAgent, { type: 'hello' }>): string | null {
    const id = `${role}/${name}`
    const before = this.#links.get(id)
    this.#links.set(id, lines)
    if (this.#events.onHello(id, pid)) {
      before?.destroy()
      return id
    }
    if (before === undefined) this.#links.delete(id)
    else this.#links.set(id, before)
    lines.close()
    return null
  }
}

const roles: readonly ProcessConfig['role'][] = ['shard', 'proxy', 'syncer']

/** Null: not a message that a process sends. */
export function decodeToAgent(message: JsonObject): ToAgent | null {
  switch (message['type']) {
    case 'hello': {
      const { name, pid } = message
      const role = roles.find((known) => known === message['role'])
      if (role === undefined || typeof name !== 'string' || !isPid(pid)) return null
      return { type: 'hello', role, name, pid }
    }
    case 'ready':
      return { type: 'ready' }
    case 'status': {
      const { status } = message
      return isJsonObject(status) ? { type: 'status', status } : null
    }
    case 'peerOffset': {
      const { peer, offsetMs, delayMs } = message
      return isFigure(peer) && isFigure(offsetMs) && isFigure(delayMs)
        ? { type: 'peerOffset', peer, offsetMs, delayMs }
        : null
    }
    default:
      return null
  }
}

const isPid = (value: unknown): value is number =>
  typeof value === 'number' && Number.isInteger(value) && value > 0

const isFigure = (value: unknown): value is number => typeof value === 'number' && Number.isFinite(value)
