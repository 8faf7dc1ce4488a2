import { describe, expect, it } from 'vitest'
import { formatNumber } from '#bench/report/number.ts'
import { markdownTable, textTable } from '#bench/report/table.ts'

const table = {
  title: 'Rates',
  columns: ['', 'one', 'two'],
  rows: [
    ['GET', 1234.5, 'a|b'],
    ['SET', null, 'not supported yet'],
  ],
}

describe('tables', () => {
  it('are Markdown, numbers to the right', () => {
    expect(markdownTable(table).split('\n')).toEqual([
      '|  | one | two |',
      '| --- | ---: | --- |',
      '| GET | 1,235 | a\\|b |',
      '| SET | - | not supported yet |',
    ])
  })

  it('are aligned text', () => {
    expect(textTable(table).split('\n')).toEqual([
      'Rates',
      '         one  two',
      '  GET  1,235  a|b',
      '  SET      -  not supported yet',
    ])
  })
})

describe('numbers', () => {
  it('have three digits or so', () => {
    const texts = [0, 0.1234, 1.234, 12.34, 123.4, 1_234_567, 12, -1.239, Number.NaN].map(formatNumber)
    expect(texts).toEqual(['0', '0.123', '1.23', '12.3', '123', '1,234,567', '12', '-1.24', '-'])
  })
})
