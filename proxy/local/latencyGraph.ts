/** LATENCY GRAPH: columns of characters, and below each how long ago its sample is. The drawing is that of Redis. */
import type { LatencyEvent } from '#protocol/frames/latency.ts'

const columnsMax = 80
const rows = 4
/** Of the topmost character of a column, by how high it is. */
const tops = ['_', 'o', '#']
const full = '|'

export function latencyGraph(
  name: string,
  { samples, greatestMs }: LatencyEvent,
  nowSeconds: number,
): string {
  const durations = samples.map(([, durationMs]) => durationMs)
  const [high, low] = [Math.max(...durations), Math.min(...durations)]
  const heading = `${name} - high ${high} ms, low ${low} ms (all time high ${greatestMs} ms)\n`
  let text = `${heading}${'-'.repeat(columnsMax)}\n`
  for (let at = 0; at < samples.length; at += columnsMax) {
    if (at > 0) text += '\n'
    const shown = samples.slice(at, at + columnsMax)
    const steps = shown.map(([, durationMs]) => stepOf(durationMs, low, high))
    for (let row = rows - 1; row >= 0; row--)
      text += `${steps.map((step) => characterAt(step, row)).join('')}\n`
    const labels = shown.map(([seconds]) => elapsed(nowSeconds - seconds))
    const longest = Math.max(...labels.map(({ length }) => length))
    for (let i = -1; i < longest; i++) text += `${labels.map((label) => label[i] ?? ' ').join('')}\n`
  }
  return text
}

/** How high a column is, in thirds of a row. */
function stepOf(value: number, low: number, high: number): number {
  const steps = rows * tops.length
  return Math.min(steps - 1, Math.floor(((value - low) * steps) / Math.max(1, high - low)))
}

function characterAt(step: number, row: number): string {
  const third = step - row * tops.length
  return third >= tops.length ? full : (tops[third] ?? ' ')
}

function elapsed(seconds: number): string {
  if (seconds < 60) return `${seconds}s`
  if (seconds < 3600) return `${Math.floor(seconds / 60)}m`
  if (seconds < 86_400) return `${Math.floor(seconds / 3600)}h`
  return `${Math.floor(seconds / 86_400)}d`
}
