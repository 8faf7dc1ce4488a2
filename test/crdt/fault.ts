/** A way to read or to build the design wrongly, planted from outside; see `faults.ts`. */
import { covers, emptyVector, type VersionVector } from '#protocol/sync/versionVector.ts'
import type { Amount } from '#server/crdt/amount.ts'
import type { CounterEntry } from '#server/crdt/counter.ts'
import { allTypes, type KeyState, type RemovedCounters } from '#server/crdt/keyState.ts'
import { Keyspace } from '#server/store/keyspace.ts'
import type { Production } from './replica.ts'
import { scripts } from './scripts.ts'

export interface Fault {
  name: string
  what: string
  run: (seed: number, made: Production) => void
  made?: Partial<Production>
  /** Replaces a method; returns what puts it back. */
  plant?: () => () => void
}

export class ForgetsGhosts extends Keyspace {
  protected override mayForgetGhost(): boolean {
    return true
  }
}

export const script =
  (name: string) =>
  (_seed: number, made: Production): void =>
    scripts[name]?.(made)

export function replace<T extends object, K extends keyof T>(
  target: T,
  name: K,
  make: (original: T[K]) => T[K],
): () => void {
  const original = target[name]
  target[name] = make(original)
  return () => {
    target[name] = original
  }
}

/** Covers all that there is; what takes it for a context has seen everything. */
export const everything: VersionVector = emptyVector().fill(Number.MAX_SAFE_INTEGER)

/** No origin. */
const nobody = -1

/** What a receiver would have to guess when an effect doesn't carry its resets: everything its context covers. */
export function resetsFromContext(state: KeyState, context: VersionVector): RemovedCounters {
  const covered = <Sum extends Amount>(entries: readonly CounterEntry<Sum>[]) =>
    entries.filter((entry) => entry.live && covers(context, entry.last))
  const all = state.removedCounters(allTypes, nobody)
  const string = covered(state.string?.entries ?? [])
  const fields = all.fields.map(({ element }) => ({
    element,
    resets: covered(state.hash?.fieldState(element).entries ?? []),
  }))
  const scores = all.scores.map(({ element }) => ({
    element,
    resets: covered(state.zset?.memberState(element).entries ?? []),
  }))
  return { string, fields, scores }
}
