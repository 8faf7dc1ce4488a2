/** What a session needs of the process around it. */
import type { ClientLimits, ProxyConfig } from '#config/process.ts'
import type { ReplyWriter } from '#protocol/resp/replyWriter.ts'
import type { RequestLimits } from '#protocol/resp/requestScanner.ts'
import type { Clients } from '#proxy/clients.ts'
import type { Counters } from '#proxy/counters.ts'
import type { Pause } from '#proxy/pause.ts'
import type { Router } from '#proxy/routing/router.ts'
import type { ShardLinks } from '#proxy/routing/shardLinks.ts'
import type { Settings } from '#proxy/settings.ts'
import type { Siblings } from '#proxy/siblings/siblings.ts'
import type { Turn } from '#proxy/turn.ts'
import type { Clock, Logger, Timers } from '#runtime/ports.ts'
import type { ReplyMemory } from './replyMemory.ts'

export interface SessionHost {
  readonly config: ProxyConfig
  /** What CONFIG SET has changed included. One object for all sessions, changed in place. */
  readonly limits: ClientLimits
  readonly requestLimits: { readonly authenticated: RequestLimits; readonly other: RequestLimits }
  /** Clients that say nothing for so long are disconnected; 0: never. */
  readonly idleMs: number
  readonly links: ShardLinks
  readonly router: Router
  readonly clock: Clock
  readonly timers: Timers
  readonly logger: Logger
  readonly turn: Turn
  readonly memory: ReplyMemory
  readonly clients: Clients
  readonly pause: Pause
  /** The other workers of the port. */
  readonly siblings: Siblings
  readonly counters: Counters
  /** For replies written and passed on within one call. */
  readonly reply: ReplyWriter
  readonly startedMs: number
  /** Another one at each start. */
  readonly runId: string
  process(): ProcessFigures
  /** CONFIG SET; the other workers are to be told. */
  changeSettings(values: Partial<Settings>): void
  onClientClosed(): void
}

/** Of the process itself. */
export interface ProcessFigures {
  processId: number
  residentBytes: number
  cpuUserMs: number
  cpuSystemMs: number
}
