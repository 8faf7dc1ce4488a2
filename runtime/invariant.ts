/**
 * Two kinds of wrong: what a client, a peer or a disk can cause is a value with an error text; what only a bug of ours
 * can cause is an invariant. A broken invariant stops the process: going on would spread the damage to the peers.
 */
export class InvariantError extends Error {
  readonly facts: Readonly<Record<string, unknown>>

  constructor(claim: string, facts: Readonly<Record<string, unknown>>) {
    super(`invariant broken: ${claim} ${JSON.stringify(facts)}`)
    this.name = 'InvariantError'
    this.facts = facts
  }
}

export function invariant(
  holds: boolean,
  claim: string,
  facts: Readonly<Record<string, unknown>> = {},
): asserts holds {
  if (!holds) throw new InvariantError(claim, facts)
}

/** Ends a `switch` over a union: the compiler proves that no case is missing, the run proves that the types told the truth. */
export function unreachable(value: never): never {
  throw new InvariantError('a case that the types exclude', { value })
}
