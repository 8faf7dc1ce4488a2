/**
 * The code of a TypeScript file without its comments and texts: each of their characters becomes a blank, lines stay where
 * they are. No parser: a state per character is enough for rules that look for words. Expressions inside templates stay.
 */
type State = 'code' | 'line' | 'block' | 'single' | 'double' | 'template' | 'pattern'

/** What a `/` behind it begins a pattern, not a division. */
const beforePattern = /(^|[(,=:[!&|?{};<>+*%~^-]|\b(return|typeof|case|in|of))\s*$/

export function codeOnly(text: string): string {
  let code = ''
  let state: State = 'code'
  let inClass = false
  // Braces open inside each template expression that we are in.
  const templates: number[] = []
  for (let at = 0; at < text.length; at++) {
    const char = text[at] as string
    const pair = text.slice(at, at + 2)
    const blank = char === '\n' ? '\n' : ' '
    if (state === 'code') {
      const next = opening(char, pair, code)
      if (next !== 'code') {
        state = next
        inClass = false
        code += ' '
      } else if (char === '}' && templates.at(-1) === 0) {
        templates.pop()
        state = 'template'
        code += ' '
      } else {
        countBrace(templates, char)
        code += char
      }
    } else if (state === 'template' && pair === '${') {
      templates.push(0)
      state = 'code'
      code += '  '
      at++
    } else if (char === '\\' && state !== 'line' && state !== 'block') {
      code += text[at + 1] === '\n' ? ' \n' : '  '
      at++
    } else {
      if (state === 'pattern') inClass = char === '[' || (inClass && char !== ']')
      const ends = closes(state, char, text.slice(at - 1, at + 1), inClass)
      code += blank
      if (ends) state = 'code'
    }
  }
  return code
}

function opening(char: string, pair: string, before: string): State {
  if (pair === '//') return 'line'
  if (pair === '/*') return 'block'
  if (char === "'") return 'single'
  if (char === '"') return 'double'
  if (char === '`') return 'template'
  if (char === '/' && beforePattern.test(before.slice(-80))) return 'pattern'
  return 'code'
}

function closes(state: State, char: string, lastTwo: string, inClass: boolean): boolean {
  switch (state) {
    case 'line':
      return char === '\n'
    case 'block':
      return lastTwo === '*/'
    case 'single':
      return char === "'"
    case 'double':
      return char === '"'
    case 'template':
      return char === '`'
    case 'pattern':
      return (char === '/' && !inClass) || char === '\n'
    default:
      return false
  }
}

function countBrace(templates: number[], char: string): void {
  if (templates.length === 0) return
  const last = templates.length - 1
  if (char === '{') templates[last] = (templates[last] as number) + 1
  if (char === '}') templates[last] = (templates[last] as number) - 1
}
