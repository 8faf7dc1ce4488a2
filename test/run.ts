/**
 * `npm test`: everything that has to hold before a change lands, in the order in which it fails fastest. Ends with what
 * failed, for those who only see the end of a log, and a line `N passed, N failed`, in which a tool that is content counts
 * as one.
 */
import { spawnSync } from 'node:child_process'
import { randomInt } from 'node:crypto'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { missingPackages } from './debianPackages.ts'

interface Outcome {
  passed: number
  /** What each failure says. */
  failures: string[]
}

/** What is read of vitest's JSON report. */
interface Report {
  numPassedTests: number
  testResults: {
    name: string
    message: string
    status: string
    assertionResults: { fullName: string; status: string; failureMessages: string[] }[]
  }[]
}

const seed = process.env['SEED'] ?? String(randomInt(2 ** 31))
const root = join(import.meta.dirname, '..')
const bin = (name: string) => join(root, 'node_modules', '.bin', name)
const scratch = mkdtempSync(join(tmpdir(), 'antipode-test-'))
// One for all: else each cluster that a test starts compiles everything anew.
const env = { ...process.env, RUN_SEED: seed, NODE_COMPILE_CACHE: join(scratch, 'compiled') }

function run(title: string, command: string, args: string[]): boolean {
  const startMs = performance.now()
  console.log(`\n── ${title}`)
  const { status } = spawnSync(command, args, { cwd: root, stdio: 'inherit', env })
  console.log(
    `── ${title}: ${status === 0 ? 'ok' : 'FAILED'} in ${((performance.now() - startMs) / 1000).toFixed(1)} s`,
  )
  return status === 0
}

function runTool(title: string, name: string, args: string[]): Outcome {
  return run(title, bin(name), args) ? { passed: 1, failures: [] } : { passed: 0, failures: [title] }
}

/** One vitest project (see vitest.config.ts); its tests are counted from its JSON report. */
function runTests(project: string): Outcome {
  const title = `tests: ${project}`
  const report = join(scratch, `${project}.json`)
  const ok = run(title, process.execPath, [
    join(root, 'node_modules', 'vitest', 'vitest.mjs'),
    'run',
    '--project',
    project,
    '--reporter=default',
    '--reporter=json',
    `--outputFile.json=${report}`,
  ])
  if (!existsSync(report)) return { passed: 0, failures: [title] }
  const { numPassedTests, testResults }: Report = JSON.parse(readFileSync(report, 'utf8'))
  const failures = testResults.flatMap(failuresOf)
  return { passed: numPassedTests, failures: ok || failures.length > 0 ? failures : [title] }
}

/** What failed in a file; one that can't be loaded is a failure without a failed test. */
function failuresOf({ name, message, status, assertionResults }: Report['testResults'][number]): string[] {
  const file = relative(root, name)
  const failed = assertionResults.filter((test) => test.status === 'failed')
  if (failed.length === 0) return status === 'failed' ? [`${file}: ${message}`] : []
  return failed.map((test) => `${file}: ${test.fullName}\n${ownLines(test.failureMessages.join('\n'))}`)
}

/** Without the lines of a stack that lie in packages. */
const ownLines = (text: string): string =>
  text
    .split('\n')
    .filter((line) => !line.includes('/node_modules/'))
    .join('\n')

const missing = missingPackages()
if (missing.length > 0) {
  console.error(
    `The tests need programs that are not here. Install them with:\n\n  apt-get install -y ${missing.join(' ')}\n`,
  )
  process.exit(1)
}

const outcomes = [
  runTool('format and lint', 'biome', ['ci', '--error-on-warnings', '.']),
  runTool('types and layers', 'tsc', ['-b']),
  runTool('dead code', 'knip', []),
  runTests('parts'),
  runTests('system'),
]
rmSync(scratch, { recursive: true })
const passed = outcomes.reduce((sum, outcome) => sum + outcome.passed, 0)
const failures = outcomes.flatMap((outcome) => outcome.failures)
for (const failure of failures) console.log(`\n── failed, with SEED=${seed}: ${failure}`)
console.log(`\n${passed} passed, ${failures.length} failed`)
process.exit(failures.length === 0 ? 0 : 1)
