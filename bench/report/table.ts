/** Tables as Markdown (lines as long as they are) and as aligned text for the terminal. */
import { formatNumber } from './number.ts'
import type { BudgetRow, Cell, Table } from './result.ts'

export function cellText(cell: Cell): string {
  if (cell === null) return '-'
  return typeof cell === 'number' ? formatNumber(cell) : cell
}

/** Without its title. */
export function markdownTable({ columns, rows }: Table): string {
  const line = (cells: readonly string[]) =>
    `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`
  return [
    line(columns),
    line(columns.map((_, at) => (isNumeric(rows, at) ? '---:' : '---'))),
    ...rows.map((row) => line(row.map(cellText))),
  ].join('\n')
}

export function textTable({ title, columns, rows }: Table): string {
  const texts = [columns, ...rows.map((row) => row.map(cellText))]
  const widths = columns.map((_, at) => Math.max(...texts.map((row) => row[at]?.length ?? 0)))
  const lines = texts.map((row) =>
    row
      .map((text, at) =>
        isNumeric(rows, at) ? text.padStart(widths[at] ?? 0) : text.padEnd(widths[at] ?? 0),
      )
      .join('  ')
      .trimEnd(),
  )
  return [title, ...lines.map((line) => `  ${line}`)].join('\n')
}

export const budgetTable = (budgets: readonly BudgetRow[]): Table => ({
  title: 'Budgets',
  columns: ['what', 'budget', 'measured', ''],
  rows: budgets.map(({ what, budget, measured, isMet }) => [
    what,
    budget,
    measured,
    isMet ? 'met' : 'missed',
  ]),
})

const isNumeric = (rows: Table['rows'], at: number): boolean =>
  rows.some((row) => typeof row[at] === 'number') &&
  rows.every((row) => typeof row[at] === 'number' || row[at] === null)
