/** What a session needs of the process around it. */
import type { ClientLimits, KeeperQuestion, ProxyConfig, PulledBytes } from '#config/process.ts'
import type { ScriptWatchAnswer, ScriptWatchQuestion } from '#protocol/frames/scriptWatch.ts'
import type { ReplyWriter } from '#protocol/resp/replyWriter.ts'
import type { RequestLimits } from '#protocol/resp/requestScanner.ts'
import type { AclLog } from '#proxy/acl/aclLog.ts'
import type { AclSaves } from '#proxy/acl/aclSaves.ts'
import type { LoginDelay } from '#proxy/acl/loginDelay.ts'
import type { UserPlan } from '#proxy/acl/userChanges.ts'
import type { Users } from '#proxy/acl/users.ts'
import type { ChangedShardSettings } from '#proxy/changedShardSettings.ts'
import type { Clients } from '#proxy/clients.ts'
import type { ClientTls } from '#proxy/clientTls.ts'
import type { Counters } from '#proxy/counters.ts'
import type { Libraries } from '#proxy/functions/libraries.ts'
import type { LibraryPlan } from '#proxy/functions/libraryChanges.ts'
import type { KeptChanges } from '#proxy/keptChanges.ts'
import type { Observation } from '#proxy/observation.ts'
import type { Pause } from '#proxy/pause.ts'
import type { Router } from '#proxy/routing/router.ts'
import type { ShardLinks } from '#proxy/routing/shardLinks.ts'
import type { Settings } from '#proxy/settings.ts'
import type { Siblings } from '#proxy/siblings/siblings.ts'
import type { Subscriptions } from '#proxy/subscriptions.ts'
import type { PeerTraffic } from '#proxy/syncRelay.ts'
import type { Tracking } from '#proxy/tracking.ts'
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
  readonly subscriptions: Subscriptions
  readonly tracking: Tracking
  /** For replies written and passed on within one call. */
  readonly reply: ReplyWriter
  readonly startedMs: number
  /** Another one at each start. */
  readonly runId: string
  process(): ProcessFigures
  /** With what CONFIG SET has changed; another object after each change. */
  readonly clientTls: ClientTls
  /** That clients are shown over TLS; null: none. */
  certificate(): { readonly expiresWallMs: number } | null
  /** What has been exchanged with other clusters. */
  readonly traffic: Iterable<PeerTraffic>
  /** What this cluster's syncer has received, as it told the agent about a second ago. */
  readonly pulled: readonly PulledBytes[]
  readonly users: Users
  readonly userChanges: KeptChanges<UserPlan>
  readonly libraries: Libraries
  readonly libraryChanges: KeptChanges<LibraryPlan>
  readonly aclLog: AclLog
  readonly aclSaves: AclSaves
  readonly observation: Observation
  readonly loginDelay: LoginDelay
  /** Of the agent of the node, which keeps users and libraries; null: it does not answer. */
  askKeeper(question: KeeperQuestion, answered: (answer: unknown) => void): void
  /** So many random hexadecimal digits, which nobody can guess. */
  secretDigits(count: number): string
  /** Changed by CONFIG SET, of what shards go by; the other workers are to be told. */
  readonly shardSettings: ChangedShardSettings
  /** CONFIG SET; the other workers are to be told. */
  changeSettings(values: Partial<Settings>): void
  onClientClosed(): void
  /** Asks those who watch the scripts of the shards; the answers are in the order of the links. */
  askWatches(
    question: ScriptWatchQuestion,
    done: (answers: readonly (ScriptWatchAnswer | null)[]) => void,
  ): void
}

/** Of the process itself. */
export interface ProcessFigures {
  processId: number
  residentBytes: number
  cpuUserMs: number
  cpuSystemMs: number
}
