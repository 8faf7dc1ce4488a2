/** What a suite gives: figures for people (tables, plots) and for the verdict (budgets). Plain JSON. */
import type { Machine } from './machineText.ts'

/** Null: there is none, such as of a command that the server doesn't know. */
export type Cell = string | number | null

export interface Table {
  title: string
  columns: readonly string[]
  rows: readonly (readonly Cell[])[]
  /** Folded on the page: for whoever wants to know more. */
  isDetail?: boolean
}

export interface BarPlot {
  type: 'bars'
  /** Of its file, without ending. */
  name: string
  title: string
  unit: string
  categories: readonly string[]
  /** One value for each category. */
  series: readonly { name: string; values: readonly (number | null)[] }[]
}

export interface LinePlot {
  type: 'lines'
  name: string
  title: string
  unit: string
  xTitle: string
  /** A limit to be kept, drawn as a line across. */
  limit?: { name: string; value: number }
  series: readonly { name: string; points: readonly (readonly [x: number, y: number])[] }[]
}

export type Plot = BarPlot | LinePlot

export interface BudgetRow {
  what: string
  budget: string
  measured: string
  isMet: boolean
}

export interface Findings {
  budgets: BudgetRow[]
  tables: Table[]
  plots: Plot[]
}

export interface SuiteResult extends Findings {
  suite: string
  /** Title and what was done, for the page. */
  title: string
  description: string
  /** UTC, ISO 8601. */
  date: string
  seconds: number
  /** The figures are rough. */
  isQuick: boolean
  machine: Machine
}

/** By name of the suite. */
export interface Results {
  suites: Record<string, SuiteResult>
}
