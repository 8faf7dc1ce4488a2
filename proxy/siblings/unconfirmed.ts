/** What a client is told when a change is kept and some processes do not say that it is in force. */
import { isJsonObject } from '#runtime/jsonObject.ts'
import type { SiblingAnswer } from './siblings.ts'

export const isInForce = (answer: unknown): boolean => isJsonObject(answer) && answer['isInForce'] === true

/** Null: all have confirmed it, but those that are gone. */
export function unconfirmed(answers: readonly SiblingAnswer[]): string | null {
  const hanging = answers.filter(({ value, isGone }) => !isGone && !isInForce(value))
  return unconfirmedBy(
    'proxy worker',
    hanging.map(({ worker }) => worker),
  )
}

/** Null: by nobody. */
export const unconfirmedBy = (what: string, hanging: readonly number[]): string | null =>
  hanging.length === 0
    ? null
    : `UNAVAILABLE the change is kept, but ${what} ${hanging.join(', ')} did not confirm it: it may come later`
