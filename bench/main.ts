/**
 * `npm run bench`: Antipode beside real servers, in one run. Absolute figures belong to the machine; the ratios, and CPU time
 * for each request, travel better.
 */
import { resolve } from 'node:path'
import { Argument, Command, InvalidArgumentError } from 'commander'
import { latestPath, pagePath, publish, readResults, saveResults } from './report/files.ts'
import { thisMachine } from './report/machine.ts'
import type { SuiteResult } from './report/result.ts'
import { budgetTable, textTable } from './report/table.ts'
import { missingPackages } from './servers/child.ts'
import { Stage } from './servers/stage.ts'
import { suites } from './suites/index.ts'
import type { Suite, SuiteOptions } from './suites/suite.ts'

interface Options {
  quick: boolean
  check: boolean
  report: boolean
  minutes?: number
  keys?: number
  rate?: number
  results?: string
  page: string
}

/** Given beside the suites: all of them, or only the page. */
const everything = 'all'
const onlyReport = 'report'
const order = suites.map(({ name }) => name)

const program = new Command('npm run bench --')
  .description(
    `Measures Antipode against redis-server and nutcracker, side by side, and keeps what it found for the report.
Without a suite it is \`${order[0]}\`, which takes less than ten minutes; --quick makes anything short and rough.`,
  )
  .addArgument(
    new Argument('[suites...]', 'what to measure')
      .choices([...order, everything, onlyReport])
      .default([order[0]]),
  )
  .option('--quick', 'a tenth of everything, to see that it works', false)
  .option('--check', 'a missed budget is an error (exit code 2)', false)
  .option('--report', 'write the page when done', false)
  .option('--minutes <n>', 'length of the churn (default: 3)', positive)
  .option('--keys <n>', 'keys of churn and restart (default: 3,000,000 and 1,000,000)', positive)
  .option('--rate <n>', 'writes a second of the churn (default: 20,000)', positive)
  .option('--results <file>', 'where results are kept (default: .bench/results.json)')
  .option('--page <file>', 'the page that the report writes; plots go beside it', pagePath)
  .addHelpText('after', () => `\n${suiteLines().join('\n')}`)
  .action(run)

function suiteLines(): string[] {
  const lines = suites.map(({ name, title }) => `  ${name.padEnd(14)}${title}`)
  return [
    'Suites:',
    ...lines,
    `  ${everything.padEnd(14)}every one of them`,
    `  ${onlyReport.padEnd(14)}nothing: writes docs/performance.md and its plots from the results so far`,
    '',
    'Examples:',
    '  npm run bench -- rates memory --report',
    '  npm run bench -- churn --minutes 10 --keys 3000000 --check',
  ]
}

function positive(text: string): number {
  const value = Number(text)
  if (value > 0 && Number.isFinite(value)) return value
  throw new InvalidArgumentError('A number above 0 is needed.')
}

async function run(names: string[], options: Options): Promise<void> {
  const path = resolve(options.results ?? latestPath(options.quick))
  const wanted = suites.filter(({ name }) => names.includes(name) || names.includes(everything))
  const results: SuiteResult[] = []
  if (wanted.length > 0) checkPrograms()
  for (const suite of wanted) {
    try {
      const result = await runSuite(suite, options)
      results.push(result)
      saveResults(path, [result])
      show(result)
    } catch (error) {
      // The others may still tell something.
      console.error(`\n${suite.name} broke off:`, error)
      process.exitCode = 1
    }
  }
  if (options.report || names.includes(onlyReport)) {
    const written = publish(resolve(options.page), order, readResults(path))
    console.log(`\nwritten:\n${written.map((each) => `  ${each}`).join('\n')}`)
  }
  const missed = results.flatMap(({ budgets }) => budgets).filter(({ isMet }) => !isMet)
  if (missed.length > 0) console.log(`\n${missed.length} budgets missed`)
  if (options.check && missed.length > 0) process.exitCode ??= 2
}

function checkPrograms(): void {
  const missing = missingPackages()
  if (missing.length === 0) return
  console.error(
    `Programs are missing that it measures with. Install them with:\n\n  apt-get install -y ${missing.join(' ')}\n`,
  )
  process.exit(1)
}

async function runSuite(suite: Suite, options: Options): Promise<SuiteResult> {
  console.log(`\n── ${suite.title}`)
  const stage = new Stage()
  const stopOnSignal = () => void stage.stopAll().finally(() => process.exit(130))
  process.on('SIGINT', stopOnSignal)
  process.on('SIGTERM', stopOnSignal)
  const suiteOptions: SuiteOptions = {
    isQuick: options.quick,
    say: (line) => console.log(`  ${line}`),
    ...(options.minutes === undefined ? {} : { minutes: options.minutes }),
    ...(options.keys === undefined ? {} : { keys: Math.round(options.keys) }),
    ...(options.rate === undefined ? {} : { perSecond: Math.round(options.rate) }),
  }
  const startMs = performance.now()
  try {
    const findings = await suite.run(stage, suiteOptions)
    return {
      suite: suite.name,
      title: suite.title,
      description: suite.description,
      date: new Date().toISOString(),
      seconds: Math.round((performance.now() - startMs) / 1000),
      isQuick: options.quick,
      machine: thisMachine(),
      ...findings,
    }
  } finally {
    await stage.stopAll()
    process.off('SIGINT', stopOnSignal)
    process.off('SIGTERM', stopOnSignal)
  }
}

function show({ budgets, tables, seconds }: SuiteResult): void {
  for (const table of tables) console.log(`\n${textTable(table)}`)
  if (budgets.length > 0) console.log(`\n${textTable(budgetTable(budgets))}`)
  console.log(`\n  took ${seconds} s`)
}

await program.parseAsync()
