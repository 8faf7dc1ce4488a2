/** Rules as they are written: words of SETUSER, lines of an ACL file. */
import { cString } from '#protocol/resp/cString.ts'
import { RuleError } from './ruleError.ts'
import { hasSpace } from './selector.ts'
import { User, type UserDefaults } from './user.ts'

export const nameError = "ERR Usernames can't contain spaces or null characters"

export const isUserName = (name: string): boolean => !hasSpace(name)

/** A selector may be spread over several words; returns them joined, or the word of a parenthesis that isn't closed. */
export function joinedRules(words: readonly string[]): { rules: string[]; unclosed: string | null } {
  const rules: string[] = []
  let opened: string | null = null
  let parts: string[] = []
  for (const word of words) {
    if (opened === null && (!word.startsWith('(') || word.endsWith(')'))) rules.push(word)
    else {
      opened ??= word
      parts.push(word)
      if (!word.endsWith(')')) continue
      rules.push(parts.join(' '))
      opened = null
      parts = []
    }
  }
  return { rules, unclosed: opened }
}

/** A user of rules that it has described itself; throws a `RuleError` when they are none. */
export function userOf(name: string, rules: readonly string[], defaults: UserDefaults): User {
  const user = new User(name, { allChannels: false })
  for (const rule of rules) user.take(rule)
  return user.copy(defaults)
}

/** The user that SETUSER makes of `before`, or an error reply. */
export function changedUser(
  name: string,
  before: User | undefined,
  words: readonly string[],
  defaults: UserDefaults,
): User | string {
  const { rules, unclosed } = joinedRules(words)
  if (unclosed !== null)
    return `ERR Unmatched parenthesis in acl selector starting at '${cString(unclosed)}'.`
  const user = before?.copy(defaults) ?? new User(name, defaults)
  for (const rule of rules) {
    const wrong = mistake(user, rule)
    if (wrong !== null) return `ERR Error in ACL SETUSER modifier '${cString(rule)}': ${wrong}`
  }
  return user
}

function mistake(user: User, rule: string): string | null {
  try {
    user.take(rule)
    return null
  } catch (error) {
    if (!(error instanceof RuleError)) throw error
    return error.message
  }
}

/** Text of an ACL file. */
export const aclFileOf = (users: Iterable<User>): string =>
  [...users].map(({ name, rules }) => `user ${name} ${rules.join(' ')}\n`).join('')

/** What an ACL file says, all of it or nothing; `path` is for the errors, which are told together as one. */
export function readAclFile(text: string, path: string, defaults: UserDefaults): Map<string, User> | string {
  const users = new Map<string, User>()
  let errors = ''
  for (const [i, line] of text.split('\n').entries()) {
    const trimmed = line.replace(/^[ \t\r\n]+|[ \t\r\n]+$/g, '')
    if (trimmed !== '') errors += takeLine(trimmed, `${path}:${i + 1}`, i + 1, users, defaults)
  }
  if (errors === '') return users
  return `ERR ${cString(errors)}WARNING: ACL errors detected, no change to the previously active ACL rules was performed`
}

/** Returns what is wrong with the line. */
function takeLine(
  line: string,
  place: string,
  lineNumber: number,
  users: Map<string, User>,
  defaults: UserDefaults,
): string {
  const [keyword, name, ...words] = line.split(' ')
  if (keyword !== 'user' || name === undefined)
    return `${place} should start with user keyword followed by the username. `
  if (!isUserName(name)) return `'${place}: username '${name}' contains invalid characters. `
  if (users.has(name)) return `WARNING: Duplicate user '${name}' found on line ${lineNumber}. `
  const user = new User(name, defaults)
  users.set(name, user)
  const { rules, unclosed } = joinedRules(words)
  if (unclosed !== null) return `${place}: Unmatched parenthesis in selector definition.`
  return rules
    .map((rule) => mistake(user, rule.replace(/^[\t\r\n]+|[\t\r\n]+$/g, '')))
    .map((wrong) => (wrong === null ? '' : `${place}: ${wrong}. `))
    .join('')
}
