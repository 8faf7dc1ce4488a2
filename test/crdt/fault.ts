/** A way to read or to build the design wrongly, planted from outside; see `faults.ts`. */
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
