/** What a lab is made of, kept in its directory so that the next start finds the same clusters at the same ports. */
import { randomUUID } from 'node:crypto'
import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Persistence } from '#config/process.ts'
import { clusterIdMax, databasePortMax, databasePortMin, databasePortsExcluded } from '#config/schema.ts'
import { parseLine } from '#control/agent/jsonLines.ts'
import { MendableError } from '#control/contract/mendableError.ts'

export const labFileName = 'lab.json'
export const labLogName = 'lab.log'
/** Who runs the lab. */
export const labLockName = 'lab.pid'
const labFileVersion = 1

/** With one cluster more, or with one that joins once more. Pure. */
export function planJoining(file: LabFile, cluster: number | null): LabFile {
  const number = cluster ?? file.clusters + 1
  if (number < 1 || number > file.clusters + (cluster === null ? 1 : 0))
    throw new LabError(`there is no cluster ${number}; leave the number out to add a new one`)
  const planned: LabFile = {
    ...file,
    clusters: Math.max(file.clusters, number),
    joined: [...new Set([...(file.joined ?? []), number])],
  }
  checkShape(planned)
  return planned
}

export interface LabShape {
  clusters: number
  /** Of each cluster. */
  shards: number
  persistence: Persistence
  basePort: number
  /** Settings of all nodes that differ from the defaults, such as `limits.backlog_bytes_max`, as TOML values. */
  set: Readonly<Record<string, string>>
}

export interface LabFile extends LabShape {
  /** Of the one database. */
  guid: string
  /** Clusters that have joined, or are to join, a database that was there already. */
  joined?: readonly number[]
  /** By link, such as `1-2`: cluster 1 pulls from cluster 2. */
  relayPorts: Readonly<Record<string, number>>
}

/** What was asked for; undefined: whatever the lab is, or else the default. */
export type LabWish = { [K in keyof LabShape]?: LabShape[K] | undefined }

export const defaultShape: LabShape = {
  clusters: 2,
  shards: 2,
  persistence: 'everysec',
  basePort: 12_000,
  set: {},
}

/** What the user asked for can't be done; the message says why and what to do instead. */
export class LabError extends MendableError {}

export const clusterNumbers = ({ clusters }: LabShape): number[] =>
  Array.from({ length: clusters }, (_, i) => i + 1)

export const clusterName = (number: number): string => `cluster-${number}`

export const databasePort = ({ basePort }: LabShape, number: number): number => basePort + 2 * (number - 1)

export const linkName = (from: number, to: number): string => `${from}-${to}`

/** Every ordered pair of clusters: the first pulls from the second. */
export function linksOf(shape: LabShape): { from: number; to: number }[] {
  const numbers = clusterNumbers(shape)
  return numbers.flatMap((from) => numbers.filter((to) => to !== from).map((to) => ({ from, to })))
}

/** Joins what is there with what is wished. Pure. */
export function planLab(existing: LabFile | null, wish: LabWish): LabFile {
  const before: LabFile = existing ?? { ...defaultShape, guid: randomUUID(), relayPorts: {} }
  if (existing !== null) {
    for (const key of ['clusters', 'shards', 'persistence'] as const) {
      const wished = wish[key]
      if (wished !== undefined && wished !== existing[key]) {
        throw new LabError(
          `this lab has --${key} ${existing[key]} and its data depends on it; leave --${key} out, start over with --fresh, or take another --dir`,
        )
      }
    }
  }
  const planned: LabFile = {
    ...before,
    clusters: wish.clusters ?? before.clusters,
    shards: wish.shards ?? before.shards,
    persistence: wish.persistence ?? before.persistence,
    basePort: wish.basePort ?? before.basePort,
    set: { ...before.set, ...wish.set },
  }
  checkShape(planned)
  return planned
}

function checkShape(shape: LabShape): void {
  if (shape.clusters < 1 || shape.clusters > clusterIdMax) {
    throw new LabError(`--clusters ${shape.clusters}: 1 to ${clusterIdMax} are possible`)
  }
  for (const number of clusterNumbers(shape)) {
    const port = databasePort(shape, number)
    if (port < databasePortMin || port > databasePortMax || databasePortsExcluded.includes(port)) {
      throw new LabError(
        `--base-port ${shape.basePort}: cluster ${number} would serve on port ${port}; ${databasePortMin} to ${databasePortMax} are allowed, without ${databasePortsExcluded.join(', ')}`,
      )
    }
  }
}

/** Null: there is no lab in this directory. */
export function readLabFile(directory: string): LabFile | null {
  const path = join(directory, labFileName)
  if (!existsSync(path)) return null
  const content = parseLine(readFileSync(path, 'utf8'))
  if (content?.['version'] !== labFileVersion) {
    throw new LabError(`${path} is not of this version of Antipode; start over with --fresh`)
  }
  const { version: _, ...file } = content
  return file as unknown as LabFile
}

export function writeLabFile(directory: string, file: LabFile): void {
  const path = join(directory, labFileName)
  writeFileSync(`${path}.new`, `${JSON.stringify({ version: labFileVersion, ...file }, null, 2)}\n`)
  renameSync(`${path}.new`, path)
}
