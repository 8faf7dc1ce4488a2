/** The agent's Unix socket: its processes report here and get their configuration, and whoever asks gets the status. */
import { rmSync } from 'node:fs'
import { createServer, type Server } from 'node:net'
import { readLibraryChange } from '#config/libraries.ts'
import type { FromAgent, KeeperQuestion, ProcessConfig, PulledBytes, ToAgent } from '#config/process.ts'
import { MendableError } from '#control/contract/mendableError.ts'
import type { AgentReply, MemberRequest } from '#control/contract/requests.ts'
import type { NodeStatus } from '#control/contract/status.ts'
import { areTexts, isJsonObject, type JsonObject } from '#runtime/jsonObject.ts'
import type { Logger } from '#runtime/ports.ts'
import { JsonLines } from './jsonLines.ts'
import { listening } from './listening.ts'
import { readUsersQuestion } from './userKeeper.ts'

/** Processes of a node and those who ask for the status, at the same time. */
export const agentConnectionsMax = 2_000

export interface AgentSocketEvents {
  /** A process says who it is; false: it is not accepted. */
  onHello(id: string, pid: number): boolean
  /** Of a process that was accepted. */
  onMessage(id: string, message: Exclude<ToAgent, { type: 'hello' }>): void
  onGone(id: string): void
  status(): NodeStatus
  /** A wish of an operator; what it throws becomes a refusal. */
  onMemberRequest(request: MemberRequest, tell: (text: string) => void): Promise<string>
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
    const request = id === null ? decodeMemberRequest(message) : null
    if (request !== null) {
      void this.#serve(lines, request)
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

  async #serve(lines: JsonLines, request: MemberRequest): Promise<void> {
    const tell = (text: string) => lines.send({ type: 'progress', text } satisfies AgentReply)
    try {
      const text = await this.#events.onMemberRequest(request, tell)
      lines.send({ type: 'done', text } satisfies AgentReply)
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error)
      if (!(error instanceof MendableError)) this.#logger.error({ error: message }, 'a request failed')
      lines.send({ type: 'refused', message } satisfies AgentReply)
    }
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

/** Null: none of these. */
export function decodeMemberRequest(message: JsonObject): MemberRequest | null {
  const { type, database, name, names, host, port, id, forced } = message
  if (typeof database !== 'string') return null
  const isPlace = typeof name === 'string' && typeof host === 'string' && isNatural(port)
  switch (type) {
    case 'addMember':
      return isPlace ? { type, database, name, host, port, id: isNatural(id) ? id : null } : null
    case 'moveMember':
      return isPlace ? { type, database, name, host, port } : null
    case 'removeMembers':
      return areTexts(names) ? { type, database, names, forced: forced === true } : null
    case 'rejoin':
      return { type, database, forced: forced === true }
    case 'cancelMemberChange':
    case 'purgeDatabase':
      return { type, database }
    default:
      return null
  }
}

/** Null: not a message that a process sends. */
export function decodeToAgent(message: JsonObject): ToAgent | null {
  switch (message['type']) {
    case 'hello': {
      const { name, pid } = message
      const role = roles.find((known) => known === message['role'])
      if (role === undefined || typeof name !== 'string' || !isNatural(pid)) return null
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
    case 'answer': {
      const { id, answer } = message
      return isFigure(id) ? { type: 'answer', id, answer } : null
    }
    case 'asked': {
      const { id, peer, question } = message
      return isFigure(id) && isFigure(peer) ? { type: 'asked', id, peer, question } : null
    }
    case 'keep': {
      const { id } = message
      const question = readKeeperQuestion(message['question'])
      return isFigure(id) && question !== null ? { type: 'keep', id, question } : null
    }
    case 'refused': {
      const { peer, list } = message
      return isFigure(peer) ? { type: 'refused', peer, list } : null
    }
    default:
      return null
  }
}

/** In the status of a syncer. */
export function readPulled(peers: unknown): PulledBytes[] {
  const pulled: PulledBytes[] = []
  for (const peer of Array.isArray(peers) ? peers : []) {
    const { clusterId, received } = isJsonObject(peer) ? peer : {}
    const { bytes, rawBytes } = isJsonObject(received) ? received : {}
    if (isNatural(clusterId) && isFigure(bytes) && isFigure(rawBytes))
      pulled.push({ clusterId, bytes, rawBytes })
  }
  return pulled
}

function readKeeperQuestion(value: unknown): KeeperQuestion | null {
  if (!isJsonObject(value) || value['what'] !== 'changeLibraries') return readUsersQuestion(value)
  const change = readLibraryChange(value['change'])
  return change === null ? null : { what: 'changeLibraries', change }
}

const isNatural = (value: unknown): value is number =>
  typeof value === 'number' && Number.isInteger(value) && value > 0

const isFigure = (value: unknown): value is number => typeof value === 'number' && Number.isFinite(value)
