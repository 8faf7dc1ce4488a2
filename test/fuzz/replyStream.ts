/**
 * Cuts what a server sends into replies and finds what is none: strictly by the specification of RESP, and with no code of
 * the product, which may be wrong in the same way on both sides.
 */
import { latin1 } from '#runtime/bytes/bytes.ts'

const lines: Readonly<Record<string, RegExp>> = {
  '+': /^[^\r\n]*$/,
  '-': /^[^\r\n]+$/,
  ':': /^-?(0|[1-9][0-9]{0,18})$/,
  $: /^(-1|0|[1-9][0-9]{0,9})$/,
  '*': /^(-1|0|[1-9][0-9]{0,9})$/,
}

const resp3Lines: Readonly<Record<string, RegExp>> = {
  ...lines,
  $: /^(0|[1-9][0-9]{0,9})$/,
  '*': /^(0|[1-9][0-9]{0,9})$/,
  '%': /^(0|[1-9][0-9]{0,9})$/,
  '~': /^(0|[1-9][0-9]{0,9})$/,
  '>': /^[1-9][0-9]{0,9}$/,
  _: /^$/,
  '#': /^[tf]$/,
  ',': /^(-?inf|nan|-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?)$/,
  // A script may call any text a big number.
  '(': /^[^\r\n]*$/,
  '=': /^[1-9][0-9]{0,9}$/,
}

const aggregates = '*%~>'
const bulks = '$='

export class ReplyStream {
  /** Null: either may come, because who sends what may have changed it. */
  version: 2 | 3 | null = 2
  /** Of whole replies; pushes are none. */
  replyCount = 0
  pushCount = 0
  /** What is wrong with what came; nothing is looked at behind it. */
  fault: string | null = null
  /** The last whole reply that was a line. */
  lastLine = ''
  #text = ''
  #at = 0
  /** Came behind `#text`, and not enough to go on. */
  #late: string[] = []
  #lateLength = 0
  #neededLength = 0
  /** Elements that are still to come, by level. */
  #open: number[] = []
  #isPush = false

  take(chunk: Uint8Array): void {
    this.#late.push(latin1(chunk))
    this.#lateLength += chunk.length
    if (this.fault !== null || this.#text.length + this.#lateLength < this.#neededLength) return
    this.#text = this.#text.slice(this.#at) + this.#late.join('')
    this.#at = 0
    this.#late = []
    this.#lateLength = 0
    while (this.fault === null && this.#element());
  }

  /** Whether nothing is left behind the last whole reply. */
  get isWhole(): boolean {
    return this.#open.length === 0 && this.#at === this.#text.length && this.#lateLength === 0
  }

  /** False: it has not come whole. */
  #element(): boolean {
    const lineEnd = this.#text.indexOf('\r\n', this.#at)
    if (lineEnd < 0) return this.#wait(this.#text.length + 1)
    const mark = this.#text.charAt(this.#at)
    const line = this.#text.slice(this.#at + 1, lineEnd)
    const known = (this.version === 2 ? lines : resp3Lines)[mark] ?? lines['']
    const isRight = known?.test(line) === true || (this.version === null && lines[mark]?.test(line) === true)
    if (!isRight) return this.#fail(`no reply of RESP${this.version ?? ''}`)
    let end = lineEnd + 2
    if (bulks.includes(mark) && line !== '-1') {
      end += Number(line) + 2
      if (this.#text.length < end) return this.#wait(end)
      if (this.#text.slice(end - 2, end) !== '\r\n') return this.#fail('a bulk that does not end')
    }
    if (this.#open.length === 0) {
      this.#isPush = mark === '>'
      this.lastLine = mark + line
    }
    this.#at = end
    this.#neededLength = 0
    const count = aggregates.includes(mark) && line !== '-1' ? Number(line) * (mark === '%' ? 2 : 1) : 0
    if (count > 0) this.#open.push(count)
    else this.#close()
    return true
  }

  #close(): void {
    while (this.#open.length > 0) {
      const left = (this.#open.pop() as number) - 1
      if (left === 0) continue
      this.#open.push(left)
      return
    }
    if (this.#isPush) this.pushCount++
    else this.replyCount++
  }

  #wait(length: number): false {
    this.#neededLength = length - this.#at
    return false
  }

  #fail(why: string): false {
    const start = Math.max(0, this.#at - 60)
    this.fault = `${why}: ${JSON.stringify(this.#text.slice(start, this.#at))} and then ${JSON.stringify(this.#text.slice(this.#at, this.#at + 120))}`
    return false
  }
}
