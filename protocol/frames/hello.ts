/**
 * The JSON that travels in frames: who speaks (the first frame each way), which channel is opened, why one was closed.
 * The text is ASCII (other characters are escaped), so it is latin1 like all text. What arrives is checked field by field:
 * it may come from another release or from somebody who only holds a certificate.
 */

import { allocate, latin1, writeLatin1 } from '#runtime/bytes/bytes.ts'
import { isCount, isJsonObject, type JsonObject } from '#runtime/jsonObject.ts'
import { type Frame, FrameKind, frameHeaderBytes, frameVersion, writeFrameHeader } from './frame.ts'

/** Of hello, channelOpen and channelClosed frames from another process. */
export const helloBytesMax = 64 * 1024

export interface HelloRange {
  /** First and last hash slot, both included. */
  first: number
  last: number
}

export interface HelloShard {
  index: number
  ranges: HelloRange[]
  /** Another one after each start of the shard process. */
  runId: string
}

export type Hello =
  /** To a shard, on a Unix socket. */
  | { role: 'proxy'; name: string }
  /** Between the proxy processes of a database at one node, both ways. */
  | { role: 'worker'; guid: string; worker: number }
  /** To a shard of its own cluster, or to a peer's database port. */
  | {
      role: 'syncer'
      syncVersion: number
      guid: string
      clusterId: number
      clusterName: string
      /** Of the process. */
      instance: string
      /** Of the list of members that it goes by. */
      epoch?: number
      /** Of the cluster's membership: another one at every join. */
      member?: string
      /** How what it gets may be compressed. */
      compressions: readonly string[]
    }
  /** A shard's answer to either. */
  | ({ role: 'shard' } & HelloShard)
  /** A database port's answer to a peer's syncer: the shards that can be asked through it. */
  | {
      role: 'database'
      guid: string
      clusterId: number
      sharding: boolean
      shards: HelloShard[]
      /** How it may compress what it sends. If it may, it wants to know what has come. */
      compressions: readonly string[]
    }

/** Why a database port turns a peer's syncer away, besides the reason for people. */
export interface HelloRefusal {
  code: (typeof refusalCodes)[number]
  reason: string
  /** With EPOCH_OLD and REMOVED: the list of members here, for the agent there. */
  list?: unknown
}

export interface ChannelOpening {
  /** What the opened end does: send the shard's operations, or take in those of the other end. */
  role: 'feed' | 'intake'
  /** Cluster id of the other end. */
  peer: number
  /** Index of the shard at the feeding end, in its own cluster's numbering. */
  shard: number
  ranges: HelloRange[]
}

/** A whole frame with a JSON payload. */
export function jsonFrame(kind: number, tag: number, value: unknown): Uint8Array {
  return frameOf(kind, tag, '', value)
}

export function helloFrame(hello: Hello): Uint8Array {
  return frameOf(FrameKind.hello, 0, String.fromCharCode(frameVersion), hello)
}

const refusalCodes = ['VERSION', 'GUID', 'EPOCH_OLD', 'REMOVED', 'MEMBER'] as const

export const helloRefusalFrame = (refusal: HelloRefusal): Uint8Array =>
  jsonFrame(FrameKind.channelClosed, 0, refusal)

export function channelClosedFrame(tag: number, reason: string): Uint8Array {
  return jsonFrame(FrameKind.channelClosed, tag, { reason })
}

function frameOf(kind: number, tag: number, prefix: string, value: unknown): Uint8Array {
  const text = prefix + asciiJson(value)
  const bytes = allocate(frameHeaderBytes + text.length)
  writeLatin1(bytes, writeFrameHeader(bytes, 0, kind, tag, 0, 0, text.length), text)
  return bytes
}

