/** Writes the TOML file of a lab's node, as somebody would by hand. Pure. */
import { clusterName, clusterNumbers, databasePort, LabError, type LabFile, linkName } from './labFile.ts'

export const labDatabase = 'db1'
const host = '127.0.0.1'

export function nodeToml(lab: LabFile, number: number): string {
  const own = clusterName(number)
  const sections: Record<string, Record<string, string>> = {
    node: { cluster: quote(own), data_dir: quote('.') },
    tls: {
      certificate: quote(`../tls/${own}.crt`),
      key: quote(`../tls/${own}.key`),
      authority: quote('../tls/authority.crt'),
    },
    // The rule for the number of workers is for a node that has its machine to itself.
    proxy: { bind: quote(host), workers: '1' },
  }
  for (const [path, value] of Object.entries(lab.set)) {
    const [section = '', key, ...rest] = path.split('.')
    if (key === undefined || rest.length > 0) {
      throw new LabError(
        `--set ${path}: a setting is written SECTION.KEY=VALUE, such as limits.backlog_bytes_max=1048576`,
      )
    }
    if (section === 'database' && Object.hasOwn(labsOwn(lab, number), key)) {
      throw new LabError(`--set ${path}: the lab decides this by itself; see \`antipode lab up --help\``)
    }
    sections[section] = { ...sections[section], [key]: tomlValue(value) }
  }
  const { database = {}, ...ofNode } = sections
  const lines = ['# Written by `antipode lab up` at each start. Change it with --set SECTION.KEY=VALUE.']
  for (const [name, settings] of Object.entries(ofNode)) {
    lines.push('', `[${name}]`, ...Object.entries(settings).map(([key, value]) => `${key} = ${value}`))
  }
  lines.push('', ...databaseLines(lab, number, database))
  return `${lines.join('\n')}\n`
}

/** Settings of the database that follow from the lab's shape. */
const labsOwn = (lab: LabFile, number: number): Record<string, string> => ({
  name: quote(labDatabase),
  guid: quote(lab.guid),
  port: String(databasePort(lab, number)),
  shards: String(lab.shards),
  persistence: quote(lab.persistence),
  ...(lab.joined?.includes(number) === true ? { joins: 'true' } : {}),
})

function databaseLines(lab: LabFile, number: number, more: Readonly<Record<string, string>>): string[] {
  const settings = { ...labsOwn(lab, number), ...more }
  const lines = ['[[database]]', ...Object.entries(settings).map(([key, value]) => `${key} = ${value}`)]
  for (const member of clusterNumbers(lab)) {
    // Others are reached over the lab's relay, so that the link can be cut.
    const port = member === number ? databasePort(lab, member) : lab.relayPorts[linkName(number, member)]
    lines.push('', '[[database.member]]', `id = ${member}`, `name = ${quote(clusterName(member))}`)
    lines.push(`host = ${quote(host)}`, `port = ${port}`)
  }
  return lines
}

/** JSON's quoting is TOML's for basic strings. */
const quote = (value: string): string => JSON.stringify(value)

/** Numbers, booleans and lists as they are, all else as a text. */
const tomlValue = (value: string): string =>
  /^-?\d[\d_]*$|^true$|^false$|^\[.*\]$/.test(value) ? value : quote(value)
