/** Where results are kept, and the page and plots that are written from them. */
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { plotFolder, writePage } from './page.ts'
import { plotSvg } from './plot.ts'
import type { Results, SuiteResult } from './result.ts'

const root = join(import.meta.dirname, '..', '..')

/** Of the latest run of each suite on this machine; not part of the project. */
export const latestPath = (isQuick: boolean): string =>
  join(root, '.bench', isQuick ? 'quick.json' : 'results.json')

/** The page; its results and plots are in a folder beside it. */
export const pagePath = join(root, 'docs', 'performance.md')

export const publishedPath = (page: string): string => join(dirname(page), plotFolder, 'results.json')

export function readResults(path: string): Results {
  return existsSync(path) ? (JSON.parse(readFileSync(path, 'utf8')) as Results) : { suites: {} }
}

/** Replaces the suites' results in the file; those of others stay. */
export function saveResults(path: string, results: readonly SuiteResult[]): void {
  const { suites } = readResults(path)
  for (const result of results) suites[result.suite] = result
  mkdirSync(dirname(path), { recursive: true })
  writeFileSync(path, `${JSON.stringify({ suites }, null, 2)}\n`)
}

/** Writes results, plots and the page's figures; returns the paths. */
export function publish(page: string, order: readonly string[], latest: Results): string[] {
  const resultsPath = publishedPath(page)
  saveResults(resultsPath, Object.values(latest.suites))
  const published = readResults(resultsPath)
  const folder = dirname(resultsPath)
  for (const name of readdirSync(folder)) if (name.endsWith('.svg')) rmSync(join(folder, name))
  const plots = Object.values(published.suites).flatMap((result) => result.plots)
  for (const plot of plots) writeFileSync(join(folder, `${plot.name}.svg`), plotSvg(plot))
  const before = existsSync(page) ? readFileSync(page, 'utf8') : '# Performance\n'
  writeFileSync(page, writePage(before, order, published))
  return [page, resultsPath, ...plots.map(({ name }) => join(folder, `${name}.svg`))]
}
