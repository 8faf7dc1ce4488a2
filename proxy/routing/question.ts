/** Asks every shard about its inside. */
import type { AdminQuestion } from '#protocol/frames/admin.ts'
import type { ShardLink } from '#proxy/shardLink.ts'
import { latin1 } from '#runtime/bytes/bytes.ts'
import { FanOut } from './fanOut.ts'
import type { ShardLinks } from './shardLinks.ts'

export interface ShardAnswer {
  shard: number
  /** JSON; undefined: the shard could not be asked. */
  value: unknown
}

/** The answers come in the order of the links. */
export function askShards(
  links: ShardLinks,
  question: AdminQuestion,
  done: (answers: readonly ShardAnswer[]) => void,
): void {
  const { all } = links
  const fanOut = new FanOut(all.length, (parts) =>
    done(parts.map((part, i) => ({ shard: all[i]?.index ?? i, value: jsonOf(part) }))),
  )
  for (const [part, link] of all.entries()) link.ask(fanOut, part, question)
}

/** JSON; a text is an error reply of a shard that could not be asked. */
export function askShard(link: ShardLink, question: AdminQuestion, done: (answer: unknown) => void): void {
  link.ask(
    new FanOut(1, ([part = new Uint8Array(0)]) => done(jsonOf(part) ?? errorTextOf(part))),
    0,
    question,
  )
}

const errorTextOf = (part: Uint8Array): string => latin1(part, 1).trimEnd()

/** An error reply stands for a shard that could not be asked. */
function jsonOf(part: Uint8Array): unknown {
  if (part[0] === 0x2d) return undefined
  try {
    return JSON.parse(latin1(part))
  } catch {
    return undefined
  }
}

/** What a client is told whose question needs all shards. */
export const noAnswer = (shard: number): string => `UNAVAILABLE shard ${shard} did not answer; try again`
