/**
 * Requests as preformatted bytes. Only the digits of the key's number change from one to the next, so that the load
 * generator costs little beside the server that it measures.
 */
import { bytesOf } from '#runtime/bytes/bytes.ts'

/** Stands for the number of the key in an argument. */
const placeholder = '{n}'
/** As in redis-benchmark's `__rand_int__`, so that both reach the same keys. */
const digits = 12

export interface Template {
  readonly bytes: Uint8Array
  /** Where the digits of the number go. */
  readonly offsets: readonly number[]
}

/** Of a command's arguments (latin1 text), each with any number of `{n}`. */
export function compileTemplate(args: readonly string[]): Template {
  const zeros = '0'.repeat(digits)
  const offsets: number[] = []
  let text = `*${args.length}\r\n`
  for (const arg of args) {
    const parts = arg.split(placeholder)
    text += `$${parts.join(zeros).length}\r\n`
    parts.forEach((part, i) => {
      if (i > 0) {
        offsets.push(text.length)
        text += zeros
      }
      text += part
    })
    text += '\r\n'
  }
  return { bytes: bytesOf(text), offsets }
}

/** Writes the request for key `number` at `at`; returns the offset behind it. */
export function stampTemplate(template: Template, target: Uint8Array, at: number, number: number): number {
  target.set(template.bytes, at)
  for (const offset of template.offsets) {
    let rest = number
    for (let position = at + offset + digits - 1; position >= at + offset; position--) {
      target[position] = 48 + (rest % 10)
      rest = Math.floor(rest / 10)
    }
  }
  return at + template.bytes.length
}
