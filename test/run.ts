/**
 * `npm test`: everything that has to hold before a change lands, in the order in which it fails fastest. Ends with a line
 * `N passed, N failed`, in which a tool that is content counts as one.
 */
import { spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { missingPackages } from './debianPackages.ts'

interface Outcome {
  passed: number
  failed: number
}

const root = join(import.meta.dirname, '..')
const bin = (name: string) => join(root, 'node_modules', '.bin', name)
const scratch = mkdtempSync(join(tmpdir(), 'antipode-test-'))

function run(title: string, command: string, args: string[]): boolean {
  const startMs = performance.now()
  console.log(`\n── ${title}`)
  const { status } = spawnSync(command, args, { cwd: root, stdio: 'inherit' })
  console.log(
    `── ${title}: ${status === 0 ? 'ok' : 'FAILED'} in ${((performance.now() - startMs) / 1000).toFixed(1)} s`,
  )
  return status === 0
}

function runTool(title: string, name: string, args: string[]): Outcome {
  return run(title, bin(name), args) ? { passed: 1, failed: 0 } : { passed: 0, failed: 1 }
}

/** One vitest project (see vitest.config.ts); its tests are counted from its JSON report. */
function runTests(project: string): Outcome {
  const report = join(scratch, `${project}.json`)
  const ok = run(`tests: ${project}`, process.execPath, [
    join(root, 'node_modules', 'vitest', 'vitest.mjs'),
    'run',
    '--project',
    project,
    '--reporter=default',
    '--reporter=json',
    `--outputFile.json=${report}`,
  ])
  if (!existsSync(report)) return { passed: 0, failed: 1 }
  const { numPassedTests, numFailedTests } = JSON.parse(readFileSync(report, 'utf8'))
  // A file that can't be loaded fails the run without a failed test.
  return { passed: numPassedTests, failed: ok ? numFailedTests : Math.max(1, numFailedTests) }
}

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
const failed = outcomes.reduce((sum, outcome) => sum + outcome.failed, 0)
console.log(`\n${passed} passed, ${failed} failed`)
process.exit(failed === 0 ? 0 : 1)
