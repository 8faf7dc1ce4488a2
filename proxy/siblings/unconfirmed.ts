/** What a client is told when a change is kept and some workers do not say that it is in force. */
import { isJsonObject } from '#runtime/jsonObject.ts'
import type { SiblingAnswer } from './siblings.ts'

export const isInForce = (answer: unknown): boolean => isJsonObject(answer) && answer['isInForce'] === true

/** Null: all have confirmed it, but those that are gone. */
export function unconfirmed(answers: readonly SiblingAnswer[]): string | null {
  const hanging = answers.filter(({ value, isGone }) => !isGone && !isInForce(value))
  if (hanging.length === 0) return null
  const names = hanging.map(({ worker }) => worker).join(', ')
  return `UNAVAILABLE the change is kept, but proxy worker ${names} did not confirm it: it may come later`
}
