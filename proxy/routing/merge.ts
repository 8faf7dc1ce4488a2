/** Makes one reply of those of several shards. */
import type { ReplyPolicy } from '#protocol/commands/table.ts'
import { integerReply, isErrorReply, replyElements } from '#protocol/resp/replyScanner.ts'
import type { ReplyWriter } from '#protocol/resp/replyWriter.ts'
import type { Random } from '#runtime/ports.ts'

export interface MergeFacts {
  random: Random
  /** Of `byKey`: for each key of the request the index of the part that has its element. */
  partOfKey: readonly number[]
}

/** The first error of any part is the answer: what the other parts did is done, as with any failing command of many keys. */
export function mergeReplies(
  policy: ReplyPolicy,
  parts: readonly Uint8Array[],
  reply: ReplyWriter,
  { random, partOfKey }: MergeFacts,
): void {
  const failed = parts.find((part) => isErrorReply(part, 0))
  if (failed !== undefined) {
    reply.raw(failed)
    return
  }
  switch (policy) {
    case 'sum':
      reply.integer(parts.reduce((sum, part) => sum + integerReply(part, 0), 0))
      return
    case 'concatenate':
      concatenate(parts, reply)
      return
    case 'everywhere':
      everywhere(parts, reply)
      return
    case 'byKey':
      byKey(parts, partOfKey, reply)
      return
    case 'any':
      any(parts, random, reply)
      return
    case 'allOk':
    case 'same':
    case 'single':
      reply.raw(parts[0] as Uint8Array)
      return
  }
}

function concatenate(parts: readonly Uint8Array[], reply: ReplyWriter): void {
  let count = 0
  let first = -1
  const bodies = parts.map((part) => {
    first = -1
    count += Math.max(
      0,
      replyElements(part, 0, part.length, (start) => {
        if (first < 0) first = start
      }),
    )
    return first < 0 ? new Uint8Array(0) : part.subarray(first)
  })
  reply.array(count)
  for (const body of bodies) reply.raw(body)
}

function byKey(parts: readonly Uint8Array[], partOfKey: readonly number[], reply: ReplyWriter): void {
  const elements = parts.map((part) => {
    const ranges: number[] = []
    replyElements(part, 0, part.length, (start, end) => ranges.push(start, end))
    return ranges
  })
  const taken = parts.map(() => 0)
  reply.array(partOfKey.length)
  for (const index of partOfKey) {
    const at = taken[index] as number
    const ranges = elements[index] as number[]
    taken[index] = at + 2
    reply.raw(parts[index] as Uint8Array, ranges[at] as number, ranges[at + 1] as number)
  }
}

function everywhere(parts: readonly Uint8Array[], reply: ReplyWriter): void {
  const least: number[] = []
  for (const part of parts) {
    let place = 0
    replyElements(part, 0, part.length, (start) => {
      least[place] = Math.min(least[place] ?? Number.POSITIVE_INFINITY, integerReply(part, start))
      place++
    })
  }
  reply.array(least.length)
  for (const value of least) reply.integer(value)
}

function any(parts: readonly Uint8Array[], random: Random, reply: ReplyWriter): void {
  const found = parts.filter((part) => !isNull(part))
  reply.raw((found[random.below(Math.max(1, found.length))] ?? parts[0]) as Uint8Array)
}

/** `$-1`, `*-1` or `_`. */
const isNull = (part: Uint8Array): boolean => part[0] === 0x5f || part[1] === 0x2d
