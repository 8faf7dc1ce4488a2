/**
 * Which certificates of clients are let in, by their subjects: a rule names values that a certificate must have, as
 * `CN=app,OU=Payments`. What it does not name may be anything; what it names twice must be there twice, as a subject may have several `OU`.
 * `SAN` is any of the alternative names. Values are compared letter by letter. A comma, semicolon or backslash in a value has a backslash before it.
 */

const attribute = '(?:CN|O|OU|L|ST|C|SAN)'
const value = String.raw`(?:[^,;\\]|\\[,;\\])+`
export const subjectRulePattern = new RegExp(`^${attribute}=${value}(?:, ?${attribute}=${value})*$`)
export const subjectRuleForm = 'such as "CN=app,OU=Payments", of CN, O, OU, L, ST, C and SAN'

const pair = new RegExp(`(?:^|, ?)(${attribute})=(${value})`, 'g')

/** What must be there. */
export type SubjectRule = readonly (readonly [attribute: string, value: string])[]

/** Of a text that the pattern matches. */
export const subjectRule = (text: string): SubjectRule =>
  [...text.matchAll(pair)].map(([, name = '', escaped = '']) => [name, escaped.replace(/\\(.)/g, '$1')])

/** Several rules in one text, with semicolons between them. */
export const subjectRulesText = (rules: readonly string[]): string => rules.join(';')

export const subjectRules = (text: string): string[] => text.match(/(?:[^;\\]|\\.)+/g) ?? []

export const ruleHolds = (rule: SubjectRule, subject: Readonly<Record<string, readonly string[]>>): boolean =>
  rule.every(([name, wanted]) => subject[name]?.includes(wanted) === true)
