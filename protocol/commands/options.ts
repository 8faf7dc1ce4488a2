/** Options behind the fixed arguments of a command: words in any order and letter case, some with arguments of their own. */
import { errors, ReplyError } from '#protocol/resp/errors.ts'

/** The arguments as handlers see them; `is` compares with a word in upper case, in any letter case. */
export interface OptionArguments {
  readonly count: number
  is(index: number, word: string): boolean
}

/** How many arguments belong to each word. */
export type OptionGrammar = { readonly [word: string]: number }

/** For each word the index of what follows it (of the word itself when nothing belongs to it); 0: it isn't there. */
export type FoundOptions<Grammar extends OptionGrammar> = { -readonly [Word in keyof Grammar]: number }

/**
 * Reads everything from the argument at `from` to the end. A word that isn't in the grammar, one whose arguments are
 * missing, and two of one `exclusive` list are syntax errors; a word said twice counts as its last.
 */
export function parseOptions<Grammar extends OptionGrammar>(
  args: OptionArguments,
  from: number,
  grammar: Grammar,
  exclusive: readonly (readonly (keyof Grammar)[])[] = [],
): FoundOptions<Grammar> {
  const found = emptyOf(grammar)
  const words = Object.keys(grammar) as (keyof Grammar & string)[]
  let at = from
  while (at < args.count) {
    const word = words.find((candidate) => args.is(at, candidate))
    if (word === undefined) throw new ReplyError(errors.syntax)
    const own = grammar[word] as number
    if (at + own >= args.count) throw new ReplyError(errors.syntax)
    found[word] = own === 0 ? at : at + 1
    at += 1 + own
  }
  for (const group of exclusive) {
    if (group.filter((word) => found[word] > 0).length > 1) throw new ReplyError(errors.syntax)
  }
  return found
}

function emptyOf<Grammar extends OptionGrammar>(grammar: Grammar): FoundOptions<Grammar> {
  const found = {} as FoundOptions<Grammar>
  for (const word in grammar) found[word] = 0
  return found
}
