/** What a random network is made of, and what happens in it. */
import type { Intent } from './intents.ts'
import type { Production } from './replica.ts'

export type Command = Intent['command'] | 'transaction'

export interface NetworkOptions {
  replicas: number
  commands: readonly Command[]
  keys: readonly string[]
  production: Production
  /** A link over which little gets through. */
  slowLink?: boolean
  /** How much of the time goes to heartbeats, forgetting and delivery, 0 to 3. */
  calm?: number
  /** No slot states: only operations, which reach less states but some of them oftener. */
  operationsOnly?: boolean
  /** Many of them. */
  statesOften?: boolean
  /** False: all clocks agree. */
  skews?: boolean
}
