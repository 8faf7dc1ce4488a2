/** Replies as trees, with the type byte of every node: `*` and `~` of the same elements are different replies. */
import { latin1 } from '#runtime/bytes/bytes.ts'

export interface Reply {
  /** RESP's type byte, such as `$`. */
  mark: string
  /** What the line or bulk says; of an aggregate, its length. */
  text: string
  /** `$-1`, `*-1` and `_`. */
  isNull: boolean
  /** Of an aggregate; a map's keys and values alternate. */
  items: Reply[]
}

export function decodeReply(bytes: Uint8Array): Reply {
  const reader = { text: latin1(bytes), at: 0 }
  const reply = decode(reader)
  if (reader.at !== reader.text.length)
    throw new Error(`${reader.text.length - reader.at} bytes behind a reply`)
  return reply
}

function decode(reader: { text: string; at: number }): Reply {
  const lineEnd = reader.text.indexOf('\r\n', reader.at)
  const mark = reader.text.charAt(reader.at)
  const line = reader.text.slice(reader.at + 1, lineEnd)
  if (lineEnd < 0 || !'+-:$*%~>_,#(='.includes(mark))
    throw new Error(`no reply: ${reader.text.slice(reader.at)}`)
  reader.at = lineEnd + 2
  const reply: Reply = {
    mark,
    text: line,
    isNull: mark === '_' || ('$*'.includes(mark) && line === '-1'),
    items: [],
  }
  if (reply.isNull) return reply
  if ('$='.includes(mark)) {
    const length = Number(line)
    reply.text = reader.text.slice(reader.at, reader.at + length)
    reader.at += length + 2
  }
  const count = '*~>'.includes(mark) ? Number(line) : mark === '%' ? Number(line) * 2 : 0
  for (let i = 0; i < count; i++) reply.items.push(decode(reader))
  return reply
}

export const isError = (reply: Reply): boolean => reply.mark === '-'
export const isAggregate = (reply: Reply): boolean => '*~>%'.includes(reply.mark) && !reply.isNull

/** How replies of a command compare; those of others byte by byte. */
export type Rule = (own: Reply, redis: Reply) => boolean

/** One line for messages; two replies are equal iff these are. */
export function show(reply: Reply): string {
  if (reply.isNull) return `${reply.mark}null`
  if (isAggregate(reply)) return `${reply.mark}[${reply.items.map(show).join(' ')}]`
  return `${reply.mark}${JSON.stringify(reply.text)}`
}

/** Texts of the elements. */
export const textsOf = (reply: Reply): string[] => reply.items.map((item) => item.text)
