/** A request and the command that it names. */
import { type CommandSpec, lookup } from './index.ts'

/** A request as the scanner shows it. */
export interface RequestView {
  readonly argumentCount: number
  readonly bytes: Uint8Array
  start(index: number): number
  endOf(index: number): number
  text(index: number): string
}

/** A request of words that no scanner holds. */
export const requestOfWords = (words: readonly string[]): RequestView => ({
  argumentCount: words.length,
  bytes: new Uint8Array(0),
  start: () => 0,
  endOf: (i) => words[i]?.length ?? 0,
  text: (i) => words[i] ?? '',
})

/** The request that `outer` quotes from the argument at `first` on. */
export class QuotedRequest implements RequestView {
  readonly bytes: Uint8Array
  readonly argumentCount: number
  readonly #outer: RequestView
  readonly #first: number

  constructor(outer: RequestView, first: number) {
    this.#outer = outer
    this.#first = first
    this.bytes = outer.bytes
    this.argumentCount = outer.argumentCount - first
  }

  start(index: number): number {
    return this.#outer.start(this.#first + index)
  }

  endOf(index: number): number {
    return this.#outer.endOf(this.#first + index)
  }

  text(index: number): string {
    return this.#outer.text(this.#first + index)
  }
}

/**
 * The command, or the subcommand of one, that a request of one argument or more names; the container itself where that is all it
 * names; undefined: there is none. It may have too few arguments or too many.
 */
export function commandIn(request: RequestView): CommandSpec | undefined {
  const { bytes } = request
  const spec = lookup(bytes, request.start(0), request.endOf(0))
  if (spec === undefined || !spec.isContainer || request.argumentCount === 1) return spec
  return spec.subcommand(bytes, request.start(1), request.endOf(1))
}
