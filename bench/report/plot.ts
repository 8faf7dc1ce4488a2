/**
 * Plots as SVG, written by hand from the figures: bars by category, lines over time. Colours follow the reader's light or
 * dark scheme, where the viewer tells it. Every bar and line is also told in words (`<title>`), for whoever can't see it.
 */
import { formatNumber } from './number.ts'
import type { BarPlot, LinePlot, Plot } from './result.ts'
import { linearTicks } from './scale.ts'

const width = 860
const margin = { top: 64, right: 20, bottom: 44, left: 64 }
const lineHeight = 300
const barHeight = 11
const groupGap = 10
const labelWidth = 150
const legendLeft = margin.left
/** Distinguishable by people with any colour vision; the order is that of the servers. */
const colours = {
  light: ['#0b6bcb', '#c2570c', '#6b7280', '#0f8a5f', '#9333ea', '#b91c1c'],
  dark: ['#6cb2ff', '#ff9f5a', '#a3acb9', '#4fd1a1', '#c79bff', '#ff8f8f'],
}

export function plotSvg(plot: Plot): string {
  return plot.type === 'bars' ? barsSvg(plot) : linesSvg(plot)
}

function barsSvg({ title, unit, categories, series }: BarPlot): string {
  const left = labelWidth + 10
  const plotWidth = width - left - margin.right - 50
  const values = series.flatMap((each) => each.values).filter((value) => value !== null)
  const ticks = linearTicks(Math.max(0, ...values))
  const end = ticks.at(-1) ?? 1
  const x = (value: number) => left + (value / end) * plotWidth
  const groupHeight = series.length * (barHeight + 2) + groupGap
  const bottom = margin.top + categories.length * groupHeight
  const parts = ticks.map(
    (tick) =>
      `${line('grid', x(tick), margin.top - 6, x(tick), bottom)}${text(x(tick), bottom + 16, formatNumber(tick), 'middle')}`,
  )
  categories.forEach((category, group) => {
    const top = margin.top + group * groupHeight
    parts.push(text(left - 8, top + (groupHeight - groupGap) / 2 + 4, category, 'end'))
    series.forEach(({ name, values }, at) => {
      const value = values[group] ?? null
      const y = top + at * (barHeight + 2)
      const label = value === null ? '-' : formatNumber(value)
      const told = escaped(`${category}, ${name}: ${label} ${unit}`)
      const bar = `<rect class="s${at}" x="${left}" y="${y}" width="${round(x(value ?? 0) - left)}" height="${barHeight}"><title>${told}</title></rect>`
      parts.push(bar, text(x(value ?? 0) + 4, y + barHeight - 2, label, 'start', 'small'))
    })
  })
  return frame(bottom + margin.bottom, title, unit, series, parts)
}

function linesSvg({ title, unit, xTitle, series, limit }: LinePlot): string {
  const points = series.flatMap((each) => each.points)
  const xTicks = linearTicks(Math.max(0, ...points.map(([x]) => x)))
  const yTicks = linearTicks(Math.max(limit?.value ?? 0, ...points.map(([, y]) => y)))
  const [xEnd, yEnd] = [xTicks.at(-1) ?? 1, yTicks.at(-1) ?? 1]
  const bottom = margin.top + lineHeight
  const right = width - margin.right
  const x = (value: number) => margin.left + (value / xEnd) * (right - margin.left)
  const y = (value: number) => bottom - (value / yEnd) * lineHeight
  const parts = [
    ...yTicks.map(
      (tick) =>
        line('grid', margin.left, y(tick), right, y(tick)) +
        text(margin.left - 8, y(tick) + 4, formatNumber(tick), 'end'),
    ),
    ...xTicks.map((tick) => text(x(tick), bottom + 16, formatNumber(tick), 'middle')),
    text(right, bottom + 34, xTitle, 'end'),
    ...series.map(({ name, points }, at) => {
      const path = points.map(([px, py]) => `${round(x(px))},${round(y(py))}`).join(' ')
      return `<polyline class="l${at}" points="${path}"><title>${escaped(name)}</title></polyline>`
    }),
  ]
  if (limit !== undefined) {
    parts.push(
      line('limit', margin.left, y(limit.value), right, y(limit.value)),
      text(right, y(limit.value) - 4, limit.name, 'end', 'small'),
    )
  }
  return frame(bottom + margin.bottom, title, unit, series, parts)
}

function frame(
  height: number,
  title: string,
  unit: string,
  series: readonly { name: string }[],
  parts: readonly string[],
): string {
  let legendX = legendLeft
  const legend = series.map(({ name }, at) => {
    const key = `<rect class="s${at}" x="${legendX}" y="36" width="11" height="11"/>${text(legendX + 16, 46, name, 'start')}`
    // Seven pixels a letter are enough for this font.
    legendX += 16 + name.length * 7 + 18
    return key
  })
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img" aria-label="${escaped(title)}">`,
    `<style>${style()}</style>`,
    `<rect class="paper" width="${width}" height="${height}"/>`,
    `<text class="title" x="${legendLeft}" y="22">${escaped(title)} <tspan class="small">(${escaped(unit)})</tspan></text>`,
    ...legend,
    ...parts,
    '</svg>',
    '',
  ].join('\n')
}

function style(): string {
  const marks = (list: readonly string[]) =>
    list.map((colour, at) => `.s${at}{fill:${colour}}.l${at}{stroke:${colour}}`).join('')
  return [
    'text{font:12px system-ui,sans-serif;fill:#1f2328}.small{font-size:10px}.title{font-size:15px;font-weight:600}',
    '.paper{fill:#ffffff}.grid{stroke:#d8dee4}.limit{stroke:#b91c1c;stroke-dasharray:5 4}polyline{fill:none;stroke-width:1.6}',
    marks(colours.light),
    '@media(prefers-color-scheme:dark){text{fill:#e6edf3}.paper{fill:#0d1117}.grid{stroke:#30363d}.limit{stroke:#ff8f8f}',
    `${marks(colours.dark)}}`,
  ].join('')
}

const line = (name: string, x1: number, y1: number, x2: number, y2: number): string =>
  `<line class="${name}" x1="${round(x1)}" y1="${round(y1)}" x2="${round(x2)}" y2="${round(y2)}"/>`

const text = (
  x: number,
  y: number,
  content: string,
  anchor: 'start' | 'middle' | 'end',
  name?: string,
): string =>
  `<text${name === undefined ? '' : ` class="${name}"`} x="${round(x)}" y="${round(y)}" text-anchor="${anchor}">${escaped(content)}</text>`

const round = (value: number): number => Math.round(value * 10) / 10

const escaped = (content: string): string =>
  content.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;')
