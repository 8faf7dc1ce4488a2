/** Every order of the steps of several threads that keeps the order within each. */
export function* interleavings<T>(threads: readonly (readonly T[])[]): Generator<T[]> {
  if (threads.every((thread) => thread.length === 0)) {
    yield []
    return
  }
  for (const [i, [step, ...rest]] of threads.entries()) {
    if (step === undefined) continue
    for (const order of interleavings(threads.with(i, rest))) yield [step, ...order]
  }
}
