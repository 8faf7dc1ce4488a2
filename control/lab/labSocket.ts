/** Through which `antipode lab cut` and the like reach the lab that runs. */
import { rmSync } from 'node:fs'
import { createServer, type Server } from 'node:net'
import { join } from 'node:path'
import { ask, JsonLines } from '#control/agent/jsonLines.ts'
import { listening } from '#control/agent/listening.ts'
import { socketDirectory } from '#control/agent/socketDirectory.ts'
import type { LabReply, LabRequest } from '#control/contract/requests.ts'
import type { JsonObject } from '#runtime/jsonObject.ts'
import { LabError } from './labFile.ts'

/** Requests at the same time. */
const connectionsMax = 100
/** Members come and go within it. */
const answerMs = 20_000

export const labSocketPath = (directory: string): string => join(socketDirectory(directory), 'lab.sock')

export type LabAnswer = Exclude<LabReply, { type: 'refused' }>

/** Asks the lab of this directory. Throws when there is none, and what it refuses as `LabError`. */
export async function askLab(directory: string, request: LabRequest): Promise<LabAnswer> {
  const reply = (await ask(labSocketPath(directory), request, answerMs)) as unknown as LabReply
  if (reply.type === 'refused') throw new LabError(reply.message)
  return reply
}

/** Answers each request with what `handle` resolves to; what it throws becomes a refusal. */
export async function serveLab(
  socketPath: string,
  handle: (request: LabRequest) => Promise<LabReply>,
  onError: (error: Error) => void,
): Promise<Server> {
  const server = createServer((socket) => {
    const lines: JsonLines = new JsonLines(
      socket,
      (message) => {
        void answer(message, handle).then((reply) => lines.send(reply))
      },
      () => {},
    )
  })
  server.maxConnections = connectionsMax
  rmSync(socketPath, { force: true })
  await listening(server, { path: socketPath }, onError)
  return server
}

async function answer(
  message: JsonObject,
  handle: (request: LabRequest) => Promise<LabReply>,
): Promise<LabReply> {
  const request = decodeLabRequest(message)
  if (request === null) return { type: 'refused', message: 'this lab does not know such a request' }
  try {
    return await handle(request)
  } catch (error) {
    return { type: 'refused', message: error instanceof Error ? error.message : String(error) }
  }
}

/** Null: not a request. */
export function decodeLabRequest(message: JsonObject): LabRequest | null {
  const { type, one, other, oneWay, delayMs, megabitsPerSecond, cluster } = message
  switch (type) {
    case 'status':
    case 'healAll':
    case 'down':
      return { type }
    case 'prepare':
      return cluster === null || isNumber(cluster) ? { type, cluster } : null
    case 'cut':
    case 'heal':
      return isNumber(one) && isNumber(other) ? { type, one, other, oneWay: oneWay === true } : null
    case 'delay':
      return isNumber(one) && isNumber(other) && isNumber(delayMs) ? { type, one, other, delayMs } : null
    case 'rate':
      return isNumber(one) && isNumber(other) && isNumber(megabitsPerSecond)
        ? { type, one, other, megabitsPerSecond }
        : null
    default:
      return null
  }
}

const isNumber = (value: unknown): value is number => typeof value === 'number' && Number.isFinite(value)
