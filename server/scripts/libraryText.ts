/** The first line of a library's code: `#!lua name=library`. */
import { badName, isLibraryName } from './libraryLoader.ts'
import { splitLine } from './shebang.ts'

export interface LibraryText {
  readonly name: string
  /** What Lua is given: line numbers stay. */
  readonly code: string
}

const missing = 'ERR Missing library metadata'
const invalid = 'ERR Invalid library metadata'

/** An error text when the line is none that Redis takes. */
export function readLibraryText(text: string): LibraryText | string {
  if (!text.startsWith('#!')) return missing
  const lineEnd = text.indexOf('\n')
  const words = lineEnd < 0 ? null : splitLine(text.slice(0, lineEnd))
  if (words === null) return invalid
  const [engine = '', ...options] = words
  let name: string | null = null
  for (const option of options) {
    if (!/^name=/i.test(option)) return `ERR Invalid metadata value given: ${option}`
    if (name !== null) return 'ERR Invalid metadata value, name argument was given multiple times'
    name = option.slice('name='.length)
  }
  if (name === null) return 'ERR Library name was not given'
  if (!isLibraryName(name)) return `ERR ${badName}`
  if (engine.slice(2).toLowerCase() !== 'lua') return `ERR Engine '${engine.slice(2)}' not found`
  return { name, code: text.slice(lineEnd) }
}
