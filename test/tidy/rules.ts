/**
 * What the compiler and Biome don't check. A rule says what is wrong in a file; its canaries are files it must reject, its
 * innocents are files it must not: a rule that can't fail is no rule.
 */
import { codeOnly } from './codeOnly.ts'
import type { SourceFile } from './sourceFiles.ts'

export interface Rule {
  readonly name: string
  readonly appliesTo: (path: string) => boolean
  /** What is wrong; empty when nothing is. */
  readonly find: (file: SourceFile) => string[]
  readonly canaries: readonly SourceFile[]
  readonly innocents: readonly SourceFile[]
}

const bannedNames = /(^|\/)(utils?|helpers?|common|types?|misc|[A-Za-z]*Manager)(\.test)?(\.d)?(\.ts|\/)/i

const pureFolders = [
  'protocol/',
  'config/',
  'server/',
  'proxy/',
  'syncer/',
  'control/plan/',
  'control/contract/',
]
const pureFiles = new Set(['runtime/ports.ts', 'runtime/invariant.ts'])

export function isPure(path: string): boolean {
  if (path.endsWith('/main.ts')) return false
  return pureFiles.has(path) || pureFolders.some((folder) => path.startsWith(folder))
}

const isTest = (path: string): boolean => path.startsWith('test/')
/** The rules and their canaries are full of what they forbid. */
const isRule = (path: string): boolean => path.startsWith('test/tidy')
const anywhere = (path: string): boolean => !isRule(path)

/** Each match of one of the patterns, with its line. */
function matches(text: string, patterns: readonly RegExp[]): string[] {
  const found: string[] = []
  for (const pattern of patterns) {
    for (const match of text.matchAll(new RegExp(pattern, 'gm'))) {
      const line = text.slice(0, match.index).split('\n').length
      found.push(`line ${line}: ${match[0].trim()}`)
    }
  }
  return found
}

/** In the text as it stands, with comments. */
const inText =
  (...patterns: RegExp[]) =>
  ({ text }: SourceFile): string[] =>
    matches(text, patterns)

/** In the code alone. */
const inCode =
  (...patterns: RegExp[]) =>
  ({ text }: SourceFile): string[] =>
    matches(codeOnly(text), patterns)

const inFile = (path: string, text: string): SourceFile => ({ path, text })
const inPure = (text: string): SourceFile => inFile('server/crdt/set.ts', text)
const inTest = (text: string): SourceFile => inFile('test/crdt/set.test.ts', text)

export const fileLinesMax = 800
export const functionLinesMax = 80

const names: Rule = {
  name: 'no junk drawers: a file is named after the noun it serves',
  appliesTo: () => true,
  find: ({ path }) => (bannedNames.test(path) ? ['banned name'] : []),
  canaries: [
    'server/utils.ts',
    'proxy/util/x.ts',
    'test/helpers.ts',
    'proxy/helper.ts',
    'control/common/a.ts',
    'config/types.ts',
    'misc/x.ts',
    'proxy/sessionManager.ts',
    'test/utils.test.ts',
    'runtime/types.d.ts',
  ].map((path) => inFile(path, '')),
  innocents: [
    'proxy/session.ts',
    'protocol/commands/table.ts',
    'server/commandTypesafe.ts',
    '.types/x.ts',
  ].map((path) => inFile(path, '')),
}

