import { describe, expect, it } from 'vitest'
import { plotSvg } from '#bench/report/plot.ts'
import type { BarPlot, LinePlot } from '#bench/report/result.ts'
import { linearTicks } from '#bench/report/scale.ts'

const bars: BarPlot = {
  type: 'bars',
  name: 'rates',
  title: 'Rates <all>',
  unit: 'k/s',
  categories: ['GET', 'SET & "more"'],
  series: [
    { name: 'one', values: [100, 50] },
    { name: 'two', values: [25, null] },
  ],
}

const lines: LinePlot = {
  type: 'lines',
  name: 'churn',
  title: 'Latency',
  unit: 'ms',
  xTitle: 'seconds',
  limit: { name: '20 ms', value: 20 },
  series: [
    {
      name: 'p99',
      points: [
        [0, 0],
        [50, 5],
        [100, 10],
      ],
    },
  ],
}

/** Every tag is closed, in order; returns the names of all. */
function tagsOf(svg: string): string[] {
  const open: string[] = []
  const names: string[] = []
  for (const [, close, name = '', , empty] of svg.matchAll(
    /<(\/?)([a-z]+)((?:\s+[a-zA-Z0-9-]+="[^"<]*")*)\s*(\/?)>/g,
  )) {
    if (close === '/') expect(open.pop()).toBe(name)
    else {
      names.push(name)
      if (empty !== '/') open.push(name)
    }
  }
  expect(open).toEqual([])
  expect(svg.match(/</g)).toHaveLength(svg.match(/>/g)?.length ?? 0)
  return names
}

const attribute = (tag: string, name: string): number =>
  Number(new RegExp(` ${name}="([\\d.-]+)"`).exec(tag)?.[1])

describe('a plot of bars', () => {
  const svg = plotSvg(bars)
  const drawn = svg.match(/<rect class="s\d" [^>]*><title>[^<]*<\/title>/g) ?? []

  it('is well-formed, whatever the names', () => {
    expect(tagsOf(svg).filter((name) => name === 'svg')).toHaveLength(1)
    expect(svg).toContain('SET &amp; &quot;more&quot;')
    expect(svg).toContain('Rates &lt;all&gt;')
  })

  it('has bars as long as their values, told in words', () => {
    expect(drawn).toHaveLength(4)
    const [first = '', second = '', third = '', fourth = ''] = drawn
    const width = attribute(first, 'width')
    expect(width).toBeGreaterThan(0)
    expect(attribute(second, 'width') / width).toBeCloseTo(0.25, 2)
    expect(attribute(third, 'width') / width).toBeCloseTo(0.5, 2)
    expect(attribute(fourth, 'width')).toBe(0)
    expect(first).toContain('<title>GET, one: 100 k/s</title>')
    expect(fourth).toContain('two: - k/s')
  })

  it('has colours for light and dark', () => {
    const [light = '', dark = ''] = svg.split('@media(prefers-color-scheme:dark)')
    expect(light).toMatch(/\.s1\{fill:#[0-9a-f]{6}\}/)
    expect(dark).toMatch(/\.s1\{fill:#[0-9a-f]{6}\}/)
  })
})

describe('a plot of lines', () => {
  it('has a point for each, higher ones further up, and the limit', () => {
    const svg = plotSvg(lines)
    tagsOf(svg)
    const points = (/<polyline class="l0" points="([^"]*)"/.exec(svg)?.[1] ?? '')
      .split(' ')
      .map((pair) => pair.split(',').map(Number) as [number, number])
    expect(points).toHaveLength(3)
    const [[x0, y0], [x1, y1], [x2, y2]] = points as [[number, number], [number, number], [number, number]]
    expect(x1 - x0).toBeCloseTo(x2 - x1, 0)
    expect(y0 - y1).toBeCloseTo(y1 - y2, 0)
    expect(y1).toBeLessThan(y0)
    const limit = /<line class="limit" [^>]*>/.exec(svg)?.[0] ?? ''
    // Twice as high as the last point.
    expect(y0 - attribute(limit, 'y1')).toBeCloseTo(2 * (y0 - y2), 0)
  })

  it('can be empty', () => {
    tagsOf(plotSvg({ ...lines, series: [] }))
  })
})

describe('ticks', () => {
  it('are round, few, and reach the maximum', () => {
    expect(linearTicks(10)).toEqual([0, 2, 4, 6, 8, 10])
    expect(linearTicks(0.3)).toEqual([0, 0.1, 0.2, 0.3])
    expect(linearTicks(1_234)).toEqual([0, 500, 1_000, 1_500])
    expect(linearTicks(0)).toEqual([0, 1])
    for (let max = 0.001; max < 1e7; max *= 1.37) {
      const ticks = linearTicks(max)
      expect(ticks.length).toBeGreaterThanOrEqual(3)
      expect(ticks.length).toBeLessThanOrEqual(7)
      expect(ticks.at(-1)).toBeGreaterThanOrEqual(max * 0.999999)
    }
  })
})
