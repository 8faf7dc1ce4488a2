/**
 * What several sequences have, each in order, as one in order. `comesFirst(a, b)`: whether `a` comes before `b`; of equal ones
 * that of the earlier sequence comes first.
 */
export function* mergeSorted<T>(
  sequences: readonly Iterable<T>[],
  comesFirst: (a: T, b: T) => boolean,
): Generator<T, void, void> {
  const [only] = sequences
  if (only !== undefined && sequences.length === 1) {
    yield* only
    return
  }
  const heads = sequences.map((sequence) => {
    const source = sequence[Symbol.iterator]()
    return { source, next: source.next() }
  })
  for (;;) {
    let first: (typeof heads)[number] | undefined
    for (const head of heads) {
      if (head.next.done) continue
      if (first === undefined || comesFirst(head.next.value, first.next.value)) first = head
    }
    if (first === undefined) return
    yield first.next.value
    first.next = first.source.next()
  }
}
