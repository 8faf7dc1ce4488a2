/** Changes of the libraries: what they become, and when they are in force: when every shard and every worker knows them. */
import { changedLibraries, type LibraryChange, type StoredLibrary } from '#config/libraries.ts'
import type { KeptList } from '#proxy/keptChanges.ts'
import { askShards, type ShardAnswer } from '#proxy/routing/question.ts'
import type { SessionHost } from '#proxy/session/host.ts'
import { isInForce, unconfirmed, unconfirmedBy } from '#proxy/siblings/unconfirmed.ts'

export type LibraryPlan = Omit<LibraryChange, 'version'>

export const libraryList = (host: SessionHost): KeptList<LibraryPlan> => ({
  name: 'libraries',
  version: () => host.libraries.version,
  limitError: (plan) => {
    const { version, list: libraries } = host.libraries
    const next = changedLibraries({ version, libraries }, { version, ...plan })
    const { functionsBytesMax } = host.limits
    if (plan.put.length === 0 || JSON.stringify(next).length <= functionsBytesMax) return null
    return `ERR libraries have at most ${functionsBytesMax} bytes together (functions_bytes_max)`
  },
  question: (version, plan) => ({ what: 'changeLibraries', change: { version, ...plan } }),
  ask: (question, answered) => host.askKeeper(question, answered),
  confirm: (version, done) =>
    askShards(host.links, { what: 'librariesInForce', version }, (shards) => {
      const error = unconfirmedShards(host, shards)
      if (error !== null) done(error)
      else host.siblings.confirm('libraries', version, (answers) => done(unconfirmed(answers)))
    }),
})

/** A shard that is down gets the list when it starts. */
function unconfirmedShards({ links }: SessionHost, answers: readonly ShardAnswer[]): string | null {
  const hanging = answers.filter(({ value }, i) => links.all[i]?.isUp === true && !isInForce(value))
  return unconfirmedBy(
    'shard',
    hanging.map(({ shard }) => shard),
  )
}

export type Policy = 'append' | 'replace' | 'flush'

/** Adds libraries to those that are there; an error reply when names collide. */
export function addingLibraries(
  before: readonly StoredLibrary[],
  added: readonly StoredLibrary[],
  policy: Policy,
): LibraryPlan | string {
  const names = new Set(added.map(({ name }) => name))
  const taken = before.find(({ name }) => names.has(name))
  if (policy === 'append' && taken !== undefined) return `ERR Library ${taken.name} already exists`
  const remove = policy === 'flush' ? before.map(({ name }) => name) : []
  const kept = policy === 'flush' ? [] : before.filter(({ name }) => !names.has(name))
  return functionCollision(kept, added) ?? { put: added, remove }
}

/** While one is made: to a LOAD, or by a payload that has it twice. Redis has other quotes when payload and libraries collide. */
export const libraryExists = (name: string): string => `ERR Library '${name}' already exists`

/** Letter case does not count. */
export function functionCollision(
  before: readonly StoredLibrary[],
  added: readonly StoredLibrary[],
): string | null {
  const namesOf = ({ functions }: StoredLibrary): string[] => functions.map(({ name }) => name)
  const taken = new Set(before.flatMap(namesOf).map((name) => name.toLowerCase()))
  const name = added.flatMap(namesOf).find((one) => taken.has(one.toLowerCase()))
  return name === undefined ? null : `ERR Function ${name} already exists`
}