const pure: Rule = {
  name: 'pure folders know no clock, chance, timer, promise, process or Node',
  appliesTo: isPure,
  find: (file) => [
    ...inCode(
      // `Date.UTC` is arithmetic.
      /\bDate\b(?!\s*\.\s*UTC\b)/,
      /\bMath\s*\.\s*random\b/,
      /\b(setTimeout|setInterval|setImmediate|queueMicrotask)\b/,
      /\basync\b/,
      /\bawait\b/,
      /\bPromise\b/,
      // `process` alone may be a process of ours.
      /\bprocess\s*\.\s*(abort|argv|cwd|emit|env|exit|hrtime|memoryUsage|nextTick|once?|std(in|out|err)|uptime)\b/,
      /\bBuffer\b/,
      /\b(performance|console|crypto|globalThis)\s*\./,
      /\brequire\s*\(/,
      /\bimport\s*\(/,
    )(file),
    ...inText(/^\s*(import|export)\b.*['"]node:[^'"]*['"]/, /^} from ['"]node:[^'"]*['"]/)(file),
  ],
  canaries: [
    'const now = Date.now()',
    'const at = new Date()',
    'if (Math.random() < 0.5) go()',
    'setTimeout(go, 5)',
    'setInterval(go, 5)',
    'setImmediate(go)',
    'async function go() {}',
    'for await (const x of y) go()',
    'return new Promise(go)',
    'process.exit(1)',
    'Buffer.from(text)',
    "import fs from 'node:fs'",
    "import {\n  readFileSync,\n} from 'node:fs'",
    "const fs = await import('node:fs')",
    'const a = `\u0024{Date.now()}`',
    'console.log(x)',
  ].map(inPure),
  innocents: [
    inPure('// a Date, an async process\nconst text = "Math.random Buffer await"'),
    inPure('const expireAtMs = updated\nconst processed = asyncFlag'),
    inPure('const pattern = /Date "/\nconst quote = \'"\''),
    inPure('const epochMs = Date.UTC(2025, 0, 1)\nfor (const process of node) stop(process.role)'),
    inFile('server/main.ts', 'await start(process.argv)'),
    inFile('runtime/node/clock.ts', 'Date.now()'),
  ],
}

const escapes: Rule = {
  name: 'no way around the type checker',
  appliesTo: anywhere,
  find: (file) => [
    ...inCode(/\bas\s+any\b/, /<any>/)(file),
    ...inText(/@ts-(ignore|expect-error|nocheck)/)(file),
  ],
  canaries: ['const x = y as any', '// @ts-ignore', '/* @ts-expect-error why */', '// @ts-nocheck'].map(
    inPure,
  ),
  innocents: [inPure('const anything = has as anyone\n// as any other')],
}

const honestTests: Rule = {
  name: 'every test runs, against the real code',
  appliesTo: (path) => isTest(path) && anywhere(path),
  find: inCode(
    /\b(describe|it|test|suite)\s*\.\s*(only|skip|todo|skipIf|runIf|fails)\b/,
    /\bvi\s*\.\s*(mock|doMock|spyOn)\b/,
    /\b(xit|xdescribe|fit|fdescribe)\s*\(/,
  ),
  canaries: [
    "it.only('x', () => {})",
    "describe.skip('x', () => {})",
    "it.todo('x')",
    "test.skipIf(no)('x', () => {})",
    "vi.mock('./clock.ts')",
    "xit('x', () => {})",
  ].map(inTest),
  innocents: [inTest("it('has it.only in its name', () => {})\nexpect(list.skip(2)).toBe(1)")],
}

const finished: Rule = {
  name: 'nothing is left for later',
  appliesTo: anywhere,
  find: inText(/\b(TODO|FIXME|XXX|HACK)\b/),
  canaries: ['// TODO: the rest', '/* FIXME */'].map(inPure),
  innocents: [inPure('// to do it once')],
}

const catches: Rule = {
  name: 'no error is swallowed without a word',
  appliesTo: anywhere,
  find: ({ text }) =>
    matches(text, [/\bcatch\s*(\([^)]*\))?\s*\{\s*\}/, /\.catch\(\s*\(\)\s*=>\s*\{\s*\}\s*\)/]),
  canaries: ['try { go() } catch {}', 'try { go() } catch (error) {\n}', 'go().catch(() => {})'].map(inPure),
  innocents: [inPure('try { go() } catch {\n  // It was gone already.\n}')],
}

const imports: Rule = {
  name: 'imports from other folders are written from the root (#protocol/...)',
  appliesTo: anywhere,
  find: ({ text }) => matches(text, [/\bfrom\s+['"]\.\.\/.*['"]/, /\bimport\(['"]\.\.\/.*['"]\)/]),
  canaries: ["import { a } from '../store/keyspace.ts'", "export * from '../../x.ts'"].map(inPure),
  innocents: [inPure("import { a } from './a.ts'\nimport { b } from '#server/store/keyspace.ts'")],
}

const fileLength: Rule = {
  name: `a file fits a sitting: ${fileLinesMax} lines at most`,
  appliesTo: () => true,
  find: ({ text }) => (linesOf(text) > fileLinesMax ? [`${linesOf(text)} lines`] : []),
  canaries: [inPure('x\n'.repeat(fileLinesMax + 1))],
  innocents: [inPure('x\n'.repeat(fileLinesMax))],
}

const functionLength: Rule = {
  name: `a function fits a screen: ${functionLinesMax} lines at most`,
  // The functions of tests are lists of tests.
  appliesTo: (path) => !isTest(path),
  find: ({ text }) =>
    functionsIn(codeOnly(text))
      .filter(({ lines }) => lines > functionLinesMax)
      .map(({ lines, head }) => `${lines} lines: ${head}`),
  canaries: [
    `function f() {\n${'  go()\n'.repeat(functionLinesMax)}}\n`,
    `export async function f(\n  a: number,\n): { b: number } {\n${'  go()\n'.repeat(functionLinesMax)}}\n`,
    `class A {\n  #run({\n    a,\n  }: B): void {\n${'    go()\n'.repeat(functionLinesMax)}  }\n}\n`,
    `const f = (a: number) => {\n${'  go()\n'.repeat(functionLinesMax)}}\n`,
    `class A {\n  get a(): number {\n${'    go()\n'.repeat(functionLinesMax)}  }\n}\n`,
  ].map(inPure),
  innocents: [
    inPure(`function f() {\n${'  go()\n'.repeat(functionLinesMax - 2)}}\n`),
    inPure(`class A {\n${'  a = 1\n'.repeat(200)}}\n`),
    inPure(`const table = {\n${'  a: f(1),\n'.repeat(200)}}\n`),
    inFile('test/x.test.ts', `describe('x', () => {\n${'  go()\n'.repeat(200)}})\n`),
  ],
}

export function linesOf(text: string): number {
  return text.split('\n').length - (text.endsWith('\n') ? 1 : 0)
}

const functionHead = /^(\s*)(export\s+)?(default\s+)?(async\s+)?function\b/
const methodHead = /^(\s*)((static|async|get|set|override)\s+)*[#\w]+(<.*>)?\((.*\).*\{|[^)]*)$/
const arrowHead = /^(\s*).*=>\s*\{$/
const statement = /^\s*(if|for|while|switch|catch|return|throw|else|do|with|await)\b/

/** By indentation, which Biome guarantees: a function ends at the first closing brace as far left as its head. */
function functionsIn(code: string): { head: string; lines: number }[] {
  const lines = code.split('\n')
  const found: { head: string; lines: number }[] = []
  lines.forEach((line, at) => {
    const match = statement.test(line)
      ? null
      : (functionHead.exec(line) ?? methodHead.exec(line) ?? arrowHead.exec(line))
    if (match === null) return
    const indent = match[1] ?? ''
    const closes = (later: string) => later.startsWith(`${indent}}`) && !later.endsWith('{')
    const length = lines.slice(at + 1).findIndex((later) => closes(later) || leaves(later, indent))
    if (length < 0 || !closes(lines[at + 1 + length] ?? '')) return
    found.push({ head: line.trim(), lines: length + 2 })
  })
  return found
}

/** A line further left than the head: it was no function, but a call over several lines. */
function leaves(line: string, indent: string): boolean {
  return line.trim() !== '' && !line.startsWith(indent)
}

export const rules: readonly Rule[] = [
  names,
  pure,
  escapes,
  honestTests,
  finished,
  catches,
  imports,
  fileLength,
  functionLength,
]