export function asciiJson(value: unknown): string {
  return JSON.stringify(value).replace(
    /[\u007f-\uffff]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
}

/** The JSON of a frame; undefined when it is none. */
export function readJson(frame: Frame, from = frame.payloadStart): unknown {
  try {
    return JSON.parse(latin1(frame.bytes, from, frame.payloadEnd))
  } catch {
    return undefined
  }
}

/** Why the other side closed; for logs. */
export function readReason(frame: Frame): string {
  const value = readJson(frame)
  return isJsonObject(value) && typeof value['reason'] === 'string' ? value['reason'] : 'no reason given'
}

/** Null: only a reason was given. */
export function readRefusal(frame: Frame): HelloRefusal | null {
  const value = readJson(frame)
  if (!isJsonObject(value)) return null
  const code = refusalCodes.find((known) => known === value['code'])
  return code === undefined ? null : { code, reason: readReason(frame), list: value['list'] }
}

/** What the first frame says, or an error text. */
export function readHello(frame: Frame): Hello | string {
  if (frame.kind !== FrameKind.hello) return `the first frame is of kind ${frame.kind}, not a hello`
  const length = frame.payloadEnd - frame.payloadStart
  if (length < 1 || length > helloBytesMax) return `hello of ${length} bytes`
  const version = frame.bytes[frame.payloadStart] as number
  if (version !== frameVersion) return `frame version ${version} is not ours (${frameVersion})`
  return helloOf(readJson(frame, frame.payloadStart + 1)) ?? 'a hello that lacks its fields'
}

function helloOf(value: unknown): Hello | null {
  if (!isJsonObject(value)) return null
  const { role, name, worker, syncVersion, guid, clusterId, clusterName, instance, shards } = value
  if (role === 'proxy') return isText(name) ? { role, name } : null
  if (role === 'shard') {
    const shard = shardOf(value)
    return shard === null ? null : { role, ...shard }
  }
  if (role === 'worker') return isText(guid) && isIndex(worker) ? { role, guid, worker } : null
  if (!isText(guid) || !isClusterId(clusterId)) return null
  const compressions = textsOf(value['compressions'])
  if (compressions === null) return null
  if (role === 'syncer') {
    if (!isIndex(syncVersion) || !isText(clusterName) || !isText(instance)) return null
    // Releases without changes of members don't tell these.
    const { epoch, member } = value
    const told = {
      ...(isCount(epoch) ? { epoch } : {}),
      ...(isText(member) ? { member } : {}),
    }
    return { role, syncVersion, guid, clusterId, clusterName, instance, compressions, ...told }
  }
  if (role !== 'database' || !Array.isArray(shards)) return null
  const read: HelloShard[] = []
  for (const entry of shards) {
    const shard = isJsonObject(entry) ? shardOf(entry) : null
    if (shard === null) return null
    read.push(shard)
  }
  // Releases without the setting have databases with sharding only.
  return { role, guid, clusterId, sharding: value['sharding'] !== false, shards: read, compressions }
}

/** What a channelOpen frame asks for, or an error text. */
export function readChannelOpening(frame: Frame): ChannelOpening | string {
  const length = frame.payloadEnd - frame.payloadStart
  if (length > helloBytesMax) return `channelOpen of ${length} bytes`
  const value = readJson(frame)
  if (!isJsonObject(value)) return 'a channelOpen that is not JSON'
  const { role, peer, shard } = value
  const ranges = rangesOf(value['ranges'])
  if (role !== 'feed' && role !== 'intake') return 'a channelOpen without a known role'
  if (!isClusterId(peer) || !isIndex(shard) || ranges === null) return 'a channelOpen that lacks its fields'
  return { role, peer, shard, ranges }
}

function shardOf(value: JsonObject): HelloShard | null {
  const { index, runId } = value
  const ranges = rangesOf(value['ranges'])
  return isIndex(index) && isText(runId) && ranges !== null ? { index, ranges, runId } : null
}

const slotsMax = 16384
const textsMax = 16

function rangesOf(value: unknown): HelloRange[] | null {
  if (!Array.isArray(value)) return null
  const ranges: HelloRange[] = []
  for (const entry of value) {
    if (!isJsonObject(entry)) return null
    const { first, last } = entry
    if (!isIndex(first) || !isIndex(last) || first > last || last >= slotsMax) return null
    ranges.push({ first, last })
  }
  return ranges
}

/** Releases that say nothing of it have none. */
function textsOf(value: unknown): string[] | null {
  if (value === undefined) return []
  return Array.isArray(value) && value.length <= textsMax && value.every(isText) ? value : null
}

const isText = (value: unknown): value is string => typeof value === 'string' && value.length <= 1024
const isIndex = (value: unknown): value is number =>
  typeof value === 'number' && Number.isInteger(value) && value >= 0 && value < 65536
export const isClusterId = (value: unknown): value is number => isIndex(value) && value >= 1 && value <= 8
