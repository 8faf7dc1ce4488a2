/** Writes the settings page and the example file from the table. */
import { databaseSection, memberSection, schema } from './schema.ts'
import type { Section, Setting } from './setting.ts'

const lineLengthMax = 100

interface Part {
  heading: string
  section: Section
}

const parts: readonly Part[] = [
  ...Object.entries(schema).map(([name, section]): Part => ({ heading: `[${name}]`, section })),
  { heading: '[[database]]', section: databaseSection },
  { heading: '[[database.member]]', section: memberSection },
]

/** `config/example.toml`: every setting, with its default or an example. */
export function exampleFile(): string {
  const lines = [
    '# Every setting of a node, each with its default. Those without one are shown with an example.',
    '# Start a node with: bin/antipode agent --config FILE',
  ]
  for (const { heading, section } of parts) {
    lines.push('', ...comment(section.doc), heading)
    for (const [key, setting] of Object.entries(section.settings)) {
      lines.push('', ...comment([setting.doc, restriction(setting)].filter(Boolean).join(' ')))
      lines.push(`${key} = ${tomlValue(setting)}`)
    }
  }
  return `${lines.join('\n')}\n`
}

/** `docs/configuration.md` */
export function settingsPage(): string {
  const lines = [
    '# Configuration of a node',
    '',
    'One TOML file: `bin/antipode agent --config node.toml`. Unknown keys are errors. `config/example.toml` shows every setting.',
    'Where the column *reload* says yes, `SIGHUP` to the agent applies a change of the file to the running node.',
    '',
    'This page is written from `config/schema.ts` by `npm run docs`.',
  ]
  for (const { heading, section } of parts) {
    lines.push('', `## \`${heading}\``, '', section.doc, '')
    lines.push('| key | default | allowed | reload | |', '| --- | --- | --- | --- | --- |')
    for (const [key, setting] of Object.entries(section.settings)) {
      const cells = [
        `\`${key}\``,
        fallbackCell(setting),
        allowedCell(setting),
        setting.reloadable ? 'yes' : '',
        setting.doc,
      ]
      lines.push(`| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`)
    }
  }
  return `${lines.join('\n')}\n`
}

function fallbackCell({ fallback, unit }: Setting<unknown>): string {
  if (fallback === undefined) return 'must be given'
  if (fallback === null || (Array.isArray(fallback) && fallback.length === 0)) return '-'
  return typeof fallback === 'number' ? `\`${fallback}\`${unitSuffix(fallback, unit)}` : `\`${fallback}\``
}

function allowedCell({ kind, min, max, countMax, choices, form }: Setting<unknown>): string {
  if (kind === 'boolean') return 'true, false'
  if (kind === 'integer') return [...(choices ?? []), `${min} to ${max}`].join(', ')
  if (choices !== null) return choices.join(', ')
  const what = form === '' ? 'text' : form
  return kind === 'texts' ? `list of up to ${countMax}: ${what}` : what
}

function restriction(setting: Setting<unknown>): string {
  const { kind, choices, min, max, unit } = setting
  if (kind === 'integer') {
    const words = (choices ?? []).map((word) => `"${word}", or `).join('')
    return `${words}${min} to ${max}${unitName(unit)}.`
  }
  return choices === null ? '' : `One of ${choices.join(', ')}.`
}

const unitName = (unit: Setting<unknown>['unit']): string =>
  unit === 'us'
    ? ' microseconds'
    : unit === 'ms'
      ? ' milliseconds'
      : unit === 'bytes'
        ? ' bytes'
        : unit === 'percent'
          ? ' per cent'
          : ''

function unitSuffix(value: number, unit: Setting<unknown>['unit']): string {
  if (unit === 'bytes' && value >= 1024 ** 2) return ` (${Math.floor(value / 1024 ** 2)} MiB)`
  return unit === 'ms' || unit === 'us' ? ` ${unit}` : unit === 'percent' ? ' %' : ''
}

function tomlValue({ fallback, example }: Setting<unknown>): string {
  if (example !== '') return example
  if (typeof fallback === 'number') return groupDigits(fallback)
  if (Array.isArray(fallback)) return '[]'
  return typeof fallback === 'string' ? `"${fallback}"` : String(fallback)
}

const groupDigits = (value: number): string => String(value).replace(/\B(?=(\d{3})+$)/g, '_')

function comment(doc: string): string[] {
  const lines: string[] = []
  let line = '#'
  for (const word of doc.split(' ')) {
    if (line.length + 1 + word.length > lineLengthMax) {
      lines.push(line)
      line = '#'
    }
    line += ` ${word}`
  }
  return [...lines, line]
}
