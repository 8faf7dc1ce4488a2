/**
 * The page of performance: figures between marks are written from the results, everything else is written by hand and kept.
 * A block whose suite has no results is empty; a suite without a block gets one at the end. Pure.
 */
import { machineText } from './machineText.ts'
import type { Results, SuiteResult, Table } from './result.ts'
import { budgetTable, markdownTable } from './table.ts'

/** Where the plots are, from the page. */
export const plotFolder = 'performance'

const openMark = (suite: string): string => `<!-- written by \`npm run bench -- report\`: ${suite} -->`
const closeMark = (suite: string): string => `<!-- end of ${suite} -->`

/** `page` with its blocks written again, in place; `order` is that of the suites that have none yet. */
export function writePage(page: string, order: readonly string[], results: Results): string {
  let written = page
  for (const suite of order) {
    const result = results.suites[suite]
    const block = blockOf(suite, result)
    const start = written.indexOf(openMark(suite))
    const end = written.indexOf(closeMark(suite))
    if (start >= 0 && end > start)
      written = written.slice(0, start) + block + written.slice(end + closeMark(suite).length)
    else if (start >= 0 || end >= 0) throw new Error(`the marks of ${suite} on the page don't match`)
    else if (result !== undefined) written = `${written.trimEnd()}\n\n${block}\n`
  }
  return written
}

function blockOf(suite: string, result: SuiteResult | undefined): string {
  const content = result === undefined ? '' : `\n${section(result)}\n\n`
  return `${openMark(suite)}\n${content}${closeMark(suite)}`
}

const headed = (table: Table): string => `**${table.title}**\n\n${markdownTable(table)}`

const folded = (table: Table): string =>
  `<details><summary>${table.title}</summary>\n\n${markdownTable(table)}\n\n</details>`

function section(result: SuiteResult): string {
  const { title, description, budgets, tables, plots, date, seconds, machine, isQuick } = result
  const parts = [`## ${title}`, description]
  if (isQuick) parts.push('A quick run: the figures are rough.')
  if (budgets.length > 0) parts.push(markdownTable(budgetTable(budgets)))
  for (const plot of plots) parts.push(`![${plot.title}](${plotFolder}/${plot.name}.svg)`)
  parts.push(...tables.map((table) => (table.isDetail ? folded(table) : headed(table))))
  parts.push(`Measured on ${date.slice(0, 10)} in ${Math.ceil(seconds / 60)} min: ${machineText(machine)}.`)
  return parts.join('\n\n')
}
