import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import { pagePath, publish, publishedPath, readResults } from '#bench/report/files.ts'
import { writePage } from '#bench/report/page.ts'
import { plotSvg } from '#bench/report/plot.ts'
import type { SuiteResult } from '#bench/report/result.ts'
import { suites } from '#bench/suites/index.ts'

const order = ['budgets', 'rates']

const result = (suite: string, measured: string): SuiteResult => ({
  suite,
  title: `Title of ${suite}`,
  description: 'What was done.',
  date: '2026-11-22T10:00:00.000Z',
  seconds: 61,
  isQuick: false,
  machine: {
    cpu: 'A CPU',
    cores: 2,
    memoryBytes: 24 * 1024 ** 3,
    kernel: '6.1.0',
    node: '26.10.0',
    redis: '7.0.15',
    nutcracker: '0.5.0',
    commit: 'abc1234',
  },
  budgets: [{ what: 'speed', budget: '1.0 x', measured, isMet: true }],
  tables: [
    { title: 'Figures', columns: ['', 'k/s'], rows: [['GET', 12.34]] },
    { title: 'More', columns: ['', 'us'], rows: [['GET', 5]], isDetail: true },
  ],
  plots: [
    {
      type: 'bars',
      name: `${suite}-plot`,
      title: 'Plot',
      unit: 'k/s',
      categories: ['GET'],
      series: [{ name: 'one', values: [1] }],
    },
  ],
})

describe('the page', () => {
  const hand = '# Performance\n\nWritten by hand.\n'
  const first = writePage(hand, order, { suites: { rates: result('rates', '1.5 x') } })

  it('gets a block for each suite, with machine, budgets, tables and plots', () => {
    expect(first.startsWith(hand)).toBe(true)
    for (const part of [
      '## Title of rates',
      '| speed | 1.0 x | 1.5 x | met |',
      '**Figures**\n\n|  | k/s |\n| --- | ---: |\n| GET | 12.3 |',
      '<details><summary>More</summary>\n\n|  | us |\n| --- | ---: |\n| GET | 5 |\n\n</details>',
      '![Plot](performance/rates-plot.svg)',
      'Measured on 2026-11-22 in 2 min: A CPU, 2 cores, 24 GiB, Linux 6.1.0, Node 26.10.0, redis-server 7.0.15, nutcracker 0.5.0, commit abc1234.',
    ])
      expect(first).toContain(part)
    expect(first).not.toContain('rough')
  })

  it('keeps what is written by hand before, between and behind', () => {
    const edited = `${first}\nMore by hand.\n`
    const again = writePage(edited, order, {
      suites: { rates: result('rates', '1.7 x'), budgets: result('budgets', '0.9 x') },
    })
    expect(again).toContain('Written by hand.')
    expect(again).toContain('More by hand.')
    expect(again).toContain('1.7 x')
    expect(again).not.toContain('1.5 x')
    // Budgets had no block: it comes last.
    expect(again.indexOf('Title of budgets')).toBeGreaterThan(again.indexOf('More by hand.'))
  })

  it('is the same when it is written again', () => {
    const results = { suites: { rates: result('rates', '1.5 x') } }
    expect(writePage(first, order, results)).toBe(first)
  })

  it('has an empty block for a suite without results', () => {
    const emptied = writePage(first, order, { suites: {} })
    expect(emptied).not.toContain('Title of rates')
    expect(writePage(emptied, order, { suites: { rates: result('rates', '1.5 x') } })).toBe(first)
  })

  it('is refused when a mark is missing', () => {
    const broken = first.replace('<!-- end of rates -->', '')
    expect(() => writePage(broken, order, { suites: {} })).toThrow('marks of rates')
  })

  it('says when figures are rough', () => {
    const quick = { ...result('rates', '1.5 x'), isQuick: true }
    expect(writePage(hand, order, { suites: { rates: quick } })).toContain('rough')
  })
})

describe('publishing', () => {
  const folder = mkdtempSync(join(tmpdir(), 'bench-page-'))
  const page = join(folder, 'page.md')
  afterEach(() => rmSync(folder, { recursive: true, force: true }))

  it('writes page, results and plots, keeps other suites, and takes away plots of none', () => {
    writeFileSync(page, '# By hand\n')
    publish(page, order, { suites: { budgets: result('budgets', '0.9 x') } })
    writeFileSync(join(folder, 'performance', 'old.svg'), 'no longer')
    publish(page, order, { suites: { rates: result('rates', '1.5 x') } })
    const text = readFileSync(page, 'utf8')
    expect(text).toContain('Title of budgets')
    expect(text).toContain('Title of rates')
    expect(readdirSync(join(folder, 'performance')).sort()).toEqual([
      'budgets-plot.svg',
      'rates-plot.svg',
      'results.json',
    ])
  })
})

describe('docs/performance.md', () => {
  const published = readResults(publishedPath(pagePath))

  it('is what `npm run bench -- report` makes of the published results', () => {
    const page = readFileSync(pagePath, 'utf8')
    const names = suites.map(({ name }) => name)
    expect(writePage(page, names, published)).toBe(page)
    for (const name of names) expect(page).toContain(`<!-- end of ${name} -->`)
  })

  it('has its plots beside it, and no others', () => {
    const folder = join(publishedPath(pagePath), '..')
    const plots = Object.values(published.suites).flatMap((suite) => suite.plots)
    const files = readdirSync(folder).filter((name) => name.endsWith('.svg'))
    expect(files.sort()).toEqual(plots.map(({ name }) => `${name}.svg`).sort())
    for (const plot of plots)
      expect(readFileSync(join(folder, `${plot.name}.svg`), 'utf8')).toBe(plotSvg(plot))
  })
})
