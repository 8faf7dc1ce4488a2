/**
 * Changes of a list that the agent of the node keeps, users or libraries: made one behind the other, answered when they are in force
 * everywhere. A change is worked out from a version of the list; when another worker was faster it is worked out anew from
 * what the list is then.
 */
import type { KeeperQuestion } from '#config/process.ts'
import { isJsonObject } from '#runtime/jsonObject.ts'

/** What is to change, an error reply, or null: nothing. */
export type PlanChange<Plan extends object> = () => Plan | string | null

/** Null: it is in force; else an error reply. */
type Done = (error: string | null) => void

export interface KeptList<Plan extends object> {
  /** For error texts, as in "changes of users". */
  readonly name: string
  /** As this worker knows it. */
  version(): number
  /** Why the list may not become that; null: it may. */
  limitError(plan: Plan): string | null
  question(version: number, plan: Plan): KeeperQuestion
  /** Asks the agent; null: it does not answer. */
  ask(question: KeeperQuestion, answered: (answer: unknown) => void): void
  /** The list of this version is known here: who else needs it is asked whether it is in force. */
  confirm(version: number, done: Done): void
}

/** Of all workers, one change at least is made in every round. */
const roundsMax = 100
/** Of one worker. */
export const waitingChangesMax = 1_000

export class KeptChanges<Plan extends object> {
  readonly #list: KeptList<Plan>
  readonly #waiting: { plan: PlanChange<Plan>; done: Done }[] = []
  #isBusy = false

  constructor(list: KeptList<Plan>) {
    this.#list = list
  }

  change(plan: PlanChange<Plan>, done: Done): void {
    if (this.#waiting.length >= waitingChangesMax) {
      done(`UNAVAILABLE ${waitingChangesMax} changes of ${this.#list.name} wait already; try again`)
      return
    }
    this.#waiting.push({ plan, done })
    if (!this.#isBusy) this.#next()
  }

  get #keeperIsSilent(): string {
    return `UNAVAILABLE the agent of the node, which keeps the ${this.#list.name}, does not answer; try again`
  }

  #next(): void {
    const next = this.#waiting.shift()
    this.#isBusy = next !== undefined
    if (next === undefined) return
    this.#try(next.plan, roundsMax, (error) => {
      next.done(error)
      this.#next()
    })
  }

  #try(plan: PlanChange<Plan>, rounds: number, done: Done): void {
    const list = this.#list
    const planned = plan()
    if (planned === null || typeof planned === 'string') {
      done(planned)
      return
    }
    const error = list.limitError(planned)
    if (error !== null) {
      done(error)
      return
    }
    list.ask(list.question(list.version(), planned), (answer) => {
      if (!isJsonObject(answer)) done(this.#keeperIsSilent)
      else if (typeof answer['error'] === 'string') done(`ERR ${answer['error']}`)
      else if (typeof answer['version'] !== 'number') done(this.#keeperIsSilent)
      else this.#onVersion(answer['version'], answer['done'] === true, plan, rounds, done)
    })
  }

  /** The new list comes before the answer does. */
  #onVersion(version: number, isDone: boolean, plan: PlanChange<Plan>, rounds: number, done: Done): void {
    if (this.#list.version() < version) done(this.#keeperIsSilent)
    else if (isDone) this.#list.confirm(version, done)
    else if (rounds > 0) this.#try(plan, rounds - 1, done)
    else done(`UNAVAILABLE the ${this.#list.name} are changed all the time; try again`)
  }
}
